"""Ending running calls: those that a hold covers and no others, at a real UponAI sandbox."""

import time
from datetime import timedelta

import pytest

from policies import holds, running_calls
from policies.models import Hold
from tests.factories import moment
from tests.policies.sync.conftest import uponai  # noqa: F401  (a fixture)

pytestmark = pytest.mark.django_db

OURS, OTHER = "+14155550100", "+14155550101"
LONDON, KINGSTON = "+447400123456", "+18765550123"


@pytest.fixture
def sandbox(in_workspace, uponai):  # noqa: F811
    uponai.post(
        "numbers",
        numbers=[
            {"phone_number": e164, "outbound_agents": [{"agent_id": "agent_out", "weight": 1}]}
            for e164 in (OURS, OTHER)
        ],
    )
    return uponai


def dial(sandbox, from_number, to_number):
    return sandbox.retell.call.create_phone_call(from_number=from_number, to_number=to_number).call_id


def wait_until_running(sandbox, count):
    ends_at = time.monotonic() + 20
    while time.monotonic() < ends_at:
        if len(running(sandbox)) == count:
            return
        time.sleep(0.1)
    raise AssertionError(f"{running(sandbox)} are running, not {count}")


def running(sandbox):
    from policies.uponai.client import UponaiClient
    from tests.factories import UPONAI_KEY

    with UponaiClient(UPONAI_KEY) as client:
        return {call["call_id"] for call in client.list_running_calls()}


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
        **{"end_running_calls": True} | more,
    )


def end(hold, *, later=timedelta(0)):
    return running_calls.end(hold.pk, clock=lambda: moment() + later)


def test_the_brake_ends_every_call_and_counts_them(in_workspace, sandbox):
    calls = {dial(sandbox, OURS, LONDON), dial(sandbox, OTHER, KINGSTON)}
    wait_until_running(sandbox, 2)
    hold = impose(in_workspace)
    assert running_calls.due_holds(now=moment()) == [hold.pk]

    assert end(hold) == 2

    assert running(sandbox) == set()
    hold.refresh_from_db()
    assert hold.calls_ended == 2
    for call_id in calls:
        assert sandbox.retell.call.retrieve(call_id).disconnection_reason == "manual_stopped"


@pytest.mark.parametrize(
    ("scope", "value", "more", "ended"),
    [
        ("country", "JM", {}, {"kingston"}),
        ("prefix", "+4474", {}, {"london"}),
        ("peer", LONDON, {}, {"london"}),
        ("workspace", None, {"direction": "inbound"}, set()),
        ("workspace", None, {"channel": "chat"}, set()),
    ],
)
def test_ends_only_what_is_covered(in_workspace, sandbox, scope, value, more, ended):
    calls = {"london": dial(sandbox, OURS, LONDON), "kingston": dial(sandbox, OTHER, KINGSTON)}
    wait_until_running(sandbox, 2)

    assert end(impose(in_workspace, scope, value, **more)) == len(ended)

    assert running(sandbox) == {call_id for place, call_id in calls.items() if place not in ended}


def test_looks_again_for_what_was_being_dialled(in_workspace, sandbox):
    hold = impose(in_workspace)
    assert end(hold) == 0
    call_id = dial(sandbox, OURS, LONDON)
    wait_until_running(sandbox, 1)

    assert end(hold) == 0
    assert end(hold, later=timedelta(seconds=11)) == 1
    assert call_id not in running(sandbox)
    assert end(hold, later=timedelta(seconds=22)) == 0

    hold.refresh_from_db()
    assert (hold.calls_ended, hold.stop_calls_due_at) == (1, None)
    assert end(hold, later=timedelta(seconds=33)) == 0


def test_leaves_running_calls_alone_unless_asked(in_workspace, sandbox):
    dial(sandbox, OURS, LONDON)
    wait_until_running(sandbox, 1)

    hold = impose(in_workspace, end_running_calls=False)

    assert end(hold) == 0
    assert running_calls.due_holds(now=moment()) == []
    assert len(running(sandbox)) == 1


def test_tries_again_after_trouble_and_says_what_it_was(in_workspace, sandbox):
    dial(sandbox, OURS, LONDON)
    wait_until_running(sandbox, 1)
    hold = impose(in_workspace)
    sandbox.post("faults", rate=1, kinds=["500"], seed=1)

    assert end(hold) == 0

    hold.refresh_from_db()
    assert (hold.stop_calls_attempts, hold.calls_ended) == (1, 0)
    assert "500" in hold.stop_calls_error
    sandbox.post("faults", rate=0, kinds=["500"], seed=1)
    assert end(hold, later=timedelta(seconds=3)) == 1
    assert Hold.objects.get().stop_calls_error == ""


def test_a_lifted_hold_ends_no_more_calls(in_workspace, sandbox):
    hold = impose(in_workspace)
    holds.lift(hold=hold, acting_user=None, now=moment())
    dial(sandbox, OURS, LONDON)
    wait_until_running(sandbox, 1)

    assert end(hold) == 0
    assert len(running(sandbox)) == 1


def test_wanting_it_later_ends_what_runs_then(in_workspace, sandbox):
    hold = impose(in_workspace, end_running_calls=False)
    dial(sandbox, OURS, LONDON)
    wait_until_running(sandbox, 1)

    assert impose(in_workspace).pk == hold.pk

    assert end(hold) == 1
