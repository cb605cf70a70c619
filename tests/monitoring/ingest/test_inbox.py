"""Events from the inbox to the calls: each once, in whatever order they come and whatever fails meanwhile."""

import random
import threading
import uuid
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import DataError, connection, connections

from accounts import encryption
from accounts.scoping import scoped
from monitoring import tasks
from monitoring.ingest import parties, processing, rollups
from monitoring.models import Call, EventBatch, PartyBucket, UsageBucket, WebhookEvent
from policies.gate import recorder
from policies.models import Decision
from tests.factories import make_phone_number, make_workspace, moment
from tests.monitoring.dashboards.rows import make_decision
from tests.monitoring.ingest.events import (
    BRITON,
    CANADIAN,
    ENDED_MS,
    OUR_NUMBER,
    STARTED_MS,
    call_event,
    calls,
    chat_event,
    encode,
    kept,
    life,
    process,
    send,
)
from tests.policies.gate import webhooks

pytestmark = pytest.mark.django_db

TWENTY_EVENTS = [
    *life("call_1"),
    *life("call_2", direction="inbound", from_number=CANADIAN, to_number=OUR_NUMBER),
    *life("call_3", call_type="web_call", from_number=None, to_number=None, direction=None),
    call_event("call_ended", "call_4", call_status="not_connected", start_timestamp=None, duration_ms=None),
    call_event("call_analyzed", "call_4", call_status="not_connected", start_timestamp=None, duration_ms=None),
    call_event("call_started", "call_5"),
    call_event("call_ended", "call_5", call_cost=None),
    call_event("call_analyzed", "call_5", agent_id="agent_other", disconnection_reason=None),
    *(chat_event(event, "chat_1") for event in ("chat_started", "chat_ended", "chat_analyzed")),
    chat_event("chat_started", "chat_2", chat_type="sms_chat"),
    chat_event("chat_ended", "chat_2", chat_type="sms_chat"),
    {"event": "transfer_started", "call": {"call_id": "call_1"}},
]


@pytest.mark.parametrize("seed", range(5))
def test_comes_to_the_same_calls_in_any_order_and_number(workspace, seed):
    assert len(TWENTY_EVENTS) == 20
    in_order = make_workspace()
    for event in TWENTY_EVENTS:
        send(in_order, event)
        process(in_order)
    chance = random.Random(seed)
    deliveries = [event for event in TWENTY_EVENTS for _ in range(chance.randint(1, 5))]
    chance.shuffle(deliveries)

    for event in deliveries:
        assert send(workspace, event) == 204
        if chance.random() < 0.2:
            process(workspace)
    process(workspace)

    assert calls(workspace) == calls(in_order)
    assert len(calls(workspace)) == 7
    assert [row.state for row in kept(workspace)] == ["done"] * 20


def test_takes_an_end_before_the_beginning(workspace):
    send(workspace, call_event("call_ended"))
    process(workspace)
    send(workspace, call_event("call_started"))
    process(workspace)

    call = calls(workspace)["call_1"]
    assert (call["status"], call["duration_ms"], call["cost_cents"]) == ("ended", 62_000, Decimal("9.3"))


def test_has_no_effect_twice(workspace):
    send(workspace, call_event("call_ended"))
    process(workspace)
    with scoped(workspace.pk):
        changed_at = Call.objects.get().changed_at

    send(workspace, call_event("call_ended"))

    assert process(workspace) == 0
    with scoped(workspace.pk):
        assert Call.objects.get().changed_at == changed_at


def test_tells_the_rollups_of_changes_alone(workspace):
    send(workspace, call_event("call_ended"))
    process(workspace)
    with scoped(workspace.pk):
        first = Call.objects.get().changed_at
    send(workspace, call_event("call_started"))  # tells nothing that the end did not
    process(workspace)
    with scoped(workspace.pk):
        second = Call.objects.get().changed_at
    send(workspace, call_event("call_analyzed", call_cost={"combined_cost": 10}))
    process(workspace)

    with scoped(workspace.pk):
        assert first == second < Call.objects.get().changed_at


def test_keeps_unknown_events_without_effect(workspace):
    send(workspace, {"event": "of_tomorrow", "call": {"call_id": "call_1"}})
    process(workspace)

    (row,) = kept(workspace)
    assert (row.event, row.call_reference, row.state) == ("of_tomorrow", "call_1", "done")
    assert calls(workspace) == {}


@pytest.mark.parametrize("body", [b"no json}", b'["call_ended", {}]{}', encode({"event": "call_ended", "call": {}})])
def test_gives_up_what_can_never_have_an_effect_and_says_why(workspace, body):
    send(workspace, body)
    send(workspace, call_event("call_ended"))
    process(workspace)

    hopeless, fine = kept(workspace)
    assert (hopeless.state, hopeless.due_at, fine.state) == ("dead", None, "done")
    assert hopeless.error


def _unread(workspace):
    """As an older console left them: their bodies have to be opened."""
    with scoped(workspace.pk):
        WebhookEvent.objects.update(told=None)


