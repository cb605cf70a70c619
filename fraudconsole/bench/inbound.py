"""The whole inbound decision over HTTP against an empty view, the naive way and DRF, in one server and one run."""

from __future__ import annotations

import http.client
import importlib.util
import random
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from django.db import connection

from accounts.scoping import scoped
from fraudconsole.bench import callers, load, scratch
from fraudconsole.bench.load import Load
from fraudconsole.bench.measuring import Figures, Size, Skipped, Table, in_rounds, ratio
from fraudconsole.bench.scratch import Place, free_port
from fraudconsole.launcher import sequence
from policies.models import Decision

CALLERS = 5_000
STRANGERS = 250  # of them: from anywhere, and mostly turned away
MOST_PER_SECOND = 4_000  # webhooks prepared per second of load; more answers than this would be repeats
START_SECONDS = 30
SETTLING_SECONDS = 0.2  # what wrk left unanswered is still being worked at
THREADS = str(sequence.WEB_THREADS)
APPLICATION = "fraudconsole.bench.wsgi:application"
EMPTY, GATE, NAIVE, REST = "empty view", "the inbound door", "the same, naively", "the same, through DRF"
TARGETS = (EMPTY, GATE, NAIVE, REST)
CONNECTIONS = (16, 1)
GRANIAN_MISSING = "Under granian: not measured, since it is not installed (pip install granian)."


Found = dict[int, dict[str, list[Load]]]
"""By number of connections and target, one load for each round."""


@dataclass(slots=True)
class Server:
    """One running server, what is asked of it, and what it is seen to have done."""

    place: Place
    port: int
    size: Size
    chance: random.Random
    callers: list[str]
    answered: dict[str, int] = field(default_factory=dict)
    recorded: dict[str, int] = field(default_factory=dict)

    def load(self, target: str, connections: int) -> Load:
        """Fresh webhooks, load, and what it left behind counted and cleared."""
        webhooks = self.place.directory / "webhooks.txt"
        prepared = int(MOST_PER_SECOND * self.size.seconds)
        own = callers.own_numbers(scratch.OWN_NUMBERS)
        signed = callers.signed_webhooks(
            prepared, callers=self.callers, own=own, secret=scratch.SECRET, chance=self.chance
        )
        webhooks.write_bytes(b"".join(b"%b\t%b\n" % (signature.encode(), body) for signature, body in signed))
        url = f"http://127.0.0.1:{self.port}{_path(self.place, target)}"
        found = load.run(url, webhooks, connections=connections, seconds=self.size.seconds)
        time.sleep(SETTLING_SECONDS)
        self.answered[target] = self.answered.get(target, 0) + found.answers
        self.recorded[target] = self.recorded.get(target, 0) + self._take_recorded(target)
        return found

    def _take_recorded(self, target: str) -> int:
        in_store = self.place.take_recorded()
        if target != NAIVE:
            return in_store
        with scoped(self.place.workspace.pk):
            rows, _ = Decision.objects.all().delete()
        connection.close()
        return rows


def measure(place: Place, size: Size, chance: random.Random) -> list[Table]:
    load.find_wrk()
    let_in = callers.valid_numbers(CALLERS - STRANGERS, chance, regions=scratch.POLICY["countries"])
    numbers = let_in + callers.valid_numbers(STRANGERS, chance)
    table, usual = _measure_server(place, size, chance, numbers, "gunicorn gthread", gunicorn)
    if importlib.util.find_spec("granian") is None:
        table.notes.append(GRANIAN_MISSING)
        return [table]
    other_table, other = _measure_server(place, size, chance, numbers, "granian WSGI", _granian)
    for connections in CONNECTIONS:
        compared = ratio(_rates(other[connections])[GATE], _rates(usual[connections])[EMPTY])
        other_table.notes.append(f"At {connections} the door here is {compared} × the empty view under gunicorn.")
    return [table, other_table]


