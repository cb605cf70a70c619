"""The bells: prompt when heard, harmless when not."""

import os
import queue
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from redis.exceptions import RedisError

from fraudconsole.launcher.store import answers, command
from policies import bells
from policies.gate import recorder, store
from policies.models import Decision
from tests.conftest import point_at
from tests.factories import make_phone_number, moment
from tests.policies.gate.webhooks import CANADIAN, CUBAN, REJECTED, body, deliver


@pytest.fixture
def hanging_store(tmp_path_factory: pytest.TempPathFactory, settings) -> Iterator[None]:
    """A real server that accepts connections and never answers."""
    folder = tmp_path_factory.mktemp("v")
    path = folder / "s"
    server = subprocess.Popen(command(path, folder / "data"), stdout=subprocess.DEVNULL)
    while not answers(Path(path)):
        pass
    from celery import current_app

    app, working, url = current_app._get_current_object(), current_app.conf.broker_url, settings.REDIS_URL
    point_at(app, f"redis+socket://{path}", settings, f"unix://{path}")
    os.kill(server.pid, signal.SIGSTOP)
    yield
    os.kill(server.pid, signal.SIGCONT)
    server.kill()
    server.wait()
    point_at(app, working, settings, url)


def test_is_heard_when_somebody_listens():
    assert bells.ring("policies.tasks.publish_snapshots")
    assert bells.wait_until_rung(10)
    assert bells.ring("policies.tasks.publish_snapshots")


def test_does_not_knock_again_at_a_broker_that_hangs(hanging_store, caplog):
    rung = [bells.ring("policies.tasks.publish_snapshots") for _ in range(20)]

    assert all(rung)
    assert bells.wait_until_rung(10)
    assert caplog.text.count("was not rung") == 1
    assert not bells.ring("policies.tasks.publish_snapshots")


def test_nobody_waits_for_a_broker_that_hangs(hanging_store, monkeypatch):
    """Were the ring not another thread's, it would end here before it has been waited for."""
    waited = []
    monkeypatch.setattr(bells, "_ring", lambda *given, do=bells._ring: waited.append(do(*given)))

    assert bells.ring("policies.tasks.publish_snapshots")

    assert not waited
    assert bells.wait_until_rung(10)
    assert waited


def test_what_nobody_can_ring_for_soon_is_left_to_the_sweep(hanging_store, monkeypatch):
    full = bells._Errands("full")
    full.waiting = queue.Queue(1)
    monkeypatch.setattr(bells, "_ringer", full)
    monkeypatch.setattr(full, "thread", threading.current_thread())  # nobody empties it

    assert [bells.ring("policies.tasks.publish_snapshots") for _ in range(3)] == [True, False, False]
    full.waiting.get()
    full.waiting.task_done()


def test_asks_a_store_that_hangs_only_once_in_a_while(hanging_store):
    with pytest.raises(RedisError), store.asking():
        store.connection().ping()

    with pytest.raises(store.Silent):
        store.publish_version(1, 1)


def test_waits_once_for_a_server_that_hangs_and_not_once_for_each_bell(hanging_store, caplog):
    bells.publish_snapshot(1, 1)
    bells.publish_snapshot(1, 2)
    assert bells.wait_until_rung(10)
    bells.ring("policies.tasks.publish_snapshots")
    bells.publish_snapshot(1, 3)
    assert bells.wait_until_rung(10)

    assert caplog.text.count("The gate was not told") == 1
    assert "was not rung" not in caplog.text


@pytest.mark.parametrize("bells_before", [0, 1])
def test_a_broker_that_is_away_keeps_nobody_from_telling_the_gate(settings, bells_before):
    from celery import current_app

    app, working, url = current_app._get_current_object(), current_app.conf.broker_url, settings.REDIS_URL
    point_at(app, "redis+socket:///nowhere/valkey.sock", settings, url)
    try:
        for _ in range(bells_before):
            bells.ring("policies.tasks.publish_snapshots")
            assert bells.wait_until_rung(10)
        bells.publish_snapshot(1, 7)
        assert bells.wait_until_rung(10)
        assert [int(value) for value in store.connection().mget(store.connection().keys("*snapshot-version"))] == [7]
    finally:
        point_at(app, working, settings, url)


@pytest.mark.django_db
def test_still_answers_calls_while_the_store_hangs(in_workspace, hanging_store):
    make_phone_number(in_workspace)

    accepted = [deliver(in_workspace, body(CANADIAN, call_id=f"call_{n}")).json() for n in range(20)]
    rejected = deliver(in_workspace, body(CUBAN, call_id="call_cuba")).json()

    assert accepted == [{"call_inbound": {}}] * 20
    assert rejected == REJECTED
    assert Decision.objects.filter(degraded=True).count() == 21


@pytest.mark.django_db
def test_asks_the_store_again_when_it_is_well(in_workspace):
    make_phone_number(in_workspace)
    deliver(in_workspace, body(CANADIAN, call_id="call_0"))

    for number in range(1, 6):  # on a machine that is too busy even a store that is well may answer too late
        store.ask_again()
        with CaptureQueriesContext(connection) as queries:
            deliver(in_workspace, body(CANADIAN, call_id=f"call_{number}"))
        if not queries:
            break

    assert len(queries) == 0
    assert recorder.drain(now=moment()) >= 1
