"""Counting one more day after a week and after a year of history, and reading counts instead of calls."""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

from django.db import connection
from django.db.models import Count, Max, Sum

from accounts.scoping import scoped
from fraudconsole.bench.measuring import FULL, Figures, Size, Table, in_microseconds, in_rounds, ratio
from fraudconsole.bench.scratch import Place
from monitoring.ingest import blocked_calls, bulk, parties, rollups
from monitoring.models import BlockedCall, Call, HourTotal, MinuteBucket, PartyBucket, RollupProgress, UsageBucket

WEEK, YEAR = 7, 365
CALLS_A_DAY = 2_000
COUNTRIES = ("US", "CA", "GB", "DE", "FR", "ES", "AU", "BR", "IN", "JP")
NOW = datetime(2026, 3, 1, tzinfo=UTC)
COLUMNS = tuple(field.attname for field in Call._meta.concrete_fields if not field.primary_key)
DAY = timedelta(days=1)
ROWS = (Call, BlockedCall, UsageBucket, HourTotal, MinuteBucket, PartyBucket)
NUMBERS, PEERS = 50, 5_000
BLOCKED_SHARE = 0.05


def measure(place: Place, size: Size, chance: random.Random) -> list[Table]:
    calls = CALLS_A_DAY if size is FULL else CALLS_A_DAY // 20
    found: dict[int, Figures] = {}
    known = 0
    for days in (WEEK, YEAR):
        _write_history(place, calls, known, days, chance)
        known = days
        another_day = partial(_another_day, place, calls, chance)
        another_day()
        found[days] = Figures(in_rounds({"": another_day}, size.rounds)[""])
    table = Table(f"Counting one more day of {calls:,} calls: {connection.vendor}", ("after", "ms", "× a week"))
    for days, name in ((WEEK, "a week"), (YEAR, "a year")):
        table.rows.append((name, found[days].shown(1), ratio(found[days], found[WEEK])))
    table.notes.append(
        f"Listing the {BLOCKED_SHARE:.0%} that were blocked, counting by the hour and by the minute, and who called by "
        "the hour and by the day, each as a whole. The aim is 1.2 at most."
    )
    reading = _reading(place, size)
    with scoped(place.workspace.pk):
        for rows in (*ROWS, RollupProgress):
            rows.objects.all().delete()
    connection.close()
    return [table, reading]


def _write_history(place: Place, calls: int, known: int, days: int, chance: random.Random) -> None:
    for day in range(known, days):
        began = NOW - DAY * (day + 1)
        _write_calls(place, calls, f"history_{day}", began, began, chance)
    span = {"workspace_id": place.workspace.pk, "start": NOW - DAY * days, "end": NOW - DAY * known}
    blocked_calls.rebuild(**span, now=NOW)
    rollups.rebuild(**span, now=NOW)
    parties.rebuild(**span)
    _count_on_from(place, NOW)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")


def _count_on_from(place: Place, moment: datetime) -> None:
    """As if all that is there had been counted then."""
    with scoped(place.workspace.pk):
        listed = BlockedCall.objects.aggregate(id=Max("id"))["id"] or 0
        RollupProgress.objects.update(
            calls_until=moment,
            ended_until=moment,
            parties_calls_until=moment,
            usage_blocked_until=listed,
            parties_blocked_until=listed,
        )


def _write_calls(place: Place, calls: int, name: str, day: datetime, changed: datetime, chance: random.Random) -> None:
    blank: dict[str, Any] = {field.attname: field.get_default() for field in Call._meta.concrete_fields}
    rows = []
    for number in range(calls):
        started = day + timedelta(seconds=chance.random() * 86_400)
        values = blank | {
            "workspace_id": place.workspace.pk,
            "call_reference": f"{name}_{number}",
            "channel": "phone_call",
            "direction": chance.choice(("inbound", "outbound")),
            "country": chance.choice(COUNTRIES),
            "number_class": "mobile",
            "status": chance.choice(("ended", "ended", "not_connected")),
            "disconnection_reason": "invalid_destination" if chance.random() < BLOCKED_SHARE else "user_hangup",
            "phone_number": f"+1415555{chance.randrange(NUMBERS):04}",
            "peer": f"+1212555{chance.randrange(PEERS):04}",
            "started_at": started,
            "duration_ms": 60_000,
            "cost_cents": Decimal("9.3"),
            "changed_at": changed,
        }
        rows.append(tuple(values[column] for column in COLUMNS))
    with scoped(place.workspace.pk):
        for first in range(0, calls, 1000):
            bulk.insert(Call, COLUMNS, rows[first : first + 1000])


def _another_day(place: Place, calls: int, chance: random.Random) -> float:
    """In milliseconds. What it wrote is gone afterwards."""
    _write_calls(place, calls, "today", NOW, NOW + DAY, chance)
    started = time.perf_counter()
    for count in (blocked_calls.follow, rollups.roll_up, parties.count):
        count(workspace_id=place.workspace.pk, now=NOW + DAY)
    milliseconds = (time.perf_counter() - started) * 1000
    with scoped(place.workspace.pk):
        for rows in ROWS:
            moment = {Call: "started_at", BlockedCall: "at", MinuteBucket: "minute"}.get(rows, "hour")
            rows.objects.filter(**{f"{moment}__gte": NOW}).delete()
    _count_on_from(place, NOW)
    return milliseconds


def _reading(place: Place, size: Size) -> Table:
    """Thirty days by the hour, as a page asks for them."""
    window = {"gte": NOW - 30 * DAY, "lt": NOW}
    with scoped(place.workspace.pk):
        counts = UsageBucket.objects.filter(**{f"hour__{end}": moment for end, moment in window.items()})
        counts = counts.order_by().values("hour", "outcome").annotate(total=Sum("calls"))
        calls = Call.objects.filter(**{f"started_at__{end}": moment for end, moment in window.items()})
        calls = calls.annotate(hour=rollups.Hour("started_at", tzinfo=UTC)).order_by()
        raw = calls.values("hour", "status").annotate(total=Count("id"))
        works = {"calls": lambda: len(list(raw.all())) and 1, "counts": lambda: len(list(counts.all())) and 1}
        found = in_microseconds(works, size.rounds)
    table = Table(f"Thirty days by the hour: {connection.vendor}", ("read from", "µs", "× calls"))
    table.rows = [(name, figures.shown(), ratio(figures, found["calls"])) for name, figures in found.items()]
    table.notes.append("The calls by their index of workspace and time. The aim is 0.25 at most.")
    return table
