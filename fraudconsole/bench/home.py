"""The home page over a history that grows: its time, its queries, and the raw rows that each of them spares."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

from django.db import connection, models
from django.db.models import Count, Sum
from django.db.models.functions import TruncHour, TruncMinute
from django.test import Client
from django.test.utils import CaptureQueriesContext, override_settings
from django.utils import timezone

from accounts import workspaces
from accounts.models import User, Workspace
from accounts.roles import Role
from accounts.scoping import scoped
from fraudconsole.bench import past
from fraudconsole.bench.measuring import FULL, Figures, Size, Skipped, Table, in_rounds, ratio
from fraudconsole.bench.scratch import Place
from monitoring.dashboards import blocked, counts, pulse, running, top
from monitoring.dashboards.period import HOUR, Period, floor_hour
from monitoring.dashboards.top import Rank
from monitoring.models import BlockedCall, Call
from policies.models import PhoneNumber

PERIODS = ("1h", "24h", "7d", "30d")
TIMES = 10
"""So much longer is the longer history, at the same rate of calls."""
SHRUNK = 20
UTC_ZONE = ZoneInfo("UTC")
Work = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Query:
    """One query of the page; `raw`: the query of raw rows, with their indexes, that it replaces."""

    name: str
    read: Work
    raw: Work | None = None


def measure(place: Place, size: Size, chance: random.Random) -> list[Table]:
    if connection.vendor != "postgresql":
        raise Skipped("Millions of calls are measured on PostgreSQL: give a server by --database postgres://….")
    # The console's own pages, not the rivals' of the other sections.
    with override_settings(ROOT_URLCONF="fraudconsole.urls"):
        return _measure(place, size)


def _measure(place: Place, size: Size) -> list[Table]:
    # A smaller run has fewer calls an hour, not fewer days: a period must lie within both histories.
    hourly = past.CALLS_AN_HOUR // (1 if size == FULL else SHRUNK)
    calls = hourly * 24 * past.DAYS
    now, client = timezone.now(), _signed_in(place.workspace)
    pages, queries = {}, {}
    with scoped(place.workspace.pk):
        numbers = list(PhoneNumber.objects.values_list("e164", flat=True))
    past.sample(place.workspace.pk, now=now)
    end = floor_hour(now) + HOUR
    past.write(place.workspace.pk, start=end - timedelta(days=past.DAYS), end=end, numbers=numbers, calls=calls)
    past.count(place.workspace.pk, now=now)
    for length in (calls, calls * TIMES):
        if length > calls:
            past.repeat(place.workspace.pk, times=TIMES - 1)
        pages[length] = _pages(client, size)
        queries[length] = _queries(place.workspace.pk, now, size)
    return [_of_pages(pages, client, hourly), _of_queries(queries)]


def _signed_in(workspace: Workspace) -> Client:
    owner = User.objects.create_user("bench@bench.example")
    workspaces.add_member(workspace=workspace, user=owner, role=Role.OWNER, acting_user=None, now=timezone.now())
    client = Client(SERVER_NAME="localhost")
    client.force_login(owner)
    return client


def _milliseconds(work: Work) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000


def _pages(client: Client, size: Size) -> dict[str, Figures]:
    works = {period: partial(_page, client, period) for period in PERIODS}
    for work in works.values():
        work()
    found = in_rounds({name: partial(_milliseconds, work) for name, work in works.items()}, size.rounds * 2)
    return {name: Figures(values) for name, values in found.items()}


def _page(client: Client, period: str, metric: str = "calls") -> None:
    answer = client.get("/admin/", {"period": period, "metric": metric})
    if answer.status_code != 200:
        raise RuntimeError(f"The home page answered {answer.status_code}.")


def _of_pages(pages: Mapping[int, Mapping[str, Figures]], client: Client, hourly: int) -> Table:
    few, many = pages
    table = Table(
        "The home page while its history grows",
        ("period", f"ms over {few:,} calls", f"ms over {many:,} calls", "ratio", "queries", "with concurrency"),
    )
    for period in PERIODS:
        before, after = pages[few][period], pages[many][period]
        asked = [str(_asked(client, period, metric)) for metric in ("calls", "concurrency")]
        table.rows.append((period, before.shown(), after.shown(), ratio(after, before), *asked))
    table.notes.append(
        f"{hourly:,} calls an hour to {len(past.COUNTRIES)} countries, one blocked attempt for twenty; the "
        "whole page with its templates, in one process, for an owner. At most 1.5 times, and twelve queries."
    )
    return table


def _asked(client: Client, period: str, metric: str) -> int:
    with CaptureQueriesContext(connection) as queries:
        _page(client, period, metric)
    return len(queries)


def _queries(workspace_id: int, now: datetime, size: Size) -> dict[str, tuple[Figures, Figures | None]]:
    found = {}
    with scoped(workspace_id):
        for query in _all(workspace_id, now):
            works = {"read": query.read} | ({"raw": query.raw} if query.raw else {})
            for work in works.values():
                work()
            figures = in_rounds({name: partial(_milliseconds, work) for name, work in works.items()}, size.rounds)
            raw = Figures(figures["raw"]) if query.raw else None
            found[query.name] = (Figures(figures["read"]), raw)
    return found


def _all(workspace_id: int, now: datetime) -> list[Query]:
    queries = [
        Query("what waits for somebody", partial(pulse.pulse, workspace_id=workspace_id, now=now)),
        Query("the newest ten", blocked.newest),
    ]
    last_hour = Period.of("1h", now=now, zone=UTC_ZONE)
    queries.append(
        Query(
            "1h: by minute and reason",
            partial(counts.by_minute, start=last_hour.start, end=last_hour.end),
            partial(_raw_steps, last_hour.start, last_hour.end, TruncMinute),
        )
    )
    for key in PERIODS[1:]:
        period = Period.of(key, now=now, zone=UTC_ZONE)
        start, end = period.start - counts.HISTORY, floor_hour(now) + HOUR
        queries += [
            Query(
                f"{key}: by hour and reason, with 28 days before",
                partial(counts.hourly, start=start, end=end),
                partial(_raw_steps, start, end, TruncHour),
            ),
            Query(f"{key}: by country", partial(counts.by_country, period), partial(_raw_countries, period)),
            *(_of_parties(key, period, rank) for rank in (Rank.BLOCKED, Rank.CALLS)),
            Query(f"{key}: running at once", partial(running.peaks, period, now=now)),
        ]
    return queries


def _of_parties(key: str, period: Period, rank: Rank) -> Query:
    read = partial(top.top, period, (), rank)
    return Query(f"{key}: who stands out, by {rank.value}", read, partial(_raw_parties, period, rank))


def _raw_steps(start: datetime, end: datetime, cut: type[TruncHour]) -> None:
    calls = Call.objects.filter(started_at__gte=start, started_at__lt=end).order_by()
    sums = calls.annotate(moment=cut("started_at", tzinfo=UTC)).values_list("moment", "status")
    list(sums.annotate(Count("pk"), Sum("duration_ms"), Sum("cost_cents")))
    listed = BlockedCall.objects.filter(at__gte=start, at__lt=end).order_by()
    list(listed.annotate(moment=cut("at", tzinfo=UTC)).values_list("moment", "reason").annotate(Count("pk")))


def _raw_calls(period: Period) -> models.QuerySet[Call]:
    return Call.objects.filter(started_at__gte=period.start, started_at__lt=period.end).order_by()


def _raw_blocked(period: Period) -> models.QuerySet[BlockedCall]:
    return BlockedCall.objects.filter(at__gte=period.start, at__lt=period.end).order_by()


def _raw_countries(period: Period) -> None:
    list(_raw_calls(period).values_list("country").annotate(Count("pk"), Sum("cost_cents")))
    list(_raw_blocked(period).values_list("country").annotate(Count("pk")))


def _raw_parties(period: Period, rank: Rank) -> None:
    rows = _raw_blocked(period) if rank == Rank.BLOCKED else _raw_calls(period)
    for column in ("phone_number", "peer", "public_key"):
        list(rows.exclude(**{column: ""}).values_list(column).annotate(amount=Count("pk")).order_by("-amount")[:5])


def _of_queries(queries: Mapping[int, Mapping[str, tuple[Figures, Figures | None]]]) -> Table:
    few, many = queries
    table = Table(
        "Its queries, each with what Python makes of it",
        ("", f"ms over {few:,}", f"ms over {many:,}", "ms of the raw query", "ratio to the raw query"),
    )
    for name, (after, raw) in queries[many].items():
        before = queries[few][name][0]
        against = (raw.shown(1), ratio(after, raw)) if raw else ("", "")
        table.rows.append((name, before.shown(1), after.shown(1), *against))
    table.notes.append("At most 150 ms, and a quarter of the raw query, which has its index.")
    return table
