from datetime import UTC, datetime, timedelta

import pytest

from accounts.scoping import scoped
from monitoring.api import usage_points
from monitoring.models import ConcurrencySample, MinuteBucket, PartyBucket, UsageBucket
from tests.factories import make_workspace
from tests.rest import assert_problem, client_of

pytestmark = pytest.mark.django_db

USAGE = "/api/v1/usage/"
HOUR = datetime(2026, 11, 2, 23, tzinfo=UTC)
SPAN = "from=2026-11-01&to=2026-11-05"


def make_bucket(workspace, **facts):
    values = {
        "hour": HOUR,
        "direction": "outbound",
        "channel": "phone_call",
        "country": "GB",
        "outcome": "connected",
        "calls": 2,
        "seconds": 90,
        "cost_cents": 150,
    }
    with scoped(workspace.pk):
        return UsageBucket.objects.create(**values | facts)


@pytest.fixture
def busy(workspace):
    """Two connected and one not connected call to Britain, three an hour later in America, and five blocked."""
    make_bucket(workspace)
    make_bucket(workspace, outcome="not_connected", calls=1, seconds=0, cost_cents=0)
    later = {"hour": HOUR + timedelta(hours=1), "country": "US", "direction": "inbound"}
    make_bucket(workspace, calls=3, seconds=30, cost_cents=50, **later)
    blocked = {"outcome": "blocked", "seconds": 0, "cost_cents": 0}
    make_bucket(workspace, reason="sanctioned_country", country="CU", calls=4, **blocked)
    make_bucket(workspace, reason="country_not_allowed", calls=1, **blocked)
    make_bucket(make_workspace(), calls=1000)
    return workspace


@pytest.mark.parametrize(
    ("metric", "by", "unit", "total", "series"),
    [
        (
            "calls",
            "hour",
            "calls",
            6,
            [
                {"key": "2026-11-02T23:00:00Z", "value": 3, "blocked": 5},
                {"key": "2026-11-03T00:00:00Z", "value": 3, "blocked": 0},
            ],
        ),
        (
            "calls",
            "country",
            "calls",
            6,
            [
                {"key": "CU", "value": 0, "blocked": 4},
                {"key": "GB", "value": 3, "blocked": 1},
                {"key": "US", "value": 3, "blocked": 0},
            ],
        ),
        (
            "calls",
            "reason",
            "calls",
            5,
            [{"key": "country_not_allowed", "value": 1}, {"key": "sanctioned_country", "value": 4}],
        ),
        (
            "minutes",
            "direction",
            "minutes",
            2,
            [{"key": "inbound", "value": 0.5}, {"key": "outbound", "value": 1.5}],
        ),
        ("cost", "channel", "usd", 2, [{"key": "phone_call", "value": 2}]),
        ("cost", "day", "usd", 2, [{"key": "2026-11-02", "value": 1.5}, {"key": "2026-11-03", "value": 0.5}]),
    ],
)
def test_sums_by_one_thing(busy, metric, by, unit, total, series):
    usage = client_of(busy).get(f"{USAGE}?metric={metric}&by={by}&{SPAN}").json()

    assert usage == {
        "metric": metric,
        "by": by,
        "unit": unit,
        "from": "2026-11-01T00:00:00Z",
        "to": "2026-11-05T00:00:00Z",
        "total": total,
        "series": series,
    }


def test_cuts_days_in_the_workspace_s_time_zone():
    workspace = make_workspace(time_zone="Europe/Berlin")
    make_bucket(workspace)

    series = client_of(workspace).get(f"{USAGE}?metric=calls&by=day&{SPAN}").json()["series"]

    assert [point["key"] for point in series] == ["2026-11-03"]


def test_answers_the_last_30_days_by_day_when_nothing_is_said(workspace):
    now = datetime.now(UTC)
    make_bucket(workspace, hour=now - timedelta(days=29))
    make_bucket(workspace, hour=now - timedelta(days=31))

    usage = client_of(workspace).get(f"{USAGE}?metric=calls").json()

    assert (usage["by"], usage["total"]) == ("day", 2)


@pytest.mark.parametrize(
    ("query", "field", "code"),
    [
        ("", "metric", "required"),
        ("metric=steps", "metric", "invalid_choice"),
        ("metric=concurrency&by=country", "by", "conflict"),
        ("metric=calls&by=mood", "by", "invalid_choice"),
        ("metric=cost&by=reason", "by", "conflict"),
        ("metric=calls&from=soon", "from", "invalid"),
        ("metric=calls&from=2026-11-02&to=2026-11-02", "from", "invalid"),
        ("metric=calls&from=2026-11-03&to=2026-11-02", "from", "invalid"),
        ("metric=calls&by=hour&from=2020-01-01&to=2026-11-02", "from", "too_long"),
        ("metric=calls&by=day&from=2000-01-01&to=2026-11-02", "from", "too_long"),
        ("metric=calls&to=0001-01-01", "from", "invalid"),
        ("metric=calls&country=CU", "country", "unknown_parameter"),
    ],
)
def test_refuses_what_it_cannot_answer(workspace, query, field, code):
    problem = assert_problem(client_of(workspace).get(f"{USAGE}?{query}"), 422, field)

    assert problem["errors"][0]["code"] == code