def test_processes_on_the_sweep_what_failed_after_it_was_kept(workspace, settings):
    send(workspace, call_event("call_ended"))
    _unread(workspace)
    working, settings.ENCRYPTION_KEYS = settings.ENCRYPTION_KEYS, []
    encryption.forget_keys()
    process(workspace)
    settings.ENCRYPTION_KEYS = working
    (failed,) = kept(workspace)
    assert (failed.state, failed.attempts, calls(workspace)) == ("failed", 1, {})
    assert failed.due_at > failed.received_at

    assert send(workspace, call_event("call_ended")) == 204
    process(workspace, clock=lambda: moment() + timedelta(minutes=5))

    (row,) = kept(workspace)
    assert (row.state, row.attempts, row.error) == ("done", 2, "")
    assert calls(workspace)["call_1"]["status"] == "ended"


def test_gives_up_after_many_attempts(workspace, settings):
    send(workspace, call_event("call_ended"))
    _unread(workspace)
    encryption.forget_keys()
    settings.ENCRYPTION_KEYS = []

    for hour in range(processing.MOST_ATTEMPTS):
        process(workspace, clock=lambda hour=hour: moment() + timedelta(hours=hour))

    (row,) = kept(workspace)
    assert (row.state, row.attempts, row.due_at) == ("dead", processing.MOST_ATTEMPTS, None)


def test_comes_to_the_same_from_the_body_as_from_what_was_read_at_the_door(workspace):
    other = make_workspace()
    for event in TWENTY_EVENTS:
        send(workspace, event)
        send(other, event)
    with scoped(workspace.pk):
        assert WebhookEvent.objects.filter(told=None).count() == 1  # the transfer
        WebhookEvent.objects.update(received_at=moment())
        WebhookEvent.objects.filter(event="call_ended").update(told='[0,{"peer":"of an older console"}]')
        WebhookEvent.objects.filter(event="call_analyzed").update(told="no JSON")
    with scoped(other.pk):
        WebhookEvent.objects.update(received_at=moment(), told=None)

    process(workspace)
    process(other)

    assert calls(workspace) == calls(other)
    assert {(row.state, row.told) for row in kept(workspace)} == {("done", None)}


def test_loses_nothing_to_a_worker_that_dies_in_the_middle(workspace):
    class Killed(BaseException):
        pass

    def die(execute, sql, parameters, many, context):
        if sql.startswith("UPDATE"):
            raise Killed
        return execute(sql, parameters, many, context)

    for event in life("call_1"):
        send(workspace, event)
    with pytest.raises(Killed), connection.execute_wrapper(die):
        process(workspace)
    assert calls(workspace) == {}

    assert process(workspace) == 3

    assert calls(workspace)["call_1"]["status"] == "ended"
    with scoped(workspace.pk):
        assert EventBatch.objects.count() == 1
        process(workspace, clock=lambda: moment() + 2 * processing.LEASE)
        assert not EventBatch.objects.exists()


def test_tries_alone_what_a_worker_may_have_died_of(workspace):
    for number in (1, 2):
        send(workspace, call_event("call_ended", f"call_{number}"))
    with scoped(workspace.pk):
        assert processing._take_batch(now=moment() - 2 * processing.LEASE) is None
        processing._take_batch(now=moment() + timedelta(seconds=1))
        EventBatch.objects.update(began_at=moment() - 2 * processing.LEASE)

    process(workspace)

    assert [(row.state, row.attempts) for row in kept(workspace)] == [("done", 2)] * 2


def test_leaves_alone_what_somebody_else_has_done_meanwhile(workspace):
    send(workspace, call_event("call_ended"))
    with scoped(workspace.pk):
        taken = processing._take_batch(now=moment())
        readable = processing._readable(taken, moment)
        WebhookEvent.objects.update(state="done", due_at=None)

        processing._apply(taken, readable, now=moment())

    assert calls(workspace) == {}


def test_does_not_touch_the_lease_of_somebody_else_when_it_fails(workspace):
    send(workspace, call_event("call_started"))
    with scoped(workspace.pk):
        WebhookEvent.objects.update(attempts=1)
        taken = processing._take_one(now=moment())
        ((ours, _),) = processing._readable(taken, moment)
        theirs = uuid.uuid4()
        WebhookEvent.objects.update(lease_token=theirs)

        processing._postpone(taken, ours, OSError("too late"), now=moment())

    (row,) = kept(workspace)
    assert (row.lease_token, row.state, row.error) == (theirs, "processing", "")


def test_gives_up_what_was_begun_again_and_again_and_never_ended(workspace):
    send(workspace, call_event("call_started"))
    with scoped(workspace.pk):
        WebhookEvent.objects.update(attempts=processing.MOST_ATTEMPTS)

    process(workspace)

    (row,) = kept(workspace)
    assert (row.state, row.due_at, calls(workspace)) == ("dead", None, {})
    assert "never came to an end" in row.error


