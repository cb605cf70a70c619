"""What a person makes of drift: ours again, or a revision of what UponAI has."""

from datetime import timedelta

import pytest

from accounts.models import AuditEntry, Workspace
from policies import actions, approvals, holds
from policies.actions import StaleEdit
from policies.models import PhoneNumber, ProposedChange, SyncTarget
from policies.rules_input import Refused
from policies.sync import drifted
from policies.widening import NeedsApproval
from tests.factories import make_member, make_phone_number, make_policy, moment

pytestmark = pytest.mark.django_db

OTHER = "+14155550101"


@pytest.fixture
def number(in_workspace):
    return make_phone_number(in_workspace, inbound=["CA", "US"], outbound=["CA", "US"])


def seen(number, inbound=("CA", "US"), outbound=("CA", "US"), **facts):
    """What UponAI was last seen to have."""
    both = {"inbound": inbound and list(inbound), "outbound": outbound and list(outbound)}
    facts = {"state": "drift", "reasserted_at": [moment().isoformat()] * 3, **facts}
    SyncTarget.objects.filter(phone_number=number).update(observed=both, **facts)


def fresh(number):
    return PhoneNumber.objects.select_related("policy__current_revision", "sync_target").get(pk=number.pk)


def adopt(number, **more):
    return drifted.adopt(phone_number=number, acting_user=None, now=moment(), **more)


def proposed(number):
    """What waits for a second person when it is adopted."""
    with pytest.raises(NeedsApproval) as caught:
        adopt(number)
    return approvals.propose(caught.value)


def own(number, direction="outbound"):
    rules = getattr(fresh(number).policy.current_revision, direction)
    return None if rules["mode"] == "unrestricted" else rules["countries"]


def refusal_of(number, **more):
    with pytest.raises(Refused) as refusal:
        adopt(number, **more)
    [problem] = refusal.value.problems
    assert fresh(number).policy.current_revision.number == 1
    return problem.code


def test_re_asserting_makes_the_row_due_and_counts_anew(number):
    seen(number, outbound=["US"], error="UponAI does not allow Canada to be called")

    drifted.re_assert(phone_number=number, acting_user=None, now=moment())

    target = fresh(number).sync_target
    assert (target.state, target.error, target.reasserted_at) == ("pending", "", [])
    assert target.due_at is not None
    entry = AuditEntry.objects.get(action="sync.re_assert")
    assert entry.detail["before"]["at_uponai"]["outbound"] == ["US"]
    assert entry.detail["after"]["at_uponai"]["outbound"] == ["CA", "US"]


def test_nothing_is_sent_to_a_number_that_uponai_lacks(number):
    PhoneNumber.objects.update(missing_since=moment())

    with pytest.raises(Refused) as refusal:
        drifted.re_assert(phone_number=number, acting_user=None, now=moment())

    assert refusal.value.problems[0].code == "missing"


@pytest.mark.parametrize(
    ("theirs", "adopted"),
    [
        (["CA", "JM", "US"], ["CA", "JM", "US"]),
        (["US"], ["US"]),
        (["CU", "LV"], ["LV"]),
        (["CU"], ["BV"]),
        (["BV"], ["BV"]),
        (["US", "ZZ", "GB"], ["GB", "US"]),
    ],
)
def test_adopting_makes_a_revision_without_what_can_never_be_allowed(number, theirs, adopted):
    seen(number, outbound=theirs)

    adopt(number)

    assert own(number) == adopted
    assert own(number, "inbound") == ["CA", "US"]
    target = fresh(number).sync_target
    assert (fresh(number).policy.current_revision.number, target.desired_generation) == (2, 2)
    assert target.due_at is not None
    assert target.reasserted_at == []
    entry = AuditEntry.objects.get(action="sync.adopt")
    assert entry.detail["before"]["wanted"]["outbound"] == ["CA", "US"]
    assert entry.detail["after"]["wanted"]["outbound"] == adopted


