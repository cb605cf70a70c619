"""The verbs of opens: begun once, extended, closed, ended by time, each with its audit entry; never over sanctions."""

from datetime import timedelta

import pytest

from accounts.models import AuditEntry, Workspace
from policies import held, opens
from policies.actions import Refused
from policies.models import Open, SyncTarget
from tests.factories import make_member, make_phone_number, moment

pytestmark = pytest.mark.django_db

NUMBER = "+14155550100"


def open_(workspace, now, scope="country", value="KE", *, hours=1, **more):
    facts = {"reason": "conference", "acting_user": None} | more
    return opens.open_temporarily(
        workspace_id=workspace.pk, scope=scope, value=value, expires_at=now + timedelta(hours=hours), now=now, **facts
    )


def actions():
    return list(
        AuditEntry.objects.filter(action__startswith="open.").order_by("sequence").values_list("action", flat=True)
    )


def version(workspace):
    return Workspace.objects.get(pk=workspace.pk).snapshot_version


def test_opens_with_who_when_and_why_and_tells_the_gate(in_workspace, now):
    owner, before = make_member(in_workspace), version(in_workspace)

    row = open_(in_workspace, now, value="ke", acting_user=owner, direction="outbound", channel="phone_call")

    assert Open.objects.get() == row
    assert (row.scope, row.value, row.direction, row.channel) == ("country", "KE", "outbound", "phone_call")
    assert (row.opened_by, row.opened_at, row.reason) == (owner.email, now, "conference")
    assert version(in_workspace) == before + 1
    entry = AuditEntry.objects.get(action="open.begin")
    assert (entry.detail["after"]["value"], entry.detail["reason"]) == ("KE", "conference")
    (snapshot,) = held.opens_in_force(now)
    assert snapshot.as_dict() == {
        "id": row.pk,
        "scope": "country",
        "value": "KE",
        "expires_at_ms": int(row.expires_at.timestamp() * 1000),
        "direction": "outbound",
        "channel": "phone_call",
    }


def test_opening_again_keeps_the_later_end(in_workspace, now):
    first = open_(in_workspace, now, hours=2)

    longer = open_(in_workspace, now, hours=3, reason="still there")
    shorter = open_(in_workspace, now, hours=1, reason="again")

    assert first.pk == longer.pk == shorter.pk
    assert (Open.objects.get().expires_at, Open.objects.get().reason) == (now + timedelta(hours=3), "again")
    assert actions() == ["open.begin", "open.extend", "open.extend"]


def test_one_that_ran_out_is_begun_anew(in_workspace, now):
    old = open_(in_workspace, now)

    new = open_(in_workspace, now + timedelta(hours=2))

    assert new.pk != old.pk
    assert actions() == ["open.begin", "open.expire", "open.begin"]


def test_closes_at_once_and_once(in_workspace, now):
    owner, row = make_member(in_workspace), open_(in_workspace, now)
    before = version(in_workspace)

    opens.close(open_=row, acting_user=owner, now=now)
    opens.close(open_=row, acting_user=None, now=now)

    row.refresh_from_db()
    assert (row.closed_at, row.closed_by, row.settled_at) == (now, owner.email, now)
    assert held.opens_in_force(now) == ()
    assert version(in_workspace) == before + 1
    assert actions() == ["open.begin", "open.close"]


def test_ends_by_the_second_without_any_job_and_the_sweep_writes_it_down_once(in_workspace, now):
    row = open_(in_workspace, now)
    open_(in_workspace, now, value="UG", hours=5)
    before = version(in_workspace)

    assert len(held.opens_in_force(row.expires_at - timedelta(seconds=1))) == 2
    assert [snapshot.value for snapshot in held.opens_in_force(row.expires_at)] == ["UG"]
    assert opens.settle_expired(now=row.expires_at - timedelta(seconds=1)) == 0
    assert opens.settle_expired(now=row.expires_at) == 1
    assert opens.settle_expired(now=row.expires_at) == 0

    assert actions() == ["open.begin", "open.begin", "open.expire"]
    assert version(in_workspace) == before + 1
    row.refresh_from_db()
    assert (row.settled_at, row.closed_at, row.state(row.expires_at)) == (row.expires_at, None, "expired")


