"""The verbs of holds: imposed once, extended, lifted, ended by time, each with its audit entry."""

from datetime import timedelta

import pytest

from accounts import keys
from accounts.models import AuditEntry, Workspace
from policies import holds
from policies.actions import Refused
from policies.held import in_force
from policies.models import Hold, SyncTarget
from tests.factories import make_member, make_phone_number, make_workspace, moment

pytestmark = pytest.mark.django_db

NUMBER = "+14155550100"


def impose(workspace, now, scope="country", value="JM", *, hours=1, **more):
    facts = {"reason": "pumping", "acting_user": None} | more
    return holds.impose(
        workspace_id=workspace.pk, scope=scope, value=value, expires_at=now + timedelta(hours=hours), now=now, **facts
    )


def actions():
    return list(
        AuditEntry.objects.filter(action__startswith="hold.").order_by("sequence").values_list("action", flat=True)
    )


def version(workspace):
    return Workspace.objects.get(pk=workspace.pk).snapshot_version


def test_imposes_with_who_when_and_why(in_workspace, now):
    owner, before = make_member(in_workspace), version(in_workspace)

    hold = impose(in_workspace, now, acting_user=owner, direction="outbound", channel="sms")

    assert Hold.objects.get() == hold
    assert (hold.scope, hold.value, hold.direction, hold.channel) == ("country", "JM", "outbound", "sms")
    assert (hold.imposed_by, hold.imposed_at, hold.reason) == (owner.email, now, "pumping")
    assert list(in_force(now)) == [hold]
    assert version(in_workspace) == before + 1
    entry = AuditEntry.objects.get(action="hold.impose")
    assert (entry.detail["after"]["value"], entry.detail["reason"]) == ("JM", "pumping")


def test_imposing_again_holds_longer_and_never_shorter(in_workspace, now):
    first = impose(in_workspace, now, hours=2)

    longer = impose(in_workspace, now, hours=3, reason="still pumping")
    shorter = impose(in_workspace, now, hours=1, reason="again")

    assert first.pk == longer.pk == shorter.pk
    assert Hold.objects.get().expires_at == now + timedelta(hours=3)
    assert Hold.objects.get().reason == "again"
    assert actions() == ["hold.impose", "hold.extend", "hold.extend"]


def test_keeps_holds_of_another_direction_apart(in_workspace, now):
    impose(in_workspace, now)
    impose(in_workspace, now, direction="inbound")

    assert in_force(now).count() == 2


def test_a_hold_that_ran_out_is_not_extended_but_imposed_anew(in_workspace, now):
    old = impose(in_workspace, now)
    later = now + timedelta(hours=2)

    new = impose(in_workspace, later)

    assert new.pk != old.pk
    assert list(in_force(later)) == [new]
    assert actions() == ["hold.impose", "hold.expire", "hold.impose"]


def test_lifts_at_once_and_once(in_workspace, now):
    owner = make_member(in_workspace)
    hold = impose(in_workspace, now)
    before = version(in_workspace)

    holds.lift(hold=hold, acting_user=owner, now=now)
    holds.lift(hold=hold, acting_user=None, now=now)

    row = Hold.objects.get()
    assert (row.lifted_at, row.lifted_by, row.settled_at) == (now, owner.email, now)
    assert not in_force(now).exists()
    assert version(in_workspace) == before + 1
    assert actions() == ["hold.impose", "hold.lift"]


def test_ends_by_the_second_without_any_job(in_workspace, now):
    hold = impose(in_workspace, now)

    assert in_force(hold.expires_at - timedelta(seconds=1)).exists()
    assert not in_force(hold.expires_at).exists()


def test_the_sweep_writes_the_end_down_once(in_workspace, now):
    hold = impose(in_workspace, now)
    impose(in_workspace, now, value="KE", hours=5)

    assert holds.settle_expired(now=hold.expires_at - timedelta(seconds=1)) == 0
    assert holds.settle_expired(now=hold.expires_at) == 1
    assert holds.settle_expired(now=hold.expires_at) == 0

    assert actions() == ["hold.impose", "hold.impose", "hold.expire"]
    hold.refresh_from_db()
    assert (hold.settled_at, hold.lifted_at) == (hold.expires_at, None)


def test_lifting_what_ran_out_says_that_it_ran_out(in_workspace, now):
    hold = impose(in_workspace, now)

    lifted = holds.lift(hold=hold, acting_user=None, now=hold.expires_at)

    assert lifted.lifted_at is None
    assert actions() == ["hold.impose", "hold.expire"]


