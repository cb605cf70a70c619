"""What became of attempts, as the customer's own systems tell: good ones make their destination a known one."""

from __future__ import annotations

import logging
import uuid
from datetime import datetime
from typing import Any, Final

from django.db import DatabaseError, transaction
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from redis.exceptions import RedisError

from accounts.kyc.states import SuspendReason
from accounts.scoping import scoped
from policies import fraud
from policies.gate import store
from policies.gate.outbound import bodies
from policies.gate.outbound.credentials import Caller
from policies.gate.outbound.refusals import Refused, answer, unavailable, unprocessable
from policies.models import Decision, DecisionOutcome, Dial, KnownPrefix

logger = logging.getLogger(__name__)

Outcome = DecisionOutcome.Outcome
CONFIRMING: Final = frozenset({Outcome.GOOD, Outcome.VERIFIED})
_FIELDS: Final = ("decision_id", "outcome")


class NoSuchDecision(Exception):
    """The workspace has decided nothing under this id."""


def note(request: HttpRequest, caller: Caller) -> HttpResponse:
    """Notes one outcome. Raises Refused."""
    decision_id, outcome = _understood(bodies.read(request))
    try:
        record_outcome(
            workspace_id=caller.loaded.workspace_id, decision_id=decision_id, outcome=outcome, now=timezone.now()
        )
    except NoSuchDecision:
        raise Refused(404, "unknown_decision", "This workspace has no decision with this id.") from None
    except DatabaseError as trouble:
        logger.error("The database does not answer (%s); an outcome was not noted.", trouble)
        raise unavailable("The console cannot note this down now; try again in a moment.") from None
    return answer(b'{"status":"ok"}', status=200, decision_id=decision_id)


def record_outcome(*, workspace_id: int, decision_id: uuid.UUID, outcome: Outcome, now: datetime) -> None:
    """Notes what became of an attempt; the latest word counts. After a complaint its subject is suspended.

    By the console: the scope that reports outcomes decides nothing about people. Raises NoSuchDecision.
    """
    with scoped(workspace_id), transaction.atomic():
        destination, subject = _about(decision_id)
        DecisionOutcome.objects.update_or_create(
            workspace_id=workspace_id, decision_id=decision_id, defaults={"outcome": outcome, "at": now}
        )
        prefix = destination[:-4]
        if prefix and outcome is not Outcome.UNVERIFIED:
            known = _know(workspace_id, prefix, is_good=outcome in CONFIRMING, now=now)
            if known is not None:
                transaction.on_commit(lambda: _tell_store(workspace_id, known))
        if outcome is Outcome.COMPLAINT and subject:
            fraud.suspend(
                reference=subject,
                decision_id=decision_id,
                reason=SuspendReason.COMPLAINT,
                acting_user=None,
                now=now,
            )


def _understood(given: dict[str, Any]) -> tuple[uuid.UUID, Outcome]:
    for name in sorted(given.keys() - set(_FIELDS)):
        raise unprocessable(name[:120], f"is unknown here. The fields are {' and '.join(_FIELDS)}.")
    text, outcome = given.get("decision_id"), given.get("outcome")
    if not isinstance(outcome, str) or outcome not in Outcome.values:
        raise unprocessable("outcome", f"must be one of {', '.join(Outcome.values)}.")
    try:
        decision_id = uuid.UUID(text) if isinstance(text, str) and len(text) <= 45 else None
    except ValueError:
        decision_id = None
    if decision_id is None:
        raise unprocessable("decision_id", "is not the id of a decision.")
    return decision_id, Outcome(outcome)


def _about(decision_id: uuid.UUID) -> tuple[str, str]:
    """Who was called, and for whom. What passed has its row at once; the decision may still be on its way into SQL."""
    dial = Dial.objects.filter(decision_id=decision_id).values_list("to_number", "subject").first()
    if dial is not None:
        return dial  # type: ignore[no-any-return]
    decision = Decision.objects.filter(decision_id=decision_id).values("direction", "peer", "subject").first()
    if decision is None:
        raise NoSuchDecision
    return (decision["peer"] if decision["direction"] == "outbound" else ""), decision["subject"]


def _know(workspace_id: int, prefix: str, *, is_good: bool, now: datetime) -> KnownPrefix | None:
    row: KnownPrefix | None
    if is_good:
        row, _ = KnownPrefix.objects.update_or_create(
            workspace_id=workspace_id,
            prefix=prefix,
            defaults={"confirmed": True},
            create_defaults={"confirmed": True, "first_at": now},
        )
        return row
    row = KnownPrefix.objects.filter(prefix=prefix).first()
    if row is not None and row.confirmed:
        KnownPrefix.objects.filter(pk=row.pk).update(confirmed=False)
        row.confirmed = False
    return row


def _tell_store(workspace_id: int, row: KnownPrefix) -> None:
    first_ms = 0 if row.confirmed else int(row.first_at.timestamp() * 1000)
    try:
        store.set_known(workspace_id, row.prefix, first_ms)
    except RedisError as trouble:
        logger.warning("The live store was not told of an outcome: %s. It learns it when it is rebuilt.", trouble)
