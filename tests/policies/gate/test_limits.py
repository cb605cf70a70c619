"""Counters of the live store against what a count means: the same at every moment, and never one above a limit."""

import multiprocessing
import os
import random
import threading
import time
import uuid

import pytest

from policies.engine.limits import Charge, Limit, LimitName, Measure
from policies.engine.windows import Counters
from policies.gate import line, rebuild, store
from policies.gate.store import Outcome
from tests.factories import moment
from tests.policies.gate.charges import charge, running, spend

pytestmark = pytest.mark.django_db

SEQUENCES, STEPS = 30, 40
CALLERS = [f"192.0.2.{host}" for host in range(2)]


@pytest.fixture
def ready(workspace):
    rebuild.rebuild(workspace.pk, now=moment())
    return workspace


def random_charge(chance):
    """Short windows, so that much leaves them while a test lasts."""
    measure = chance.choice([Measure.ATTEMPTS, Measure.ATTEMPTS, Measure.DISTINCT, Measure.RUNNING, Measure.MONEY])
    sizes = {Measure.MONEY: [0.00005, 0.0001], Measure.ATTEMPTS: [0, 1, 2, 5, 1000, 1001, 3000]}
    amounts = {Measure.MONEY: [0, 7, 30, 60], Measure.ATTEMPTS: [0, 1, 1, 1, 2, 900, 1100]}
    return Charge(
        chance.choice([LimitName.IP, LimitName.SUBJECT]),
        measure,
        f"{measure} {chance.choice(CALLERS)}",
        Limit(
            chance.choice(sizes.get(measure, [0, 1, 2, 3])),
            0 if measure is Measure.RUNNING else chance.choice([0.03, 0.1]),
        ),
        amount=chance.choice(amounts.get(measure, [1, 1, 1, 0])),
        member=chance.choice("abcd"),
        only_new=chance.random() < 0.2,
        enforced=chance.random() < 0.8,
        guards=chance.random() < 0.1,
    )


def one_for_each_counter(charges):
    """What empties a counter that two limits share is another question."""
    places = {(one.name, one.key, one.limit): one for one in charges}
    places = {(one.name, one.key, one.measure, one.limit.window_seconds): one for one in places.values()}
    return list(places.values())


@pytest.mark.parametrize("seed", range(SEQUENCES))
def test_counts_as_the_windows_say(ready, seed):
    chance, model, running_ones = random.Random(seed), Counters(), {}
    every_charge = one_for_each_counter(random_charge(chance) for _ in range(8))
    for _ in range(STEPS):
        charges = tuple(chance.sample(every_charge, min(3, len(every_charge))))
        is_known, lease_ms, decision_id = chance.random() < 0.3, chance.choice([5, 50]), str(uuid.uuid4())

        spent = spend(
            ready, *charges, decision_id=decision_id, is_known=is_known, lease_seconds=lease_ms / 1000, record=False
        )

        passed, usages = model.spend(charges, spent.at_ms, is_known=is_known, lease=decision_id, lease_ms=lease_ms)
        assert (spent.outcome is Outcome.RECORDED, spent.usages) == (passed, usages), charges
        if passed:
            counted = [
                one
                for one, usage in zip(charges, usages, strict=True)
                if usage.counted and one.amount and (usage.has_room or one.enforced)
            ]
            running_ones[decision_id] = (counted, spent.at_ms)
        if running_ones and chance.random() < 0.3:
            over = chance.choice(sorted(running_ones))
            counted, at_ms = running_ones.pop(over)
            cost = chance.choice([None, 0, 13])
            store.give_back(ready.pk, over, cost_micro=cost)
            model.give_back(counted, at_ms, lease=over, cost_micro=cost)
        time.sleep(chance.choice([0, 0, 0.001, 0.01]))


# --- Floods -----------------------------------------------------------------------------------------

PROCESSES, THREADS = 8, 4
FLOOD = 50_000 if os.environ.get("NIGHTLY") else 2_500


