"""What became of what was let through, from UponAI's events to the dials: in any order, once each."""

from __future__ import annotations

import itertools
import random
import uuid
from datetime import UTC, datetime

import pytest

from accounts.scoping import scoped
from policies.gate import rebuild, recorder, store
from policies.models import Decision, Dial
from tests.factories import make_phone_number, make_workspace, moment
from tests.monitoring.ingest.events import (
    BRITON,
    CANADIAN,
    ENDED_MS,
    OUR_NUMBER,
    call_event,
    calls,
    chat_event,
    life,
    process,
    send,
)
from tests.policies.gate import charges
from tests.policies.gate.charges import money, running, spend
from tests.policies.gate.webhooks import body, deliver

pytestmark = pytest.mark.django_db

ENDED_AT = datetime.fromtimestamp(ENDED_MS / 1000, UTC)


@pytest.fixture
def dial(in_workspace):
    return make_dial(call_id="call_1")


def make_dial(**facts):
    decision_id = facts.pop("decision_id", None) or uuid.uuid4()
    return Dial.objects.create(
        decision_id=decision_id,
        at=moment(),
        channel="phone_call",
        credential="token:1",
        idempotency_key=str(decision_id),
        body_sha256="",
        state="done",
        from_number=OUR_NUMBER,
        to_number=BRITON,
        reserved_micro=500_000,
        **facts,
    )


def outcome(dial):
    dial.refresh_from_db()
    return dial.call_id, dial.ended_at, dial.seconds, dial.cost_micro


SETTLED = ("call_1", ENDED_AT, 62, 93_000)


def tell(workspace, *events):
    for event in events:
        assert send(workspace, event) == 204
    process(workspace)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_any_order_of_events_settles_a_dial_alike(in_workspace, dial, order):
    events = life("call_1")

    for index in order:
        tell(in_workspace, events[index])

    assert outcome(dial) == SETTLED


def test_events_that_come_many_times_change_nothing_more(in_workspace, dial):
    events = life("call_1") * 3
    random.Random(7).shuffle(events)

    tell(in_workspace, *events)

    assert outcome(dial) == SETTLED


def test_a_dial_that_got_no_answer_is_found_by_the_decision_in_the_metadata(in_workspace):
    dial = make_dial(call_id="")
    metadata = {"decision_id": str(dial.decision_id), "crm": "42"}

    tell(in_workspace, call_event("call_started", metadata=metadata))
    assert outcome(dial) == ("call_1", None, None, None)

    tell(in_workspace, call_event("call_ended"))
    assert outcome(dial) == SETTLED


def test_metadata_that_names_somebody_elses_dial_settles_nothing(in_workspace, dial):
    tell(in_workspace, call_event("call_ended", "call_2", metadata={"decision_id": str(dial.decision_id)}))

    assert outcome(dial) == ("call_1", None, None, None)


def test_metadata_that_names_somebody_elses_dial_frees_nothing_in_the_store(
    in_workspace, django_capture_on_commit_callbacks
):
    """A visitor is told the decision of their running call, and may name it in one that never passed the gate."""
    rebuild.rebuild(in_workspace.pk, now=moment())
    dial = make_dial(call_id="call_1")
    spend(in_workspace, running(), money(500_000), decision_id=str(dial.decision_id))
    event = call_event("call_ended", "call_2", metadata={"decision_id": str(dial.decision_id)})

    with django_capture_on_commit_callbacks(execute=True):
        tell(in_workspace, event)

    assert [usage.used for usage in store.look(in_workspace.pk, (running(), money(0)))] == [1, 500_000]


@pytest.mark.parametrize("metadata", ["text", [], {"decision_id": 7}, {"decision_id": "nonsense"}, {"decision_id": ""}])
def test_strange_metadata_is_no_decision(in_workspace, dial, metadata):
    tell(in_workspace, call_event("call_ended", metadata=metadata))

    assert outcome(dial) == SETTLED


def test_dials_of_other_workspaces_are_left_alone(in_workspace, dial):
    other = make_workspace()

    with scoped(other.pk):
        tell(other, call_event("call_ended", metadata={"decision_id": str(dial.decision_id)}))

    assert outcome(dial) == ("call_1", None, None, None)


