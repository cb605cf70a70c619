"""Holds at the inbound door: obeyed by the next call, over by themselves, and told in the decision."""

from datetime import timedelta

import pytest
import time_machine

from accounts.scoping import scoped
from policies import holds
from policies.gate import recorder, snapshots, store
from policies.models import Decision
from tests.factories import make_phone_number, make_workspace, moment
from tests.policies.gate.webhooks import ACCEPTED, CANADIAN, CUBAN, OUR_NUMBER, REJECTED, body, deliver

pytestmark = pytest.mark.django_db


@pytest.fixture
def number(workspace):
    row = make_phone_number(workspace, OUR_NUMBER)
    store.publish_version(workspace.pk, snapshots.load(workspace.pk).version)
    return row


@pytest.fixture
def impose(workspace, number, django_capture_on_commit_callbacks):
    def imposing(scope="workspace", value=None, *, hours=1.0, of=workspace, **more):
        now = moment()
        with django_capture_on_commit_callbacks(execute=True):
            return holds.impose(
                workspace_id=of.pk,
                scope=scope,
                value=value,
                reason="attack",
                expires_at=now + timedelta(hours=hours),
                acting_user=None,
                now=now,
                **more,
            )

    return imposing


def call(workspace, call_id, caller=CANADIAN):
    return deliver(workspace, body(caller, call_id=call_id)).json()


def decisions(workspace):
    recorder.drain(now=moment())
    with scoped(workspace.pk):
        return list(Decision.objects.order_by("id"))


@pytest.mark.parametrize(
    ("scope", "value"),
    [
        ("workspace", None),
        ("phone_number", OUR_NUMBER),
        ("peer", CANADIAN),
        ("prefix", "+1416"),
        ("country", "CA"),
    ],
)
def test_rejects_the_very_next_call_and_says_for_which_hold(workspace, impose, scope, value):
    assert call(workspace, "call_1") == ACCEPTED

    hold = impose(scope, value)

    assert call(workspace, "call_2") == REJECTED
    first, second = decisions(workspace)
    assert (first.reason, first.hold_id) == ("", None)
    assert (second.reason, second.hold_id) == ("held", hold.pk)
    assert second.counterfactuals[0]["change"] == "lift_holds"


def test_accepts_again_when_it_was_lifted(workspace, impose, django_capture_on_commit_callbacks):
    hold = impose()
    assert call(workspace, "call_1") == REJECTED

    with django_capture_on_commit_callbacks(execute=True):
        holds.lift(hold=hold, acting_user=None, now=moment())

    assert call(workspace, "call_2") == ACCEPTED


def test_accepts_again_when_it_ran_out_though_no_job_was_there(workspace, impose):
    hold = impose()
    assert call(workspace, "call_1") == REJECTED

    with time_machine.travel(hold.expires_at + timedelta(milliseconds=5), tick=True):
        assert call(workspace, "call_2") == ACCEPTED


def test_obeys_without_the_live_store(workspace, impose, nobody_listens):
    hold = impose()

    assert call(workspace, "call_1") == REJECTED
    with scoped(workspace.pk):
        assert Decision.objects.get().hold_id == hold.pk


def test_leaves_other_workspaces_alone(workspace, impose):
    impose(of=make_workspace())

    assert call(workspace, "call_1") == ACCEPTED


def test_leaves_other_directions_alone_and_opens_nothing(workspace, impose):
    impose(direction="outbound")

    assert call(workspace, "call_1") == ACCEPTED
    assert call(workspace, "call_2", CUBAN) == REJECTED
    assert decisions(workspace)[1].reason == "sanctioned_country"