def test_a_shared_policy_is_left_to_the_others(in_workspace):
    policy = make_policy(in_workspace, inbound=["CA", "US"], outbound=["CA", "US"])
    number, other = (make_phone_number(in_workspace, e164, policy=policy) for e164 in ("+14155550100", OTHER))
    seen(number, outbound=["US"])

    edit = adopt(number)

    assert "follows a policy of its own" in edit.notice
    assert (own(number), own(other)) == (["US"], ["CA", "US"])


def test_lifting_a_list_needs_confirmation_and_a_reason(number):
    seen(number, outbound=None)

    assert refusal_of(number) == "unrestricted_unconfirmed"
    assert refusal_of(number, confirm_unrestricted=True) == "unrestricted_unconfirmed"

    adopt(number, confirm_unrestricted=True, reason="A campaign to everywhere.")
    assert own(number) is None


def test_what_is_only_on_hold_does_not_become_a_rule(in_workspace, number):
    holds.impose(
        workspace_id=in_workspace.pk,
        scope="country",
        value="CA",
        reason="attack",
        expires_at=moment() + timedelta(hours=1),
        acting_user=None,
        now=moment(),
    )
    seen(number, inbound=["US"], outbound=["JM", "US"])

    adopt(number)

    assert own(number) == ["CA", "JM", "US"]


@pytest.mark.parametrize(("theirs", "code"), [(["US", "CA"], "as_wanted"), (["CA", "US", "CU", "KP"], "sanctioned")])
def test_there_may_be_nothing_to_adopt(number, theirs, code):
    seen(number, outbound=theirs)

    assert refusal_of(number) == code


def test_what_was_never_seen_cannot_be_adopted(number):
    assert refusal_of(number) == "never_seen"


def test_an_edit_on_its_way_is_not_taken_for_drift_and_undone(number):
    seen(number, state="synced", verified_at=moment() - timedelta(minutes=1))
    actions.edit_phone_number(phone_number=number, outbound_countries=["US"], acting_user=None, now=moment())

    with pytest.raises(Refused) as refusal:
        adopt(number)

    assert refusal.value.problems[0].code == "on_its_way"
    assert own(number) == ["US"]


def test_leaving_a_webhook_forgets_nothing_else_that_is_on_its_way(number):
    PhoneNumber.objects.filter(pk=number.pk).update(asks_console=True, inbound_webhook_url="https://theirs.example/in")
    seen(number, verified_at=moment())
    SyncTarget.objects.update(desired_generation=2)

    adopt(number)

    target = fresh(number).sync_target
    assert (target.state, target.due_at is None) == ("pending", False)
    assert not fresh(number).asks_console


def test_nothing_is_adopted_over_a_colleague_s_edit(number):
    seen(number, outbound=["US"])

    with pytest.raises(StaleEdit):
        adopt(number, expected_version="0-1-00000000")


def test_adopting_a_risky_widening_waits_for_a_second_person(in_workspace, number):
    Workspace.objects.update(approval_tier="T2")
    seen(number, outbound=["CA", "LV", "US"])

    proposal = proposed(number)

    assert own(number) == ["CA", "US"]
    assert not AuditEntry.objects.filter(action="sync.adopt").exists()
    approvals.approve(proposal=proposal, acting_user=make_member(in_workspace), now=moment())
    assert own(number) == ["CA", "LV", "US"]
    assert AuditEntry.objects.filter(action="sync.adopt").exists()


def re_asserted(number):
    drifted.re_assert(phone_number=number, acting_user=None, now=moment())


@pytest.mark.parametrize("overtaken", [re_asserted, lambda number: seen(number, outbound=["LV", "US"])])
def test_a_second_person_adopts_only_what_the_first_one_saw(in_workspace, number, overtaken):
    Workspace.objects.update(approval_tier="T2")
    seen(number, outbound=["CA", "LV", "US"])
    proposal = proposed(number)

    overtaken(number)

    with pytest.raises(approvals.Conflict, match="changed meanwhile"):
        approvals.approve(proposal=proposal, acting_user=make_member(in_workspace), now=moment())
    assert ProposedChange.objects.get().state == ProposedChange.State.STALE
    assert own(number) == ["CA", "US"]
