"""What the pages count is what the raw rows say, for this workspace alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from accounts.scoping import scoped
from monitoring.dashboards import counts
from monitoring.dashboards.counts import Metric
from monitoring.dashboards.period import HOUR, Period, floor_hour
from monitoring.dashboards.pulse import pulse
from policies.models import RefusedWebhook
from tests import factories
from tests.monitoring.dashboards.rows import NOW, count, make_call, make_decision

pytestmark = pytest.mark.django_db
START, END = datetime(2026, 3, 4, 8, tzinfo=UTC), datetime(2026, 3, 4, 13, tzinfo=UTC)
SPAN = Period.between("2026-03-04T08:00", "2026-03-04T13:00", now=END, zone=UTC)


@pytest.fixture
def number(workspace):
    return factories.make_phone_number(workspace)


@pytest.fixture
def traffic(in_workspace, number):
    """Three calls and three blocked attempts inside the span; one of each just outside at both ends."""
    for at in (START, START + 2 * HOUR, END - timedelta(seconds=1)):
        make_call(at, duration_ms=60_000, cost_cents=Decimal("12.5"))
    for at in (START - timedelta(seconds=1), END):
        make_call(at)
    make_decision(number, "+5352345678", START)
    make_decision(number, "+442079460018", START)
    make_decision(number, "+442079460018", END - timedelta(seconds=1))
    make_decision(number, "+12125550123", START)
    for at in (START - timedelta(seconds=1), END):
        make_decision(number, "+442079460018", at)
    count(in_workspace.pk, END)


def test_hourly_counts_equal_the_raw_rows_of_the_span(traffic):
    seen = counts.hourly(start=START, end=END)

    assert list(seen.values[Metric.CALLS]) == [1, 0, 1, 0, 1]
    assert list(seen.values[Metric.MINUTES]) == [1, 0, 1, 0, 1]
    assert sum(seen.values[Metric.MONEY]) == pytest.approx(0.375)
    assert list(seen.values[Metric.BLOCKED]) == [2, 0, 0, 0, 1]
    assert {reason: list(hours) for reason, hours in seen.blocked.items()} == {
        "sanctioned_country": [1, 0, 0, 0, 0],
        "country_not_allowed": [1, 0, 0, 0, 1],
    }


def test_countries_are_counted_over_the_same_span(traffic):
    rows = {row.code: (row.blocked, row.calls) for row in counts.by_country(SPAN)}

    assert rows == {"CU": (1, 0), "GB": (2, 0), "US": (0, 3)}


def test_rows_of_another_workspace_never_appear(traffic):
    other = factories.make_workspace()

    with scoped(other.pk):
        seen = counts.hourly(start=START, end=END)
        countries = counts.by_country(SPAN)

    assert (sum(map(sum, seen.values.values())), seen.known_from, countries) == (0, None, [])


def test_the_first_known_hour_is_that_of_the_first_row(in_workspace):
    make_call(START + 3 * HOUR)
    count(in_workspace.pk, END)

    assert counts.hourly(start=START, end=END).known_from == 3


def test_nothing_is_behind_when_all_rows_are_counted(traffic, in_workspace):
    assert pulse(workspace_id=in_workspace.pk, now=END + timedelta(hours=1)).behind == timedelta(0)


@pytest.mark.parametrize("kind", ["call", "decision"])
def test_it_tells_how_long_the_oldest_uncounted_row_waits(traffic, in_workspace, number, kind):
    for minutes in (2, 1):
        at = END + timedelta(hours=1, minutes=-minutes)
        if kind == "call":
            make_call(at)
        else:
            make_decision(number, "+442079460018", at)

    assert pulse(workspace_id=in_workspace.pk, now=END + timedelta(hours=1)).behind == timedelta(minutes=2)


def test_a_workspace_that_was_never_counted_is_behind_from_its_first_row(in_workspace):
    make_call(NOW - timedelta(minutes=5))

    assert pulse(workspace_id=in_workspace.pk, now=NOW).behind == timedelta(minutes=5)


def test_refused_webhooks_of_one_day_are_added_up(in_workspace):
    for hours_ago, requests in ((0, 3), (23, 4), (25, 100)):
        hour = floor_hour(NOW) - timedelta(hours=hours_ago)
        RefusedWebhook.objects.create(hour=hour, problem="signature", requests=requests)
    with scoped(factories.make_workspace().pk):
        RefusedWebhook.objects.create(hour=floor_hour(NOW), problem="signature", requests=100)

    assert pulse(workspace_id=in_workspace.pk, now=NOW).refused_webhooks == 7
