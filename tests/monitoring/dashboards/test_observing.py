"""The daily "would have blocked" of a number, a key and a policy; home does not count it as blocked."""

from datetime import UTC, timedelta
from html import unescape

import pytest
import time_machine
from django.urls import reverse

from accounts import keys
from accounts.roles import Role
from monitoring.dashboards import counts
from monitoring.dashboards.observing import observed
from policies.models import Decision, PhoneNumber
from tests.factories import make_phone_number, make_workspace
from tests.monitoring.dashboards.rows import NOW, count, make_decision
from tests.signing_in import signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def number(in_workspace):
    return make_phone_number(in_workspace)


def would_have_been(number, verdict="block", *, days_ago=0, times=1, **facts):
    for _ in range(times):
        decision = make_decision(number, "+12125550123", NOW - timedelta(days=days_ago))
        values = {"would_be": verdict, "would_be_reason": "rate_limited"} | facts
        Decision.objects.filter(pk=decision.pk).update(**values)


def seen(what, row):
    return observed(what, row.pk, now=NOW, zone=UTC)


def test_counts_today_and_the_week_of_a_number(in_workspace, number):
    would_have_been(number, times=2)
    would_have_been(number, days_ago=3)
    would_have_been(number, days_ago=7)
    would_have_been(number, "challenge")
    would_have_been(make_phone_number(in_workspace, "+14155550101"))
    make_decision(number, "+442079460018", NOW)

    found = seen("phone-number", number)

    assert found.sentence == "It would have blocked 2 today, 3 in 7 days, and challenged 1."
    assert (found.week, found.is_observing, found.title) == (4, False, "Observed only")
    assert [len(column.segments) for column in found.chart.columns] == [0, 0, 0, 1, 0, 0, 2]


def test_says_that_nothing_would_have_been_blocked_where_something_observes(number):
    PhoneNumber.objects.update(mode="observing")

    found = seen("phone-number", number)

    assert (found.title, found.sentence) == ("Observing", "It would have blocked nothing in 7 days.")


def test_counts_by_key_and_by_policy(in_workspace, number):
    key = keys.mint_public_key(
        workspace=in_workspace, name="site", domains=["example.com"], channels=["chat"], acting_user=None, now=NOW
    )
    would_have_been(number, public_key=key.key)
    would_have_been(number, policy_id=None)

    assert seen("public-key", key).week == 1
    assert seen("country-policy", number.policy).week == 1


def test_the_panel_links_to_exactly_what_it_counted(in_workspace, number):
    would_have_been(number, times=2)
    would_have_been(number, policy_id=None, phone_number="+14155550199")
    make_decision(number, "+442079460018", NOW)
    client = signed_in(in_workspace, Role.VIEWER)

    for what, row in (("phone-number", number), ("country-policy", number.policy)):
        found = seen(what, row)
        assert client.get(found.href).context["cl"].result_list.count() == 2


@time_machine.travel(NOW, tick=False)
def test_the_panel_is_on_the_pages_and_empty_where_nothing_was_observed(in_workspace, number):
    client = signed_in(in_workspace, Role.VIEWER)
    panel = reverse("monitoring:panel-observed", args=["phone-number", number.pk])
    pages = {
        "phone-number": reverse("admin:policies_phonenumber_change", args=[number.pk]),
        "country-policy": reverse("admin:policies_countrypolicy_change", args=[number.policy_id]),
    }
    for what, page in pages.items():
        assert f"/panels/observed/{what}/" in client.get(page).content.decode()
    assert client.get(panel).content.decode().strip() == ""

    would_have_been(number)

    assert "It would have blocked 1 today, 1 in 7 days." in unescape(client.get(panel).content.decode())


def test_the_panel_is_for_those_who_may_see_it_and_for_this_workspace(in_workspace, number):
    panel = reverse("monitoring:panel-observed", args=["phone-number", number.pk])

    assert signed_in(make_workspace(), Role.VIEWER).get(panel).status_code == 404
    assert signed_in(in_workspace).get(panel.replace("phone-number", "moon")).status_code == 404


def test_home_does_not_count_it_as_blocked(in_workspace, number):
    would_have_been(number, times=2)
    make_decision(number, "+442079460018", NOW)
    count(in_workspace.pk, NOW)

    hourly = counts.hourly(start=NOW - timedelta(hours=24), end=NOW + timedelta(hours=1))

    assert sum(hourly.values[counts.Metric.BLOCKED]) == 1
