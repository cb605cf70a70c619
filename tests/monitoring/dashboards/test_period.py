"""The span of a page and its steps, in the workspace's time zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from monitoring.dashboards.period import HOUR, MINUTE, BadPeriod, Period, floor_hour, midnight
from tests.monitoring.dashboards.rows import NOW

NEW_YORK, BERLIN, KOLKATA = ZoneInfo("America/New_York"), ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Kolkata")


def test_it_shows_the_last_24_hours_with_the_running_one():
    period = Period.of("24h", now=NOW, zone=NEW_YORK)

    assert (period.start, period.end) == (
        datetime(2026, 3, 3, 13, tzinfo=UTC),
        datetime(2026, 3, 4, 13, tzinfo=UTC),
    )
    assert len(period.bars) == len(period.lines) == 24


@pytest.mark.parametrize("asked", [None, "", "1y", "24H"])
def test_it_shows_24_hours_when_asked_for_nothing_it_knows(asked):
    assert Period.of(asked, now=NOW, zone=NEW_YORK).key == "24h"


@pytest.mark.parametrize(("key", "days", "bars"), [("7d", 7, 4 * 6 + 2), ("30d", 30, 30)])
def test_longer_periods_begin_at_local_midnight_and_end_with_the_running_hour(key, days, bars):
    period = Period.of(key, now=NOW, zone=NEW_YORK)

    local = period.start.astimezone(NEW_YORK)
    assert (local.hour, local.date()) == (0, (NOW - timedelta(days=days - 1)).astimezone(NEW_YORK).date())
    assert period.end == datetime(2026, 3, 4, 13, tzinfo=UTC)
    assert len(period.bars) == bars


@pytest.mark.parametrize("key", ["1h", "24h", "7d", "30d"])
@pytest.mark.parametrize("zone", [UTC, NEW_YORK, KOLKATA], ids=str)
@pytest.mark.parametrize("kind", ["bars", "lines"])
def test_steps_cover_the_period_without_gap_or_overlap(key, zone, kind):
    period = Period.of(key, now=NOW, zone=zone)
    steps = getattr(period, kind)

    assert steps[0].start == period.start
    assert steps[-1].end == period.end
    assert all(before.end == after.start for before, after in pairwise(steps))


@pytest.mark.parametrize(
    ("key", "labels"),
    [
        ("24h", ["", "09:00", "12:00", "15:00", "18:00", "21:00", "00:00", "03:00", "06:00"]),
        ("7d", ["Thu 26", "Fri 27", "Sat 28", "Sun 1", "Mon 2", "Tue 3", "Wed 4"]),
        ("30d", ["", "9 Feb", "16 Feb", "23 Feb", "2 Mar"]),
    ],
)
def test_labels_are_of_round_hours_days_and_mondays(key, labels):
    steps = Period.of(key, now=NOW, zone=NEW_YORK).bars

    assert list(dict.fromkeys(step.short for step in steps)) == labels


def test_a_day_of_25_hours_is_one_step():
    after_the_change = datetime(2026, 10, 26, 12, tzinfo=UTC)

    days = Period.of("30d", now=after_the_change, zone=BERLIN).bars

    assert days[-2].end - days[-2].start == 25 * HOUR
    assert days[-2].long == "Sun 25 Oct"


def test_local_midnight_in_a_half_hour_zone_is_its_first_whole_hour():
    start = midnight(NOW, KOLKATA)

    assert start == floor_hour(start)
    assert (start.astimezone(KOLKATA).hour, start.astimezone(KOLKATA).minute) == (0, 30)


def test_the_last_hour_ends_with_the_running_minute_and_is_cut_by_minutes():
    period = Period.of("1h", now=NOW + timedelta(seconds=20), zone=NEW_YORK)

    assert (period.start, period.end) == (
        datetime(2026, 3, 4, 11, 31, tzinfo=UTC),
        datetime(2026, 3, 4, 12, 31, tzinfo=UTC),
    )
    assert [len(period.bars), len(period.lines)] == [13, 60]
    assert period.whole_hours == (datetime(2026, 3, 4, 11, tzinfo=UTC), datetime(2026, 3, 4, 13, tzinfo=UTC))


@pytest.mark.parametrize(
    ("first", "last", "step", "bars"),
    [
        ("2026-03-04T05:10", "2026-03-04T06:10", MINUTE, 12),
        ("2026-03-04T00:10", "2026-03-04T05:30", HOUR, 6),
        ("2026-02-01T00:10", "2026-02-01T02:00", HOUR, 2),
        ("2026-02-20T00:00", "2026-03-01T00:00", HOUR, 36),
        ("2026-01-01T00:00", "2026-03-01T00:00", 6 * HOUR, 59),
    ],
)
def test_a_span_of_ones_own_is_cut_by_its_length_and_age(first, last, step, bars):
    period = Period.between(first, last, now=NOW, zone=NEW_YORK)

    assert (period.shape.line, len(period.bars)) == (step, bars)
    assert period.parameters == {"period": "custom", "from": first, "to": last}
    assert all(before.end == after.start for before, after in pairwise(period.lines))


def test_a_span_that_reaches_into_the_future_ends_with_the_running_hour():
    period = Period.between("2026-03-03T00:00", "2026-04-01T00:00", now=NOW, zone=NEW_YORK)

    assert period.end == datetime(2026, 3, 4, 13, tzinfo=UTC)
    assert period.words == "from 3 Mar 00:00 to 4 Mar 08:00"


@pytest.mark.parametrize(
    ("first", "last", "field", "said"),
    [
        ("", "2026-03-04T06:00", "from", "The start is not a date and time"),
        ("2026-03-04T06:00", "yesterday", "to", "The end is not a date and time"),
        ("2026-03-04T06:00", "2026-03-04T06:00", "to", "after the start"),
        ("2026-03-05T06:00", "2026-03-06T06:00", "from", "in the future"),
        ("2025-01-01T00:00", "2026-03-04T06:00", "from", "at most 92 days"),
        ("0001-01-01T00:00", "9999-12-31T23:59", "from", "too far back: nothing is known of before 2000"),
        ("2026-03-04T06:00", "9999-12-31T23:59", "to", "too far ahead"),
        ("2026-03-04T06:00+05:00", "2026-03-04T07:00", "from", "is not a date"),
        ("2026-03-04T06:00é", "2026-03-04T07:00", "from", "is not a date"),
    ],
)
def test_a_span_that_cannot_be_shown_is_refused_in_words(first, last, field, said):
    with pytest.raises(BadPeriod, match=said) as refused:
        Period.between(first, last, now=NOW, zone=NEW_YORK)

    assert refused.value.field == field


def test_an_hour_that_the_clocks_repeat_is_shown_twice():
    now = datetime(2026, 10, 25, 12, tzinfo=UTC)

    period = Period.between("2026-10-25T02:00", "2026-10-25T03:00", now=now, zone=BERLIN)

    assert period.end - period.start == 2 * HOUR


def test_an_hour_that_the_clocks_leave_out_is_no_error():
    now = datetime(2026, 3, 29, 12, tzinfo=UTC)

    period = Period.between("2026-03-29T02:15", "2026-03-29T04:00", now=now, zone=BERLIN)

    assert period.start < period.end
