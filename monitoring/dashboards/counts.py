"""Reads the hourly rollups: sums by hour and by country, and how far they are behind. Counts no raw rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from django.db.models import Count, OuterRef, Subquery, Sum, Value
from django.db.models.functions import Coalesce

from accounts import leaks
from accounts.models import Workspace
from monitoring.dashboards.period import HOUR, floor_hour
from monitoring.models import Call, RollupProgress, UsageBucket
from policies.models import Decision, RefusedWebhook

# The expected band learns from this much before the first step that is shown.
HISTORY = timedelta(days=28)
REFUSED_SINCE = timedelta(hours=24)
_BEFORE_ALL_CALLS = datetime(1970, 1, 1, tzinfo=UTC)


class Metric(StrEnum):
    CALLS = "calls"
    MINUTES = "minutes"
    MONEY = "money"
    BLOCKED = "blocked"


@dataclass(frozen=True, slots=True)
class HourlyCounts:
    """Every hour from `start` on, none left out; money in dollars. `known_from`: the first hour with a row."""

    start: datetime
    values: Mapping[Metric, Sequence[float]]
    blocked: Mapping[str, Sequence[int]]
    known_from: int | None

    def __len__(self) -> int:
        return len(self.values[Metric.CALLS])

    def hour(self, index: int) -> datetime:
        return self.start + HOUR * index

    def index(self, moment: datetime) -> int:
        return min(max((moment - self.start) // HOUR, 0), len(self))

    def total(self, values: Sequence[float], start: datetime, end: datetime) -> float:
        return sum(values[self.index(start) : self.index(end)])


@dataclass(frozen=True, slots=True)
class CountryTotal:
    code: str
    blocked: int
    calls: int


@dataclass(frozen=True, slots=True)
class Pulse:
    """How long the oldest row that the rollups have not counted waits, webhooks refused in a day, and in how many
    places UponAI's private key was shown."""

    behind: timedelta
    refused_webhooks: int
    key_leaks: int = 0


def hourly(*, start: datetime, end: datetime) -> HourlyCounts:
    start, hours = floor_hour(start), (end - floor_hour(start)) // HOUR
    values: dict[Metric, list[float]] = {metric: [0.0] * hours for metric in Metric}
    blocked: dict[str, list[int]] = defaultdict(lambda: [0] * hours)
    rows = UsageBucket.objects.filter(hour__gte=start, hour__lt=end).order_by()
    rows = rows.values_list("hour", "outcome", "reason")
    sums = rows.annotate(Sum("calls"), Sum("seconds"), Sum("cost_cents"))
    first = None
    for hour, outcome, reason, calls, seconds, cents in sums:
        index = (hour - start) // HOUR
        first = index if first is None else min(first, index)
        if outcome == UsageBucket.Outcome.BLOCKED:
            values[Metric.BLOCKED][index] += calls
            blocked[reason][index] += calls
        else:
            values[Metric.CALLS][index] += calls
            values[Metric.MINUTES][index] += seconds / 60
            values[Metric.MONEY][index] += float(cents) / 100
    return HourlyCounts(start, values, dict(blocked), first)


def by_country(*, start: datetime, end: datetime) -> list[CountryTotal]:
    rows = UsageBucket.objects.filter(hour__gte=start, hour__lt=end).order_by()
    totals: dict[str, dict[str, int]] = defaultdict(lambda: {"blocked": 0, "calls": 0})
    for country, outcome, calls in rows.values_list("country", "outcome").annotate(Sum("calls")):
        totals[country]["blocked" if outcome == UsageBucket.Outcome.BLOCKED else "calls"] += calls
    return [CountryTotal(code, **counts) for code, counts in sorted(totals.items())]


def pulse(*, workspace_id: int, now: datetime) -> Pulse:
    mine = {"workspace_id": OuterRef("pk")}
    progress = RollupProgress.objects.filter(**mine)
    uncounted_decisions = Decision.objects.filter(**mine, id__gt=OuterRef("decisions_until"))
    uncounted_calls = Call.objects.filter(**mine, changed_at__gt=OuterRef("calls_until"))
    refused = RefusedWebhook.objects.filter(**mine, hour__gt=now - REFUSED_SINCE).order_by().values("workspace")
    workspace = Workspace.objects.filter(pk=workspace_id).annotate(
        decisions_until=Coalesce(Subquery(progress.values("decisions_until")[:1]), 0),
        calls_until=Coalesce(Subquery(progress.values("calls_until")[:1]), Value(_BEFORE_ALL_CALLS)),
    )
    leaked = leaks.open_leaks().filter(**mine).order_by().values("workspace")
    *waiting_since, refused_webhooks, key_leaks = workspace.values_list(
        Subquery(uncounted_decisions.order_by("id").values("recorded_at")[:1]),
        Subquery(uncounted_calls.order_by("changed_at").values("changed_at")[:1]),
        Subquery(refused.annotate(sum=Sum("requests")).values("sum")),
        Subquery(leaked.annotate(places=Count("pk")).values("places")),
    ).get()
    behind = max((now - moment for moment in waiting_since if moment), default=timedelta(0))
    return Pulse(behind, refused_webhooks or 0, key_leaks or 0)
