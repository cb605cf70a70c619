"""Transfers of running calls: judged as calls to where they go, recorded, and ended where that is not allowed."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest

from accounts.scoping import scoped
from monitoring.models import WebhookEvent
from policies import calls_to_end, holds, tasks
from policies.models import CallToEnd, Decision
from tests.factories import make_phone_number, make_workspace, moment
from tests.monitoring.ingest.events import BRITON, CANADIAN, OUR_NUMBER, STARTED_MS, encode, process, send
from tests.policies.sync.conftest import uponai
from tests.policies.test_running_calls import running, wait_until_running

__all__ = ["uponai"]

pytestmark = pytest.mark.django_db

CUBAN, PREMIUM = "+5351234567", "+19002345678"


@pytest.fixture
def number(in_workspace):
    return make_phone_number(in_workspace, OUR_NUMBER, outbound=["US", "CA"])


def transfer(to=CANADIAN, call_id="call_1", **more):
    call = {
        "call_id": call_id,
        "call_type": "phone_call",
        "direction": "inbound",
        "from_number": CANADIAN,
        "to_number": OUR_NUMBER,
        "start_timestamp": STARTED_MS,
    } | more
    destination = to if to is None or isinstance(to, dict) else {"number": to, "extension": "123"}
    return {"event": "transfer_started", "call": call, "transfer_destination": destination}


def told(workspace, event):
    assert send(workspace, event) == 204
    process(workspace)


def decisions():
    return list(Decision.objects.order_by("id"))


def to_end():
    return list(CallToEnd.objects.values_list("call_id", flat=True))


def test_a_transfer_that_is_allowed_is_recorded_and_left_alone(in_workspace, number):
    told(in_workspace, transfer(CANADIAN))

    (decision,) = decisions()
    assert (decision.verdict, decision.direction, decision.channel) == ("allow", "outbound", "phone_call")
    assert (decision.phone_number, decision.peer, decision.call_reference) == (OUR_NUMBER, CANADIAN, "call_1")
    assert to_end() == []


@pytest.mark.parametrize(
    ("to", "reason"),
    [
        (BRITON, "country_not_allowed"),
        (CUBAN, "sanctioned_country"),
        (PREMIUM, "number_class_blocked"),
        ("not a number", "invalid_number"),
        (None, "invalid_number"),
        ({}, "invalid_number"),
        ({"number": ["+1"]}, "invalid_number"),
    ],
)
def test_a_transfer_that_is_not_allowed_ends_the_call(in_workspace, number, to, reason):
    told(in_workspace, transfer(to))

    (decision,) = decisions()
    assert (decision.verdict, decision.reason) == ("block", reason)
    assert to_end() == ["call_1"]


def test_a_hold_ends_transfers_too(in_workspace, number):
    now = moment()
    holds.impose(
        workspace_id=in_workspace.pk,
        scope="country",
        value="CA",
        reason="attack",
        expires_at=now + timedelta(hours=1),
        acting_user=None,
        now=now,
    )

    told(in_workspace, transfer(CANADIAN))

    assert decisions()[0].reason == "held"
    assert to_end() == ["call_1"]


def test_an_outbound_call_is_transferred_from_its_own_number_as_well(in_workspace, number):
    told(in_workspace, transfer(BRITON, direction="outbound", from_number=OUR_NUMBER, to_number=CANADIAN))

    assert decisions()[0].phone_number == OUR_NUMBER
    assert to_end() == ["call_1"]


def test_the_same_event_many_times_is_judged_once(in_workspace, number):
    first = transfer(BRITON)
    again = {**first, "transfer_option": {"type": "cold_transfer"}}  # other bytes, the same transfer

    for event in (first, first, again):
        told(in_workspace, event)

    assert WebhookEvent.objects.count() == 1
    assert len(decisions()) == len(to_end()) == 1


def test_two_transfers_of_one_call_are_two_decisions(in_workspace, number):
    told(in_workspace, transfer(CANADIAN))
    told(in_workspace, transfer(BRITON))

    assert [decision.verdict for decision in decisions()] == ["allow", "block"]


def test_a_web_call_has_no_number_and_is_ended_for_its_destination_alone(in_workspace, number):
    web = {"call_type": "web_call", "direction": None, "from_number": None, "to_number": None}

    told(in_workspace, transfer(CANADIAN, "call_w1", **web))
    told(in_workspace, transfer(CUBAN, "call_w2", **web))

    assert to_end() == ["call_w2"]


@pytest.mark.parametrize("call", [None, [], {}, {"call_id": ""}, {"call_id": 7}, {"call_id": "x" * 121}])
def test_a_transfer_of_no_call_is_kept_and_has_no_effect(in_workspace, number, call):
    told(in_workspace, {"event": "transfer_started", "call": call, "transfer_destination": {"number": CUBAN}})

    assert WebhookEvent.objects.get().state == "done"
    assert decisions() == []


def test_a_number_that_is_only_observed_ends_no_call(in_workspace, number):
    type(number).objects.filter(pk=number.pk).update(mode="observing")

    told(in_workspace, transfer(BRITON))

    (decision,) = decisions()
    assert (decision.verdict, decision.would_be) == ("allow", "block")
    assert to_end() == []


# --- Ending it at UponAI --------------------------------------------------------------------------


@pytest.fixture
def call_id(in_workspace, number, uponai):
    uponai.add_number(OUR_NUMBER)
    call_id = uponai.retell.call.create_phone_call(from_number=OUR_NUMBER, to_number=CANADIAN).call_id
    wait_until_running(uponai, 1)
    return call_id


def ended(*, later=timedelta(0)):
    return [
        calls_to_end.end(decision_id, clock=lambda: moment() + later)
        for decision_id in calls_to_end.due(now=moment() + later)
    ]


def test_the_call_is_over_at_uponai(in_workspace, uponai, call_id):
    told(in_workspace, transfer(CUBAN, call_id))

    assert ended() == [True]

    assert running(uponai) == set()
    assert uponai.retell.call.retrieve(call_id).disconnection_reason == "manual_stopped"
    row = CallToEnd.objects.get()
    assert (row.due_at, row.error) == (None, "")
    assert row.ended_at is not None
    assert ended() == []


def test_it_is_tried_again_until_uponai_answers(in_workspace, uponai, call_id):
    told(in_workspace, transfer(CUBAN, call_id))
    uponai.post("faults", rate=1, kinds=["500"], seed=1)
    assert ended() == [False]
    assert "500" in CallToEnd.objects.get().error
    assert ended() == []
    uponai.post("faults", rate=0, kinds=["500"], seed=1)

    assert ended(later=timedelta(seconds=5)) == [True]
    assert running(uponai) == set()


def test_a_call_that_was_over_already_is_done(in_workspace, uponai, call_id):
    told(in_workspace, transfer(CUBAN, call_id))
    uponai.post(f"calls/{call_id}", disconnection_reason="user_hangup", duration_ms=1000)

    assert ended() == [True]


def test_it_is_given_up_once_no_call_can_last_longer(in_workspace, number):
    told(in_workspace, transfer(CUBAN))

    assert ended(later=timedelta(hours=3)) == [False]

    assert CallToEnd.objects.get().due_at is None


def test_the_sweep_finds_what_nobody_rang_for(in_workspace, uponai, call_id):
    told(in_workspace, transfer(CUBAN, call_id))
    (decision_id,) = calls_to_end.due(now=moment())

    tasks.end_call(decision_id=str(decision_id))

    assert running(uponai) == set()


def test_calls_of_other_workspaces_are_ended_with_their_own_key(in_workspace, number, uponai):
    other = make_workspace(uponai_key="key_of_nobody")
    make_phone_number(other, OUR_NUMBER)
    with scoped(other.pk):
        calls_to_end.ask(call_id="call_1", decision_id=uuid.uuid4(), now=moment())

        assert ended() == [False]

        assert "401" in CallToEnd.objects.get().error


def test_reading_an_event_that_is_no_json_object_is_harmless(in_workspace, number):
    assert send(in_workspace, encode({"event": "transfer_started"})) == 204
    process(in_workspace)
    assert decisions() == []
