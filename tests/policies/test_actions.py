"""The verbs of policy: one transaction each, refusals in words, nothing half done."""

import pytest
from django.db import transaction

from accounts.models import AuditEntry, Workspace
from policies import actions, bells
from policies.actions import KEEP, Refused, StaleEdit
from policies.models import CountryPolicy, PhoneNumber, PolicyRevision, SyncTarget
from tests.factories import make_member, make_phone_number, make_policy, moment, rules

pytestmark = pytest.mark.django_db

NUMBER = "+14155550100"


@pytest.fixture
def number(in_workspace):
    return make_phone_number(in_workspace, NUMBER)


def _again(number):
    return PhoneNumber.objects.select_related("policy__current_revision", "sync_target").get(pk=number.pk)


def _edit(number, **changes):
    return actions.edit_phone_number(**{"phone_number": number, "acting_user": None, "now": moment()} | changes)


def _everything():
    """All that an edit may write, to prove that a refused one wrote nothing."""
    return (
        PolicyRevision.objects.count(),
        CountryPolicy.objects.count(),
        AuditEntry.objects.count(),
        list(SyncTarget.objects.values_list("desired_generation", "state")),
        list(Workspace.objects.values_list("snapshot_version", flat=True)),
    )


def test_writes_revision_audit_due_row_and_snapshot_version_together(number):
    person = make_member(number.workspace)
    version = Workspace.objects.get(pk=number.workspace_id).snapshot_version

    edit = _edit(number, inbound_countries=["gb", "US", "GB"], acting_user=person, reason="London office")

    after = _again(number)
    revision = after.policy.current_revision
    assert edit.changed
    assert (revision.number, revision.inbound["countries"]) == (2, ["GB", "US"])
    assert revision.outbound["countries"] == ["CA", "US"]
    assert (revision.created_by, revision.reason) == (person, "London office")
    target = after.sync_target
    assert (target.state, target.desired_generation) == ("pending", 2)
    assert target.due_at is not None
    assert Workspace.objects.get(pk=number.workspace_id).snapshot_version == version + 1
    entry = AuditEntry.objects.order_by("sequence").last()
    assert entry.action == "country_policy.edit"
    assert entry.detail["before"]["inbound"]["countries"] == ["CA", "US"]
    assert entry.detail["after"]["inbound"]["countries"] == ["GB", "US"]
    assert person.email in entry.actor_label


def test_changes_nothing_when_all_is_so_already(number):
    before = _everything()

    edit = _edit(number, inbound_countries=["US", "CA"], outbound_countries=KEEP)

    assert not edit.changed
    assert _everything() == before


@pytest.mark.parametrize(
    ("countries", "code"),
    [
        ([], "empty"),
        (["USA"], "invalid_country"),
        (["ZZ"], "unknown_country"),
        (["US", "CU"], "sanctioned_country"),
        ([7], "invalid_country"),
        ("US", "invalid_country"),
        (None, "unrestricted_unconfirmed"),
    ],
)
def test_refuses_a_list_in_words_and_changes_nothing(number, countries, code):
    before = _everything()

    with pytest.raises(Refused) as refusal:
        _edit(number, inbound_countries=["US"], outbound_countries=countries)

    (problem,) = refusal.value.problems
    assert (problem.field, problem.code) == ("allowed_outbound_country_list", code)
    assert problem.detail.endswith(".")
    assert _everything() == before


def test_lifts_a_restriction_only_when_confirmed_with_a_reason(number):
    with pytest.raises(Refused):
        _edit(number, inbound_countries=None, confirm_unrestricted=True)

    _edit(number, inbound_countries=None, confirm_unrestricted=True, reason="public hotline")

    assert _again(number).policy.current_revision.inbound["mode"] == "unrestricted"


def test_refuses_an_edit_of_what_somebody_else_changed_since(number):
    seen = actions.version_of(number)
    _edit(number, inbound_countries=["GB"])
    before = _everything()

    with pytest.raises(StaleEdit):
        _edit(number, inbound_countries=["FR"], expected_version=seen)

    assert _everything() == before


def test_forks_a_shared_policy_and_leaves_the_other_numbers_theirs(in_workspace):
    shared = make_policy(in_workspace, name="US and Canada only")
    first = make_phone_number(in_workspace, NUMBER, policy=shared)
    second = make_phone_number(in_workspace, "+14155550101", policy=shared)

    edit = _edit(first, inbound_countries=["GB"])

    assert "policy of its own" in edit.notice
    assert "1 other number keeps “US and Canada only”" in edit.notice
    assert _again(first).policy.current_revision.inbound["countries"] == ["GB"]
    assert _again(second).policy == shared
    assert _again(second).policy.current_revision.inbound["countries"] == ["CA", "US"]
    assert _again(second).sync_target.state == "synced"


