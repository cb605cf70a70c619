"""Attempts outside the use that a subject's KYC record was approved for: told to those who review it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from typing import Final

from accounts.kyc import review
from accounts.scoping import unscoped
from accounts.workspaces import taking_turns
from policies.models import Decision
from policies.words import undeclared_by

AT_ONCE: Final = 1000
MOST_NAMED: Final = 5


def review_due(*, now: datetime) -> int:
    """Opens the cases of subjects who left their declared use, once each. Answers how many were opened."""
    with unscoped(reason="subjects of every workspace leave their declared use"):
        rows = Decision.objects.filter(left_declared_use=True).order_by("at", "pk")
        due = sorted(rows.only("workspace_id", "subject", "at", "trace")[:AT_ONCE], key=_whose)
    return sum(_tell(list(attempts), now) for _, attempts in groupby(due, key=_whose))


def _whose(row: Decision) -> tuple[int, str]:
    return row.workspace_id, row.subject


def _tell(attempts: Sequence[Decision], now: datetime) -> bool:
    workspace_id, reference = _whose(attempts[0])
    with taking_turns(workspace_id):
        opened = review.left_declared_use(
            workspace_id=workspace_id,
            reference=reference,
            tried=_in_words(attempts),
            last_at=max(row.at for row in attempts),
            now=now,
        )
        Decision.objects.filter(pk__in=[row.pk for row in attempts]).update(left_declared_use=False)
    return opened is not None


def _in_words(attempts: Sequence[Decision]) -> str:
    counted = Counter(undeclared_by(row.trace) for row in attempts).most_common()
    named = [f"{what} ({times} times)" if times > 1 else what for what, times in counted[:MOST_NAMED]]
    others = len(counted) - MOST_NAMED
    return ", ".join(named) + (f" and {others} more" if others > 0 else "")
