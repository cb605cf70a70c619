"""A policy file is carried through whole, once, by the verbs that people use; or nothing of it is."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts import keys, workspaces
from accounts.models import AuditEntry, PublicKey
from policies import actions, approvals, bulk
from policies.models import CountryPolicy, PhoneNumber, SyncTarget
from policies.policy_file.fingerprint import Moved
from policies.policy_file.problems import BadPolicyFile
from policies.widening import NeedsApproval
from tests.factories import make_member, make_phone_number, make_policy, moment
from tests.policies.policy_file.files import NUMBER, applied, everything, planned

pytestmark = pytest.mark.django_db

OTHER = "+14155550101"
WHOLE = f"""
policies:
  home:
    outbound: {{countries: [US], class_rules: {{satellite: block}}}}
  world:
    inbound: {{unrestricted: true, reason: A help line.}}
    outbound: {{countries: [US, NO]}}
phone_numbers:
  "{OTHER}": world
public_keys:
  website: {{domains: [example.com], channels: [chat], fraud_protection: true}}
"""


@pytest.fixture
def numbers(in_workspace):
    policy = make_policy(in_workspace, name="home")
    return [make_phone_number(in_workspace, e164, policy=policy) for e164 in (NUMBER, OTHER)]


def _edit_home(**changes):
    policy = CountryPolicy.objects.get(name="home")
    actions.edit_country_policy(policy=policy, acting_user=None, now=moment(), **changes)


def test_makes_everything_as_the_file_says(in_workspace, numbers):
    person = make_member(in_workspace)
    start = AuditEntry.objects.count()

    outcome = applied(in_workspace, WHOLE, acting_user=person)

    assert outcome.state == "applied"
    home, world = CountryPolicy.objects.select_related("current_revision").order_by("name")
    assert (home.current_revision.number, home.current_revision.outbound["countries"]) == (2, ["US"])
    assert home.current_revision.inbound["countries"] == ["CA", "US"]
    assert (world.current_revision.inbound["mode"], world.current_revision.reason) == ("unrestricted", "A help line.")
    assert world.current_revision.created_by == person
    assert dict(PhoneNumber.objects.values_list("e164", "policy__name")) == {NUMBER: "home", OTHER: "world"}
    assert set(SyncTarget.objects.values_list("state", flat=True)) == {"pending"}
    key = PublicKey.objects.get(name="website")
    assert (key.domains, key.channels, key.kind) == (["example.com"], ["chat"], "gate_key")
    entries = list(AuditEntry.objects.order_by("sequence"))[start:]
    assert {entry.action for entry in entries} == {
        "country_policy.edit",
        "country_policy.create",
        "phone_number.assign_policy",
        "public_key.mint",
    }
    assert {entry.detail["origin"]["via"] for entry in entries} == {"policy file"}
    assert {entry.actor_id for entry in entries} == {person.pk}


def test_does_nothing_the_second_time(in_workspace, numbers):
    plan = planned(in_workspace, WHOLE)
    applied(in_workspace, WHOLE, made_of=plan.fingerprint)
    before = everything(in_workspace)

    for made_of in (None, plan.fingerprint, plan.as_json()):
        assert applied(in_workspace, WHOLE, made_of=made_of).state == "nothing_to_do"

    assert everything(in_workspace) == before


def test_does_what_was_planned(in_workspace, numbers):
    plan = planned(in_workspace, WHOLE)

    outcome = applied(in_workspace, WHOLE, made_of=plan.as_json())

    assert outcome.plan == plan


def _edit_policy(workspace):
    _edit_home(inbound={"countries": ["GB"]})


def _revise_and_undo(workspace):
    _edit_home(inbound={"countries": ["GB"]})
    _edit_home(inbound={"countries": ["US", "CA"]})


def _move_number(workspace):
    number = PhoneNumber.objects.get(e164=OTHER)
    policy = make_policy(workspace, name="elsewhere")
    actions.assign_country_policy(phone_number=number, policy=policy, acting_user=None, now=moment())


def _add_follower(workspace):
    make_phone_number(workspace, "+14155550102", policy=CountryPolicy.objects.get(name="home"))


def _take_name(workspace):
    make_policy(workspace, name="world")


def _mint_key(workspace):
    keys.mint_public_key(
        workspace=workspace, acting_user=None, now=moment(), name="website", domains=["a.example"], channels=["chat"]
    )


@pytest.mark.parametrize(
    ("meanwhile", "named"),
    [
        pytest.param(_edit_policy, "home (revision 1 → 2)", id="a policy edited"),
        pytest.param(_revise_and_undo, "home (revision 1 → 3)", id="edited and back"),
        pytest.param(_move_number, f"{OTHER} (home → elsewhere)", id="a number moved"),
        pytest.param(_add_follower, "home", id="another follower"),
        pytest.param(_take_name, "world (is there now)", id="a policy of that name"),
        pytest.param(_mint_key, "website (is there now)", id="a key of that name"),
    ],
)
def test_refuses_when_the_world_moved_since_the_plan_and_names_what(in_workspace, numbers, meanwhile, named):
    plan = planned(in_workspace, WHOLE)
    meanwhile(in_workspace)
    before = everything(in_workspace)

    with pytest.raises(Moved) as whole:
        applied(in_workspace, WHOLE, made_of=plan.as_json())
    with pytest.raises(Moved, match="plan again"):
        applied(in_workspace, WHOLE, made_of=plan.fingerprint)

    assert named in str(whole.value)
    assert everything(in_workspace) == before


@pytest.mark.parametrize("edited", ["home", "there already"])
def test_looks_at_the_policies_that_a_number_leaves_and_comes_to_though_the_file_only_names_the_number(
    in_workspace, numbers, edited
):
    make_policy(in_workspace, name="there already")
    moves = f'phone_numbers: {{"{OTHER}": there already}}'
    plan = planned(in_workspace, moves)
    actions.edit_country_policy(
        policy=CountryPolicy.objects.get(name=edited), inbound={"countries": ["GB"]}, acting_user=None, now=moment()
    )

    with pytest.raises(Moved, match="plan again") as moved:
        applied(in_workspace, moves, made_of=plan.as_json())

    assert f"{edited} (revision 1 → 2)" in str(moved.value)


def test_overlooks_what_the_plan_did_not_look_at(in_workspace, numbers):
    plan = planned(in_workspace, WHOLE)
    make_policy(in_workspace, name="unrelated")
    make_phone_number(in_workspace, "+14155550103")

    assert applied(in_workspace, WHOLE, made_of=plan.fingerprint).state == "applied"


def test_refuses_the_plan_of_another_file(in_workspace, numbers):
    plan = planned(in_workspace, "policies: {home: {inbound: {countries: [US]}}}")
    before = everything(in_workspace)

    with pytest.raises(Moved, match="another file"):
        applied(in_workspace, "policies: {home: {inbound: {countries: [GB]}}}", made_of=plan.fingerprint)

    assert everything(in_workspace) == before


@pytest.mark.parametrize("made_of", ["", "1", "yes", "1.a.b.c.d.e", {}, {"fingerprint": 5}, [], 7, True])
def test_refuses_what_is_no_plan(in_workspace, numbers, made_of):
    with pytest.raises(BadPolicyFile, match="not a plan"):
        applied(in_workspace, WHOLE, made_of=made_of)


def test_changes_nothing_at_all_when_a_later_part_fails(in_workspace, numbers, monkeypatch):
    before = everything(in_workspace)

    def fails(**given):
        raise actions.Refused.one("phone_number", "gone", "The number went away.")

    monkeypatch.setattr(bulk, "edit_phone_numbers", fails)
    with pytest.raises(BadPolicyFile, match="went away"):
        applied(in_workspace, WHOLE)

    assert everything(in_workspace) == before


def test_moving_many_numbers_takes_as_many_queries_as_moving_few(in_workspace):
    def queries(first, count):
        """Each of these numbers leaves a policy of its own, so that each is a part of the plan."""
        e164s = [f"+1415555{first + place}" for place in range(count)]
        for e164 in e164s:
            make_phone_number(in_workspace, e164)
        with CaptureQueriesContext(connection) as captured:
            applied(in_workspace, "phone_numbers:\n" + "".join(f"  '{e164}': shared\n" for e164 in e164s))
        return len(captured)

    make_policy(in_workspace, name="shared")
    assert queries(1000, 2) == queries(2000, 12)


@pytest.fixture
def four_eyes(in_workspace):
    workspaces.change_settings(workspace=in_workspace, approval_tier="T1", acting_user=None, now=moment())


def _propose(workspace, rest, person):
    with pytest.raises(NeedsApproval) as needs:
        applied(workspace, rest, acting_user=person)
    return approvals.propose(needs.value)


EXPOSED = WHOLE.replace("[US, NO]", "[US, SO]").replace("unrestricted: true, reason: A help line.", "countries: [US]")


def test_waits_for_a_second_person_as_one_change_of_the_whole_file(in_workspace, numbers, four_eyes):
    proposer, other = make_member(in_workspace), make_member(in_workspace)
    before = everything(in_workspace)

    proposal = _propose(in_workspace, EXPOSED, proposer)

    assert everything(in_workspace)[:-2] == before[:-2]
    assert (proposal.state, proposal.verb) == ("awaiting_approval", "apply_policy_file")
    approvals.approve(proposal=proposal, acting_user=other, now=moment())
    assert PublicKey.objects.filter(name="website").exists()
    assert PhoneNumber.objects.get(e164=OTHER).policy.name == "world"
    assert applied(in_workspace, EXPOSED).state == "nothing_to_do"


def test_is_not_carried_out_when_the_world_moved_before_the_second_person_agreed(in_workspace, numbers, four_eyes):
    proposal = _propose(in_workspace, EXPOSED, make_member(in_workspace))
    _edit_home(inbound={"countries": ["US"]})
    before = everything(in_workspace)

    with pytest.raises(approvals.Conflict):
        approvals.approve(proposal=proposal, acting_user=make_member(in_workspace), now=moment())

    proposal.refresh_from_db()
    assert proposal.state == "stale"
    assert everything(in_workspace)[:5] == before[:5]


def test_narrows_without_a_second_person(in_workspace, numbers, four_eyes):
    assert applied(in_workspace, "policies: {home: {outbound: {countries: [US]}}}").state == "applied"


def test_a_captcha_may_be_asked_for_before_its_secret_is_entered_and_nobody_passes_until_then(in_workspace):
    text = "public_keys:\n  website: {domains: [example.com], channels: [chat], captcha: recaptcha_v3}\n"

    [change] = planned(in_workspace, text).public_keys
    applied(in_workspace, text)

    assert "until then nobody passes" in change.notice
    key = PublicKey.objects.get(name="website")
    assert (key.captcha, keys.captcha_secret(key)) == ("recaptcha_v3", "")
    assert planned(in_workspace, text).public_keys == ()
