"""What "n per window" means, in plain Python: the live store must agree with it, and replay counts with it.

Times are whole milliseconds and are passed in. No counter here locks, expires or forgets by itself.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Final

from policies.engine.limits import LARGEST_LOGGED, MICRO, Charge, Limit, Measure, Usage

MONEY_BUCKETS: Final = 24
"""A window of money is counted in so many equal parts, and the part that it only touches counts whole. So what is
counted is never less than what was spent in any window, and up to a 24th of the window older."""
_MICROSECONDS: Final = 1000


def window_ms(limit: Limit) -> int:
    return round(limit.window_seconds * 1000)


def whole(limit: float) -> int:
    """Of things that are counted there are no halves."""
    return int(limit)


class SlidingLog:
    """Every attempt is kept for one window: exact. What happened at t counts until just before t + window.

    Spending is not refused here. Of more than a thousand in one window only the newest are kept, which are enough to
    tell when there is room again.
    """

    def __init__(self, limit: float, window_ms: int) -> None:
        self.limit = whole(limit)
        self.window_ms = window_ms
        self._times: list[int] = []

    def used(self, now_ms: int) -> int:
        return len(self._times) - bisect_right(self._times, now_ms - self.window_ms)

    def wait_ms(self, now_ms: int, amount: int = 1) -> int:
        """0: there is room. An amount of 0 asks whether one more would have room."""
        missing = self.used(now_ms) + max(amount, 1) - self.limit
        if missing <= 0:
            return 0
        if max(amount, 1) > self.limit:
            return self.window_ms
        first = bisect_right(self._times, now_ms - self.window_ms)
        return self._times[first + missing - 1] + self.window_ms - now_ms

    def spend(self, now_ms: int, amount: int = 1) -> None:
        del self._times[: bisect_right(self._times, now_ms - self.window_ms)]
        at = bisect_right(self._times, now_ms)
        self._times[at:at] = [now_ms] * amount
        del self._times[:-LARGEST_LOGGED]


class Gcra:
    """One moment instead of a log: when the bucket, emptied at an even pace, will be empty. After a quiet window it
    may let through up to twice the limit in one window, never more.

    In whole microseconds, so that every reckoning of it agrees: each attempt takes `interval` of the bucket, and the
    bucket holds exactly `limit` of them.
    """

    def __init__(self, limit: float, window_ms: int) -> None:
        self.limit = whole(limit)
        self.window_ms = window_ms
        self.interval_us = -(-window_ms * _MICROSECONDS // max(self.limit, 1))
        self.empty_at_us = 0

    def used(self, now_ms: int) -> int:
        ahead = self.empty_at_us - now_ms * _MICROSECONDS
        return -(-ahead // self.interval_us) if ahead > 0 else 0

    def wait_ms(self, now_ms: int, amount: int = 1) -> int:
        if max(amount, 1) > self.limit:
            return self.window_ms
        now_us = now_ms * _MICROSECONDS
        empty_at_us = max(self.empty_at_us, now_us) + max(amount, 1) * self.interval_us
        over_us = empty_at_us - now_us - self.limit * self.interval_us
        return -(-over_us // _MICROSECONDS) if over_us > 0 else 0

    def spend(self, now_ms: int, amount: int = 1) -> None:
        """More than the bucket holds runs over and is forgotten."""
        now_us = now_ms * _MICROSECONDS
        filled = max(self.empty_at_us, now_us) + amount * self.interval_us
        self.empty_at_us = min(filled, now_us + self.limit * self.interval_us)


class Distinct:
    """Different members, each counted for one window from when it was last seen: exact."""

    def __init__(self, limit: float, window_ms: int) -> None:
        self.limit = whole(limit)
        self.window_ms = window_ms
        self._seen: dict[str, int] = {}

    def used(self, now_ms: int) -> int:
        return len(self._in_window(now_ms))

    def wait_ms(self, now_ms: int, member: str) -> int:
        """0: there is room, as there always is for a member that counts already."""
        seen = self._in_window(now_ms)
        missing = len(seen) + 1 - self.limit
        if member in seen or missing <= 0:
            return 0
        if self.limit < 1:
            return self.window_ms
        return sorted(seen.values())[missing - 1] + self.window_ms - now_ms

    def spend(self, now_ms: int, member: str) -> None:
        self._seen = self._in_window(now_ms) | {member: now_ms}
        if len(self._seen) > LARGEST_LOGGED:
            newest = sorted(self._seen.items(), key=lambda entry: (entry[1], entry[0]))[-LARGEST_LOGGED:]
            self._seen = dict(newest)

    def _in_window(self, now_ms: int) -> dict[str, int]:
        return {member: at for member, at in self._seen.items() if at > now_ms - self.window_ms}


class Running:
    """Leases: what runs counts until it is given back, or until just before its lease ends."""

    def __init__(self, limit: float) -> None:
        self.limit = whole(limit)
        self._ends: dict[str, int] = {}

    def used(self, now_ms: int) -> int:
        return sum(end > now_ms for end in self._ends.values())

    def wait_ms(self, now_ms: int, amount: int = 1) -> int:
        """At the latest: a call may end before its lease does."""
        ends = sorted(end for end in self._ends.values() if end > now_ms)
        missing = len(ends) + max(amount, 1) - self.limit
        if missing <= 0:
            return 0
        if missing > len(ends):  # room for nothing, or for less than this
            return max([end - now_ms for end in ends], default=1)
        return ends[missing - 1] - now_ms

    def spend(self, now_ms: int, lease: str, lease_ms: int) -> None:
        self._ends = {name: end for name, end in self._ends.items() if end > now_ms}
        self._ends[lease] = now_ms + lease_ms

    def give_back(self, lease: str) -> None:
        self._ends.pop(lease, None)


class Money:
    """Micro-dollars in 24 parts of the window; see MONEY_BUCKETS."""

    def __init__(self, limit: float, window_ms: int) -> None:
        """`limit` in micro-dollars."""
        self.limit = limit
        self.window_ms = window_ms
        self.part_ms = -(-window_ms // MONEY_BUCKETS)
        self._parts: dict[int, int] = {}

    def used(self, now_ms: int) -> int:
        return sum(spent for part, spent in self._parts.items() if self._counts(part, now_ms))

    def wait_ms(self, now_ms: int, amount: int = 0) -> int:
        over = self.used(now_ms) + amount - self.limit
        if over <= 0:
            return 0
        for part in sorted(self._parts):
            if self._counts(part, now_ms):
                over -= self._parts[part]
                if over <= 0:
                    return (part + MONEY_BUCKETS + 1) * self.part_ms - now_ms
        return self.window_ms

    def spend(self, now_ms: int, amount: int) -> None:
        self._parts = {part: spent for part, spent in self._parts.items() if self._counts(part, now_ms)}
        self.correct(now_ms, amount)

    def correct(self, spent_at_ms: int, difference: int) -> None:
        """Less was needed than reserved then (negative), or more. Nothing is ever counted below zero."""
        part = spent_at_ms // self.part_ms
        self._parts[part] = max(self._parts.get(part, 0) + difference, 0)

    def _counts(self, part: int, now_ms: int) -> bool:
        return part >= now_ms // self.part_ms - MONEY_BUCKETS


def is_logged(limit: Limit) -> bool:
    """Whether attempts are counted exactly; see LARGEST_LOGGED."""
    return limit.limit <= LARGEST_LOGGED


Counter = SlidingLog | Gcra | Distinct | Running | Money


class Counters:
    """All counters of one workspace in memory: what the live store does, for replay, drills and tests."""

    def __init__(self) -> None:
        self._counters: dict[tuple[str, str, Limit], Counter] = {}

    def look(self, charges: Sequence[Charge], now_ms: int, *, is_known: bool = False) -> tuple[Usage, ...]:
        """What is used now, one for each of `charges`. Spends nothing."""
        return tuple(self._look(charge, now_ms, is_known) for charge in charges)

    def spend(
        self,
        charges: Sequence[Charge],
        now_ms: int,
        *,
        is_known: bool = False,
        lease: str = "",
        lease_ms: int = 0,
    ) -> tuple[bool, tuple[Usage, ...]]:
        """All or nothing: whether it was spent, and what was used before.

        Nothing is spent where an enforced limit that does not merely guard has no room. One that is only observed
        and has no room is not spent itself, nor would it be were it enforced: so it tells how many that would stop.
        """
        usages = self.look(charges, now_ms, is_known=is_known)
        if any(
            charge.enforced and not charge.guards and not usage.has_room
            for charge, usage in zip(charges, usages, strict=True)
        ):
            return False, usages
        for charge, usage in zip(charges, usages, strict=True):
            if usage.counted and charge.amount and (usage.has_room or charge.guards):
                self._spend(charge, now_ms, lease, lease_ms)
        return True, usages

    def give_back(self, charges: Sequence[Charge], spent_at_ms: int, *, lease: str, cost_micro: int | None) -> None:
        """It is over: its leases end, and its money is corrected where it is known what it cost."""
        for charge in charges:
            counter = self._counters.get(_place(charge))
            if isinstance(counter, Running):
                counter.give_back(lease)
            elif isinstance(counter, Money) and cost_micro is not None:
                counter.correct(spent_at_ms, cost_micro - charge.amount)

    def note(self, charge: Charge, now_ms: int) -> None:
        """One more of what the charge itself only looks at, such as a short call."""
        counter = self._counter(charge)
        if isinstance(counter, SlidingLog | Gcra):
            counter.spend(now_ms)

    def _look(self, charge: Charge, now_ms: int, is_known: bool) -> Usage:
        if charge.only_new and is_known:
            return Usage(0, counted=False)
        counter = self._counter(charge)
        if isinstance(counter, Distinct):
            return Usage(counter.used(now_ms), counter.wait_ms(now_ms, charge.member))
        return Usage(counter.used(now_ms), counter.wait_ms(now_ms, charge.amount))

    def _spend(self, charge: Charge, now_ms: int, lease: str, lease_ms: int) -> None:
        counter = self._counter(charge)
        if isinstance(counter, Distinct):
            counter.spend(now_ms, charge.member)
        elif isinstance(counter, Running):
            counter.spend(now_ms, lease, lease_ms)
        else:
            counter.spend(now_ms, charge.amount)

    def _counter(self, charge: Charge) -> Counter:
        place = _place(charge)
        counter = self._counters.get(place)
        if counter is None:
            counter = self._counters[place] = counter_of(charge)
        return counter


def _place(charge: Charge) -> tuple[str, str, Limit]:
    return charge.name, charge.key, charge.limit


def counter_of(charge: Charge) -> Counter:
    """An empty counter of the kind that the charge is counted by."""
    limit, window = charge.limit, window_ms(charge.limit)
    if charge.measure == Measure.DISTINCT:
        return Distinct(limit.limit, window)
    if charge.measure == Measure.RUNNING:
        return Running(limit.limit)
    if charge.measure == Measure.MONEY:
        return Money(round(limit.limit * MICRO), window)
    return SlidingLog(limit.limit, window) if is_logged(limit) else Gcra(limit.limit, window)