def test_closing_what_ran_out_says_that_it_ran_out(in_workspace, now):
    row = open_(in_workspace, now)

    closed = opens.close(open_=row, acting_user=None, now=row.expires_at)

    assert closed.closed_at is None
    assert actions() == ["open.begin", "open.expire"]


@pytest.mark.parametrize(
    ("scope", "value", "more", "due"),
    [
        ("country", "KE", {}, 2),
        ("country", "KE", {"channel": "sms"}, 2),
        ("country", "KE", {"channel": "chat"}, 0),
        ("peer", "+254712345678", {}, 2),
        ("prefix", "+25471", {}, 2),
        ("phone_number", NUMBER, {}, 1),
        ("ip", "203.0.113.7", {}, 0),
        ("subject", "patient-7", {}, 0),
    ],
)
def test_makes_uponais_lists_due_when_it_begins_and_when_it_ends(in_workspace, now, scope, value, more, due):
    make_phone_number(in_workspace, NUMBER)
    make_phone_number(in_workspace, "+14155550101")
    waiting = SyncTarget.objects.exclude(due_at=None)

    row = open_(in_workspace, now, scope, value, **more)
    assert waiting.count() == due
    SyncTarget.objects.update(due_at=None)

    open_(in_workspace, now, scope, value, hours=2, **more)
    assert waiting.count() == 0

    opens.close(open_=row, acting_user=None, now=now)
    assert waiting.count() == due


@pytest.mark.parametrize(
    ("scope", "value", "said"),
    [
        ("country", "CU", "Cuba is on the platform sanctions list; nothing opens it"),
        ("country", "ru", "Russia is on the platform sanctions list"),
        ("peer", "+5351234567", "Cuba is on the platform sanctions list"),
        ("peer", "+53 1", "Cuba is on the platform sanctions list"),
        ("peer", "+79161234567", "Russia is on the platform sanctions list"),
        ("prefix", "+53", "Cuba is on the platform sanctions list"),
        ("prefix", "+7 916", "Russia is on the platform sanctions list"),
        ("prefix", "+3752", "Belarus is on the platform sanctions list"),
    ],
)
def test_never_opens_what_is_sanctioned_and_says_so(in_workspace, now, scope, value, said):
    with pytest.raises(Refused, match=said) as refused:
        open_(in_workspace, now, scope, value)

    assert [(problem.field, problem.code) for problem in refused.value.problems] == [("value", "sanctioned_country")]
    assert not Open.objects.exists()


def test_opens_the_kazakh_side_of_the_code_that_russia_shares(in_workspace, now):
    assert open_(in_workspace, now, "prefix", "+7701").value == "+7701"
    assert open_(in_workspace, now, "peer", "+77012345678").value == "+77012345678"


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("scope", {"scope": "workspace", "value": ""}),
        ("scope", {"scope": "planet"}),
        ("scope", {"scope": None}),
        ("value", {"value": "XX"}),
        ("value", {"value": None}),
        ("value", {"scope": "prefix", "value": "+4"}),
        ("value", {"scope": "ip", "value": "0.0.0.0/0"}),
        ("value", {"scope": "ip", "value": "2001:db8::/31"}),
        ("value", {"scope": "phone_number", "value": "+14155550199"}),
        ("value", {"scope": "key", "value": "pk_nobody"}),
        ("value", {"scope": "subject", "value": "a\0b"}),
        ("reason", {"reason": "  "}),
        ("reason", {"reason": "a\0b"}),
        ("direction", {"direction": "sideways"}),
        ("channel", {"channel": "fax"}),
        ("expires_at", {"hours": 0}),
        ("expires_at", {"hours": 24 * 31}),
    ],
)
def test_refuses_what_makes_no_sense_and_names_the_field(in_workspace, now, field, given):
    with pytest.raises(Refused) as refused:
        open_(in_workspace, now, **{"scope": "country", "value": "KE"} | given)

    assert [problem.field for problem in refused.value.problems] == [field]
    assert not Open.objects.exists()


def test_the_workspace_is_too_wide_and_the_sentence_names_the_policy(in_workspace):
    with pytest.raises(Refused, match=r"too wide for an exception.*change the country policy"):
        open_(in_workspace, moment(), "workspace", "")
