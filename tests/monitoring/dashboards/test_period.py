"""The span of a page and its steps, in the workspace's time zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from monitoring.dashboards.period import HOUR, Period, floor_hour, midnight
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


@pytest.mark.parametrize("key", ["24h", "7d", "30d"])
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