def _measure_server(
    place: Place,
    size: Size,
    chance: random.Random,
    numbers: list[str],
    name: str,
    command: Callable[[int], list[str]],
) -> tuple[Table, Found]:
    port = free_port()
    with scratch.process(command(port), place.directory / "web.log"):
        wait_for(port, place)
        server = Server(place, port, size, chance, numbers)
        answers = _same_answers(server)
        for target in TARGETS:
            server.load(target, 16)  # warms up; not counted
        server.answered.clear()
        server.recorded.clear()
        found = {
            connections: in_rounds(
                {target: partial(server.load, target, connections) for target in TARGETS}, size.rounds
            )
            for connections in CONNECTIONS
        }
    return _table(name, server, found, answers), found


def _table(name: str, server: Server, found: Found, answers: str) -> Table:
    title = f"Inbound decision over HTTP: {name}, {connection.vendor}"
    table = Table(title, ("", "connections", "per second", "× empty view", "p50 ms", "p99 ms", "p99 × empty view"))
    for connections, loads in found.items():
        rates = _rates(loads)
        p99 = {target: Figures([one.p99_ms for one in each]) for target, each in loads.items()}
        p50 = {target: Figures([one.p50_ms for one in each]) for target, each in loads.items()}
        for target in loads:
            shown = (rates[target].shown(), ratio(rates[target], rates[EMPTY]), p50[target].shown(1))
            table.rows.append((target, str(connections), *shown, p99[target].shown(1), ratio(p99[target], p99[EMPTY])))
        rivals = (f"{ratio(rates[GATE], rates[rival])} × {rival}" for rival in (NAIVE, REST))
        table.notes.append(f"At {connections} the door is {', '.join(rivals)}.")
    proof = (
        f"{target}: {server.answered[target]:,} answered, {server.recorded[target]:,} recorded"
        for target in server.answered
    )
    table.notes.append(
        f"Proof of work: {'; '.join(proof)}. (wrk counts no answer that arrives after its end.) {answers}"
    )
    return table


def _rates(loads: dict[str, list[Load]]) -> dict[str, Figures]:
    return {target: Figures([one.per_second for one in each]) for target, each in loads.items()}


def _same_answers(server: Server) -> str:
    """Before anything is timed: a caller who may and one who may not get the same answers everywhere."""
    expected = {"+14155550123": b'{"call_inbound":{}}', "+18765550123": b'{"call_inbound":{"reject":true}}'}
    for target in TARGETS:
        for caller, answer in expected.items():
            given = _ask(server, target, caller)
            if target != EMPTY and given != answer:
                raise RuntimeError(f"{target} answered {given!r} to {caller}.")
    server.place.take_recorded()
    return "All give an allowed and a blocked caller the same two answers."


def _ask(server: Server, target: str, caller: str) -> bytes:
    own = callers.own_numbers(1)
    [(signature, body)] = callers.signed_webhooks(
        1, callers=[caller], own=own, secret=scratch.SECRET, chance=server.chance
    )
    client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    headers = {"Content-Type": "application/json", "X-UponAI-Signature": signature}
    client.request("POST", _path(server.place, target), body, headers)
    answer = client.getresponse().read()
    client.close()
    return answer


def _path(place: Place, target: str) -> str:
    endpoint = place.workspace.endpoint
    names = {EMPTY: "empty", NAIVE: "naive", REST: "rest"}
    return f"/hooks/{endpoint}/inbound" if target == GATE else f"/bench/{endpoint}/{names[target]}"


def gunicorn(port: int) -> list[str]:
    """As `make run` starts it."""
    options = ["--worker-class", "gthread", "--workers", "1", "--threads", THREADS, "--no-control-socket"]
    return [sys.executable, "-m", "gunicorn", APPLICATION, "--bind", f"127.0.0.1:{port}", *options]


def _granian(port: int) -> list[str]:
    options = ["--interface", "wsgi", "--workers", "1", "--blocking-threads", THREADS, "--no-ws"]
    return [sys.executable, "-m", "granian", APPLICATION, "--host", "127.0.0.1", "--port", str(port), *options]


def wait_for(port: int, place: Place) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > deadline:
                log = (place.directory / "web.log").read_text(errors="replace")
                raise Skipped(f"The server did not start: {log[-1000:]}") from None
            time.sleep(0.1)
        else:
            return
