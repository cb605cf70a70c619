"""Raw rows for the tests of the pages: calls, and decisions as the engine makes them, counted into rollups."""

from __future__ import annotations

import itertools
import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from accounts.scoping import scoped
from monitoring.ingest import blocked_calls, rollups
from monitoring.models import Call
from policies.engine.decide import decide
from policies.engine.types import Attempt
from policies.gate import recorder, snapshots
from policies.models import Decision, PhoneNumber

_counter = itertools.count(1)
# A Wednesday, 12:30 in UTC and 07:30 in New York.
NOW = datetime(2026, 3, 4, 12, 30, tzinfo=UTC)


def make_call(at: datetime, **facts: Any) -> Call:
    values = {
        "call_reference": f"call_{next(_counter)}",
        "channel": "phone_call",
        "direction": "inbound",
        "phone_number": "+14155550100",
        "peer": "+12125550123",
        "country": "US",
        "number_class": "fixed_or_mobile",
        "status": "ended",
        "disconnection_reason": "user_hangup",
        "started_at": at,
        "duration_ms": 90_000,
        "cost_cents": Decimal("15"),
        "changed_at": at,
    }
    return Call.objects.create(**(values | facts))


def make_decision(number: PhoneNumber, peer: str | None, at: datetime, *, direction: str = "inbound") -> Decision:
    """The decision that the engine makes about this attempt, stored as the gate stores it."""
    sides = (peer, number.e164) if direction == "inbound" else (number.e164, peer)
    attempt = Attempt.from_json({"direction": direction, "from_number": sides[0], "to_number": sides[1]})
    verdict = decide(attempt, snapshots.load(number.workspace_id).engine)
    decision_id = uuid.uuid4()
    facts = recorder.facts(attempt, verdict, decision_id=decision_id, at=at)
    recorder.write(number.workspace_id, [facts], now=at)
    return Decision.objects.get(decision_id=decision_id)


def count(workspace_id: int, now: datetime) -> None:
    """Brings the list of blocked calls and the rollups up to date, the newest half minute included."""
    list_blocked(workspace_id, now + timedelta(minutes=1))
    with scoped(workspace_id):
        rollups.roll_up(workspace_id=workspace_id, now=now + timedelta(minutes=1))


def list_blocked(workspace_id: int, now: datetime) -> int:
    """Brings the list of blocked calls up to date."""
    with scoped(workspace_id):
        return blocked_calls.follow(workspace_id=workspace_id, now=now)
