"""What a subject's KYC record was approved for: how high, until when, and for which declared use.

A fresh approval ramps up: of the calls per day that were declared it gets a part on its first days. Most stolen or
rented identities are used up at once; somebody who really calls so much loses two days.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

DAY_MS: Final = 86_400_000
RAMP: Final = (0.2, 0.5)
"""Of the declared calls per day, on the first day, the second …; all of them from then on."""
NOT_DECLARED: Final = "not declared: "
"""What the trace's line of `kyc` begins with where an approved subject leaves the use that was declared."""

DECLARED_VOLUME: Final = "declared volume"
"""What the trace's line of `limits` calls the declared calls per day, where they are the tightest of all limits."""


@dataclass(frozen=True, slots=True)
class Approval:
    """A subject's approved KYC record: its level, until when it counts, and the use that was declared.

    Nothing declared promises nothing: no countries are all, no channels are all, no number of calls is any number.
    `established_calls`: what the record that it renews had been let do already; None where it renews none.
    """

    level: int
    expires_at_ms: int | None = None
    approved_at_ms: int | None = None
    countries: frozenset[str] = frozenset()
    channels: frozenset[str] = frozenset()
    calls_per_day: int | None = None
    established_calls: int | None = None
    suspended: bool = False

    @property
    def is_held_to(self) -> bool:
        """Whether the subject is no stranger once it ends: it was suspended, or something was declared."""
        return self.suspended or bool(self.countries or self.channels) or self.calls_per_day is not None

    def counts_at(self, at_ms: int | None) -> bool:
        if self.suspended:
            return False
        return at_ms is None or self.expires_at_ms is None or at_ms < self.expires_at_ms

    def covers(self, channel: str, country: str | None, *, has_peer: bool) -> bool:
        """Whether such an attempt was declared. A destination of no known country never was, where countries were."""
        if self.channels and channel not in self.channels:
            return False
        return not self.countries or not has_peer or country in self.countries

    def calls_on_day_of(self, at_ms: int | None) -> int | None:
        """How many attempts a day it is good for at that time; None where no number was declared."""
        if self.calls_per_day is None or at_ms is None or self.approved_at_ms is None:
            return self.calls_per_day
        days = max(at_ms - self.approved_at_ms, 0) // DAY_MS
        if days >= len(RAMP):
            return self.calls_per_day
        ramped = max(math.ceil(self.calls_per_day * RAMP[days]), 1)
        return min(self.calls_per_day, max(ramped, self.established_calls or 0))

    @classmethod
    def from_list(cls, value: Sequence[Any]) -> Self:
        whole = [*value, *[None] * (8 - len(value))]
        level, ends, begins, countries, channels, calls, established, suspended = whole
        use = (frozenset(countries or ()), frozenset(channels or ()), calls, established)
        return cls(level, ends, begins, *use, bool(suspended))

    def as_list(self) -> list[Any]:
        """For JSON; what was not declared is left off."""
        declared = [
            self.approved_at_ms,
            sorted(self.countries),
            sorted(self.channels),
            self.calls_per_day,
            self.established_calls,
            self.suspended or None,
        ]
        return [self.level, self.expires_at_ms, *(declared if any(declared) else ())]


def left_by(kyc_values: Iterable[Any]) -> str:
    """Which use was not declared, of the values in a trace's lines of `kyc`; empty where none was left."""
    told = (value for value in kyc_values if isinstance(value, str) and value.startswith(NOT_DECLARED))
    return next(told, "").removeprefix(NOT_DECLARED)


def calls_per_day(approvals: Sequence[Approval], at_ms: int | None) -> int | None:
    """The most that one of them is good for; None where none of them names a number."""
    return max((calls for one in approvals if (calls := one.calls_on_day_of(at_ms)) is not None), default=None)


def volume_used_up(lines: Iterable[tuple[Any, Any]]) -> str:
    """The declared volume that a trace's failed lines of `limits` (value and threshold) tell of; empty where none."""
    found = (threshold for value, threshold in lines if str(value).startswith(f"{DECLARED_VOLUME}: "))
    return str(next(found, ""))