def test_the_brake_holds_the_workspace(in_workspace, now):
    hold = holds.brake(
        workspace_id=in_workspace.pk, reason="attack", expires_at=now + timedelta(hours=1), acting_user=None, now=now
    )

    assert (hold.scope, hold.value, hold.direction, hold.channel) == ("workspace", "", "", "")


@pytest.mark.parametrize(
    ("scope", "value", "due"),
    [("workspace", "", 2), ("country", "JM", 2), ("phone_number", NUMBER, 1), ("peer", "+18765550123", 0)],
)
def test_makes_uponais_lists_due_when_it_begins_and_when_it_ends(in_workspace, now, scope, value, due):
    make_phone_number(in_workspace, NUMBER)
    make_phone_number(in_workspace, "+14155550101")
    waiting = SyncTarget.objects.exclude(due_at=None)

    hold = impose(in_workspace, now, scope, value)
    assert waiting.count() == due
    SyncTarget.objects.update(due_at=None)

    impose(in_workspace, now, scope, value, hours=2)
    assert waiting.count() == 0

    holds.lift(hold=hold, acting_user=None, now=now)
    assert waiting.count() == due


def test_leaves_uponais_lists_to_calls(in_workspace, now):
    make_phone_number(in_workspace, NUMBER)

    impose(in_workspace, now, "workspace", None, channel="chat")

    assert not SyncTarget.objects.exclude(due_at=None).exists()


@pytest.mark.parametrize(
    ("scope", "given", "kept"),
    [
        ("country", " jm ", "JM"),
        ("peer", "+1 (876) 555-0123", "+18765550123"),
        ("prefix", "+44 74-18", "+447418"),
        ("ip", "2001:DB8:0::1", "2001:db8::1"),
        ("ip", "203.0.113.9/24", "203.0.113.0/24"),
        ("ip", "::ffff:203.0.113.9", "203.0.113.9"),
        ("phone_number", "+1 415 555 0100", NUMBER),
        ("subject", " patient-7 ", "patient-7"),
        ("workspace", None, ""),
    ],
)
def test_keeps_a_value_in_its_one_spelling(in_workspace, now, scope, given, kept):
    make_phone_number(in_workspace, NUMBER)

    assert impose(in_workspace, now, scope, given).value == kept


def test_holds_a_key_of_the_workspace_only(in_workspace, now):
    key = keys.mint_public_key(
        workspace=in_workspace, name="site", domains=["example.com"], channels=["chat"], acting_user=None, now=now
    )

    assert impose(in_workspace, now, "key", key.key).value == key.key
    with pytest.raises(Refused):
        impose(make_workspace(), now, "key", key.key)


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("scope", {"scope": "planet"}),
        ("scope", {"scope": None}),
        ("value", {"value": "CU"}),
        ("value", {"value": "XX"}),
        ("value", {"value": ""}),
        ("value", {"scope": "peer", "value": "12"}),
        ("value", {"scope": "prefix", "value": "44"}),
        ("value", {"scope": "prefix", "value": "+0"}),
        ("value", {"scope": "ip", "value": "203.0.113"}),
        ("value", {"scope": "phone_number", "value": "+14155550199"}),
        ("value", {"scope": "key", "value": "pk_nobody"}),
        ("value", {"scope": "subject", "value": "a\0b"}),
        ("value", {"scope": "workspace", "value": "other"}),
        ("reason", {"reason": "  "}),
        ("reason", {"reason": "x" * 501}),
        ("direction", {"direction": "sideways"}),
        ("channel", {"channel": "fax"}),
        ("expires_at", {"hours": 0}),
        ("expires_at", {"hours": 24 * 91}),
        ("end_running_calls", {"scope": "ip", "value": "203.0.113.9", "end_running_calls": True}),
    ],
)
def test_refuses_what_makes_no_sense_and_names_the_field(in_workspace, now, field, given):
    with pytest.raises(Refused) as refused:
        impose(in_workspace, now, **{"scope": "country", "value": "JM"} | given)

    assert [problem.field for problem in refused.value.problems] == [field]
    assert not Hold.objects.exists()


def test_names_every_field_at_once(in_workspace):
    now = moment()
    with pytest.raises(Refused) as refused:
        impose(in_workspace, now, value="XX", reason="", hours=-1, channel="fax")

    assert {problem.field for problem in refused.value.problems} == {"value", "reason", "expires_at", "channel"}
