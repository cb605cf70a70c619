"""Holds at UponAI: the brake and country holds change the lists it is given, and their end gives them back."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.countries import CODES, SANCTIONED_SET
from policies import actions, held, holds
from policies.models import SyncTarget
from policies.sync import push, schedule
from policies.sync.importing import import_numbers
from tests.factories import make_phone_number, moment

pytestmark = pytest.mark.django_db

FRONT, BACK = "+14155550100", "+14155550101"
NOTHING = ["BV"]


@pytest.fixture
def numbers(in_workspace, uponai):
    """One restricted number, one that nothing restricts, both as UponAI has them."""
    uponai.post("numbers", numbers=[{"phone_number": FRONT}, {"phone_number": BACK}])
    make_phone_number(in_workspace, FRONT, inbound=["US", "CA"], outbound=["US", "JM"], synced=False)
    make_phone_number(in_workspace, BACK, inbound=None, outbound=None, synced=False)
    push_all()
    return in_workspace


def push_all(now=None):
    for pk in schedule.due_targets(now=now or moment()):
        assert push.push(pk, clock=lambda: now or moment())
    assert set(SyncTarget.objects.values_list("state", "due_at")) == {("synced", None)}


def impose(workspace, scope="workspace", value=None, **more):
    now = moment()
    return holds.impose(
        workspace_id=workspace.pk,
        scope=scope,
        value=value,
        reason="attack",
        expires_at=now + timedelta(hours=1),
        acting_user=None,
        now=now,
        **more,
    )


def remote(uponai, e164):
    number = uponai.retell.phone_number.retrieve(e164)
    lists = number.allowed_inbound_country_list, number.allowed_outbound_country_list
    return tuple(None if codes is None else sorted(codes) for codes in lists)


def test_the_brake_closes_every_number_and_lifting_it_opens_them_as_they_were(numbers, uponai):
    before = remote(uponai, FRONT), remote(uponai, BACK)
    hold = impose(numbers)
    push_all()

    assert remote(uponai, FRONT) == remote(uponai, BACK) == (NOTHING, NOTHING)

    holds.lift(hold=hold, acting_user=None, now=moment())
    push_all()

    assert (remote(uponai, FRONT), remote(uponai, BACK)) == before == ((["CA", "US"], ["JM", "US"]), (None, None))


def test_a_number_on_hold_is_closed_alone_and_in_the_held_direction(numbers, uponai):
    impose(numbers, "phone_number", FRONT, direction="outbound")
    push_all()

    assert remote(uponai, FRONT) == (["CA", "US"], NOTHING)
    assert remote(uponai, BACK) == (None, None)


def test_a_country_on_hold_is_taken_off_every_list(numbers, uponai):
    impose(numbers, "country", "JM")
    impose(numbers, "country", "CA", direction="inbound")
    push_all()

    assert remote(uponai, FRONT) == (["US"], ["US"])
    everywhere = CODES - SANCTIONED_SET - {"JM"}
    assert remote(uponai, BACK) == (sorted(everywhere - {"CA"}), sorted(everywhere))


def test_a_list_of_which_everything_is_held_allows_nothing(numbers, uponai):
    for code in ("US", "CA"):
        impose(numbers, "country", code, direction="inbound")
    push_all()

    assert remote(uponai, FRONT)[0] == NOTHING


def test_the_end_by_time_reaches_uponai_through_the_sweep(numbers, uponai):
    hold = impose(numbers)
    push_all()
    assert remote(uponai, FRONT) == (NOTHING, NOTHING)

    assert holds.settle_expired(now=hold.expires_at) == 1
    push_all(now=hold.expires_at)

    assert remote(uponai, FRONT) == (["CA", "US"], ["JM", "US"])


def test_an_edit_while_the_brake_is_pulled_opens_nothing(numbers, uponai):
    impose(numbers)
    push_all()
    number = SyncTarget.objects.get(phone_number__e164=FRONT).phone_number

    actions.edit_phone_number(phone_number=number, inbound_countries=["US", "GB"], acting_user=None, now=moment())
    push_all()

    assert remote(uponai, FRONT) == (NOTHING, NOTHING)


def test_a_number_imported_while_the_brake_is_pulled_is_closed_too(numbers, uponai):
    impose(numbers)
    uponai.post("numbers", numbers=[{"phone_number": "+14155550102", "allowed_inbound_country_list": ["US"]}])

    import_numbers(workspace=numbers, acting_user=None, now=moment())
    push_all()

    assert remote(uponai, "+14155550102") == (NOTHING, NOTHING)


def test_a_hold_of_other_channels_leaves_the_lists_alone(numbers):
    impose(numbers, channel="chat")
    impose(numbers, "ip", "203.0.113.7")

    assert held.of_lists(moment()) == ()


def test_a_hold_imposed_while_a_push_is_under_way_is_pushed_after_it(numbers, uponai, monkeypatch):
    target = SyncTarget.objects.get(phone_number__e164=FRONT)
    push.retry(sync_target=target, acting_user=None, now=moment())
    send = push._send_and_read_back

    def imposing_meanwhile(*under_way):
        observed = send(*under_way)
        monkeypatch.setattr(push, "_send_and_read_back", send)
        impose(numbers, "phone_number", FRONT)
        return observed

    monkeypatch.setattr(push, "_send_and_read_back", imposing_meanwhile)

    assert not push.push(target.pk, clock=moment)
    assert remote(uponai, FRONT)[0] == ["CA", "US"]
    push_all()
    assert remote(uponai, FRONT) == (NOTHING, NOTHING)


def test_asks_for_the_holds_once(in_workspace):
    for value in ("JM", "KE", "LV"):
        impose(in_workspace, "country", value)

    with CaptureQueriesContext(connection) as queries:
        assert len(held.of_lists(moment())) == 3

    assert len(queries) == 1
