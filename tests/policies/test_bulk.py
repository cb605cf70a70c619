"""Many numbers in one action: all or none, one copy of a shared policy, few queries."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts import audit
from accounts.models import AuditEntry, Workspace
from policies import approvals, bulk
from policies.actions import Refused, StaleEdit
from policies.models import CountryPolicy, PhoneNumber, PolicyRevision, SyncTarget
from policies.widening import NeedsApproval
from tests import factories


def numbers(workspace, count, start=0, **facts):
    return [factories.make_phone_number(workspace, f"+1415555{start + n:04}", **facts) for n in range(count)]


def edit(workspace, rows, expected=None, **wanted):
    return bulk.edit_phone_numbers(
        workspace_id=workspace.pk,
        phone_number_ids=[row.pk for row in rows],
        wanted=wanted,
        acting_user=None,
        now=factories.moment(),
        expected=expected,
    )


def outbound(row):
    return fresh(row).policy.current_revision.outbound["countries"]


def fresh(row):
    return PhoneNumber.objects.select_related("policy__current_revision", "sync_target").get(pk=row.pk)


def pending():
    return SyncTarget.objects.filter(state="pending", desired_generation=2).count()


def test_numbers_that_have_a_policy_to_themselves_keep_it(in_workspace):
    rows = numbers(in_workspace, 3)
    before = Workspace.objects.get(pk=in_workspace.pk).snapshot_version

    plan = edit(in_workspace, rows, add_outbound_countries=["JM"], remove_outbound_countries=["CA"], reason="Season")

    assert [outbound(row) for row in rows] == [["JM", "US"]] * 3
    assert [fresh(row).policy_id for row in rows] == [row.policy_id for row in rows]
    assert {fresh(row).policy.current_revision.reason for row in rows} == {"Season"}
    assert (plan.changed, pending()) == (3, 3)
    assert Workspace.objects.get(pk=in_workspace.pk).snapshot_version == before + 1
    assert AuditEntry.objects.filter(action="country_policy.edit").count() == 3
    assert audit.verify(in_workspace.pk).problem == ""


def test_a_policy_that_is_wholly_chosen_gets_a_revision_and_no_copy(in_workspace):
    policy = factories.make_policy(in_workspace, name="Desk")
    rows = numbers(in_workspace, 3, policy=policy)

    edit(in_workspace, rows, remove_outbound_countries=["CA"])

    assert CountryPolicy.objects.get().pk == policy.pk
    assert PolicyRevision.objects.filter(policy=policy).count() == 2
    assert pending() == 3


def test_of_a_policy_that_others_follow_too_the_chosen_get_one_copy(in_workspace):
    policy = factories.make_policy(in_workspace, name="Desk")
    rows = numbers(in_workspace, 5, policy=policy)

    plan = edit(in_workspace, rows[:3], add_inbound_countries=["GB"])

    [copy] = CountryPolicy.objects.exclude(pk=policy.pk)
    assert copy.name == "Desk (3 of its numbers)"
    assert {fresh(row).policy_id for row in rows[:3]} == {copy.pk}
    assert {fresh(row).policy_id for row in rows[3:]} == {policy.pk}
    assert fresh(rows[0]).policy.current_revision.inbound["countries"] == ["CA", "GB", "US"]
    assert fresh(rows[4]).policy.current_revision.inbound["countries"] == ["CA", "US"]
    assert (plan.changed, pending()) == (3, 3)
    again = edit(in_workspace, rows[:2], add_inbound_countries=["FR"])
    assert [len(group.examples) for group in again.preview(now=factories.moment()).groups] == [2]


def test_several_shared_policies_get_a_copy_each(in_workspace):
    first, second = (factories.make_policy(in_workspace, name=name, outbound=["US", "JM"]) for name in ("A", "B"))
    mine = numbers(in_workspace, 2, policy=first) + numbers(in_workspace, 2, start=10, policy=second)
    numbers(in_workspace, 1, start=20, policy=first)
    numbers(in_workspace, 1, start=30, policy=second)

    edit(in_workspace, mine, remove_outbound_countries=["JM"])

    assert [fresh(row).policy.name for row in mine] == ["A (2 of its numbers)"] * 2 + ["B (2 of its numbers)"] * 2
    assert {tuple(outbound(row)) for row in mine} == {("US",)}


def test_one_that_cannot_be_changed_is_named_and_none_is_changed(in_workspace):
    good, last, every = (
        factories.make_phone_number(in_workspace, "+14155550100", outbound=["US", "JM"]),
        factories.make_phone_number(in_workspace, "+14155550101", outbound=["JM"]),
        factories.make_phone_number(in_workspace, "+14155550102", outbound=None),
    )

    with pytest.raises(Refused) as refused:
        edit(in_workspace, [good, last, every], remove_outbound_countries=["JM"])

    assert [(problem.field, problem.code) for problem in refused.value.problems] == [
        ("+14155550101", "empty_list"),
        ("+14155550102", "unrestricted"),
    ]
    assert "UponAI reads an empty list as “every country”" in refused.value.problems[0].detail
    assert "unbinding its agents" in refused.value.problems[0].detail
    assert outbound(good) == ["JM", "US"]
    assert pending() == 0


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({}, ""),
        ({"mode": "perhaps"}, "mode"),
        ({"inbound_when_console_down": "maybe"}, "inbound_when_console_down"),
        ({"policy": 999_999}, "policy"),
        ({"policy": 1, "add_inbound_countries": ["GB"]}, "policy"),
        ({"add_inbound_countries": ["RU"]}, "add_inbound_countries"),
        ({"add_inbound_countries": ["GBR"]}, "add_inbound_countries"),
        ({"add_inbound_countries": "GB"}, "add_inbound_countries"),
        ({"add_inbound_countries": ["GB"], "remove_inbound_countries": ["GB"]}, "add_inbound_countries"),
        ({"allowed_inbound_country_list": []}, "allowed_inbound_country_list"),
        ({"allowed_inbound_country_list": None}, "allowed_inbound_country_list"),
        ({"allowed_inbound_country_list": None, "confirm_unrestricted": True}, "allowed_inbound_country_list"),
        ({"allowed_inbound_country_list": ["US"], "add_inbound_countries": ["GB"]}, "allowed_inbound_country_list"),
    ],
)
def test_what_makes_no_sense_is_refused_by_its_field(in_workspace, wanted, field):
    with pytest.raises(Refused) as refused:
        edit(in_workspace, numbers(in_workspace, 2), **wanted)

    assert refused.value.problems[0].field == field
    assert pending() == 0


def test_lifting_a_restriction_needs_both_a_word_and_a_reason(in_workspace):
    rows = numbers(in_workspace, 2)

    edit(in_workspace, rows, allowed_inbound_country_list=None, confirm_unrestricted=True, reason="Helpline")

    assert {fresh(row).policy.current_revision.inbound["mode"] for row in rows} == {"unrestricted"}


def test_assigns_one_policy_to_all(in_workspace):
    rows, policy = numbers(in_workspace, 3), factories.make_policy(in_workspace, name="Desk")

    edit(in_workspace, rows, policy=policy.pk)

    assert {fresh(row).policy_id for row in rows} == {policy.pk}
    assert pending() == 3
    assert edit(in_workspace, rows, policy=policy.pk).changed == 0
    assert AuditEntry.objects.filter(action="phone_number.assign_policy").count() == 3


def test_observing_tells_the_gate_and_not_uponai(in_workspace):
    rows = numbers(in_workspace, 2)

    edit(in_workspace, rows, mode="observing")

    assert {fresh(row).mode for row in rows} == {"observing"}
    assert pending() == 0


def test_closing_when_down_goes_to_uponai_and_opening_needs_an_agent(in_workspace):
    bound = factories.make_phone_number(in_workspace, "+14155550100", inbound_agents=[{"agent_id": "a"}])
    bare = factories.make_phone_number(in_workspace, "+14155550101")

    edit(in_workspace, [bound, bare], inbound_when_console_down="dropped")

    assert fresh(bound).closed_when_down
    assert pending() == 2
    with pytest.raises(Refused) as refused:
        edit(in_workspace, [bound, bare], inbound_when_console_down="answered")
    assert [problem.field for problem in refused.value.problems] == ["+14155550101"]
    assert fresh(bound).closed_when_down


def test_what_somebody_changed_since_it_was_looked_at_is_not_overwritten(in_workspace):
    rows = numbers(in_workspace, 2)
    wanted = {"remove_outbound_countries": ["CA"]}
    seen = bulk.plan_edit(phone_number_ids=[row.pk for row in rows], edit=bulk.read(wanted)).fingerprint
    edit(in_workspace, rows[:1], add_outbound_countries=["GB"])

    with pytest.raises(StaleEdit):
        edit(in_workspace, rows, expected=seen, **wanted)

    assert outbound(rows[1]) == ["CA", "US"]


def test_a_number_of_another_workspace_is_not_found(in_workspace):
    foreign = factories.make_phone_number(factories.make_workspace())

    with pytest.raises(Refused) as refused:
        edit(in_workspace, [foreign], mode="observing")

    assert refused.value.problems[0].code == "not_found"


@pytest.mark.parametrize("wanted", [{"remove_outbound_countries": ["CA"]}, {"mode": "observing"}])
def test_as_many_queries_for_many_as_for_few(in_workspace, wanted, django_assert_num_queries):
    few, many = numbers(in_workspace, 2), numbers(in_workspace, 9, start=100)

    with CaptureQueriesContext(connection) as queries:
        edit(in_workspace, few, **wanted)
    with django_assert_num_queries(len(queries)):
        edit(in_workspace, many, **wanted)


@pytest.mark.parametrize("wanted", [{"add_outbound_countries": ["JM"]}, {"mode": "observing"}])
def test_what_opens_something_waits_for_a_second_person(in_workspace, wanted):
    rows = numbers(in_workspace, 3, outbound=["US"])
    Workspace.objects.filter(pk=in_workspace.pk).update(approval_tier="T1")
    first, second = (factories.make_member(in_workspace) for _ in range(2))
    given = {"phone_number_ids": [row.pk for row in rows], "wanted": wanted}

    with pytest.raises(NeedsApproval) as needs:
        bulk.edit_phone_numbers(workspace_id=in_workspace.pk, acting_user=first, now=factories.moment(), **given)

    assert (pending(), {row.mode for row in PhoneNumber.objects.all()}) == (0, {"enforcing"})
    proposal = approvals.propose(needs.value)
    assert proposal.verb == "bulk_edit"
    approvals.approve(proposal=proposal, acting_user=second, now=factories.moment())
    changed = [outbound(row) == ["JM", "US"] or fresh(row).mode == "observing" for row in rows]
    assert changed == [True] * 3


def test_the_one_number_that_asks_is_not_lost_among_many_that_do_not(in_workspace):
    """Each of these numbers gets something else than the others, and only the last one something risky."""
    ordinary = ["AT", "BE", "CH", "DE", "DK", "ES", "FI", "FR", "IE", "IT", "NL", "NO", "PT", "SE"]
    for n in range(70):
        kept = [code for place, code in enumerate(ordinary) if n >> (place % 7) & 1] + ["US"]
        kept += [] if n == 69 else ["JM"]
        factories.make_phone_number(in_workspace, f"+1415555{1000 + n}", outbound=kept)
    wide = factories.make_policy(in_workspace, name="Wide", outbound=[*ordinary, "JM", "US"])
    Workspace.objects.filter(pk=in_workspace.pk).update(approval_tier="T1")

    with pytest.raises(NeedsApproval):
        edit(in_workspace, PhoneNumber.objects.all(), policy=wide.pk)


def test_following_a_policy_is_a_word_on_flagged_numbers(in_workspace):
    rows = numbers(in_workspace, 2, flagged_since=factories.moment())
    edit(in_workspace, rows, policy=factories.make_policy(in_workspace, name="Chosen").pk)

    assert [fresh(row).flagged_since for row in rows] == [None, None]


def test_what_only_closes_waits_for_nobody(in_workspace):
    rows = numbers(in_workspace, 2)
    Workspace.objects.filter(pk=in_workspace.pk).update(approval_tier="T3")

    assert edit(in_workspace, rows, remove_outbound_countries=["CA"]).changed == 2
