"""Without the live store: the rows count, at a part of each limit, and one attempt at a time."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import OperationalError, connection

from accounts.scoping import scoped
from policies.engine.limits import LimitName
from policies.engine.types import Channel
from policies.gate import fallback, rebuild, store
from policies.models import Dial, KnownPrefix
from tests.factories import make_workspace, moment
from tests.policies.gate.charges import charge, dial, money, running

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _away(nobody_listens, monkeypatch):
    """Every test here goes without a store, unless it brings one; a busy machine may count slowly."""
    monkeypatch.setattr(fallback, "PATIENCE_MS", 20_000)


def admit(workspace, *charges, channel=Channel.PHONE_CALL, now=None, write=None, **how):
    """Whether it was let through, and what was used before."""
    now = now or moment()
    write = write or (lambda: dial(workspace, *charges, seconds_ago=0, counted_by_database=True))
    usages = fallback.admit(workspace.pk, charges, now=now, channel=channel, write=write, **how)
    return fallback.admits(charges, usages), [usage.used for usage in usages]


def rows(workspace):
    with scoped(workspace.pk):
        return Dial.objects.count()


@pytest.mark.parametrize(
    ("channel", "passing"),
    [(Channel.PHONE_CALL, 4), (Channel.SMS, 4), (Channel.WEB_CALL, 2), (Channel.CHAT, 2)],
)
@pytest.mark.parametrize("limited", [charge(limit=9), running(9), money(100_000, limit=0.9)])
def test_lets_half_of_each_limit_pass_and_a_quarter_on_the_web(workspace, limited, channel, passing):
    results = [admit(workspace, charge(LimitName.WORKSPACE, "", 1000), limited, channel=channel) for _ in range(6)]
    assert [passed for passed, _ in results] == [True] * passing + [False] * (6 - passing)
    assert rows(workspace) == passing


def test_counts_different_values_once(workspace):
    def place(country):
        return admit(workspace, charge(LimitName.COUNTRIES_PER_IP, limit=4, member=country))[0]

    assert [place(country) for country in ("FR", "DE", "FR", "ES")] == [True, True, True, False]


def test_counts_what_the_store_let_through_before(workspace):
    for _ in range(2):
        dial(workspace, charge(limit=4))
    assert admit(workspace, charge(limit=4)) == (False, [2])


def test_forgets_what_left_the_window_and_what_is_over(workspace):
    charges = (charge(limit=2), running(2), money(1_000_000, limit=2))
    dial(workspace, *charges, seconds_ago=601, ended_at=moment(), cost_micro=0)
    dial(workspace, running(2), seconds_ago=200, call_seconds=180)
    assert admit(workspace, *charges) == (True, [0, 0, 0])
    assert admit(workspace, *charges) == (False, [1, 1, 1_000_000])


def test_refuses_what_costs_more_than_its_share_by_itself(workspace):
    assert admit(workspace, money(600_000, limit=1)) == (False, [0])


def test_tells_when_there_is_room_again(workspace):
    dial(workspace, charge(limit=2), seconds_ago=100)
    (usage,) = fallback.admit(
        workspace.pk, [charge(limit=2)], now=moment(), channel=Channel.SMS, write=lambda: pytest.fail("let through")
    )
    assert 499_000 <= usage.wait_ms <= 500_000


def test_observes_and_guards_without_refusing(workspace):
    charges = (charge(limit=0, enforced=False), charge(LimitName.CALLER, limit=0, guards=True))
    assert admit(workspace, *charges) == (True, [0, 0])


def test_reserves_for_destinations_it_knows(workspace, in_workspace):
    KnownPrefix.objects.create(workspace=workspace, prefix="+4477001", first_at=moment() - timedelta(hours=25))
    new = (running(4), running(2, only_new=True))
    dial(workspace, *new, to_number="+447700290123")

    assert admit(workspace, *new, prefix="+4477002") == (False, [1, 1])
    assert admit(workspace, *new, prefix="+4477001") == (True, [1, 0])
    assert admit(workspace, *new, prefix="+4477003", is_known=True) == (False, [2, 0])


def test_keeps_workspaces_apart(workspace):
    dial(make_workspace(), charge(limit=2))
    assert admit(workspace, charge(limit=2)) == (True, [0])


def test_writes_nothing_when_it_takes_too_long(workspace, monkeypatch):
    monkeypatch.setattr(fallback, "PATIENCE_MS", 0)
    for _ in range(3):
        dial(workspace, charge())
    with pytest.raises(fallback.TooSlow):
        admit(workspace, charge(limit=100))
    assert rows(workspace) == 3


def test_takes_back_what_was_written_too_late(workspace, monkeypatch):
    def write_slowly():
        dial(workspace, charge(), counted_by_database=True)
        monkeypatch.setattr(fallback.time, "monotonic", lambda: float("inf"))

    with pytest.raises(fallback.TooSlow):
        admit(workspace, charge(), write=write_slowly)
    monkeypatch.undo()
    assert rows(workspace) == 0


def test_passes_on_that_the_database_is_away(workspace):
    def away(*_):
        raise OperationalError("the database is away")

    with connection.execute_wrapper(away), pytest.raises(OperationalError):
        admit(workspace, charge())


@pytest.mark.django_db(transaction=True)
def test_never_lets_one_too_many_pass_at_once(workspace):
    if connection.vendor == "sqlite":
        pytest.skip("SQLite's test database cannot be shared by threads")
    start = threading.Barrier(8)

    def attempt(_):
        start.wait()
        try:
            return admit(workspace, charge(limit=10))[0]
        except fallback.TooSlow:
            return False
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        passed = sum(pool.map(attempt, range(64)))

    assert 1 <= passed <= 5
    assert rows(workspace) == passed


@pytest.fixture
def come_back(settings):
    """Brings the store back, empty."""
    url = settings.REDIS_URL

    def answer():
        settings.REDIS_URL = os.environ["REDIS_URL"]
        store.connection.cache_clear()
        store.ask_again()

    yield answer
    if url != settings.REDIS_URL:
        store.connection().flushdb()


def test_counts_in_the_store_what_was_let_through_without_it(workspace, come_back):
    assert admit(workspace, charge(limit=4), money(100_000))[0]
    come_back()
    rebuild.rebuild(workspace.pk, now=moment())
    assert [usage.used for usage in store.look(workspace.pk, [charge(), money(0)])] == [1, 100_000]


def test_lets_nobody_through_whom_the_store_could_count(workspace, come_back):
    come_back()
    assert admit(workspace, charge())[0]  # it answers, and knows nothing yet
    rebuild.rebuild(workspace.pk, now=moment())
    with pytest.raises(fallback.StoreIsBack):
        admit(workspace, charge())
    assert rows(workspace) == 1
