"""Who called and was called, by the hour and by the day: our numbers, public keys, and the busiest of the other side.

The only writer of PartyBucket. As in `rollups`, an hour that new rows touch is counted again as a whole, and its day is
added up again from its hours.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from django.db import models, transaction
from django.db.models import Case, Count, Exists, Max, OuterRef, Q, Sum, Value, When

from accounts.scoping import scoped
from monitoring.ingest.rollups import Hour
from monitoring.models import BlockedCall, Call, PartyBucket, RollupProgress, UsageBucket

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
# Calls become visible when their transaction commits, not in the order of their times; see `rollups`.
OVERLAP: Final = timedelta(seconds=30)
HOURS_AT_ONCE: Final = 24
BATCH: Final = 1000
PEERS_KEPT: Final = 100
"""Of each hour and each day, the busiest that were blocked, and as many of those that were not."""

Kind, Step = PartyBucket.Kind, PartyBucket.Step
Outcome = UsageBucket.Outcome

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_CAME_ABOUT: Final = Q(status__in=("ongoing", "ended")) | Q(duration_ms__gt=0)
_COLUMNS: Final = {Kind.PHONE_NUMBER: "phone_number", Kind.PUBLIC_KEY: "public_key", Kind.PEER: "peer"}


@dataclass(frozen=True, slots=True)
class Party:
    """What one of them did, or was kept from doing, in a span of time."""

    value: str
    country: str
    calls: int
    seconds: int
    cost_cents: Decimal


def top(kind: PartyBucket.Kind, *, start: datetime, end: datetime, outcome: str = "", limit: int = 10) -> list[Party]:
    """The busiest from the hour of `start` to before `end`, by calls; without an outcome: of those that came about.

    Of the other side these are lower bounds: only the busiest of each hour are kept.
    """
    rows = PartyBucket.objects.filter(within(_hour(start), end), kind=kind).order_by()
    rows = rows.filter(outcome=outcome) if outcome else rows.exclude(outcome=Outcome.BLOCKED)
    sums = rows.values("value").annotate(
        of_country=Max("country"), total=Sum("calls"), length=Sum("seconds"), cents=Sum("cost_cents")
    )
    busiest = sums.order_by("-total", "value")[:limit]
    return [Party(row["value"], row["of_country"], row["total"], row["length"], row["cents"]) for row in busiest]


def within(start: datetime, end: datetime) -> Q:
    """The buckets that make up a span: by the day where it has whole days of UTC, by the hour at its edges."""
    first, last = -(-(start - _EPOCH) // DAY) * DAY + _EPOCH, _day(end)
    if first >= last:
        return Q(step=Step.HOUR, hour__gte=start, hour__lt=end)
    edges = Q(hour__gte=start, hour__lt=first) | Q(hour__gte=last, hour__lt=end)
    return Q(step=Step.DAY, hour__gte=first, hour__lt=last) | Q(edges, step=Step.HOUR)


def count(*, workspace_id: int, now: datetime) -> int:
    """Counts the hours that rows since the last time touch; answers how many. One small query when there are none."""
    with scoped(workspace_id):
        if not _has_news():
            return 0
        progress, _ = RollupProgress.objects.get_or_create(workspace_id=workspace_id)
        hours, reached = _news(progress, now=now)
        _recount_all(workspace_id, hours)
        RollupProgress.objects.filter(workspace_id=workspace_id).update(**reached)
        return len(hours)


def rebuild(*, workspace_id: int, start: datetime, end: datetime) -> None:
    """Counts every hour from `start` to before `end` anew. Progress stays where it is."""
    with scoped(workspace_id):
        RollupProgress.objects.get_or_create(workspace_id=workspace_id)
        first = _hour(start)
        _recount_all(workspace_id, [first + HOUR * number for number in range(max(0, -((first - end) // HOUR)))])


def _has_news() -> bool:
    blocked = BlockedCall.objects.filter(id__gt=OuterRef("parties_blocked_until"))
    calls = Call.objects.filter(changed_at__gt=OuterRef("parties_calls_until"))
    has_calls = Case(When(parties_calls_until=None, then=Exists(Call.objects.all())), default=Exists(calls))
    news = RollupProgress.objects.values_list(Exists(blocked), has_calls).first()
    return news is None or any(news)


def _news(progress: RollupProgress, *, now: datetime) -> tuple[list[datetime], dict[str, Any]]:
    """The hours that are touched, and how far the next count may leave out."""
    # One worker at a time lists blocked calls, so their ids are in the order in which they became visible.
    blocked = BlockedCall.objects.filter(id__gt=progress.parties_blocked_until)
    calls = Call.objects.all()
    if progress.parties_calls_until is not None:
        calls = calls.filter(changed_at__gt=progress.parties_calls_until)
    # How far to go first, then the hours: a row that arrives in between is new again next time.
    reached = {
        "parties_blocked_until": blocked.aggregate(until=Max("id"))["until"],
        "parties_calls_until": calls.filter(changed_at__lte=now - OVERLAP).aggregate(until=Max("changed_at"))["until"],
    }
    hours = {*_hours_of(blocked, "at"), *_hours_of(calls, "started_at")}
    return sorted(hours), {
        column: value if value is not None else getattr(progress, column) for column, value in reached.items()
    }


def _hours_of(rows: models.QuerySet, moment: str) -> Iterator[datetime]:
    hours = rows.annotate(hour=Hour(moment, tzinfo=UTC)).order_by().values_list("hour", flat=True)
    yield from hours.distinct()


def _recount_all(workspace_id: int, hours: list[datetime]) -> None:
    for position in range(0, len(hours), HOURS_AT_ONCE):
        with transaction.atomic():
            progress = RollupProgress.objects.select_for_update().get(workspace_id=workspace_id)
            chunk = progress.countable(hours[position : position + HOURS_AT_ONCE])
            _replace(Step.HOUR, chunk, [bucket for hour in chunk for bucket in _buckets(hour)])
            days = sorted({_day(hour) for hour in chunk})
            _replace(Step.DAY, days, [bucket for day in days for bucket in _of_day(day)])


def _replace(step: PartyBucket.Step, moments: list[datetime], buckets: list[PartyBucket]) -> None:
    PartyBucket.objects.filter(step=step, hour__in=moments).delete()
    PartyBucket.objects.bulk_create(buckets, batch_size=BATCH)


def _buckets(hour: datetime) -> Iterator[PartyBucket]:
    blocked = BlockedCall.objects.filter(at__gte=hour, at__lt=hour + HOUR).order_by()
    blocked = blocked.annotate(outcome=Value(Outcome.BLOCKED.value))
    calls = Call.objects.filter(started_at__gte=hour, started_at__lt=hour + HOUR).order_by()
    came_about = When(_CAME_ABOUT, then=Value(Outcome.CONNECTED.value))
    calls = calls.annotate(outcome=Case(came_about, default=Value(Outcome.NOT_CONNECTED.value)))
    money = {"length": Sum("duration_ms"), "cents": Sum("cost_cents")}
    for kind, column in _COLUMNS.items():
        for rows, sums in ((blocked, {}), (calls, money)):
            yield from _of_kind(rows, kind, column, hour, sums)


def _of_kind(
    rows: models.QuerySet, kind: PartyBucket.Kind, column: str, hour: datetime, sums: dict[str, Any]
) -> Iterator[PartyBucket]:
    counted = rows.exclude(**{column: ""}).values(column, "outcome").annotate(total=Count("id"), **sums)
    if kind == Kind.PEER:
        counted = counted.annotate(of_country=Max("country")).order_by("-total", column)[:PEERS_KEPT]
    for row in counted:
        yield PartyBucket(
            hour=hour,
            kind=kind,
            value=row[column],
            country=row.get("of_country", ""),
            outcome=row["outcome"],
            calls=row["total"],
            seconds=round(row.get("length", 0) / 1000),
            cost_cents=row.get("cents", 0),
        )


def _of_day(day: datetime) -> Iterator[PartyBucket]:
    """From its hours, so of the other side the busiest among those that an hour kept."""
    hours = PartyBucket.objects.filter(step=Step.HOUR, hour__gte=day, hour__lt=day + DAY).order_by()
    sums = {"total": Sum("calls"), "length": Sum("seconds"), "cents": Sum("cost_cents"), "of_country": Max("country")}
    counted = hours.values("kind", "value", "outcome").annotate(**sums)
    ours, theirs = counted.exclude(kind=Kind.PEER), counted.filter(kind=Kind.PEER).order_by("-total", "value")
    blocked = Q(outcome=Outcome.BLOCKED)
    for rows in (ours, theirs.filter(blocked)[:PEERS_KEPT], theirs.exclude(blocked)[:PEERS_KEPT]):
        for row in rows:
            yield PartyBucket(
                step=Step.DAY,
                hour=day,
                kind=row["kind"],
                value=row["value"],
                country=row["of_country"],
                outcome=row["outcome"],
                calls=row["total"],
                seconds=row["length"],
                cost_cents=row["cents"],
            )


def _day(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _hour(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