def test_the_cost_may_come_with_a_later_event(in_workspace, dial):
    tell(in_workspace, call_event("call_ended", call_cost=None))
    assert outcome(dial) == ("call_1", ENDED_AT, 62, None)

    tell(in_workspace, call_event("call_analyzed"))
    assert outcome(dial) == SETTLED


def test_a_call_that_never_connected_cost_nothing(in_workspace, dial):
    missed = {"call_status": "not_connected", "disconnection_reason": "dial_busy", "call_cost": None}

    tell(in_workspace, call_event("call_ended", **missed, duration_ms=0, start_timestamp=None))

    assert outcome(dial) == ("call_1", ENDED_AT, 0, 0)


def test_a_chat_is_settled_as_well(in_workspace):
    dial = make_dial(call_id="chat_1")

    tell(in_workspace, chat_event("chat_ended"))

    assert outcome(dial)[3] == 4_000


def test_the_store_may_be_away(in_workspace, dial, nobody_listens):
    tell(in_workspace, *life("call_1"))

    assert outcome(dial) == SETTLED


def test_a_dialled_call_is_linked_to_its_decision(in_workspace):
    dial = make_dial(call_id="")
    Decision.objects.create(
        decision_id=dial.decision_id, at=moment(), direction="outbound", channel="phone_call", verdict="allow"
    )

    tell(in_workspace, call_event("call_started", metadata={"decision_id": str(dial.decision_id)}))

    assert calls(in_workspace)["call_1"]["decision_id"] == dial.decision_id


def test_an_inbound_call_keeps_the_decision_of_its_door(in_workspace):
    make_phone_number(in_workspace, OUR_NUMBER)
    deliver(in_workspace, body(CANADIAN, call_id="call_1"))
    recorder.drain(now=moment())
    with scoped(in_workspace.pk):
        decided = Decision.objects.get().decision_id
    foreign = make_dial(call_id="")

    tell(
        in_workspace,
        call_event("call_started", direction="inbound", metadata={"decision_id": str(foreign.decision_id)}),
    )

    assert calls(in_workspace)["call_1"]["decision_id"] == decided


# --- What the live store is told ------------------------------------------------------------------


def used(workspace, *charges):
    return [usage.used for usage in store.look(workspace.pk, charges)]


@pytest.fixture
def spent(in_workspace):
    """A dial that holds one running call and half a dollar."""
    rebuild.rebuild(in_workspace.pk, now=moment())
    held = (charges.running(), charges.money(500_000))
    decision_id = uuid.uuid4()
    charges.spend(in_workspace, *held, decision_id=str(decision_id), lease_seconds=180)
    dial = make_dial(call_id="call_1", decision_id=decision_id)
    assert used(in_workspace, *held) == [1, 500_000]
    return dial, held


def test_a_call_that_is_over_gives_back_its_place_and_what_it_did_not_cost(
    in_workspace, spent, django_capture_on_commit_callbacks
):
    _, held = spent

    with django_capture_on_commit_callbacks(execute=True):
        tell(in_workspace, *life("call_1"), *life("call_1"))

    assert used(in_workspace, *held) == [0, 93_000]


def test_the_money_stays_reserved_until_the_cost_is_known(in_workspace, spent, django_capture_on_commit_callbacks):
    _, held = spent

    with django_capture_on_commit_callbacks(execute=True):
        tell(in_workspace, call_event("call_ended", call_cost=None))
    assert used(in_workspace, *held) == [0, 500_000]

    with django_capture_on_commit_callbacks(execute=True):
        tell(in_workspace, call_event("call_analyzed"))
    assert used(in_workspace, *held) == [0, 93_000]


def test_a_call_that_only_started_gives_nothing_back(in_workspace, spent, django_capture_on_commit_callbacks):
    _, held = spent

    with django_capture_on_commit_callbacks(execute=True):
        tell(in_workspace, call_event("call_started"))

    assert used(in_workspace, *held) == [1, 500_000]


def test_an_attempt_dialled_elsewhere_is_settled_by_its_decision_alone(
    in_workspace, spent, django_capture_on_commit_callbacks
):
    dial, held = spent
    dial.delete()

    with django_capture_on_commit_callbacks(execute=True):
        tell(in_workspace, call_event("call_ended", metadata={"decision_id": str(dial.decision_id)}))

    assert used(in_workspace, *held) == [0, 93_000]
