"""The push: what the policy says arrives at UponAI, is read back, and nothing is lost on the way."""

import uuid
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from accounts import workspaces
from accounts.models import AuditEntry
from policies import actions
from policies.models import PolicyRevision, SyncTarget
from policies.sync import push, schedule
from policies.uponai import client as uponai_client
from tests.factories import make_phone_number, make_workspace, moment

pytestmark = pytest.mark.django_db

NUMBER = "+14155550100"


@pytest.fixture
def number(in_workspace, uponai):
    uponai.post("numbers", numbers=[{"phone_number": NUMBER, "nickname": "Front desk"}])
    return make_phone_number(in_workspace, NUMBER, synced=False)


def _target(number):
    return SyncTarget.objects.get(phone_number=number)


def _remote(uponai):
    number = uponai.retell.phone_number.retrieve(NUMBER)
    return number.allowed_inbound_country_list, number.allowed_outbound_country_list


def _edit(number, **lists):
    actions.edit_phone_number(phone_number=number, acting_user=None, now=moment(), **lists)


def _push(number, now=None):
    return push.push(number.sync_target.pk, clock=lambda: now or moment())


def test_brings_both_lists_to_uponai_and_reads_them_back(number, uponai):
    _edit(number, inbound_countries=["gb", "US"], outbound_countries=["DE"])

    assert _push(number)

    assert _remote(uponai) == (["GB", "US"], ["DE"])
    target = _target(number)
    assert (target.state, target.due_at, target.attempts, target.error) == ("synced", None, 0, "")
    assert target.applied == target.observed == {"inbound": ["GB", "US"], "outbound": ["DE"]}
    assert target.applied_generation == target.desired_generation


def test_says_no_restriction_with_null(number, uponai):
    actions.edit_phone_number(
        phone_number=number,
        inbound_countries=None,
        confirm_unrestricted=True,
        reason="a hotline for everybody",
        acting_user=None,
        now=moment(),
    )

    assert _push(number)
    assert _remote(uponai)[0] is None


def test_does_nothing_that_is_not_due(number, uponai):
    assert _push(number)
    changes = len(uponai.get("log", after=0))

    assert not _push(number)
    assert len(uponai.get("log", after=0)) == changes


def test_leaves_a_row_alone_that_another_worker_has(number):
    SyncTarget.objects.filter(phone_number=number).update(lease_until=moment() + timedelta(seconds=30))

    assert not _push(number)
    assert schedule.due_targets(now=moment()) == []


def test_takes_over_from_a_worker_that_died(number, uponai):
    SyncTarget.objects.filter(phone_number=number).update(lease_until=moment() - timedelta(seconds=1))

    assert schedule.due_targets(now=moment()) == [number.sync_target.pk]
    assert _push(number)


@pytest.mark.parametrize(
    ("kind", "state", "words"),
    [
        ("500", "unknown", "500"),
        ("429", "pending", "429"),
        ("garbage", "unknown", "JSON"),
        ("reset", "unknown", "connection"),
        ("noop_200", "drift", "other lists"),
    ],
)
def test_keeps_trying_after_a_fault_and_says_what_it_was(number, uponai, kind, state, words):
    _edit(number, inbound_countries=["GB"])
    uponai.post("faults", rate=1, kinds=[kind], seed=1)

    assert not _push(number)

    target = _target(number)
    assert target.state == state
    assert words in target.error
    assert target.attempts == (0 if kind == "429" else 1)
    assert target.due_at > moment()
    assert target.lease_until is None

    uponai.post("faults", rate=0)
    assert _push(number, target.due_at)
    assert _target(number).state == "synced"
    assert _remote(uponai)[0] == ["GB"]


def test_does_not_come_back_sooner_than_uponai_asked(number, uponai, monkeypatch):
    monkeypatch.setattr(push, "FIRST_BACKOFF_SECONDS", 0.001)
    uponai.post("faults", rate=1, kinds=["429"], seed=1)
    before = moment()

    _push(number)

    assert _target(number).due_at >= before + timedelta(seconds=1)


def test_says_that_uponai_cannot_be_reached(number, uponai):
    uponai.kill()

    assert not _push(number)

    target = _target(number)
    assert (target.state, target.error) == ("pending", "UponAI cannot be reached.")


def test_gives_up_on_a_number_that_uponai_does_not_know(number, uponai):
    uponai.retell.phone_number.delete(NUMBER)

    assert not _push(number)

    target = _target(number)
    assert (target.state, target.due_at) == ("failed", None)
    assert "does not know this number" in target.error