def test_shows_the_most_that_ran_at_once(workspace):
    samples = [(0, 3, 1), (20, 7, 2), (40, None, 5), (70, None, 4), (24 * 60, 2, 2)]
    with scoped(workspace.pk):
        for minutes, running, ours in samples:
            at = datetime(2026, 11, 2, 12, tzinfo=UTC) + timedelta(minutes=minutes)
            ConcurrencySample.objects.create(workspace=workspace, at=at, running=running, ours=ours, limit=20)
    client, period = client_of(workspace), "from=2026-11-01&to=2026-11-04"

    by_hour = client.get(f"{USAGE}?metric=concurrency&by=hour&{period}").json()
    by_day = client.get(f"{USAGE}?metric=concurrency&{period}").json()

    assert [(point["key"], point["value"]) for point in by_hour["series"]] == [
        ("2026-11-02T12:00:00Z", 7.0),
        ("2026-11-02T13:00:00Z", 4.0),
        ("2026-11-03T12:00:00Z", 2.0),
    ]
    assert [(point["key"], point["value"]) for point in by_day["series"]] == [("2026-11-02", 7.0), ("2026-11-03", 2.0)]
    assert (by_day["total"], by_day["unit"]) == (7.0, "calls at once")


def test_reaches_back_to_the_beginning_of_time(workspace):
    make_bucket(workspace)

    usage = client_of(workspace).get(f"{USAGE}?metric=calls&by=country&from=0001-01-01&to=9999-12-31").json()

    assert usage["total"] == 2


def test_groups_by_what_calls_have_and_cuts_into_steps(busy):
    client = client_of(busy)

    def series(query):
        return client.get(f"{USAGE}?metric=calls&{SPAN}&{query}").json()["series"]

    assert series("by=outcome") == [
        {"key": "blocked", "value": 5},
        {"key": "connected", "value": 5},
        {"key": "not_connected", "value": 1},
    ]
    assert series("by=number_class") == [{"key": "", "value": 6, "blocked": 5}]
    assert series("by=country&step=hour")[0] == {"key": "CU", "at": "2026-11-02T23:00:00Z", "value": 0, "blocked": 4}
    assert [(row["at"], row["key"]) for row in series("by=direction&step=day")] == [
        ("2026-11-02", "outbound"),
        ("2026-11-03", "inbound"),
    ]
    assert series("step=hour") == series("by=hour")
    assert client.get(f"{USAGE}?metric=calls&{SPAN}&by=country&step=day").json()["step"] == "day"


def test_groups_by_numbers_and_keys(workspace):
    with scoped(workspace.pk):
        for step, began in (("hour", HOUR), ("day", HOUR.replace(hour=0))):
            for outcome, calls in (("connected", 3), ("blocked", 2)):
                facts = {"kind": "phone_number", "value": "+14155550100", "outcome": outcome, "calls": calls}
                PartyBucket.objects.create(step=step, hour=began, seconds=60, **facts)
        PartyBucket.objects.create(hour=HOUR, kind="public_key", value="pk_site", outcome="connected", calls=9)
    client = client_of(workspace)

    numbers = client.get(f"{USAGE}?metric=calls&by=phone_number&{SPAN}").json()["series"]
    keys = client.get(f"{USAGE}?metric=calls&by=public_key&step=hour&{SPAN}").json()["series"]

    assert numbers == [{"key": "+14155550100", "value": 3, "blocked": 2}]
    assert keys == [{"key": "pk_site", "at": "2026-11-02T23:00:00Z", "value": 9, "blocked": 0}]


def test_cuts_the_last_day_into_minutes(workspace):
    minute = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=5)
    with scoped(workspace.pk):
        facts = {"minute": minute, "direction": "inbound", "channel": "chat"}
        MinuteBucket.objects.create(**facts, outcome="connected", calls=2)
        MinuteBucket.objects.create(**facts, outcome="blocked", reason="held", calls=1)
    client = client_of(workspace)

    (point,) = client.get(f"{USAGE}?metric=calls&by=minute").json()["series"]
    (held,) = client.get(f"{USAGE}?metric=calls&by=reason&step=minute").json()["series"]

    assert (point["value"], point["blocked"]) == (2, 1)
    assert held == {"key": "held", "at": point["key"], "value": 1}


@pytest.mark.parametrize(
    ("query", "field", "code"),
    [
        ("by=country&step=minute", "step", "conflict"),
        ("by=hour&step=day", "step", "conflict"),
        ("by=country&step=week", "step", "invalid_choice"),
        ("by=country&step=hour&from=2020-01-01&to=2026-11-02", "from", "too_long"),
        ("by=minute&from=2026-11-01T00:00:00Z&to=2026-11-01T01:00:00Z", "from", "too_long"),
    ],
)
def test_refuses_steps_that_it_cannot_cut(workspace, query, field, code):
    problem = assert_problem(client_of(workspace).get(f"{USAGE}?metric=calls&{query}"), 422, field)

    assert problem["errors"][0]["code"] == code


def test_refuses_more_points_than_anybody_reads(busy, monkeypatch):
    monkeypatch.setattr(usage_points, "MOST_POINTS", 2)

    assert_problem(client_of(busy).get(f"{USAGE}?metric=calls&by=country&{SPAN}"), 422, "from")
