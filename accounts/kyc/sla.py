"""The clock of a review: it runs while the case is with us, stands while the subject is asked, and has an end."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from accounts.kyc import rules
from accounts.kyc.states import PROPOSED, WITH_US, State
from accounts.models import KycRecord

WARNED_AT = 0.8
WARNED, OVERDUE = 1, 2


def ran(row: KycRecord, now: datetime) -> int:
    """For how many seconds the case has been with us."""
    running = (now - row.clock_since).total_seconds() if row.clock_since else 0.0
    return int(row.clock_seconds + max(0.0, running))


def clock(row: KycRecord, to: State, now: datetime) -> dict[str, Any]:
    """The columns of the clock after a move to `to`."""
    workspace_rules = rules.of(row.workspace)
    if to not in WITH_US:
        used = ran(row, now) if to == State.NEEDS_INFORMATION else 0
        return _columns(None, used, None, None, 0)
    if to in PROPOSED:  # a clock of its own; the reviewer's own stands meanwhile
        allowed = timedelta(hours=workspace_rules["second_review_hours"])
        return _columns(None, ran(row, now), now + allowed * WARNED_AT, now + allowed, 0)
    used = ran(row, now) if row.state in UNBROKEN else 0
    allowed = timedelta(hours=workspace_rules["review_hours"])
    left = timedelta(seconds=used)
    escalation = row.escalation if row.clock_since is not None else 0  # told of once while it runs on
    return _columns(now, used, now + allowed * WARNED_AT - left, now + allowed - left, escalation)


UNBROKEN = (State.SUBMITTED, State.IN_REVIEW, State.NEEDS_INFORMATION, State.SUSPENDED, *PROPOSED)
"""From here the same review goes on."""


def _columns(
    since: datetime | None, used: int, warn_at: datetime | None, due_at: datetime | None, escalation: int
) -> dict[str, Any]:
    return {
        "clock_since": since,
        "clock_seconds": used,
        "warn_at": warn_at,
        "due_at": due_at,
        "escalation": escalation,
    }
