"""Finds out what became of a dial that UponAI did not answer: by UponAI's list, never by dialling again.

The row is the schedule, for the sweep as for the process that died between the row and UponAI.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

import orjson

from accounts import workspaces
from accounts.scoping import scoped, unscoped
from policies.engine.types import WEB_CHANNELS, Channel
from policies.gate.outbound import dials, refusals
from policies.gate.outbound.dials import Kept
from policies.gate.outbound.refusals import Refused
from policies.models import Dial
from policies.uponai import payloads
from policies.uponai.client import UponaiClient, UponaiTrouble

logger = logging.getLogger(__name__)

LOOKS_AFTER: Final = (timedelta(seconds=5), timedelta(seconds=30), timedelta(minutes=5))
"""A request that was given up here may still be carried out there, and be seen in the list a little later."""
LEASE: Final = timedelta(minutes=2)
AFTER_TROUBLE: Final = timedelta(seconds=30)
DUE_AT_MOST: Final = 100

_OPEN: Final = (Dial.State.RUNNING, Dial.State.UNKNOWN)
_FILTER_REFUSED: Final = frozenset({400, 422})
_STATUS_OF: Final = {Channel.PHONE_CALL: 201, Channel.SMS: 200, Channel.CHAT: 201}
"""UponAI's own statuses. There is none for a browser call: its list does not say how to join one."""

Clock = Callable[[], datetime]


def wait_before_look(looks: int) -> timedelta:
    return LOOKS_AFTER[min(looks, len(LOOKS_AFTER) - 1)]


def due_dials(*, now: datetime) -> list[int]:
    """The dials of all workspaces that are due to be looked for, the oldest first."""
    with unscoped(reason="the sweep serves every workspace"):
        rows = Dial.objects.filter(due_at__lte=now, state__in=_OPEN).order_by("due_at", "pk")
        return list(rows.values_list("pk", flat=True)[:DUE_AT_MOST])


def resolve(dial_id: int, *, clock: Clock) -> bool:
    """Looks for a due dial, if nobody else is at it. True when it is known now what became of it."""
    with unscoped(reason="a due row names its workspace"):
        workspace_id = Dial.objects.filter(pk=dial_id).values_list("workspace_id", flat=True).first()
    if workspace_id is None:
        return False
    with scoped(workspace_id):
        now = clock()
        due = Dial.objects.filter(pk=dial_id, due_at__lte=now, state__in=_OPEN)
        if not due.update(due_at=now + LEASE):
            return False
        row: Dial = Dial.objects.get(pk=dial_id)
        try:
            with UponaiClient(workspaces.uponai_key(workspace_id)) as client:
                item = _listed(row, client)
        except (UponaiTrouble, workspaces.NoUponaiKey) as trouble:
            _postpone(row, due_at=clock() + AFTER_TROUBLE, error=str(trouble))
            return False
        return _settle(row, item, now=clock())


def look(row: Dial, client: UponaiClient, *, now: datetime) -> Kept | None:
    """One look for somebody who waits: the answer that the dial would have had, if its call is in the list."""
    try:
        item = _listed(row, client)
    except UponaiTrouble as trouble:
        logger.warning("UponAI's list does not tell of decision %s: %s", row.decision_id, trouble)
        return None
    return _found(row, item, now=now) if item is not None else None


def not_known_yet(row: Dial) -> Refused:
    return refusals.unavailable(
        "UponAI did not answer, so it is not known yet whether this was started. It is not started a second time. "
        "Ask again with the same Idempotency-Key.",
        decision_id=row.decision_id,
    )


def _settle(row: Dial, item: dict[str, Any] | None, *, now: datetime) -> bool:
    if item is not None:
        _found(row, item, now=now)
        return True
    looks = row.attempts + 1
    if looks < len(LOOKS_AFTER):
        _postpone(row, due_at=now + wait_before_look(looks), error=row.error, attempts=looks)
        return False
    logger.warning("Decision %s was never carried out by UponAI.", row.decision_id)
    message = "UponAI did not start this. Use another Idempotency-Key to try again."
    refusal = refusals.unavailable(message, decision_id=row.decision_id, tells_page=True)
    kept = dials.kept(row, refusal.status, orjson.dumps(refusal.body(to_page=bool(row.public_key))))
    dials.finish(row, state=Dial.State.NEVER, now=now, nothing_runs=True, attempts=looks, **kept)
    return True


def _found(row: Dial, item: dict[str, Any], *, now: datetime) -> Kept:
    channel = Channel(row.channel)
    body, status = orjson.dumps(item), _STATUS_OF.get(channel)
    if status is None:
        message = "UponAI did not say how to join this call. Use another Idempotency-Key to start a new one."
        refusal = refusals.unavailable(message, decision_id=row.decision_id, tells_page=True)
        body, status = orjson.dumps(refusal.body(to_page=bool(row.public_key))), refusal.status
    call_id = payloads.named_in(item, channel)
    dials.finish(row, state=Dial.State.DONE, now=now, call_id=call_id, **dials.kept(row, status, body))
    return Kept(status, body)


def _listed(row: Dial, client: UponaiClient) -> dict[str, Any] | None:
    """What carries the decision in UponAI's list. Raises UponaiTrouble.

    The list is read again here: a provider that does not know a filter may answer with everything.
    """
    channel, decision_id = Channel(row.channel), str(row.decision_id)
    ask = client.list_chats if channel in (Channel.SMS, Channel.CHAT) else client.list_calls
    try:
        items = ask(payloads.criteria_by_decision(decision_id))
    except UponaiTrouble as trouble:
        if trouble.status not in _FILTER_REFUSED or channel in WEB_CHANNELS:
            raise
        items = ask(payloads.criteria_by_destination(channel, row.to_number))
    return next((item for item in items if payloads.carries(item, decision_id)), None)


def _postpone(row: Dial, *, due_at: datetime, error: str, **facts: Any) -> None:
    Dial.objects.filter(pk=row.pk, state__in=_OPEN).update(
        state=Dial.State.UNKNOWN, due_at=due_at, error=error, **facts
    )
