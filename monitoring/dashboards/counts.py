"""Reads the rollups: sums by the hour, by the minute and by country. Counts no raw rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from django.db.models import Q, Sum, Value

from monitoring.dashboards.period import HOUR, MINUTE, Period, floor_hour
from monitoring.models import HourTotal, MinuteBucket, UsageBucket

# The expected band learns from this much before the first step that is shown.
HISTORY = timedelta(days=28)
_BLOCKED = UsageBucket.Outcome.BLOCKED


class Metric(StrEnum):
    CALLS = "calls"
    MINUTES = "minutes"
    MONEY = "money"
    BLOCKED = "blocked"
    CONCURRENCY = "concurrency"


COUNTED = (Metric.CALLS, Metric.MINUTES, Metric.MONEY, Metric.BLOCKED)
"""What adds up; concurrency is sampled, see `running`."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Every step from `start` on, none left out; money in dollars. `known_from`: the first step with a row."""

    start: datetime
    values: Mapping[Metric, Sequence[float]]
    blocked: Mapping[str, Sequence[int]]
    known_from: int | None
    step: timedelta = HOUR

    def __len__(self) -> int:
        return len(self.values[Metric.CALLS])

    def moment(self, index: int) -> datetime:
        return self.start + self.step * index

    def index(self, moment: datetime) -> int:
        return min(max((moment - self.start) // self.step, 0), len(self))

    def total(self, values: Sequence[float], start: datetime, end: datetime) -> float:
        return sum(values[self.index(start) : self.index(end)])


@dataclass(frozen=True, slots=True)
class CountryTotal:
    """Of the period, and of the one hour that was asked for besides."""

    code: str
    blocked: int
    calls: int
    dollars: float = 0.0
    blocked_then: int = 0
    calls_then: int = 0


def hourly(*, start: datetime, end: datetime) -> Counts:
    rows = HourTotal.objects.filter(hour__gte=floor_hour(start), hour__lt=end).order_by()
    sums = rows.values_list("hour", "outcome", "reason", "calls", "seconds", "cost_cents")
    return _counts(sums, floor_hour(start), end, HOUR)


def by_minute(*, start: datetime, end: datetime) -> Counts:
    rows = MinuteBucket.objects.filter(minute__gte=start, minute__lt=end).order_by()
    sums = rows.values_list("minute", "outcome", "reason").annotate(Sum("calls"), Sum("seconds"), Sum("cost_cents"))
    return _counts(sums, start, end, MINUTE)


def _counts(sums: Iterable[tuple[Any, ...]], start: datetime, end: datetime, step: timedelta) -> Counts:
    length = (end - start) // step
    values: dict[Metric, list[float]] = {metric: [0.0] * length for metric in COUNTED}
    blocked: dict[str, list[int]] = defaultdict(lambda: [0] * length)
    first = None
    for moment, outcome, reason, calls, seconds, cents in sums:
        index = (moment - start) // step
        first = index if first is None else min(first, index)
        if outcome == _BLOCKED:
            values[Metric.BLOCKED][index] += calls
            blocked[reason][index] += calls
        else:
            values[Metric.CALLS][index] += calls
            values[Metric.MINUTES][index] += seconds / 60
            values[Metric.MONEY][index] += float(cents) / 100
    return Counts(start, values, dict(blocked), first, step)


def by_country(period: Period, *, then: datetime | None = None) -> list[CountryTotal]:
    """Over the whole hours that the period touches. `then`: an hour that is counted besides, wherever it lies."""
    start, end = period.whole_hours
    inside = Q(hour__gte=start, hour__lt=end)
    rows = UsageBucket.objects.filter(hour__gte=min(start, then or start), hour__lt=max(end, (then or start) + HOUR))
    sums = rows.order_by().values_list("country", "outcome")
    if then is None:
        sums = sums.annotate(Sum("calls"), Sum("cost_cents"), then=Value(0))
    else:
        sums = sums.annotate(
            inside=Sum("calls", filter=inside, default=0),
            cents=Sum("cost_cents", filter=inside, default=0),
            then=Sum("calls", filter=Q(hour=then), default=0),
        )
    totals: dict[str, dict[str, Any]] = defaultdict(lambda: defaultdict(int))
    for country, outcome, calls, cents, calls_then in sums:
        name = "blocked" if outcome == _BLOCKED else "calls"
        totals[country][name] += calls
        totals[country][f"{name}_then"] += calls_then
        totals[country]["dollars"] += float(cents) / 100
    return [CountryTotal(code, **{"blocked": 0, "calls": 0} | counts) for code, counts in sorted(totals.items())]
