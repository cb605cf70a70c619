"""The rows of what was let through: what makes a repeated request the same request, and no call two."""

from __future__ import annotations

import logging
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import DatabaseError, IntegrityError, transaction
from redis.exceptions import RedisError

from accounts import encryption
from accounts.scoping import scoped
from policies.engine.types import Channel
from policies.gate import store
from policies.gate.outbound.bodies import Wanted
from policies.gate.outbound.credentials import Caller
from policies.gate.outbound_judge import Outbound
from policies.models import Decision, Dial

logger = logging.getLogger(__name__)

RUNNING_FOR: Final = timedelta(seconds=60)
"""Longer than UponAI is waited for. A row that still runs then belongs to a process that died."""

GIVEN, OURS, UNSENT = "given:", "decision:", "unsent:"
"""What a row's idempotency key begins with, so that nobody can name a row of a request that came without one."""

_SEALED: Final = frozenset({Channel.WEB_CALL})  # their answer lets whoever has it join the call


class AlreadyDialled(Exception):
    """Another request with the same idempotency key was quicker."""


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer as it was given."""

    status: int
    body: bytes


def find(caller: Caller, wanted: Wanted) -> Dial | None:
    """The row of an earlier request with the same credential and idempotency key."""
    if not wanted.idempotency_key:
        return None
    with scoped(caller.loaded.workspace_id):
        row: Dial | None = Dial.objects.filter(
            credential=caller.reference, idempotency_key=GIVEN + wanted.idempotency_key
        ).first()
    return row


def write_dial(caller: Caller, wanted: Wanted, outbound: Outbound, *, now: datetime) -> None:
    """Writes the row of an attempt that passed, before UponAI is asked. Raises AlreadyDialled."""
    verdict = outbound.verdict
    key = caller.credential.key
    given = wanted.idempotency_key
    try:
        with scoped(caller.loaded.workspace_id), transaction.atomic():
            Dial.objects.create(
                decision_id=outbound.decision_id,
                at=now,
                channel=wanted.channel.value,
                credential=caller.reference,
                idempotency_key=f"{GIVEN}{given}" if given else f"{OURS}{outbound.decision_id}",
                body_sha256=wanted.sha256,
                from_number=(verdict.number.e164 if verdict.number else "") if wanted.from_number else "",
                to_number=verdict.peer.e164 or "",
                country=verdict.peer.country or "",
                ip=caller.ip,
                public_key=key.key if key else "",
                subject=caller.subject or "",
                charges=[charge.as_list() for charge in verdict.charges],
                call_seconds=verdict.call_seconds,
                reserved_micro=verdict.reserved_micro,
                counted_by_database=outbound.counted_by_database,
                due_at=now + RUNNING_FOR,
            )
    except IntegrityError:
        raise AlreadyDialled from None


def finish(row: Dial, *, state: Dial.State, now: datetime, nothing_runs: bool = False, **facts: Any) -> None:
    """Notes what became of a dial. `nothing_runs`: UponAI carried nothing out, so nothing was used up."""
    ended = {"ended_at": now, "seconds": 0, "cost_micro": 0} if nothing_runs else {}
    for name, value in ({"state": state, "due_at": None} | ended | facts).items():
        setattr(row, name, value)
    with scoped(row.workspace_id):
        Dial.objects.filter(pk=row.pk).update(**{"state": state, "due_at": None} | ended | facts)
        if facts.get("call_id"):  # where the decision is no row yet, the recorder looks here
            Decision.objects.filter(decision_id=row.decision_id).update(call_reference=facts["call_id"])
    if nothing_runs:
        give_back(row.workspace_id, row.decision_id)


def release(row: Dial, *, now: datetime, error: str, **facts: Any) -> None:
    """Nothing was carried out, so the same idempotency key may be used again."""
    key = f"{UNSENT}{row.decision_id}"
    finish(row, state=Dial.State.NEVER, now=now, nothing_runs=True, error=error, idempotency_key=key, **facts)


def give_back(workspace_id: int, decision_id: uuid.UUID) -> None:
    try:
        store.give_back(workspace_id, str(decision_id), cost_micro=0)
    except RedisError as trouble:
        logger.warning("What decision %s reserved is left to run out: %s", decision_id, trouble)


def by_decision(workspace_id: int, decision_id: uuid.UUID) -> Dial:
    with scoped(workspace_id):
        row: Dial = Dial.objects.get(decision_id=decision_id)
    return row


def may_come_again(row: Dial) -> bool:
    """Whether somebody may ask for the same answer once more."""
    return row.idempotency_key.startswith(GIVEN)


def kept(row: Dial, status: int, body: bytes) -> dict[str, Any]:
    """The columns that keep an answer."""
    text = body.decode(errors="replace").replace("\x00", "")
    if row.channel in _SEALED:
        text = encryption.seal(
            workspace_id=row.workspace_id, model="dial", row=row.decision_id, field="answer", secret=text
        )
    return {"answer_status": status, "answer": text}


def answer_of(row: Dial) -> Kept | None:
    """The answer that was given before; None where there is none, or it cannot be read any more."""
    if row.answer_status is None:
        return None
    text = row.answer
    if row.channel in _SEALED:
        try:
            text = encryption.unseal(
                workspace_id=row.workspace_id, model="dial", row=row.decision_id, field="answer", sealed=text
            )
        except (encryption.CannotOpen, DatabaseError):
            return None
    return Kept(row.answer_status, text.encode())
