"""How many calls ran at once, step by step: the most of each, from samples. Nothing adds up here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db.models import Max
from django.db.models.functions import Coalesce, TruncHour, TruncMinute

from monitoring.dashboards.period import HOUR, MINUTE, Period, floor_hour
from monitoring.models import ConcurrencySample

# As long as samples are kept.
HISTORY = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Peaks:
    """The most of each step from `start` on; None where nothing was sampled."""

    start: datetime
    step: timedelta
    most: Sequence[int | None]
    limit: int | None

    def moment(self, index: int) -> datetime:
        return self.start + self.step * index

    def highest(self, start: datetime, end: datetime) -> int | None:
        first, last = (min(max((moment - self.start) // self.step, 0), len(self.most)) for moment in (start, end))
        return max((value for value in self.most[first:last] if value is not None), default=None)


def peaks(period: Period, *, now: datetime) -> Peaks:
    """Of the period; by the hour with what is kept before it, since that is what is usual."""
    start = period.start if period.by_minute else min(period.start, floor_hour(now - HISTORY) + HOUR)
    step, cut = (MINUTE, TruncMinute) if period.by_minute else (HOUR, TruncHour)
    rows = ConcurrencySample.objects.filter(at__gte=start, at__lt=period.end).order_by()
    steps = rows.annotate(moment=cut("at", tzinfo=UTC)).values_list("moment")
    found: Mapping[datetime, tuple[int, int | None]] = {
        moment: (most, limit)
        for moment, most, limit in steps.annotate(most=Max(Coalesce("running", "ours")), highest_limit=Max("limit"))
    }
    moments = [start + step * i for i in range((period.end - start) // step)]
    most = [found[moment][0] if moment in found else None for moment in moments]
    return Peaks(start, step, most, found[max(found)][1] if found else None)
