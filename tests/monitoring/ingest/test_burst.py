"""Thousands of events by real HTTP, each up to five times, in no order, with workers at it meanwhile."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import queue
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.factories import make_workspace, moment
from tests.faults.databases import copied
from tests.faults.rig import NIGHTLY, say, until
from tests.monitoring.ingest.events import call_event, chat_event, encode
from tests.policies.gate.webhooks import signed
from tests.servers import free_port

EVENTS = 20_000 if NIGHTLY else 1_000
SENDERS = 16
WORKERS = 2
KILLED = 5 if NIGHTLY else 1

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres]


def _events() -> list[bytes]:
    now_ms = int(moment().timestamp() * 1000)
    events: list[bytes] = []
    for number in range(EVENTS):
        call_id, started = f"call_{number // 4}", now_ms - 5_000_000 + number * 17
        moments = {"start_timestamp": started, "end_timestamp": started + 62_000}
        if number % 4 == 3 and number % 40 != 3:
            events.append(encode(chat_event("chat_ended", f"chat_{number}")))
        elif number % 4 == 3:
            transfer = {"event": "transfer_started", "transfer_destination": {"number": "+5351234567"}}
            events.append(encode(transfer | {"call": {"call_id": call_id, "start_timestamp": started}}))
        else:
            name = ("call_started", "call_ended", "call_analyzed")[number % 4]
            # Without its start, so that it is first counted in another hour than in the end.
            told = {**moments, "start_timestamp": None} if name == "call_analyzed" else moments
            events.append(encode(call_event(name, call_id, **told)))
    return events


@contextlib.contextmanager
def _web(folder: Path, environment: dict[str, str]):
    port = free_port()
    options = ["--worker-class", "gthread", "--threads", "32", "--no-control-socket", "--log-level", "warning"]
    command = [sys.executable, "-m", "gunicorn", "fraudconsole.wsgi:application", "--bind", f"127.0.0.1:{port}"]
    with (
        (folder / "web.log").open("wb") as log,
        subprocess.Popen([*command, *options], env=environment, stderr=log) as web,
    ):
        try:
            until(lambda: _answers(port), seconds=60, what="the web server answers")
            yield port
        finally:
            web.terminate()
    assert "IntegrityError" not in (folder / "web.log").read_text(errors="replace")


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError, http.client.HTTPException):
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        client.request("GET", "/hooks/nobody/events")
        return client.getresponse().status == 405
    return False


def _deliver(port: int, endpoint: str, deliveries: list[bytes]) -> set[int]:
    waiting: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    for body in deliveries:
        waiting.put(body)
    statuses: set[int] = set()
    patience = [True] * len(deliveries)

    def send() -> None:
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        with contextlib.suppress(queue.Empty):
            while True:
                body = waiting.get_nowait()
                headers = {"Content-Type": "application/json", **signed(body)}
                client.request("POST", f"/hooks/{endpoint}/events", body, headers)
                answer = client.getresponse()
                answer.read()
                statuses.add(answer.status)
                if answer.status == 503 and patience.pop():
                    waiting.put(body)  # more at once than threads are left for events: UponAI sends it again

    senders = [threading.Thread(target=send) for _ in range(SENDERS)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    assert waiting.empty()
    return statuses


def _worker(environment: dict[str, str], *arguments: object) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.monitoring.ingest.worker", *map(str, arguments)]
    return subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def _kill_one_after_the_other(environment: dict[str, str], workspace_id: int) -> None:
    """Workers that die in the middle of something."""
    for _ in range(KILLED):
        worker = _worker(environment, workspace_id)
        until(lambda worker=worker: worker.stdout.readline(), seconds=60, what="the worker works")
        time.sleep(random.uniform(0, 0.3))
        worker.kill()
        worker.communicate()


def test_comes_to_the_same_however_often_and_in_whatever_order_it_is_delivered(workspace, tmp_path):
    in_order, events = make_workspace(), _events()
    chance = random.Random(1)
    deliveries = [body for body in events for _ in range(chance.randint(1, 5))]
    chance.shuffle(deliveries)
    (tmp_path / "events").write_bytes(b"\n".join(events))
    with copied(tmp_path) as url:
        environment = {**os.environ, "DATA_DIR": str(tmp_path), "DATABASE_URL": url}
        with _web(tmp_path, environment) as port:
            started = time.monotonic()
            workers = [_worker(environment, workspace.pk) for _ in range(WORKERS)]
            killing = threading.Thread(target=_kill_one_after_the_other, args=(environment, workspace.pk))
            killing.start()
            statuses = _deliver(port, workspace.endpoint, deliveries)
            say(f"{len(deliveries):,} deliveries taken in {time.monotonic() - started:.1f} s")
            killing.join()
            told = [worker.communicate()[0] for worker in workers]
        say(f"processed and counted after {time.monotonic() - started:.1f} s")
        expected, _ = _worker(environment, in_order.pk, tmp_path / "events").communicate()

    assert {204} <= statuses <= {204, 503}
    found, once = (json.loads(one.splitlines()[-1]) for one in (told[-1], expected))
    assert len(once["events"]) == len(events)
    assert {row["state"] for row in once["events"]} == {"done"}
    assert len(once["decisions"]) == len(once["ended"]) > 0
    for table in once:
        assert found[table] == once[table], table
