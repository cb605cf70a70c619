"""The expected band: silent at first, causal, seasonal, and not taught by what it should report."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.detection.series import SILENT_HOURS, Point, Usual, band

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
DAY, WEEK = 24, 24 * 7
OFFICE = (0, 0, 0, 0, 0, 0, 1, 4, 30, 45, 50, 48, 25, 36, 40, 44, 40, 20, 6, 2, 1, 0, 0, 0)


def series(values: list[float], start: datetime = MONDAY) -> list[Point]:
    moments = [start + timedelta(hours=number) for number in range(len(values))]
    return [Point(t, v, t.hour, t.weekday() >= 5) for t, v in zip(moments, values, strict=True)]


def poisson(mean: float, source: random.Random) -> int:
    return sum(1 for _ in range(int(mean * 20)) if source.random() < 1 / 20)


def office(weeks: int, source: random.Random, growth: float = 1.0) -> list[float]:
    values: list[float] = []
    for day in range(weeks * 7):
        share = 0.1 if day % 7 >= 5 else 1.0
        level = share * growth**day * source.gauss(1.0, 0.12)
        values += [poisson(max(0.0, mean * level), source) for mean in OFFICE]
    return values


def spikes(values: list[float], start: datetime = MONDAY) -> list[int]:
    return [number for number, point in enumerate(band(series(values, start))) if point.is_spike]


def test_it_is_silent_for_the_first_day_and_speaks_afterwards():
    values = [5.0] * (2 * DAY)
    values[10] = values[30] = 500.0

    judged = band(series(values))

    assert all(point.high is None and not point.is_spike for point in judged[:SILENT_HOURS])
    assert all(point.high is not None for point in judged[SILENT_HOURS:])
    assert [number for number, point in enumerate(judged) if point.is_spike] == [30]


@pytest.mark.parametrize("mean", [0, 1, 8, 60, 400])
def test_it_finds_no_spike_in_flat_traffic(mean):
    source = random.Random(mean)
    values = [float(poisson(mean, source)) for _ in range(3 * WEEK)]
    assert spikes(values) == []


def test_it_finds_a_burst_in_a_quiet_hour_and_only_that():
    values = office(4, random.Random(1))
    at = 3 * WEEK + 2 * DAY + 20
    values[at] += 90

    assert spikes(values) == [at]


def test_the_same_count_is_a_spike_at_night_and_none_at_noon():
    values = office(3, random.Random(2))
    at_night, at_ten = [*values, *[0.0] * 3, 50.0], [*values, *values[:10], 50.0]

    assert spikes(at_night)[-1:] == [len(at_night) - 1]
    assert len(at_ten) - 1 not in spikes(at_ten)


def test_a_monday_morning_after_a_quiet_weekend_is_no_spike():
    values = office(4, random.Random(3))
    mondays = {week * WEEK + hour for week in range(1, 4) for hour in range(DAY)}
    assert not mondays & set(spikes(values))


def test_steady_growth_is_followed():
    values = office(6, random.Random(4), growth=1.03)

    judged = band(series(values))

    assert not any(point.is_spike for point in judged)
    first_ten, last_ten = judged[2 * DAY + 10], judged[39 * DAY + 10]
    assert last_ten.usual > 2 * first_ten.usual


def test_an_attack_does_not_become_the_usual():
    values = office(4, random.Random(5))
    calm = band(series(values))[-1]
    for day in range(20, 24):
        values[day * DAY + 22] = 600.0

    found = spikes(values)

    assert found == [day * DAY + 22 for day in range(20, 24)]
    assert band(series(values))[-1].high < calm.high + 40


def test_money_has_a_wider_band_when_calls_are_dearer():
    cents = [0.0, 40.0, 0.0, 0.0] * WEEK
    cheap, dear = band(series(cents), unit=1.0), band(series(cents), unit=40.0)
    assert cheap[-1].high < dear[-1].high


def test_the_score_says_how_far_outside_an_hour_lies():
    usual = [20.0] * (2 * WEEK)
    scores = [band(series([*usual, last]))[-1] for last in (0.0, 20.0, 60.0, 200.0, 5000.0)]
    assert [point.score for point in scores] == sorted(point.score for point in scores)
    assert scores[1].score < 0.1
    assert [point.score > 0.5 for point in scores] == [point.is_spike for point in scores]
    assert scores[-1].score > 0.95


@given(
    past=st.lists(st.floats(0, 1e6), min_size=30, max_size=80),
    one_future=st.lists(st.floats(0, 1e6), max_size=30),
    another_future=st.lists(st.floats(0, 1e6), max_size=30),
)
def test_the_future_changes_nothing_about_the_past(past, one_future, another_future):
    one, another = band(series([*past, *one_future])), band(series([*past, *another_future]))
    assert one[: len(past)] == another[: len(past)]


@given(
    values=st.lists(st.floats(0, allow_nan=False, allow_infinity=True), max_size=120),
    unit=st.floats(0, allow_nan=False, allow_infinity=True),
)
def test_any_series_of_numbers_gets_a_band_around_the_usual(values, unit):
    for point in band(series(values), unit=unit):
        assert 0.0 <= point.score <= 1.0
        if point.high is not None:
            assert 0.0 <= point.low <= point.usual <= point.high < float("inf")


def test_weekend_and_weekday_hours_are_learned_apart():
    usual = Usual()
    for number, value in enumerate(office(4, random.Random(6))):
        t = MONDAY + timedelta(hours=number)
        usual.learn(value, t.hour, t.weekday() >= 5)

    assert usual.expected(10, False).usual > 5 * usual.expected(10, True).usual