def test_brings_an_edit_of_a_policy_to_all_its_numbers(in_workspace):
    shared = make_policy(in_workspace)
    numbers = [make_phone_number(in_workspace, f"+1415555010{digit}", policy=shared) for digit in range(3)]
    bystander = make_phone_number(in_workspace, "+14155550177")

    actions.edit_country_policy(policy=shared, outbound={"countries": ["MX"]}, acting_user=None, now=moment())

    assert {_again(number).sync_target.state for number in numbers} == {"pending"}
    assert _again(bystander).sync_target.state == "synced"


def test_refuses_a_policy_edit_on_another_revision(in_workspace):
    policy = make_policy(in_workspace)
    actions.edit_country_policy(policy=policy, inbound={"countries": ["MX"]}, acting_user=None, now=moment())

    with pytest.raises(StaleEdit):
        actions.edit_country_policy(
            policy=policy, inbound={"countries": ["BR"]}, expected_revision=1, acting_user=None, now=moment()
        )


@pytest.mark.parametrize(
    ("inbound", "field"),
    [
        ({"countries": []}, "inbound.countries"),
        ({"mode": "open"}, "inbound"),
        ({"colour": 1}, "inbound.colour"),
        ({"mode": "unrestricted", "countries": ["US"]}, "inbound.countries"),
        ({"mode": "unrestricted"}, "inbound"),
        ({"class_rules": {"submarine": "block"}}, "inbound"),
        ({"prefix_rules": [{"prefix": "44", "action": "block"}]}, "inbound"),
        ("US", "inbound"),
    ],
)
def test_names_the_part_of_a_policy_that_is_wrong(in_workspace, inbound, field):
    policy = make_policy(in_workspace)

    with pytest.raises(Refused) as refusal:
        actions.edit_country_policy(policy=policy, inbound=inbound, acting_user=None, now=moment())

    assert refusal.value.problems[0].field == field


def test_goes_back_to_an_earlier_revision_by_a_new_one(in_workspace):
    policy = make_policy(in_workspace)
    actions.edit_country_policy(policy=policy, inbound={"countries": ["MX"]}, acting_user=None, now=moment())

    revision = actions.revert_country_policy(policy=policy, revision_number=1, acting_user=None, now=moment())

    assert (revision.number, revision.inbound["countries"]) == (3, ["CA", "US"])
    with pytest.raises(Refused, match="no revision 9"):
        actions.revert_country_policy(policy=policy, revision_number=9, acting_user=None, now=moment())


def test_lets_a_number_follow_another_policy(number):
    other = make_policy(number.workspace, name="Europe", inbound=["DE"], outbound=["DE"])

    actions.assign_country_policy(phone_number=number, policy=other, acting_user=None, now=moment())

    assert _again(number).policy == other
    assert _again(number).sync_target.state == "pending"


def test_has_one_default_policy(in_workspace):
    for policy in (make_policy(in_workspace), second := make_policy(in_workspace)):
        actions.make_default(policy=policy, acting_user=None, now=moment())

    assert list(CountryPolicy.objects.filter(is_default=True)) == [second]


def test_refuses_a_name_that_is_taken(in_workspace):
    make_policy(in_workspace, name="Europe")

    with pytest.raises(Refused, match="already"):
        actions.create_country_policy(
            workspace_id=in_workspace.pk,
            name=" Europe ",
            inbound=rules(["DE"]),
            outbound=rules(["DE"]),
            acting_user=None,
            now=moment(),
        )


def test_leaves_nothing_behind_when_the_transaction_fails(number):
    before = _everything()

    def edit_and_fail():
        with transaction.atomic():
            _edit(number, inbound_countries=["GB"])
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        edit_and_fail()

    assert _everything() == before


def test_still_edits_when_nobody_hears_the_bell(number, nobody_listens, django_capture_on_commit_callbacks, caplog):
    with django_capture_on_commit_callbacks(execute=True):
        _edit(number, inbound_countries=["GB"])

    assert _again(number).sync_target.state == "pending"
    assert bells.wait_until_rung()
    assert "The worker was not rung" in caplog.text