def test_sends_the_newer_lists_when_edited_meanwhile(number, uponai, monkeypatch):
    real = uponai_client.UponaiClient.update_phone_number

    def edit_while_sending(self, e164, changes):
        answer = real(self, e164, changes)
        if changes["allowed_inbound_country_list"] == ["GB"]:
            _edit(number, inbound_countries=["FR"])
        return answer

    monkeypatch.setattr(uponai_client.UponaiClient, "update_phone_number", edit_while_sending)
    _edit(number, inbound_countries=["GB"])

    assert not _push(number)
    assert _target(number).state == "pending"
    assert _push(number)
    assert _remote(uponai)[0] == ["FR"]


def _while_sending(monkeypatch, happen):
    real = uponai_client.UponaiClient.update_phone_number

    def send(self, e164, changes):
        happen()
        return real(self, e164, changes)

    monkeypatch.setattr(uponai_client.UponaiClient, "update_phone_number", send)


@pytest.mark.parametrize("kinds", [[], ["500"]])
def test_leaves_the_row_to_the_worker_that_took_it_over(number, uponai, monkeypatch, kinds):
    theirs, until = uuid.uuid4(), moment() + timedelta(seconds=30)
    row = SyncTarget.objects.filter(phone_number=number)
    _while_sending(monkeypatch, lambda: row.update(lease_token=theirs, lease_until=until))
    uponai.post("faults", rate=1 if kinds else 0, kinds=kinds or ["500"], seed=1)

    assert not _push(number)

    target = _target(number)
    assert (target.lease_token, target.lease_until, target.state) == (theirs, until, "pending")


def test_gives_the_newer_lists_a_try_of_their_own_when_the_older_failed(number, uponai, monkeypatch):
    _edit(number, inbound_countries=["GB"])
    uponai.post("faults", rate=1, kinds=["500"], seed=1)
    _while_sending(monkeypatch, lambda: _edit(number, inbound_countries=["FR"]))

    assert not _push(number)

    target = _target(number)
    assert (target.state, target.attempts, target.error, target.lease_token) == ("pending", 0, "", None)
    assert target.due_at <= moment()


def test_never_sends_a_sanctioned_country_whatever_the_row_says(number, uponai):
    PolicyRevision.objects.filter(policy=number.policy).update(
        inbound={"mode": "list", "countries": ["CU", "GB"], "class_rules": {}, "prefix_rules": []}
    )

    assert _push(number)
    assert _remote(uponai)[0] == ["GB"]


def test_waits_with_the_reason_when_there_is_no_key(uponai):
    workspace = make_workspace(uponai_key="")
    number = make_phone_number(workspace, NUMBER, synced=False)

    push.push(number.sync_target.pk, clock=moment)

    target = SyncTarget._base_manager.get(phone_number=number)
    assert target.state == "pending"
    assert "no UponAI key" in target.error


def test_the_command_fails_where_uponai_refuses_a_number(number):
    SyncTarget.objects.update(state="failed", due_at=None)

    call_command("sync", stdout=StringIO())
    with pytest.raises(CommandError, match="1 number failed"):
        call_command("sync", wait=True, stdout=StringIO())


def test_keeps_waiting_while_the_key_is_refused_and_arrives_with_the_new_one(number, uponai):
    workspace = number.workspace
    workspaces.set_uponai_key(workspace=workspace, key="key_wrong", acting_user=None, now=moment())
    _push(number)
    target = _target(number)
    assert (target.state, "key" in target.error) == ("pending", True)

    workspaces.set_uponai_key(workspace=workspace, key="key_sandbox", acting_user=None, now=moment())

    assert _push(number, target.due_at)


def test_retry_makes_it_due_at_once_and_is_audited(number, uponai):
    SyncTarget.objects.filter(phone_number=number).update(state="failed", due_at=None, attempts=9, error="x")

    push.retry(sync_target=_target(number), acting_user=None, now=moment())

    assert _target(number).attempts == 0
    assert _push(number)
    assert AuditEntry.objects.filter(action="sync.retry", object_id=str(number.pk)).exists()


def test_never_waits_longer_than_its_longest_backoff():
    waits = [push._backoff(attempts, None).total_seconds() for attempts in range(1, 60)]

    assert max(waits) <= push.LONGEST_BACKOFF_SECONDS
    assert waits[0] <= 2 * push.FIRST_BACKOFF_SECONDS