def test_does_not_let_one_event_hold_up_the_others(workspace):
    def trip_over_call_2(execute, sql, parameters, many, context):
        if "INSERT" in sql and "call_2" in str(parameters):
            raise DataError("this one does not fit")
        return execute(sql, parameters, many, context)

    for number in (1, 2, 3):
        send(workspace, call_event("call_started", f"call_{number}"))
    with connection.execute_wrapper(trip_over_call_2):
        process(workspace)

    assert [row.state for row in kept(workspace)] == ["done", "failed", "done"]
    assert calls(workspace).keys() == {"call_1", "call_3"}


def test_sweeps_every_workspace(workspace):
    other = make_workspace()
    send(workspace, call_event("call_ended"))
    send(other, call_event("call_ended"))

    tasks.sweep_events()

    assert set(calls(workspace)) == set(calls(other)) == {"call_1"}


def test_links_an_inbound_call_to_the_decision_that_let_it_in(workspace):
    make_phone_number(workspace, OUR_NUMBER)
    webhooks.deliver(workspace, webhooks.body(CANADIAN, OUR_NUMBER, call_id="call_1"))
    facts = {"direction": "inbound", "from_number": CANADIAN, "to_number": OUR_NUMBER}
    send(workspace, call_event("call_started", **facts))
    process(workspace)  # the decision is not in SQL yet
    recorder.drain(now=moment())
    send(workspace, call_event("call_ended", **facts))
    process(workspace)

    with scoped(workspace.pk):
        decision = Decision.objects.get()
    assert calls(workspace)["call_1"]["decision_id"] == decision.decision_id


def test_a_call_that_borrows_a_decision_does_not_take_it_from_the_call_it_let_out(workspace):
    with scoped(workspace.pk):
        decision = make_decision(make_phone_number(workspace, OUR_NUMBER), BRITON, moment(), direction="outbound")
    named = {"metadata": {"decision_id": str(decision.decision_id)}}
    for reference in ("call_1", "call_2"):
        send(workspace, call_event("call_ended", reference, **named))
    process(workspace)

    found = calls(workspace)
    assert [found[name]["decision_id"] for name in ("call_1", "call_2")] == [decision.decision_id] * 2


def test_learns_the_numbers_of_an_inbound_sms_from_its_decision(workspace):
    make_phone_number(workspace, OUR_NUMBER)
    content = webhooks.body(CANADIAN, OUR_NUMBER, chat_id="chat_1").replace(b"call_inbound", b"chat_inbound")
    webhooks.deliver(workspace, content)
    recorder.drain(now=moment())
    send(workspace, chat_event("chat_ended", chat_type="sms_chat"))
    process(workspace)

    chat = calls(workspace)["chat_1"]
    assert (chat["direction"], chat["peer"], chat["country"]) == ("inbound", CANADIAN, "CA")


def test_counts_a_call_once_when_its_start_becomes_known_late(workspace):
    early = STARTED_MS - 7_200_000
    send(workspace, call_event("call_ended", start_timestamp=None, duration_ms=None))
    process(workspace)
    rollups.roll_up(workspace_id=workspace.pk, now=moment())
    parties.count(workspace_id=workspace.pk, now=moment())
    send(workspace, call_event("call_analyzed", start_timestamp=early, duration_ms=ENDED_MS - early))
    process(workspace)
    rollups.roll_up(workspace_id=workspace.pk, now=moment())
    parties.count(workspace_id=workspace.pk, now=moment())

    with scoped(workspace.pk):
        (bucket,) = UsageBucket.objects.all()
        of_parties = list(PartyBucket.objects.order_by("step", "kind").values_list("kind", "calls", "hour"))
    assert (bucket.calls, bucket.country) == (1, "GB")
    assert bucket.hour.timestamp() == early / 1000
    day = bucket.hour.replace(hour=0)
    assert of_parties == [(kind, 1, began) for began in (day, bucket.hour) for kind in ("peer", "phone_number")]


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_has_each_effect_once_with_many_senders_and_workers(workspace):
    if connection.vendor != "postgresql":
        pytest.skip("SQLite's test database has a single connection")
    events = [event for number in range(40) for event in life(f"call_{number}", to_number=BRITON)]
    troubles: list[BaseException] = []

    def at_once(work, *arguments):
        try:
            work(*arguments)
        except BaseException as trouble:
            troubles.append(trouble)
        finally:
            connections.close_all()

    def deliver(seed):
        mine = random.Random(seed).sample(events, len(events))
        assert {send(workspace, event) for event in mine} == {204}

    stop = threading.Event()

    def work():
        while not stop.is_set():
            process(workspace)
            stop.wait(0.02)

    senders = [threading.Thread(target=at_once, args=(deliver, seed)) for seed in range(4)]
    workers = [threading.Thread(target=at_once, args=(work,)) for _ in range(3)]
    for thread in (*senders, *workers):
        thread.start()
    for thread in senders:
        thread.join()
    stop.set()
    for thread in workers:
        thread.join()
    process(workspace)

    assert troubles == []
    rows = kept(workspace)
    assert ({row.state for row in rows}, {row.attempts for row in rows}, len(rows)) == ({"done"}, {1}, 120)
    found = calls(workspace)
    assert (len(found), {call["status"] for call in found.values()}) == (40, {"ended"})
    assert {(call["rank"], str(call["older_facts"])) for call in found.values()} == {(3, "{}")}