def flood(workspace_id, attempts, charges_of):
    """`attempts` spends from 8 processes at once. Answers when each that passed was counted, in the store's time."""
    context = multiprocessing.get_context("fork")
    passed, start = context.Queue(), context.Barrier(PROCESSES * THREADS)
    share = attempts // (PROCESSES * THREADS) + 1

    def hammer(first, found):
        line.open_line()
        store.note_caught_up(workspace_id, line.turn())
        start.wait()
        for number in range(first, first + share):
            spent = store.spend(
                workspace_id,
                version=None,
                key=None,
                decision_id=f"{number}",
                decision=b"{}",
                answer=b"",
                charges=charges_of(number),
                lease_seconds=60,
            )
            if spent.outcome is Outcome.RECORDED:
                found.append(spent.at_ms)

    def process(place):
        found: list[int] = []
        threads = [
            threading.Thread(target=hammer, args=((place * THREADS + thread) * share, found))
            for thread in range(THREADS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        passed.put(found)

    children = [context.Process(target=process, args=(place,)) for place in range(PROCESSES)]
    for child in children:
        child.start()
    times = sorted(at for _ in children for at in passed.get(timeout=150))
    for child in children:
        child.join()
    return times


def most_in_a_window(times, window_ms):
    return max(sum(at - window_ms < other <= at for other in times) for at in times)


@pytest.mark.processes
@pytest.mark.parametrize(("limit", "window"), [(5, 60), (20, 0.25), (200, 0.5), (1000, 60)])
def test_lets_not_one_too_many_pass_in_any_window(ready, limit, window):
    times = flood(ready.pk, FLOOD, lambda number: [charge(limit=limit, window=window)])

    assert most_in_a_window(times, window * 1000) == limit
    assert len(store.undrained(ready.pk)) > 0
    assert store.connection().xlen(store._key(ready.pk, "decisions")) >= FLOOD


@pytest.mark.processes
@pytest.mark.parametrize("limited", [running(7), charge(LimitName.SPEND_WORKSPACE, "", 0.5, 60, amount=70_000)])
def test_lets_not_one_too_many_run_and_not_a_dollar_too_much_be_spent(ready, limited):
    assert len(flood(ready.pk, FLOOD // 4, lambda number: [charge(limit=10**6), limited])) == 7


@pytest.mark.processes
def test_stops_who_rotates_destinations_addresses_or_both(ready):
    """One address and many numbers; many addresses and one number; many of both within one range."""

    def one_address(number):
        return [
            charge(limit=60),
            charge(LimitName.DESTINATIONS_PER_IP, limit=10, member=f"+4477001{number:05}"),
            charge(LimitName.DESTINATION, f"+4477001{number:05}", 5),
            charge(LimitName.WORKSPACE, "", 15),
        ]

    def one_number(number):
        return [charge(key=f"ip {number}"), charge(LimitName.DESTINATION, "+447700190123", 4)]

    def one_range(number):
        return [
            charge(key=f"ip {number}"),
            charge(LimitName.DESTINATION, f"+44770019{number:05}", 5),
            charge(LimitName.DESTINATION_PREFIX, "+44770019", 6),
            charge(LimitName.WORKSPACE, "", 15),
        ]

    assert len(flood(ready.pk, FLOOD // 5, one_address)) == 10
    assert len(flood(ready.pk, FLOOD // 5, one_number)) == 4
    assert len(flood(ready.pk, FLOOD // 5, one_range)) == 5  # the workspace's 15 are reached


@pytest.mark.processes
def test_counts_an_ipv6_network_as_one_and_the_wider_one_around_it(ready):
    def in_one_64(number):
        return [charge(key="2001:db8:0:1::/64", limit=9), charge(LimitName.IP_56, "2001:db8::/56", 12)]

    def in_many_64s(number):
        return [charge(key=f"2001:db8:0:{number % 256:x}::/64", limit=9), charge(LimitName.IP_56, "2001:db8::/56", 12)]

    assert len(flood(ready.pk, FLOOD // 5, in_one_64)) == 9
    assert len(flood(ready.pk, FLOOD // 5, in_many_64s)) == 3


def test_lets_the_first_of_fifty_use_a_captcha(ready):
    start, first = threading.Barrier(50), []

    def show():
        start.wait()
        first.append(store.first_use_of_captcha(ready.pk, "the same token"))

    threads = [threading.Thread(target=show) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(first) == [False] * 49 + [True]


@pytest.mark.parametrize("limited", [charge(limit=1), charge(LimitName.WORKSPACE, "", 1001, amount=1001)])
def test_lets_nobody_pass_because_the_clock_stepped_back(ready, limited):
    """What was counted at 12:00:05 is there at 12:00:00 as well, and as long as by its own time."""
    assert spend(ready, limited).outcome is Outcome.RECORDED
    (counter,) = store.connection().keys("*:count:*")
    left_ms = store.connection().pttl(counter)
    if limited.limit.limit == 1:
        ((member, at),) = store.connection().zrange(counter, 0, -1, withscores=True)
        store.connection().zadd(counter, {member: at + 5000})
    else:
        at_us = int(store.connection().get(counter))
        store.connection().set(counter, at_us + 5_000_000, keepttl=True)

    refused = spend(ready, limited)

    assert refused.outcome is Outcome.LIMITED
    assert 600_000 < refused.usages[0].wait_ms <= 605_100
    assert left_ms > 605_000
