"""UponAI's events: how fast they are kept before they are answered, folded behind it, and seen on a page."""

from __future__ import annotations

import contextlib
import http.client
import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial

import orjson
from django.db import connection
from django.utils import timezone

from accounts.scoping import scoped
from fraudconsole.bench import callers, console, inbound, load, scratch
from fraudconsole.bench.measuring import FULL, Figures, Size, Skipped, Table, in_rounds, ratio
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
SENDERS = 16
SINGLE = 5
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
            with contextlib.suppress(Skipped):  # the first of them also waits until everything is imported
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
    found = load.run(f"http://127.0.0.1:{port}{path}", webhooks, connections=CONNECTIONS, seconds=LOAD_SECONDS)
    if not found.answers:
        raise Skipped("This machine is too busy: in one of the rounds nothing was answered at all.")
    return found


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
        f"{pieces:,} events a round: folded, written and settled in batches of {processing.BATCH}, "
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
    bodies = list(_events(events, LIFE))
    calls = len(bodies) // len(LIFE)
    with console.running(place) as running:
        single = Figures([_seen_after(place, running.url) for _ in range(SINGLE)])
        alone = _counted(place)
        started = time.perf_counter()
        with ThreadPoolExecutor(SENDERS) as senders:
            parts = [bodies[number::SENDERS] for number in range(SENDERS)]
            again = sum(senders.map(partial(_send, place, running.url), parts))
        sent = time.perf_counter()
        _wait_for(place, alone + calls)
        seen = time.perf_counter()
        counted = _counted(place) - alone
    table = Table(f"A burst of {len(bodies):,} events: {connection.vendor}", ("", "seconds"))
    table.rows = [
        ("one event alone, sent → in the counts that pages read", single.shown(1)),
        (f"the burst sent and answered, {SENDERS} at once", f"{sent - started:.1f}"),
        ("until all of it is in the counts, after the first was sent", f"{seen - started:.1f}"),
        ("the same, after the last was answered", f"{seen - sent:.1f}"),
    ]
    table.notes.append(
        f"{counted:,} of {calls:,} calls counted; {again:,} times the console asked for one again, since no thread was "
        "free. The aims are 5 s for one and 60 s for the burst."
    )
    _forget(place)
    return table


def _seen_after(place: Place, url: str) -> float:
    before, started = _counted(place), time.perf_counter()
    _send(place, url, list(_events(1, LIFE[1:2])))
    _wait_for(place, before + 1)
    return time.perf_counter() - started


def _wait_for(place: Place, calls: int) -> None:
    started = time.perf_counter()
    while _counted(place) < calls and time.perf_counter() - started < MOST_SECONDS:
        time.sleep(0.1)


def _send(place: Place, url: str, bodies: list[bytes]) -> int:
    """As UponAI does: what is not taken in is sent again. Answers how often that was."""
    again = 0
    with contextlib.closing(_client(url)) as client:
        for body in bodies:
            while not _is_taken(client, place, body):
                again += 1
                time.sleep(0.01)
    return again


def _is_taken(client: http.client.HTTPConnection, place: Place, body: bytes) -> bool:
    signed = signature.sign(body=body, secret=scratch.SECRET, now_ms=time.time_ns() // 1_000_000)
    headers = {"Content-Type": "application/json", "X-UponAI-Signature": signed}
    client.request("POST", f"/hooks/{place.workspace.endpoint}/events", body, headers)
    answer = client.getresponse()
    answer.read()
    return answer.status == http.HTTPStatus.NO_CONTENT


def _client(url: str) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)


def _counted(place: Place) -> int:
    with scoped(place.workspace.pk):
        return sum(UsageBucket.objects.values_list("calls", flat=True))
