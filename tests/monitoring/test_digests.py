"""Digests: one for each period, with the figures of the rollups, on a page and in a mail that say the same."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from django.core import mail as outbox
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.models import Workspace
from accounts.roles import Role
from accounts.scoping import scoped, unscoped
from monitoring import digest_mail, digests
from monitoring.models import Digest, UsageBucket
from policies import lists, opens
from policies.models import PhoneNumber
from tests.factories import make_member, make_phone_number, make_workspace, moment
from tests.rest import client_of
from tests.signing_in import signed_in

pytestmark = pytest.mark.django_db

NEW_YORK = ZoneInfo("America/New_York")


def at(text, zone=UTC):
    return datetime.fromisoformat(text).replace(tzinfo=zone)


def founded_long_ago(**settings):
    workspace = make_workspace(**settings)
    Workspace.objects.filter(pk=workspace.pk).update(created_at=at("2020-01-01"))
    workspace.refresh_from_db()
    return workspace


def bucket(workspace, hour, calls, outcome="connected", reason="", country="GB", direction="outbound", **facts):
    with scoped(workspace.pk):
        UsageBucket.objects.create(
            hour=hour,
            direction=direction,
            channel="phone_call",
            country=country,
            outcome=outcome,
            reason=reason,
            calls=calls,
            **facts,
        )


def written():
    with unscoped(reason="a test looks at all"):
        return list(Digest.objects.order_by("pk"))


# --- When -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("period", "zone", "now", "start", "end"),
    [
        ("daily", UTC, "2026-11-19T07:00", "2026-11-18T00:00", "2026-11-19T00:00"),
        ("daily", UTC, "2026-11-19T06:59", "2026-11-17T00:00", "2026-11-18T00:00"),
        ("weekly", UTC, "2026-11-16T07:00", "2026-11-09T00:00", "2026-11-16T00:00"),
        ("weekly", UTC, "2026-11-16T06:59", "2026-11-02T00:00", "2026-11-09T00:00"),
        ("weekly", UTC, "2026-11-22T23:59", "2026-11-09T00:00", "2026-11-16T00:00"),
        # The clocks are put back on 1 November: that day has 25 hours.
        ("daily", NEW_YORK, "2026-11-02T07:00", "2026-11-01T00:00", "2026-11-02T00:00"),
    ],
)
def test_knows_which_period_is_due(period, zone, now, start, end):
    slot = digests.slot_of(period, zone, now=at(now, zone).astimezone(UTC))

    assert (slot.start, slot.end) == (at(start, zone), at(end, zone))


def test_a_day_has_as_many_hours_as_it_has(db):
    slot = digests.slot_of("daily", NEW_YORK, now=at("2026-11-02T07:00", NEW_YORK))

    assert (slot.end.astimezone(UTC) - slot.start.astimezone(UTC)) == timedelta(hours=25)


def test_writes_each_period_once_and_makes_up_for_the_newest_that_was_slept_through(db):
    workspace = founded_long_ago(digest_period="daily", time_zone="Europe/Berlin")
    berlin = ZoneInfo("Europe/Berlin")

    for now in ("2026-11-19T07:00", "2026-11-19T07:01", "2026-11-19T23:00", "2026-11-23T12:00"):
        digests.write_due(now=at(now, berlin))

    assert [row.start for row in written()] == [at("2026-11-18T00:00", berlin), at("2026-11-22T00:00", berlin)]
    assert {row.workspace_id for row in written()} == {workspace.pk}


def test_writes_none_where_none_is_wanted_or_nothing_can_have_happened(db):
    founded_long_ago(digest_period="never")
    make_workspace(digest_period="daily")  # founded today

    digests.write_due(now=moment())

    assert written() == []


# --- What -----------------------------------------------------------------------------------------


@pytest.fixture
def busy():
    """A workspace with two days of traffic, and what is open and waits."""
    workspace = founded_long_ago(digest_period="daily")
    day, before = at("2026-11-18T10:00"), at("2026-11-17T10:00")
    bucket(workspace, day, 30, seconds=3600, cost_cents=Decimal("1250"))
    bucket(workspace, before, 20, seconds=1800, cost_cents=Decimal("1000"))
    bucket(workspace, day, 8, "blocked", "country_not_allowed", "JM")
    bucket(workspace, day, 3, "blocked", "sanctioned_country", "CU")
    bucket(workspace, before, 4, "blocked", "country_not_allowed", "JM")
    bucket(workspace, at("2026-11-19T00:00"), 999)  # today
    bucket(workspace, at("2026-11-16T23:00"), 999)
    number = make_phone_number(workspace, inbound=["US"], outbound=["GB", "KE"])
    make_phone_number(workspace, "+14155550101", inbound=None, outbound=["GB"])
    with scoped(workspace.pk):
        PhoneNumber.objects.filter(pk=number.pk).update(flagged_since=day)
    now = at("2026-11-19T07:00")
    act = {"workspace_id": workspace.pk, "acting_user": None, "now": now}
    opens.open_temporarily(
        scope="country", value="NG", reason="A fair in Lagos", expires_at=now + timedelta(days=2), **act
    )
    lists.trust(scope="peer", value="+447400123456", reason="Our own", **act)
    return workspace


def test_tells_the_periods_figures_beside_those_of_the_one_before(busy):
    digests.write_due(now=at("2026-11-19T07:00"))

    [digest] = written()
    assert digest.content["figures"] == {
        "calls": {"now": 30.0, "before": 20.0},
        "blocked": {"now": 11.0, "before": 4.0},
        "minutes": {"now": 60.0, "before": 30.0},
        "usd": {"now": 12.5, "before": 10.0},
    }
    assert digest.content["reasons"][0] == {"key": "country_not_allowed", "now": 8, "before": 4}
    assert [row["key"] for row in digest.content["countries"]] == ["JM", "CU"]


def test_tells_what_is_open_and_unused_and_what_needs_somebody(busy):
    digests.write_due(now=at("2026-11-19T07:00"))

    content = written()[0].content
    opened = " ".join(line["text"] for line in content["open"])
    assert "Nigeria: open until 21 Nov 07:00" in opened
    assert "A fair in Lagos" in opened
    assert "may call Kenya, unused for 30 days" in opened
    assert "United Kingdom" not in opened
    assert "may be called from every country but the sanctioned seven" in opened
    review = {line["text"] for line in content["review"]}
    assert {"1 new number at UponAI to confirm", "1 trusted entry without an end"} <= review


def test_the_mail_and_the_page_say_the_same(busy):
    make_member(busy, email="owner@example.com")
    make_member(busy, Role.KYC_REVIEWER)
    digests.write_due(now=at("2026-11-19T07:00"))

    assert digest_mail.mail_due(now=at("2026-11-19T07:00")) == 1
    assert digest_mail.mail_due(now=at("2026-11-19T08:00")) == 0

    [sent], [digest] = outbox.outbox, written()
    page = signed_in(busy).get(reverse("admin:monitoring_digest_change", args=[digest.pk])).content.decode()
    [(html, _)] = sent.alternatives
    assert sent.to == ["owner@example.com"]
    assert "Wednesday, 18 November 2026: 30 calls, 11 blocked, $12.50 spent" in sent.subject
    for words in ("30 calls, 11 blocked, $12.50 spent", "Country not allowed", "Jamaica", "Kenya", "+175 %", "$10.00"):
        assert words in sent.body, words
        assert words in html, words
        assert words in page, words
    assert (
        signed_in(make_workspace()).get(reverse("admin:monitoring_digest_change", args=[digest.pk])).status_code == 404
    )


def test_costs_the_same_whatever_the_traffic(busy):
    def queries(day):
        with CaptureQueriesContext(connection) as captured:
            digests.write_for(busy, now=at(f"2026-11-{day}T07:00"))
        return len(captured)

    few = queries(19)
    for hour in range(20):
        bucket(busy, at(f"2026-11-19T{hour:02}:00"), 50, country="FR", reason="held", outcome="blocked")

    assert queries(20) == few <= 30


def test_digests_by_rest(busy):
    digests.write_due(now=at("2026-11-19T07:00"))

    [shown] = client_of(busy, "digests:read").get("/api/v1/digests/").json()["results"]

    assert (shown["period"], shown["start"]) == ("daily", "2026-11-18T00:00:00Z")
    assert shown["content"]["figures"]["calls"] == {"now": 30.0, "before": 20.0}


def test_a_quiet_period_is_told_as_well(db):
    workspace = founded_long_ago(digest_period="weekly")
    digests.write_due(now=at("2026-11-19T07:00"))

    page = signed_in(workspace).get(reverse("admin:monitoring_digest_changelist")).content.decode()

    assert "No calls, and none blocked; nothing waits for anybody." in page
    assert "on Mondays at seven" in page
