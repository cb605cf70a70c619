"""How many calls ran at once, step by step, from `concurrency.series`: the most of each. Nothing adds up here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from monitoring.dashboards.period import HOUR, MINUTE, Period, floor_hour
from monitoring.ingest import concurrency


@dataclass(frozen=True, slots=True)
class Peaks:
    """The most of each step from `start` on; None where nothing was sampled."""

    start: datetime
    step: timedelta
    most: Sequence[int | None]
    limit: int | None

    def moment(self, index: int) -> datetime:
        return self.start + self.step * index

    @property
    def known_from(self) -> datetime | None:
        return next((self.moment(index) for index, value in enumerate(self.most) if value is not None), None)

    def highest(self, start: datetime, end: datetime) -> int | None:
        first, last = (min(max((moment - self.start) // self.step, 0), len(self.most)) for moment in (start, end))
        return max((value for value in self.most[first:last] if value is not None), default=None)


def peaks(period: Period, *, now: datetime) -> Peaks:
    """Of the period; by the hour with what is kept before it, since that is what is usual."""
    start = period.start if period.by_minute else min(period.start, floor_hour(now - concurrency.KEPT) + HOUR)
    step, name = (MINUTE, "minute") if period.by_minute else (HOUR, "hour")
    points = concurrency.series(start, period.end, step=name)
    found = {point.at: point.running for point in points}
    moments = [start + step * i for i in range((period.end - start) // step)]
    return Peaks(start, step, [found.get(moment) for moment in moments], points[-1].limit if points else None)
