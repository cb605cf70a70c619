"""The events' door: who it believes, what it keeps, and what it tells UponAI to send again."""

import time

import orjson
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from redis import Redis

from accounts import encryption, workspaces
from accounts.scoping import scoped
from monitoring.ingest import door, inbox
from monitoring.models import Call, WebhookEvent
from policies import bells
from policies.gate import recorder, snapshots
from policies.models import RefusedWebhook
from tests.factories import make_workspace, moment
from tests.monitoring.ingest.events import call_event, encode, kept, send
from tests.policies.gate.webhooks import signed

pytestmark = pytest.mark.django_db


def test_keeps_an_event_and_acknowledges_it_without_looking_at_the_call(workspace):
    assert send(workspace, call_event("call_ended")) == 204

    (row,) = kept(workspace)
    assert (row.event, row.call_reference, row.state) == ("call_ended", "call_1", "received")
    assert row.due_at is not None
    with scoped(workspace.pk):
        assert not Call.objects.exists()


def test_keeps_an_event_once_however_often_it_comes(workspace):
    answers = [send(workspace, call_event("call_ended")) for _ in range(3)]

    assert answers == [204, 204, 204]
    assert len(kept(workspace)) == 1


def test_writes_one_statement(workspace):
    send(workspace, call_event("call_started"))

    with CaptureQueriesContext(connection) as queries:
        send(workspace, call_event("call_ended"))

    writes = [query["sql"] for query in queries if query["sql"].startswith(("INSERT", "UPDATE", "DELETE"))]
    assert len(writes) == 1


def test_keeps_the_body_sealed_and_byte_for_byte(workspace):
    body = encode(call_event("call_ended")).replace(b"Hello", "Grüß Gott 👋".encode())
    send(workspace, body)

    (row,) = kept(workspace)
    assert b"4242" in body
    assert "4242" not in row.sealed_body
    assert inbox.body_of(row) == body


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-UponAI-Signature": "nonsense"},
        signed(encode(call_event("call_ended")), key="key_of_somebody_else"),
        signed(encode(call_event("call_ended")) + b" "),
        signed(encode(call_event("call_ended")), at_ms=time.time_ns() // 1_000_000 - 400_000),
    ],
)
def test_keeps_nothing_that_is_not_signed_well_and_counts_it(workspace, headers):
    assert send(workspace, call_event("call_ended"), headers) == 401

    assert kept(workspace) == []
    recorder.drain_refused(now=moment())
    with scoped(workspace.pk):
        assert sum(RefusedWebhook.objects.values_list("requests", flat=True)) == 1


def test_does_not_believe_our_key_at_the_address_of_another_workspace(workspace):
    other = make_workspace(uponai_key="key_of_the_other_one")

    assert send(other, call_event("call_ended")) == 401
    assert (kept(other), kept(workspace)) == ([], [])


def test_keeps_the_same_event_of_two_workspaces_apart(workspace):
    other = make_workspace()

    send(workspace, call_event("call_ended"))
    send(other, call_event("call_ended"))

    assert (len(kept(workspace)), len(kept(other))) == (1, 1)


def test_stops_believing_an_old_key_within_seconds(workspace, monkeypatch):
    send(workspace, call_event("call_started"))
    workspaces.set_uponai_key(workspace=workspace, key="key_new", acting_user=None, now=moment())
    monkeypatch.setattr(snapshots, "POLL_SECONDS", 0.0)

    assert send(workspace, call_event("call_ended")) == 401
    body = encode(call_event("call_ended"))
    assert send(workspace, body, signed(body, key="key_new")) == 204


@pytest.mark.parametrize(
    "body",
    [
        encode({"event": "transfer_started", "call": {"call_id": "call_1"}, "transfer_destination": {}}),
        encode({"event": "of_tomorrow", "something": [1, {"deep": None}]}),
        encode({"event": "call_ended", "call": {}}),
        encode({"event": "call_ended", "call": {"call_id": "x" * 500}}),
        encode({"event": ["call_ended"], "call": 7}),
        encode({"event": "call_ended\x00", "call": {"call_id": "\x00"}}),
        b"not json}",
        b"{" * 2000 + b"}" * 2000,
        b'{"event":"\xff"}',
    ],
)
def test_keeps_what_it_does_not_understand_once(workspace, body):
    assert [send(workspace, body), send(workspace, body)] == [204, 204]

    (row,) = kept(workspace)
    assert inbox.body_of(row) == body


def test_takes_transcripts_that_are_larger_than_a_form_may_be(workspace, settings):
    long_talk = "word " * 700_000
    assert len(long_talk) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE

    assert send(workspace, call_event("call_ended", transcript=long_talk)) == 204


def test_refuses_a_body_larger_than_any_event(workspace):
    assert send(workspace, b"x" * (door.LARGEST_BODY_BYTES + 1)) == 413
    assert kept(workspace) == []


def test_knows_only_its_own_addresses(client, workspace):
    assert client.post("/hooks/nobody/events", data=b"{}", content_type="application/json").status_code == 404
    assert client.get(f"/hooks/{workspace.endpoint}/events").status_code == 405


def test_asks_for_the_event_again_when_it_could_not_keep_it(workspace, settings):
    send(workspace, call_event("call_started"))
    working, settings.ENCRYPTION_KEYS = settings.ENCRYPTION_KEYS, []
    encryption.forget_keys()
    snapshots.forget()

    assert send(workspace, call_event("call_ended")) == 503

    settings.ENCRYPTION_KEYS = working
    assert send(workspace, call_event("call_ended")) == 204
    assert [row.event for row in kept(workspace)] == ["call_started", "call_ended"]


@pytest.fixture(autouse=True)
def _nothing_rung_yet():
    inbox._rung_at.clear()


def test_keeps_events_when_nobody_hears_the_bell(workspace, nobody_listens, django_capture_on_commit_callbacks, caplog):
    with django_capture_on_commit_callbacks(execute=True):
        assert send(workspace, call_event("call_ended")) == 204

    assert bells.wait_until_rung()
    assert "was not rung" in caplog.text
    assert [row.state for row in kept(workspace)] == [WebhookEvent.State.RECEIVED]


def test_rings_once_for_a_burst_of_events(workspace, settings, django_capture_on_commit_callbacks):
    broker = Redis.from_url(settings.REDIS_URL)
    rung_before = broker.llen("celery:celery")

    with django_capture_on_commit_callbacks(execute=True):
        for number in range(5):
            send(workspace, call_event("call_ended", f"call_{number}"))

    assert bells.wait_until_rung()
    rung = broker.lrange("celery:celery", 0, broker.llen("celery:celery") - rung_before - 1)
    assert [orjson.loads(one)["headers"]["task"] for one in rung] == ["monitoring.tasks.process_events"]
