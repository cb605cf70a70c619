"""Usage by the hour and, for the last day, by the minute, counted anew from the raw rows.

The only writer of UsageBucket, HourTotal, MinuteBucket and their progress. An hour that new rows touch is deleted and
counted again as a whole, with its total and its minutes, so counting twice changes nothing and late events put
themselves right. `blocked` counts the list of blocked calls; what was called is counted from calls alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.db import models, transaction
from django.db.models import Case, Count, Exists, Max, OuterRef, Q, Sum, Value, When
from django.db.models.functions import TruncHour, TruncMinute

from accounts.models import Workspace
from accounts.scoping import scoped
from monitoring.models import BlockedCall, Call, HourTotal, MinuteBucket, RollupProgress, UsageBucket

HOUR = timedelta(hours=1)
# Calls become visible when their transaction commits, not in the order of their times. So what is younger than this
# stays "new", and its hours are counted again, until no older row can appear before it. Blocked calls are listed by one
# worker at a time, so their ids are in the order in which they became visible.
OVERLAP = timedelta(seconds=30)
# The first count of a long history is cut into transactions that nobody has to wait for.
HOURS_AT_ONCE = 48
BATCH = 1000

# So that counting takes a small share of the time: what is shown is at most so much older.
FEW = 10_000
CALLS_A_SECOND = 10_000
LONGEST_REST = timedelta(seconds=30)

MINUTES_KEPT = timedelta(hours=26)
"""A day, and what one looks back from its beginning."""
FORGET_AT_ONCE = 1000
"""Little enough that nobody who wants to write has to wait for it, on SQLite too."""


class Hour(TruncHour):
    """On SQLite a moment is a text, which is sooner cut there than in a Python function for each row."""

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> tuple[str, Any]:
        moment, parameters = compiler.compile(self.lhs)
        return f"(substr({moment}, 1, 13) || ':00:00')", parameters


class Minute(TruncMinute):
    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> tuple[str, Any]:
        moment, parameters = compiler.compile(self.lhs)
        return f"(substr({moment}, 1, 16) || ':00')", parameters


@dataclass(frozen=True, slots=True)
class Grain:
    """What one kind of bucket holds: `dimensions` begin with when it began."""

    buckets: type[UsageBucket] | type[MinuteBucket]
    begin: type[Hour] | type[Minute]
    dimensions: tuple[str, ...]

    @property
    def began(self) -> str:
        return self.dimensions[0]


BY_HOUR: Final = Grain(
    UsageBucket, Hour, ("hour", "direction", "channel", "country", "number_class", "outcome", "reason")
)
BY_MINUTE: Final = Grain(MinuteBucket, Minute, ("minute", "direction", "channel", "outcome", "reason"))


@dataclass(frozen=True, slots=True)
class RollupReport:
    """How many hours were counted anew, and into how many buckets by the hour."""

    hours: int = 0
    buckets: int = 0


@dataclass(frozen=True, slots=True)
class News:
    """The hours that rows since the last count touch, and how far the next count may leave out."""

    hours: list[datetime]
    blocked_until: int
    calls_until: datetime | None


def roll_up(*, workspace_id: int, now: datetime) -> RollupReport:
    """Counts the hours that rows since the last time touch. One small query when there are none.

    A call whose `started_at` moves into another hour leaves its old hour to `rebuild`, which `calls` asks for.
    """
    with scoped(workspace_id):
        if not _has_news(now):
            return RollupReport()
        progress, _ = RollupProgress.objects.get_or_create(workspace_id=workspace_id)
        news = _news(progress, now=now)
        buckets = sum(_recount(workspace_id, chunk, now) for chunk in _chunks(news.hours))
        _advance(workspace_id, news)
        _rest(workspace_id, news.hours, now=now)
        return RollupReport(len(news.hours), buckets)


def _rest(workspace_id: int, hours: list[datetime], *, now: datetime) -> None:
    """An hour with very many calls is not counted again every other second, only because one more came."""
    counted = HourTotal.objects.filter(hour__in=hours).aggregate(calls=Sum("calls"))["calls"] or 0
    if counted >= FEW:
        rests_until = now + min(timedelta(seconds=counted / CALLS_A_SECOND), LONGEST_REST)
        RollupProgress.objects.filter(workspace_id=workspace_id).update(rests_until=rests_until)


def rebuild(*, workspace_id: int, start: datetime, end: datetime, now: datetime) -> RollupReport:
    """Counts every hour from `start` to before `end` anew. Progress stays where it is."""
    with scoped(workspace_id):
        RollupProgress.objects.get_or_create(workspace_id=workspace_id)
        first = hour_of(start)
        hours = [first + HOUR * number for number in range(_hours_between(first, end))]
        buckets = sum(_recount(workspace_id, chunk, now) for chunk in _chunks(hours))
    return RollupReport(len(hours), buckets)


def begin(*, workspace_id: int, calls_until: datetime) -> None:
    """Starts the progress of a workspace whose older calls are listed and counted by `rebuild`."""
    with scoped(workspace_id):
        RollupProgress.objects.get_or_create(workspace_id=workspace_id)
        for column in ("calls_until", "ended_until", "parties_calls_until"):
            RollupProgress.objects.filter(**{column: None}).update(**{column: calls_until})


def _has_news(now: datetime) -> bool:
    """Reads without a transaction: on SQLite even a reading one would keep writers out."""
    blocked = BlockedCall.objects.filter(id__gt=OuterRef("usage_blocked_until"))
    calls = Call.objects.filter(changed_at__gt=OuterRef("calls_until"))
    has_calls = Case(When(calls_until=None, then=Exists(Call.objects.all())), default=Exists(calls))
    rests = Q(rests_until__gt=now, rests_until__lte=now + LONGEST_REST)
    news = RollupProgress.objects.exclude(rests).values_list(Exists(blocked), has_calls).first()
    return any(news) if news else not RollupProgress.objects.exists()


def _news(progress: RollupProgress, *, now: datetime) -> News:
    blocked = BlockedCall.objects.filter(id__gt=progress.usage_blocked_until)
    calls = Call.objects.all()
    if progress.calls_until is not None:
        calls = calls.filter(changed_at__gt=progress.calls_until)
    # How far to go first, then the hours: a row that arrives in between is new again next time.
    blocked_until = blocked.aggregate(until=Max("id"))["until"]
    calls_until = calls.filter(changed_at__lte=now - OVERLAP).aggregate(until=Max("changed_at"))["until"]
    hours = {*_hours_of(blocked, "at"), *_hours_of(calls, "started_at")}
    return News(sorted(hours), blocked_until or progress.usage_blocked_until, calls_until or progress.calls_until)


def _hours_of(rows: models.QuerySet, moment: str) -> Iterable[datetime]:
    hours = rows.annotate(hour=Hour(moment, tzinfo=UTC)).order_by().values_list("hour", flat=True)
    return hours.distinct()


def _recount(workspace_id: int, hours: list[datetime], now: datetime) -> int:
    """Deletes and counts some hours in one transaction, one worker at a time. Answers how many buckets of hours."""
    with transaction.atomic():
        hours = RollupProgress.objects.select_for_update().get(workspace_id=workspace_id).countable(hours)
        buckets = _write(BY_HOUR, hours)
        _write(BY_MINUTE, [hour for hour in hours if hour + HOUR > now - MINUTES_KEPT])
    return buckets


def _write(grain: Grain, hours: list[datetime]) -> int:
    buckets: list[UsageBucket | MinuteBucket] = []
    for start, end in _runs(hours):
        grain.buckets.objects.filter(**_within(grain.began, start, end)).delete()
        buckets += _blocked(grain, start, end)
        buckets += _calls(grain, start, end)
        if grain is BY_HOUR:
            HourTotal.objects.filter(hour__gte=start, hour__lt=end).delete()
    grain.buckets.objects.bulk_create(buckets, batch_size=BATCH)
    if grain is BY_HOUR:
        HourTotal.objects.bulk_create(_totals(buckets), batch_size=BATCH)
    return len(buckets)


def _totals(buckets: Iterable[Any]) -> list[HourTotal]:
    totals: dict[tuple[datetime, str, str], HourTotal] = {}
    for bucket in buckets:
        key = (bucket.hour, bucket.outcome, bucket.reason)
        total = totals.get(key)
        if total is None:
            names = ("hour", "outcome", "reason", "calls", "seconds", "cost_cents")
            totals[key] = HourTotal(**{name: getattr(bucket, name) for name in names})
            continue
        total.calls += bucket.calls
        total.seconds += bucket.seconds
        total.cost_cents += bucket.cost_cents
    return list(totals.values())


def _within(moment: str, start: datetime, end: datetime) -> dict[str, datetime]:
    return {f"{moment}__gte": start, f"{moment}__lt": end}


def _blocked(grain: Grain, start: datetime, end: datetime) -> Iterator[UsageBucket | MinuteBucket]:
    rows = BlockedCall.objects.filter(**_within("at", start, end))
    began = {grain.began: grain.begin("at", tzinfo=UTC)}
    rows = rows.annotate(**began, outcome=Value(UsageBucket.Outcome.BLOCKED.value))
    for row in rows.order_by().values(*grain.dimensions).annotate(calls=Count("id")):
        yield grain.buckets(**row)


def _calls(grain: Grain, start: datetime, end: datetime) -> Iterator[UsageBucket | MinuteBucket]:
    rows = Call.objects.filter(**_within("started_at", start, end))
    came_about = Q(status__in=("ongoing", "ended")) | Q(duration_ms__gt=0)
    rows = rows.annotate(
        **{grain.began: grain.begin("started_at", tzinfo=UTC)},
        outcome=Case(
            When(came_about, then=Value(UsageBucket.Outcome.CONNECTED.value)),
            default=Value(UsageBucket.Outcome.NOT_CONNECTED.value),
        ),
        reason=Value(""),
    )
    counted = rows.order_by().values(*grain.dimensions)
    for row in counted.annotate(calls=Count("id"), milliseconds=Sum("duration_ms"), cents=Sum("cost_cents")):
        seconds, cents = round(row.pop("milliseconds") / 1000), row.pop("cents")
        yield grain.buckets(**row, seconds=seconds, cost_cents=cents)


def forget_minutes(*, now: datetime) -> int:
    """Deletes a batch of each workspace's minutes that are too old. Answers how many rows."""
    total = 0
    for workspace_id in Workspace.objects.order_by("pk").values_list("pk", flat=True):
        with scoped(workspace_id):
            old = MinuteBucket.objects.filter(minute__lt=now - MINUTES_KEPT).order_by("minute")
            ids = list(old.values_list("pk", flat=True)[:FORGET_AT_ONCE])
            total += MinuteBucket.objects.filter(pk__in=ids).delete()[0] if ids else 0
    return total


def _advance(workspace_id: int, news: News) -> None:
    """Moves progress forward, never back: another worker may have come further meanwhile."""
    rows = RollupProgress.objects.filter(workspace_id=workspace_id)
    rows.filter(usage_blocked_until__lt=news.blocked_until).update(usage_blocked_until=news.blocked_until)
    if news.calls_until is not None:
        behind = Q(calls_until=None) | Q(calls_until__lt=news.calls_until)
        rows.filter(behind).update(calls_until=news.calls_until)


def hour_of(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _hours_between(first: datetime, end: datetime) -> int:
    return max(0, -((first - end) // HOUR))


def _chunks(hours: list[datetime]) -> Iterator[list[datetime]]:
    for position in range(0, len(hours), HOURS_AT_ONCE):
        yield hours[position : position + HOURS_AT_ONCE]


def _runs(hours: list[datetime]) -> list[tuple[datetime, datetime]]:
    """Hours in a row become one range: one query for it instead of one an hour."""
    runs: list[tuple[datetime, datetime]] = []
    for hour in hours:
        if runs and runs[-1][1] == hour:
            runs[-1] = (runs[-1][0], hour + HOUR)
        else:
            runs.append((hour, hour + HOUR))
    return runs
