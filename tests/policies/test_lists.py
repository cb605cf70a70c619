"""The verbs of trusted and blocked callers: added, kept longer, removed, ended by time, each with its audit entry."""

from datetime import timedelta

import pytest

from accounts.models import AuditEntry, Workspace
from policies import held, lists
from policies.actions import Refused
from policies.models import ListEntry
from tests.factories import make_member, make_workspace

pytestmark = pytest.mark.django_db

CALLER = "+447400123456"


def trust(workspace, now, scope="peer", value=CALLER, **more):
    facts = {"reason": "our office", "acting_user": None} | more
    return lists.trust(workspace_id=workspace.pk, scope=scope, value=value, now=now, **facts)


def block(workspace, now, scope="peer", value=CALLER, **more):
    facts = {"reason": "spam", "acting_user": None} | more
    return lists.block_caller(workspace_id=workspace.pk, scope=scope, value=value, now=now, **facts)


def actions():
    return list(AuditEntry.objects.filter(object_type="policies.listentry").values_list("action", flat=True))


def version(workspace):
    return Workspace.objects.get(pk=workspace.pk).snapshot_version


def test_trusts_for_good_with_who_when_and_why(in_workspace, now):
    owner, before = make_member(in_workspace), version(in_workspace)

    entry = trust(in_workspace, now, value="+44 7400 123456", acting_user=owner)

    assert (entry.list, entry.scope, entry.value, entry.direction) == ("trusted", "peer", CALLER, "")
    assert (entry.added_by, entry.added_at, entry.expires_at, entry.reason) == (owner.email, now, None, "our office")
    assert version(in_workspace) == before + 1
    found = held.lists_in_force(now + timedelta(days=3650))
    assert ([row.value for row in found.trusted], found.blocked) == ([CALLER], ())
    assert found.trusted[0].expires_at_ms is None
    assert actions() == ["trusted.add"]


def test_blocks_callers_inbound_unless_another_direction_is_named(in_workspace, now):
    block(in_workspace, now)
    block(in_workspace, now, direction="outbound")
    block(in_workspace, now, "prefix", "+44 74", direction=None)

    blocked = held.lists_in_force(now).blocked
    assert {(row.scope.value, row.value, row.direction) for row in blocked} == {
        ("peer", CALLER, "inbound"),
        ("peer", CALLER, "outbound"),
        ("prefix", "+4474", None),
    }
    assert held.lists_in_force(now).trusted == ()


def test_adding_again_keeps_the_longer_end(in_workspace, now):
    first = block(in_workspace, now, expires_at=now + timedelta(days=2))
    second = block(in_workspace, now, expires_at=now + timedelta(days=1), reason="again")
    assert (first.pk, second.expires_at, second.reason) == (second.pk, now + timedelta(days=2), "again")

    assert block(in_workspace, now).expires_at is None
    assert block(in_workspace, now, expires_at=now + timedelta(days=5)).expires_at is None
    assert set(actions()) == {"blocked_caller.add", "blocked_caller.extend"}


def test_what_ran_out_is_added_anew(in_workspace, now):
    old = trust(in_workspace, now, expires_at=now + timedelta(hours=1))
    later = now + timedelta(hours=2)

    new = trust(in_workspace, later, expires_at=later + timedelta(minutes=5))

    assert (new.pk != old.pk, new.added_at) == (True, later)
    assert ListEntry.objects.get() == new


def test_ends_by_the_second_and_the_sweep_takes_it_off_with_an_entry(in_workspace, now):
    end = now + timedelta(hours=1)
    block(in_workspace, now, expires_at=end)
    trust(in_workspace, now, "subject", "patient-7")
    before = version(in_workspace)

    assert len(held.lists_in_force(end - timedelta(seconds=1)).blocked) == 1
    assert held.lists_in_force(end).blocked == ()
    assert lists.settle_expired(now=end - timedelta(seconds=1)) == 0
    assert lists.settle_expired(now=end) == 1
    assert lists.settle_expired(now=end) == 0

    assert ListEntry.objects.get().value == "patient-7"
    assert "blocked_caller.expire" in actions()
    assert version(in_workspace) == before + 1


def test_removes_once_and_the_audit_log_keeps_what_it_said(in_workspace, now):
    owner, entry = make_member(in_workspace), block(in_workspace, now)
    before = version(in_workspace)

    lists.remove(entry=entry, acting_user=owner, now=now)
    lists.remove(entry=entry, acting_user=owner, now=now)

    assert not ListEntry.objects.exists()
    assert version(in_workspace) == before + 1
    kept = AuditEntry.objects.get(action="blocked_caller.remove")
    assert (kept.detail["before"]["value"], kept.detail["before"]["reason"]) == (CALLER, "spam")


@pytest.mark.parametrize(
    ("number", "country"),
    [("+5351234567", "Cuba"), ("+79161234567", "Russia"), ("+850212345", "North Korea"), ("+53 1", "Cuba")],
)
def test_never_trusts_a_number_under_a_sanctioned_code_and_says_why(in_workspace, now, number, country):
    with pytest.raises(Refused, match=f"{country} is on the platform sanctions list; trust never stands above it"):
        trust(in_workspace, now, value=number)

    assert not ListEntry.objects.exists()


def test_does_not_trust_a_blocked_caller_but_blocks_a_trusted_one(in_workspace, now):
    blocked = block(in_workspace, now)
    with pytest.raises(Refused, match="among the blocked callers"):
        trust(in_workspace, now)

    lists.remove(entry=blocked, acting_user=None, now=now)
    trust(in_workspace, now)
    block(in_workspace, now)

    found = held.lists_in_force(now)
    assert (len(found.trusted), len(found.blocked)) == (1, 1)


@pytest.mark.parametrize(
    ("verb", "field", "given"),
    [
        (trust, "scope", {"scope": "prefix", "value": "+4474"}),
        (trust, "scope", {"scope": "workspace", "value": ""}),
        (trust, "scope", {"scope": ["peer"]}),
        (trust, "value", {"value": "12"}),
        (trust, "value", {"value": None}),
        (trust, "value", {"scope": "ip", "value": "10.0.0.0/8"}),
        (trust, "value", {"scope": "subject", "value": "x" * 121}),
        (trust, "reason", {"reason": ""}),
        (trust, "direction", {"direction": "up"}),
        (block, "scope", {"scope": "ip", "value": "203.0.113.7"}),
        (block, "scope", {"scope": "subject", "value": "p7"}),
        (block, "value", {"scope": "prefix", "value": "4474"}),
        (block, "reason", {"reason": None}),
        (block, "channel", {"channel": "fax"}),
    ],
)
def test_refuses_what_makes_no_sense_and_names_the_field(in_workspace, now, verb, field, given):
    with pytest.raises(Refused) as refused:
        verb(in_workspace, now, **given)

    assert [problem.field for problem in refused.value.problems] == [field]
    assert not ListEntry.objects.exists()


def test_refuses_an_end_that_is_past(in_workspace, now):
    with pytest.raises(Refused) as refused:
        block(in_workspace, now, expires_at=now)

    assert [problem.field for problem in refused.value.problems] == ["expires_at"]


def test_workspaces_have_lists_of_their_own(in_workspace, now):
    trust(make_workspace(), now)

    assert held.lists_in_force(now) == ((), ())
