"""The live store killed, restarted and replaced by an empty one, while processes hammer: never one above a limit."""

import logging
import multiprocessing
import os
import random
import subprocess
import time
import uuid
from shutil import rmtree

import pytest
from django.db import DatabaseError, connection
from redis.exceptions import RedisError

from accounts.scoping import scoped
from fraudconsole.launcher.store import answers, command
from policies.engine.limits import LimitName
from policies.gate import fallback, rebuild, store
from policies.gate.store import Outcome
from policies.models import Dial
from tests.factories import make_workspace, moment
from tests.policies.gate.charges import charge, dial, money, running

pytestmark = [
    pytest.mark.processes,
    pytest.mark.postgres,
    pytest.mark.skipif(
        connection.vendor != "postgresql", reason="SQLite's test database cannot be shared by processes"
    ),
    pytest.mark.django_db(transaction=True),
]

PROCESSES = 8
KILLS = 20 if os.environ.get("NIGHTLY") else 6
LIMIT = 40
CHARGES = (
    charge(LimitName.IP_DESTINATION_DAY, "192.0.2.1 +447700190123", LIMIT, 3600),
    charge(LimitName.WORKSPACE, "", 5000, 3600),
    running(1000),
    money(1000, 1000),
)


class Server:
    """A live store that can be killed."""

    def __init__(self, folder):
        self.folder, self.path = folder, folder / "s"
        self.url = f"unix://{self.path}"
        self.start()

    def start(self):
        self.process = subprocess.Popen(command(self.path, self.folder / "data"), stdout=subprocess.DEVNULL)
        while not answers(self.path):
            time.sleep(0.01)

    def kill(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def server(tmp_path_factory, settings):
    server = Server(tmp_path_factory.mktemp("v"))
    settings.REDIS_URL = server.url
    store.connection.cache_clear()
    store.ask_again()
    yield server
    server.kill()
    store.connection.cache_clear()
    store.ask_again()


def attempt(workspace):
    """As a door does it: the store, else the rows; and the row before anybody is called. Whether it was let through."""
    decision_id = str(uuid.uuid4())
    try:
        spent = rebuild.spend(
            workspace.pk,
            now=moment(),
            version=None,
            key=None,
            decision_id=decision_id,
            decision=b"{}",
            answer=b"",
            charges=CHARGES,
            lease_seconds=60,
        )
    except RedisError:
        usages = fallback.admit(
            workspace.pk,
            CHARGES,
            now=moment(),
            channel="phone_call",
            write=lambda: dial(workspace, *CHARGES, decision_id=decision_id, seconds_ago=0, counted_by_database=True),
        )
        return fallback.admits(CHARGES, usages)
    if spent.outcome is Outcome.RECORDED:
        dial(workspace, *CHARGES, decision_id=decision_id, seconds_ago=0)
    return spent.outcome is Outcome.RECORDED


def hammer(workspace, stop, told):
    connection.connection = None  # the parent's
    logging.disable()
    passed = refused = away = 0
    while not stop.is_set():
        try:
            if attempt(workspace):
                passed += 1
            else:
                refused += 1
        except (fallback.TooSlow, RedisError, DatabaseError):
            away += 1
        time.sleep(random.uniform(0, 0.03))
    connection.close()
    told.put((passed, refused, away))


def test_never_lets_one_too_many_pass_whatever_becomes_of_the_store(server, monkeypatch):
    monkeypatch.setattr(rebuild, "SETTLING_SECONDS", 1)
    workspace = make_workspace()
    context = multiprocessing.get_context("fork")
    stop, told = context.Event(), context.Queue()
    children = [context.Process(target=hammer, args=(workspace, stop, told)) for _ in range(PROCESSES)]
    chance = random.Random(20_261_121)
    for child in children:
        child.start()
    for kill in range(KILLS):
        time.sleep(chance.uniform(0.01, 0.8))
        server.kill()
        if kill % 2:
            rmtree(server.folder / "data")
        time.sleep(chance.uniform(0.01, 0.5))
        server.start()
    time.sleep(2)
    stop.set()
    results = [told.get(timeout=60) for _ in children]
    for child in children:
        child.join()

    with scoped(workspace.pk):
        rows = Dial.objects.count()
    passed, refused, away = (sum(counts) for counts in zip(*results, strict=True))
    print(f"{passed} let through, {refused} refused, {away} told to come again")
    assert passed == rows
    assert LIMIT // 2 <= rows <= LIMIT
    assert refused > 0
