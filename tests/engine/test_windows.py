"""What "n per window" means: never one too many, and room again when it is said."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.engine.limits import LARGEST_LOGGED, MICRO, Charge, Limit, LimitName, Measure
from policies.engine.windows import Counters, Distinct, Gcra, Money, Running, SlidingLog, counter_of

START = 1_780_000_000_000
GAPS = st.lists(st.integers(0, 700), max_size=60)


def _moments(gaps: list[int]) -> list[int]:
    now, moments = START, []
    for gap in gaps:
        now += gap
        moments.append(now)
    return moments


def _most_in_any_window(moments: list[int], window_ms: int) -> int:
    return max((sum(0 <= at - first < window_ms for at in moments) for first in moments), default=0)


@settings(max_examples=300, deadline=None)
@given(GAPS, st.integers(0, 6), st.integers(1, 2000))
def test_lets_through_exactly_the_limit_in_any_sliding_window(gaps: list[int], limit: int, window: int) -> None:
    log, admitted = SlidingLog(limit, window), []
    for now in _moments(gaps):
        used, wait = log.used(now), log.wait_ms(now)
        assert used == sum(now - window < at <= now for at in admitted)
        assert (wait == 0) == (used < limit)
        if wait == 0:
            log.spend(now)
            admitted.append(now)
        elif limit:
            assert log.wait_ms(now + wait) == 0
            assert log.wait_ms(now + wait - 1) > 0

    assert _most_in_any_window(admitted, window) <= limit


@settings(max_examples=300, deadline=None)
@given(GAPS, st.integers(1, 9), st.integers(1, 2000))
def test_lets_through_at_most_twice_the_limit_above_a_thousand(gaps: list[int], limit: int, window: int) -> None:
    bucket, admitted = Gcra(limit, window), []
    for now in _moments(gaps):
        wait = bucket.wait_ms(now)
        assert (wait == 0) == (bucket.used(now) < limit)
        if wait == 0:
            bucket.spend(now)
            admitted.append(now)
        else:
            assert bucket.wait_ms(now + wait) == 0
            assert bucket.wait_ms(now + wait - 1) > 0

    assert _most_in_any_window(admitted, window) <= 2 * limit


def test_lets_a_whole_limit_through_at_once_and_then_evenly() -> None:
    bucket = Gcra(3000, 600_000)
    for _ in range(3000):
        assert bucket.wait_ms(START) == 0
        bucket.spend(START)

    assert (bucket.used(START), bucket.wait_ms(START)) == (3000, 200)
    assert bucket.wait_ms(START + 200) == 0
    bucket.spend(START, 50)
    assert bucket.used(START) == 3000


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 700), st.sampled_from("abcdef")), max_size=60), st.integers(0, 4))
def test_counts_different_members_in_any_window(steps: list[tuple[int, str]], limit: int) -> None:
    window, counter, now = 1000, Distinct(limit, 1000), START
    admitted: list[tuple[int, str]] = []
    for gap, member in steps:
        now += gap
        present = {name for at, name in admitted if now - window < at <= now}
        wait = counter.wait_ms(now, member)
        assert counter.used(now) == len(present)
        assert (wait == 0) == (member in present or len(present) < limit)
        if wait == 0:
            counter.spend(now, member)
            admitted.append((now, member))
        elif limit:
            assert counter.wait_ms(now + wait, member) == 0
            assert counter.wait_ms(now + wait - 1, member) > 0

    for at, _member in admitted:
        assert len({name for other, name in admitted if 0 <= other - at < window}) <= limit


def test_counts_what_runs_until_it_is_given_back_or_its_lease_ends() -> None:
    running = Running(2)
    running.spend(START, "first", 60_000)
    running.spend(START + 10, "second", 180_000)

    assert (running.used(START + 20), running.wait_ms(START + 20)) == (2, 59_980)
    assert running.wait_ms(START + 60_000) == 0
    running.give_back("second")
    running.give_back("second")
    assert (running.used(START + 20), running.wait_ms(START + 20)) == (1, 0)
    assert Running(0).wait_ms(START) > 0


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30_000), st.integers(0, 50)), max_size=60), st.integers(0, 120))
def test_never_lets_more_money_through_than_the_limit_in_any_window(steps: list[tuple[int, int]], limit: int) -> None:
    window, money, now = 86_400, Money(limit, 86_400), START
    admitted: list[tuple[int, int]] = []
    for gap, amount in steps:
        now += gap
        wait = money.wait_ms(now, amount)
        truly = sum(spent for at, spent in admitted if now - window < at <= now)
        assert money.used(now) >= truly
        if wait == 0:
            money.spend(now, amount)
            admitted.append((now, amount))
        elif amount <= limit:
            assert money.wait_ms(now + wait, amount) == 0
            assert money.wait_ms(now + wait - 1, amount) > 0
            assert money.wait_ms(now + window + money.part_ms, amount) == 0

    for at, _spent in admitted:
        assert sum(spent for other, spent in admitted if 0 <= other - at < window) <= limit


def test_corrects_money_where_it_was_spent_and_never_below_zero() -> None:
    money = Money(10, 86_400_000)
    money.spend(START, 8)
    money.correct(START, -5)

    assert (money.used(START), money.wait_ms(START, 7), money.wait_ms(START, 8) > 0) == (3, 0, True)
    money.correct(START, -50)
    assert money.used(START) == 0


@pytest.mark.parametrize(
    ("measure", "limit", "kind"),
    [
        (Measure.ATTEMPTS, Limit(LARGEST_LOGGED, 60), SlidingLog),
        (Measure.ATTEMPTS, Limit(LARGEST_LOGGED + 1, 60), Gcra),
        (Measure.DISTINCT, Limit(3, 60), Distinct),
        (Measure.RUNNING, Limit(3), Running),
        (Measure.MONEY, Limit(2.5, 86_400), Money),
    ],
)
def test_counts_each_measure_its_own_way(measure: Measure, limit: Limit, kind: Callable[..., object]) -> None:
    counter = counter_of(Charge(LimitName.IP, measure, "x", limit))

    assert type(counter) is kind
    assert counter.limit == (2_500_000 if measure == Measure.MONEY else limit.limit)


def _charge(name: LimitName, limit: float, **values: object) -> Charge:
    measure = values.pop("measure", Measure.ATTEMPTS)
    return Charge(name, measure, str(values.pop("key", "x")), Limit(limit, 600), **values)  # type: ignore[arg-type]


def test_spends_all_or_nothing() -> None:
    counters = Counters()
    wide, narrow = _charge(LimitName.IP, 5), _charge(LimitName.DESTINATION, 1)

    assert counters.spend([wide, narrow], START)[0]
    spent, usages = counters.spend([wide, narrow], START + 1)

    assert not spent
    assert [(usage.used, usage.has_room) for usage in usages] == [(1, True), (1, False)]
    assert counters.look([wide], START + 1)[0].used == 1


def test_spends_what_only_guards_and_not_what_would_have_stopped_it() -> None:
    counters = Counters()
    guarding = _charge(LimitName.CALLER, 1, guards=True)
    observed = _charge(LimitName.DESTINATION, 1, enforced=False)
    for step in range(3):
        assert counters.spend([guarding, observed], START + step)[0]

    assert [usage.used for usage in counters.look([guarding, observed], START + 3)] == [3, 1]


def test_counts_only_for_what_is_not_known_where_it_says_so() -> None:
    counters = Counters()
    charge = _charge(LimitName.RUNNING_KEY, 1, measure=Measure.RUNNING, only_new=True)
    counters.spend([charge], START, lease="a", lease_ms=1000)

    assert not counters.look([charge], START)[0].has_room
    assert counters.look([charge], START, is_known=True)[0].has_room
    assert counters.spend([charge], START, is_known=True, lease="b", lease_ms=5000)[0]
    assert counters.look([charge], START)[0].used == 1


def test_gives_back_leases_and_money() -> None:
    counters = Counters()
    money = Charge(LimitName.SPEND_KEY, Measure.MONEY, "k", Limit(1, 86_400), amount=MICRO)
    lease = _charge(LimitName.RUNNING_KEY, 1, measure=Measure.RUNNING)
    counters.spend([money, lease], START, lease="a", lease_ms=180_000)
    assert not counters.spend([money, lease], START + 1, lease="b", lease_ms=1)[0]

    counters.give_back([money, lease], START, lease="a", cost_micro=MICRO // 4)

    assert [usage.used for usage in counters.look([money, lease], START + 1)] == [MICRO // 4, 0]
    counters.give_back([money, lease], START, lease="a", cost_micro=None)
    assert counters.look([money], START + 1)[0].used == MICRO // 4


def test_notes_what_a_charge_only_looks_at() -> None:
    counters, charge = Counters(), _charge(LimitName.SHORT_CALLS, 2, amount=0, guards=True)
    assert counters.spend([charge], START)[1][0].used == 0

    counters.note(charge, START)
    assert counters.look([charge], START)[0].has_room
    counters.note(charge, START)

    assert not counters.look([charge], START)[0].has_room
