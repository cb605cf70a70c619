"""UponAI's events: how fast they are kept before they are answered, folded behind it, and seen on a page."""

from __future__ import annotations

import contextlib
import http.client
import random
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial

import orjson
from django.db import connection
from django.utils import timezone

from accounts.scoping import scoped
from fraudconsole.bench import callers, console, inbound, load, scratch
from fraudconsole.bench.measuring import FULL, Figures, Size, Table, in_rounds, ratio
from fraudconsole.bench.scratch import Place
from monitoring.ingest import inbox, processing, rollups
from monitoring.models import Call, MinuteBucket, UsageBucket, WebhookEvent
from policies.uponai import signature

BARE, DOOR = "bare view, one INSERT", "the events' door"
CREATED, FOLDED, ENDS = "ORM create() of a call", "folded, a life of three events each", "folded, one event each"
CONNECTIONS = 8  # fewer than the threads that events may hold
LOAD_SECONDS = 3.0
MOST_PER_SECOND = 3_000
BURST = 20_000
MOST_SECONDS = 120
LIFE = ("call_started", "call_ended", "call_analyzed")


def measure(place: Place, size: Size, chance: random.Random) -> list[Table]:
    tables = [_receiving(place, size, chance), _folding(place, size)]
    return [*tables, _burst(place, BURST if size is FULL else BURST // 20)]


# --- Kept before it is answered --------------------------------------------------------------------


def _receiving(place: Place, size: Size, chance: random.Random) -> Table:
    load.find_wrk()
    table = Table(f"Events over HTTP: {connection.vendor}", ("", "per second", "× bare view", "p50 ms", "p99 ms"))
    port = scratch.free_port()
    with scratch.process(inbound.gunicorn(port), place.directory / "web.log"):
        inbound.wait_for(port, place)
        paths = {BARE: f"/bench/{place.workspace.endpoint}/bare", DOOR: f"/hooks/{place.workspace.endpoint}/events"}
        measures = {name: partial(_load, place, port, path) for name, path in paths.items()}
        for work in measures.values():
            work()
        before = _kept(place)
        found = in_rounds(measures, size.rounds)
        kept = _kept(place) - before
    rates = {name: Figures([one.per_second for one in loads]) for name, loads in found.items()}
    for name, loads in found.items():
        p50, p99 = (Figures([getattr(one, figure) for one in loads]).shown(1) for figure in ("p50_ms", "p99_ms"))
        table.rows.append((name, rates[name].shown(), ratio(rates[name], rates[BARE]), p50, p99))
    answered = sum(one.answers for loads in found.values() for one in loads)
    table.notes.append(
        f"{CONNECTIONS} connections. Both keep the event: {answered:,} answered, {kept:,} rows. "
        "(wrk counts no answer that arrives after its end.)"
    )
    _forget(place)
    return table


_numbers = iter(range(10**9))


def _load(place: Place, port: int, path: str) -> load.Load:
    webhooks = place.directory / "events.txt"
    with webhooks.open("wb") as file:
        for body in _events(int(MOST_PER_SECOND * LOAD_SECONDS), LIFE):
            signed = signature.sign(body=body, secret=scratch.SECRET, now_ms=time.time_ns() // 1_000_000)
            file.write(b"%b\t%b\n" % (signed.encode(), body))
    return load.run(f"http://127.0.0.1:{port}{path}", webhooks, connections=CONNECTIONS, seconds=LOAD_SECONDS)


def _kept(place: Place) -> int:
    with scoped(place.workspace.pk):
        return int(WebhookEvent.objects.count())


# --- Folded behind it ------------------------------------------------------------------------------


def _folding(place: Place, size: Size) -> Table:
    """Each in its own way and transactions: one create() a call, or batches with all they bring along."""
    pieces = size.sample
    works: dict[str, Callable[[], float]] = {
        CREATED: lambda: _per_second(partial(_create, place), _rows(place, pieces // 3)),
        FOLDED: lambda: _folded(place, pieces, LIFE),
        ENDS: lambda: _folded(place, pieces, LIFE[1:2]),
    }
    for work in works.values():
        work()
    found = {name: Figures(values) for name, values in in_rounds(works, size.rounds).items()}
    table = Table(f"Folding: {connection.vendor}", ("", "per second", "× create()"))
    table.rows = [(name, figures.shown(), ratio(figures, found[CREATED])) for name, figures in found.items()]
    table.notes.append(
        f"{pieces:,} events a round: opened, read, folded, written and settled in batches of {processing.BATCH}, "
        "and then counted by the hour and the minute; the aim is 8."
    )
    _forget(place)
    return table


def _per_second(work: Callable[[list[Call]], None], rows: list[Call]) -> float:
    started = time.perf_counter()
    work(rows)
    return len(rows) / (time.perf_counter() - started)


def _rows(place: Place, count: int) -> list[Call]:
    now = timezone.now()
    return [
        Call(
            workspace=place.workspace,
            call_reference=f"created_{next(_numbers)}",
            channel="phone_call",
            direction="outbound",
            phone_number=callers.own_numbers(1)[0],
            peer="+447400123456",
            country="GB",
            number_class="mobile",
            agent="agent_bench",
            status="ended",
            disconnection_reason="user_hangup",
            started_at=now,
            ended_at=now,
            duration_ms=62_000,
            changed_at=now,
        )
        for _ in range(count)
    ]


def _create(place: Place, rows: list[Call]) -> None:
    with scoped(place.workspace.pk):
        for row in rows:
            values = {field.attname: getattr(row, field.attname) for field in Call._meta.concrete_fields}
            Call.objects.create(**values)


def _folded(place: Place, count: int, names: tuple[str, ...]) -> float:
    now = timezone.now()
    for body in _events(count, names):
        inbox.receive(place.workspace.pk, body, now=now)
    started = time.perf_counter()
    done = processing.process(place.workspace.pk, clock=timezone.now)
    rollups.roll_up(workspace_id=place.workspace.pk, now=timezone.now())
    seconds = time.perf_counter() - started
    _forget(place)
    return done / seconds


def _events(count: int, names: tuple[str, ...]) -> Iterator[bytes]:
    ended = int((datetime.now(UTC) - timedelta(minutes=1)).timestamp() * 1000)
    for _ in range(count // len(names)):
        number = next(_numbers)
        call = {
            "call_id": f"call_{number}",
            "call_type": "phone_call",
            "agent_id": "agent_bench",
            "direction": "outbound",
            "from_number": "+14155550100",
            "to_number": f"+4474001{number % 1000:05d}",
            "start_timestamp": ended - 62_000,
        }
        over = {
            "end_timestamp": ended,
            "duration_ms": 62_000,
            "call_status": "ended",
            "disconnection_reason": "user_hangup",
            "call_cost": {"combined_cost": 9.3},
            "transcript": "Agent: Hello, how can I help? User: I would like to move my appointment. " * 10,
        }
        for name in names:
            details = call | (over if name != LIFE[0] else {"call_status": "ongoing"})
            yield orjson.dumps({"event": name, "call": details})


def _forget(place: Place) -> None:
    with scoped(place.workspace.pk):
        for rows in (WebhookEvent, Call, UsageBucket, MinuteBucket):
            rows.objects.all().delete()
    connection.close()


# --- Seen ------------------------------------------------------------------------------------------


def _burst(place: Place, events: int) -> Table:
    """From the first of them sent until the counts that pages read have all calls of it, by the workers as they are."""
    with console.running(place) as running, contextlib.closing(_client(running.url)) as client:
        started = time.perf_counter()
        for body in _events(events, LIFE):
            signed = signature.sign(body=body, secret=scratch.SECRET, now_ms=time.time_ns() // 1_000_000)
            headers = {"Content-Type": "application/json", "X-UponAI-Signature": signed}
            client.request("POST", f"/hooks/{place.workspace.endpoint}/events", body, headers)
            client.getresponse().read()
        sent = time.perf_counter()
        calls = events // len(LIFE)
        while _counted(place) < calls and time.perf_counter() - sent < MOST_SECONDS:
            time.sleep(0.2)
        seen = time.perf_counter()
        counted = _counted(place)
    table = Table(f"A burst of {events:,} events: {connection.vendor}", ("", "seconds"))
    table.rows = [
        ("sent and answered, one after the other", f"{sent - started:.1f}"),
        ("until all are in the counts that pages read, after the last", f"{seen - sent:.1f}"),
    ]
    table.notes.append(f"{counted:,} of {calls:,} calls counted; the aim is 60 s.")
    _forget(place)
    return table


def _client(url: str) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)


def _counted(place: Place) -> int:
    with scoped(place.workspace.pk):
        return sum(UsageBucket.objects.values_list("calls", flat=True))
