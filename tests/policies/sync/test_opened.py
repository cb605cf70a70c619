"""Opens at UponAI: its lists have what is open, or it would refuse what the gate lets through."""

from datetime import timedelta

import pytest

from accounts.countries import CODES, SANCTIONED_SET
from policies import holds, opens
from policies.models import SyncTarget
from policies.sync import push, schedule
from tests.factories import make_phone_number, moment

pytestmark = pytest.mark.django_db

FRONT, BACK = "+14155550100", "+14155550101"


@pytest.fixture
def numbers(in_workspace, uponai):
    """One restricted number, one that nothing restricts, both as UponAI has them."""
    uponai.post("numbers", numbers=[{"phone_number": FRONT}, {"phone_number": BACK}])
    make_phone_number(in_workspace, FRONT, inbound=["US", "CA"], outbound=["US"], synced=False)
    make_phone_number(in_workspace, BACK, inbound=None, outbound=None, synced=False)
    push_all()
    return in_workspace


def push_all(now=None):
    for pk in schedule.due_targets(now=now or moment()):
        assert push.push(pk, clock=lambda: now or moment())
    assert set(SyncTarget.objects.values_list("state", "due_at")) == {("synced", None)}


def open_(workspace, scope="country", value="KE", **more):
    now = moment()
    return opens.open_temporarily(
        workspace_id=workspace.pk,
        scope=scope,
        value=value,
        reason="conference",
        expires_at=now + timedelta(hours=1),
        acting_user=None,
        now=now,
        **more,
    )


def remote(uponai, e164):
    number = uponai.retell.phone_number.retrieve(e164)
    lists = number.allowed_inbound_country_list, number.allowed_outbound_country_list
    return tuple(None if codes is None else sorted(codes) for codes in lists)


def test_a_country_is_on_every_list_while_it_is_open_and_off_when_it_is_closed(numbers, uponai):
    row = open_(numbers, direction="outbound")
    push_all()

    assert remote(uponai, FRONT) == (["CA", "US"], ["KE", "US"])
    assert remote(uponai, BACK) == (None, None)

    opens.close(open_=row, acting_user=None, now=moment())
    push_all()

    assert remote(uponai, FRONT) == (["CA", "US"], ["US"])


def test_the_sandbox_answers_a_caller_from_it_only_meanwhile(numbers, uponai):
    def called():
        return uponai.post("inbound-call", from_number="+254712345678", to_number=FRONT)["by"]

    assert called() == "country_list"
    row = open_(numbers)
    push_all()
    assert called() != "country_list"

    opens.settle_expired(now=row.expires_at)
    push_all(now=row.expires_at)
    assert called() == "country_list"


def test_a_number_or_prefix_of_the_other_side_brings_its_country(numbers, uponai):
    open_(numbers, "peer", "+254712345678", direction="outbound")
    open_(numbers, "prefix", "+1876", direction="inbound")
    push_all()

    assert remote(uponai, FRONT) == (["CA", "JM", "US"], ["KE", "US"])


def test_an_opened_number_of_ours_names_every_country_and_lifts_no_list(numbers, uponai):
    open_(numbers, "phone_number", FRONT, direction="inbound")
    push_all()

    assert remote(uponai, FRONT) == (sorted(CODES - SANCTIONED_SET), ["US"])


def test_an_open_prefix_that_russia_shares_never_sends_russia(numbers, uponai):
    open_(numbers, "prefix", "+7701")
    push_all()

    assert remote(uponai, FRONT) == (["CA", "KZ", "US"], ["KZ", "US"])


def test_a_hold_stands_above_an_open(numbers, uponai):
    open_(numbers)
    now = moment()
    facts = {"reason": "attack", "expires_at": now + timedelta(hours=1), "acting_user": None, "now": now}
    hold = holds.impose(workspace_id=numbers.pk, scope="country", value="KE", **facts)
    push_all()
    assert remote(uponai, FRONT) == (["CA", "US"], ["US"])

    holds.brake(workspace_id=numbers.pk, **facts)
    push_all()
    assert remote(uponai, FRONT) == (["BV"], ["BV"])

    holds.lift(hold=hold, acting_user=None, now=now)
    push_all()
    assert remote(uponai, FRONT) == (["BV"], ["BV"])


def test_what_the_lists_cannot_say_leaves_them_alone(numbers):
    open_(numbers, "ip", "203.0.113.7")
    open_(numbers, "subject", "patient-7")
    open_(numbers, channel="chat")

    assert not SyncTarget.objects.exclude(due_at=None).exists()
