"""The list of decisions with its filters, and the page that answers "why was this blocked?"."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.roles import Role
from accounts.scoping import scoped
from policies.admin.decision_page import decision_page
from policies.models import Decision
from tests import factories
from tests.accounts.kyc import cases
from tests.monitoring.dashboards.rows import NOW, make_decision

LIST = "admin:policies_decision_changelist"


@pytest.fixture
def number(in_workspace):
    return factories.make_phone_number(in_workspace)


@pytest.fixture
def viewer(client, in_workspace):
    client.force_login(factories.make_member(in_workspace, Role.VIEWER))
    return client


def page_of(client, decision) -> str:
    answer = client.get(reverse("admin:policies_decision_change", args=[decision.pk]))
    assert answer.status_code == 200
    return " ".join(re.sub(r"<[^>]+>", " ", unescape(answer.content.decode())).split())


def listed(client, **parameters: str) -> list[str]:
    return [row.peer for row in client.get(reverse(LIST), parameters).context["cl"].result_list]


def test_the_page_of_a_closed_country_says_it_in_a_sentence_with_what_would_let_it_through(viewer, number):
    said = page_of(viewer, make_decision(number, "+442079460018", NOW))

    assert "Blocked: United Kingdom (+44) is not among the countries that may call this number." in said
    assert "It would have passed if United Kingdom were open on this policy." in said
    assert "Country : failed Its country is not on this number's list GB against CA US" in said
    assert "Sanctions : passed" in said
    assert "+44 20 7946 0018" in said


def test_the_page_of_a_sanctioned_country_says_that_nothing_opens_it(viewer, number):
    said = page_of(viewer, make_decision(number, "+5352345678", NOW, direction="outbound"))

    assert "Cuba is on the platform sanctions list; no setting can open it." in said
    assert "Nothing. The platform sanctions list stands above every setting" in said
    assert "Open the number's lists" not in said


def test_the_page_links_to_the_number_and_its_policy(viewer, number):
    decision = make_decision(number, "+442079460018", NOW)

    page = decision_page(decision, now=NOW)

    assert page.judgement.number_href == reverse("admin:policies_phonenumber_change", args=[number.pk])
    assert page.judgement.policy_href == reverse("admin:policies_countrypolicy_change", args=[number.policy_id])
    assert page_of(viewer, decision).count("revision 1") == 1


def test_a_limit_that_only_time_lifts_does_not_send_anybody_to_the_lists(number):
    wait = [{"change": "wait", "seconds": 40, "sentence": "in 40 s"}]
    decision = make_decision(number, "+12125550123", NOW)
    Decision.objects.filter(pk=decision.pk).update(verdict="block", reason="rate_limited", counterfactuals=wait)

    assert decision_page(Decision.objects.get(pk=decision.pk), now=NOW).judgement.number_href == ""


def test_an_allowed_attempt_needs_no_remedy(viewer, number):
    said = page_of(viewer, make_decision(number, "+12125550123", NOW))

    assert "Allowed." in said
    assert "What would have let it through" not in said
    assert "Who else this rule hit" not in said


def test_the_page_outlives_its_number_and_policy(number):
    decision = make_decision(number, "+442079460018", NOW)
    policy = number.policy
    number.delete()
    policy.current_revision = None
    policy.save()
    policy.delete()

    page = decision_page(decision, now=NOW)

    assert (page.judgement.number_href, page.judgement.policy_href, page.judgement.policy_name) == ("", "", "")
    assert "United Kingdom" in page.judgement.sentence.text


def test_who_else_counts_thirty_days_of_the_same_rule_and_direction(number):
    decision = make_decision(number, "+442079460018", NOW)
    make_decision(number, "+442079460019", NOW - timedelta(days=29))
    make_decision(number, "+33612345678", NOW - timedelta(days=2))
    make_decision(number, "+33612345678", NOW - timedelta(days=1))
    make_decision(number, "+33612345678", NOW - timedelta(days=32))
    make_decision(number, "+33612345678", NOW, direction="outbound")
    make_decision(number, "+5352345678", NOW)

    similar = decision_page(decision, now=NOW).similar

    assert similar
    assert similar.text == ("3 other attempts in the last 30 days, 2 callers, most often France and United Kingdom.")


def test_who_else_says_so_when_it_was_nobody(number):
    similar = decision_page(make_decision(number, "+442079460018", NOW), now=NOW).similar

    assert similar
    assert (similar.text, similar.href) == ("Nobody else in the last 30 days.", "")


def test_a_reason_that_this_version_does_not_know_is_said_as_it_is(viewer, number):
    decision = make_decision(number, "+442079460018", NOW)
    decision.reason = "not_yet_invented"
    decision.save()

    assert "Blocked: not yet invented." in page_of(viewer, decision)


def test_a_decision_of_another_workspace_has_no_page(client, number):
    decision = make_decision(number, "+442079460018", NOW)
    client.force_login(factories.make_member(factories.make_workspace()))

    assert client.get(reverse("admin:policies_decision_change", args=[decision.pk])).status_code == 404
    assert listed(client) == []


@pytest.mark.parametrize(
    ("parameters", "peers"),
    [
        ({}, ["+5352345678", "+12125550123", "+442079460018"]),
        ({"verdict__exact": "block"}, ["+5352345678", "+442079460018"]),
        ({"reason__exact": "sanctioned_country"}, ["+5352345678"]),
        ({"direction__exact": "outbound"}, ["+5352345678"]),
        ({"channel__exact": "sms"}, []),
        ({"country__exact": "GB"}, ["+442079460018"]),
        ({"phone_number": "+1 (415) 555-0100"}, ["+5352345678", "+12125550123", "+442079460018"]),
        ({"phone_number": "0199"}, []),
        ({"q": "4420794"}, ["+442079460018"]),
        ({"at_from_0": "2026-03-04", "at_from_1": "12:00:00"}, ["+5352345678"]),
        ({"at_to_0": "2026-03-04", "at_to_1": "12:30:00"}, ["+12125550123", "+442079460018"]),
        ({"at_from_0": "2026-03-04", "at_to_0": "2026-03-04", "at_to_1": "11:30"}, ["+442079460018"]),
        ({"at_from_0": "2026-02-30"}, ["+5352345678", "+12125550123", "+442079460018"]),
    ],
)
def test_the_list_is_filtered(viewer, number, parameters, peers):
    make_decision(number, "+5352345678", NOW, direction="outbound")
    make_decision(number, "+12125550123", NOW - timedelta(hours=1))
    make_decision(number, "+442079460018", NOW - timedelta(hours=2))

    assert listed(viewer, **parameters) == peers


def test_times_in_filters_are_those_of_the_workspace(client, db):
    workspace = factories.make_workspace(time_zone="America/New_York")
    client.force_login(factories.make_member(workspace))
    number = factories.make_phone_number(workspace)
    with scoped(workspace.pk):
        make_decision(number, "+442079460018", NOW)  # 07:30 there

    assert listed(client, at_from_0="2026-03-04", at_from_1="07:00", at_to_0="2026-03-04", at_to_1="08:00")
    assert not listed(client, at_from_0="2026-03-04", at_from_1="12:00", at_to_0="2026-03-04", at_to_1="13:00")


def test_the_list_of_blocked_calls_says_what_cannot_be_seen(viewer, number):
    html = viewer.get(reverse("admin:monitoring_blockedcall_changelist")).content.decode()

    assert "<title>Blocked calls" in " ".join(html.split()).replace("<title> ", "<title>")
    assert "before it asks us, is not told to anybody and cannot be shown" in html


def test_the_list_counts_no_rows(viewer, number):
    make_decision(number, "+442079460018", NOW)

    with CaptureQueriesContext(connection) as queries:
        viewer.get(reverse(LIST), {"verdict__exact": "block"})

    assert not [query["sql"] for query in queries if "COUNT(" in query["sql"].upper()]


@time_machine.travel(NOW, tick=False)
def test_nobody_adds_changes_or_deletes_a_decision(client, in_workspace, number):
    decision = make_decision(number, "+442079460018", NOW)
    client.force_login(factories.make_member(in_workspace, Role.OWNER))

    assert client.get(reverse("admin:policies_decision_add")).status_code in (403, 404)
    delete = reverse("admin:policies_decision_delete", args=[decision.pk])
    assert client.post(delete, {"post": "yes"}).status_code == 403
    decision.refresh_from_db()


def test_a_reviewer_suspends_who_turned_out_to_be_a_fraudster(client, in_workspace, number):
    case = cases.approved(in_workspace, NOW, subject={"reference": "patient-7", "name": "Ada Example"})
    decision, of_somebody_else = (make_decision(number, "+14155550142", NOW, direction="outbound") for _ in range(2))
    Decision.objects.filter(pk=decision.pk).update(subject="patient-7")
    Decision.objects.filter(pk=of_somebody_else.pk).update(subject="patient-8")
    address = reverse("admin:policies_decision_suspend_subject", args=[decision.pk])
    client.force_login(factories.make_member(in_workspace, Role.POLICY_EDITOR))
    assert "This was fraud" not in page_of(client, decision)
    assert client.post(address).status_code == 403
    client.force_login(case.reviewer)
    assert "This was fraud: suspend Ada Example" in page_of(client, decision)
    assert "This was fraud" not in page_of(client, of_somebody_else)

    answer = client.post(address)

    case.record.refresh_from_db()
    assert answer.url == reverse("admin:accounts_kycrecord_change", args=[case.record.pk])
    assert case.record.state == "suspended"
    assert "This was fraud" not in page_of(client, decision)
