"""What a block would have cost: whom of the last 30 days it would have hit. Reads decisions by their index on peers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import Count, Q, QuerySet

from policies.engine.names import HoldScope, VerdictKind
from policies.models import Decision, PhoneNumber

DAYS: Final = 30
MOST_COUNTED: Final = 10_000
"""Beyond it the answer is the same: far too much."""


@dataclass(frozen=True, slots=True)
class BlastRadius:
    """Attempts of the last 30 days that were let through and would not have been, and how many numbers made them.

    `capped`: counting ended before all were seen. `own_numbers`: ours, that it covers.
    """

    attempts: int
    peers: int
    capped: bool
    own_numbers: tuple[str, ...]


def blast_radius(*, scope: str, value: str, direction: str, channel: str, now: datetime) -> BlastRadius:
    """Of blocking a peer or prefix of the current workspace, given in its one spelling."""
    rows = Decision.objects.filter(
        _covered(scope, value, "peer"),
        at__gte=now - timedelta(days=DAYS),
        **{name: given for name, given in (("direction", direction), ("channel", channel)) if given},
    )
    found = _counted(rows)
    own = PhoneNumber.objects.filter(_covered(scope, value, "e164")).order_by("e164").values_list("e164", flat=True)
    return BlastRadius(found["attempts"], found["peers"], found["seen"] > MOST_COUNTED, tuple(own))


def _counted(rows: QuerySet[Decision]) -> dict[str, Any]:
    passed = Q(verdict__in=[VerdictKind.ALLOW.value, VerdictKind.GUARD.value])
    looked_at = rows.order_by().only("peer", "verdict")[: MOST_COUNTED + 1]
    return looked_at.aggregate(
        seen=Count("pk"), attempts=Count("pk", filter=passed), peers=Count("peer", filter=passed, distinct=True)
    )


def _covered(scope: str, value: str, column: str) -> Q:
    if scope == HoldScope.PEER:
        return Q(**{column: value})
    # The range is what an index can follow, whatever the database's collation makes of "begins with".
    covered = Q(**{f"{column}__gte": value, f"{column}__startswith": value})
    first_after = _successor(value)
    return covered & Q(**{f"{column}__lt": first_after}) if first_after else covered


def _successor(prefix: str) -> str:
    """The first prefix after all that begin with this one; empty where there is none. +4489 → +449, +4499 → +45."""
    digits = prefix.removeprefix("+").rstrip("9")
    return f"+{digits[:-1]}{int(digits[-1]) + 1}" if digits else ""
