"""Relays: the customer's own webhooks get every event as it came, signed so that they believe it, until it arrives."""

import threading
import time
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.urls import reverse

from accounts.models import AuditEntry
from accounts.roles import Role
from accounts.scoping import scoped, unscoped
from monitoring import alerts, relaying, relays
from monitoring.models import Alert, Relay, RelayDelivery
from policies.gate import chaining
from policies.uponai import signature
from tests.factories import UPONAI_KEY, make_workspace, moment
from tests.monitoring.ingest.events import call_event, encode, kept, process, send
from tests.policies.gate.webhooks import signed
from tests.rest import assert_problem, client_of
from tests.signing_in import messages_of, signed_in

pytestmark = pytest.mark.django_db

State = RelayDelivery.State


class Receiver(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answering)
        self.status, self.got, self.go_on = 204, [], threading.Event()
        self.go_on.set()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/events?key=1"


class Answering(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.path, dict(self.headers), body))
        self.server.go_on.wait(30)
        self.send_response(self.server.status)
        self.send_header("Location", self.server.url)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args):
        pass


@pytest.fixture
def receiver():
    server = Receiver()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield server
    server.go_on.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def relay(receiver, workspace, settings):
    settings.CHAINED_WEBHOOKS_ON_LOOPBACK = True
    made = relays.add_relay(workspace=workspace, url=receiver.url, acting_user=None, now=moment())
    relays.forget()
    return made


def deliveries():
    with unscoped(reason="a test looks at all"):
        return list(RelayDelivery.objects.order_by("pk"))


def fresh(relay):
    with unscoped(reason="a test looks at all"):
        return Relay.objects.get(pk=relay.pk)


def work_off(at=None):
    return relaying.work_off(clock=lambda: at or moment())


# --- What arrives ---------------------------------------------------------------------------------


def test_passes_an_event_on_byte_for_byte_with_uponais_signature(workspace, relay, receiver):
    body = encode(call_event("call_ended")).replace(b"Hello", "Grüß  Gott 👋\\u00e9".encode())
    headers = signed(body)

    assert send(workspace, body, headers) == 204
    assert work_off() == 1

    [(path, got, arrived)] = receiver.got
    assert (path, arrived, got["Content-Type"]) == ("/events?key=1", body, "application/json")
    assert got["X-UponAI-Signature"] == got["X-Retell-Signature"] == headers["X-UponAI-Signature"]
    [delivery] = deliveries()
    assert (delivery.state, delivery.status, delivery.due_at) == (State.DELIVERED, 204, None)
    assert fresh(relay).last_delivered_at is not None


def test_an_event_that_comes_several_times_is_passed_on_once_and_without_being_processed(workspace, relay, receiver):
    for _ in range(3):
        send(workspace, call_event("call_ended"))
    send(workspace, b'{"event":"unheard_of","x":[1]}')

    assert work_off() == 2

    assert [row.state for row in kept(workspace)] == ["received", "received"]
    assert len(receiver.got) == 2
    assert process(workspace) == 2
    assert work_off() == 0


def test_what_came_from_another_console_is_not_sent_round_and_round(workspace, relay):
    body = encode(call_event("call_ended"))
    assert send(workspace, body, signed(body) | {chaining.MARK: "fraudconsole"}) == 204

    assert len(kept(workspace)) == 1
    assert deliveries() == []


def test_an_event_and_its_deliveries_are_kept_together_or_not_at_all(workspace, relay, monkeypatch):
    def broken(*args, **kwargs):
        raise transaction.DatabaseError("no space left")

    monkeypatch.setattr(RelayDelivery.objects, "bulk_create", broken)
    with transaction.atomic():
        assert send(workspace, call_event("call_ended")) == 503

    assert kept(workspace) == []


def test_other_workspaces_events_stay_their_own(workspace, relay, receiver):
    other = make_workspace(uponai_key="key_other")
    body = encode(call_event("call_ended"))
    assert send(other, body, signed(body, key="key_other")) == 204

    assert deliveries() == []


# --- What does not --------------------------------------------------------------------------------


def test_tries_again_with_growing_pauses_and_signs_anew_what_is_old(workspace, relay, receiver):
    receiver.status = 500
    send(workspace, call_event("call_ended"))
    at, pauses = moment(), []
    for _ in range(8):
        assert work_off(at) == 1
        [delivery] = deliveries()
        if delivery.due_at:
            pauses.append((delivery.due_at - at).total_seconds())
            at = delivery.due_at

    assert pauses == pytest.approx(relaying.PAUSES, rel=relaying.JITTER)
    assert (delivery.state, delivery.attempts, delivery.error) == (State.GIVEN_UP, 8, "It answered 500.")
    assert fresh(relay).failing_since is not None
    headers = [got["X-UponAI-Signature"] for _, got, _ in receiver.got]
    assert len(set(headers[:4])) == 1
    assert len(set(headers)) == 5
    body, last_try_ms = receiver.got[-1][2], int(at.timestamp() * 1000)
    assert signature.verify(body=body, headers={"s": headers[-1]}, secrets=[UPONAI_KEY], now_ms=last_try_ms) is None


def test_a_redirect_is_a_failure_and_is_not_followed(workspace, relay, receiver):
    receiver.status = 307
    send(workspace, call_event("call_ended"))

    assert work_off() == 1

    assert len(receiver.got) == 1
    assert (deliveries()[0].state, deliveries()[0].error) == (State.WAITING, "It answered 307.")


def test_a_receiver_that_is_gone_is_asked_no_more_and_somebody_is_told(workspace, relay, receiver):
    receiver.status = 410
    send(workspace, call_event("call_started"))
    send(workspace, call_event("call_ended"))

    assert work_off() == 1

    assert [row.state for row in deliveries()] == [State.GIVEN_UP] * 2
    assert fresh(relay).stopped_at is not None
    alerts.watch(now=moment())
    with scoped(workspace.pk):
        assert "410" in Alert.objects.get(kind="relay_failed").sentence
        assert AuditEntry.objects.filter(action="relay.stop").count() == 1


def test_a_receiver_that_hangs_holds_one_place_and_nobody_else_up(workspace, relay, receiver, monkeypatch):
    monkeypatch.setattr(relaying, "TIMEOUT_SECONDS", 0.2)
    receiver.go_on.clear()
    send(workspace, call_event("call_ended"))

    assert work_off() == 1

    [delivery] = deliveries()
    assert (delivery.state, delivery.status) == (State.WAITING, None)
    assert "did not answer within" in delivery.error
    assert [relaying._enter(fresh(relay)), relaying._enter(fresh(relay))] == [True, False]
    relaying._release(relay.pk)


def test_a_relay_that_recovers_is_told_to_work_again(workspace, relay, receiver):
    receiver.status = 503
    send(workspace, call_event("call_ended"))
    work_off()
    assert fresh(relay).failing_since is not None

    receiver.status = 200
    assert work_off(moment() + timedelta(seconds=10)) == 1

    assert (fresh(relay).failing_since, fresh(relay).last_error) == (None, "")


def test_a_worker_that_died_is_made_up_for(workspace, relay, receiver):
    send(workspace, call_event("call_ended"))
    assert relaying._claim(now=moment()) is not None
    relaying._release(relay.pk)

    assert work_off() == 0
    assert work_off(moment() + relaying.LEASE) == 1
    assert deliveries()[0].state == State.DELIVERED


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest",
        "https://10.0.0.1/",
        "https://localhost/",
        "https://[::ffff:127.0.0.1]/",
        "http://example.com/",
        "ftp://example.com/",
        "not an address",
        "",
        "https://console.example/hooks/abc/events",
    ],
)
def test_refuses_addresses_that_are_not_a_customers(workspace, settings, now, url):
    settings.CHAINED_WEBHOOKS_ON_LOOPBACK = False
    settings.CONSOLE_URL = "https://console.example"

    with pytest.raises(ValidationError) as refusal:
        relays.add_relay(workspace=workspace, url=url, acting_user=None, now=now)

    assert set(refusal.value.message_dict) == {"url"}


def test_looks_at_the_address_again_when_it_sends(workspace, relay, receiver, settings):
    settings.CHAINED_WEBHOOKS_ON_LOOPBACK = False
    send(workspace, call_event("call_ended"))

    assert work_off() == 1

    assert receiver.got == []
    assert "not a public one" in deliveries()[0].error


# --- People ---------------------------------------------------------------------------------------


def test_an_operator_sees_what_was_not_passed_on_and_sends_it_again(workspace, relay, receiver):
    receiver.status = 500
    send(workspace, call_event("call_ended"))
    work_off()
    owner, page = signed_in(workspace), reverse("admin:monitoring_relay_change", args=[relay.pk])

    shown = owner.get(page).content.decode()
    assert "It answered 500." in shown
    assert "key=1" not in shown
    assert signed_in(workspace, Role.VIEWER).post(f"{page[: -len('change/')]}retry/").status_code == 403

    receiver.status = 200
    answer = owner.post(reverse("admin:monitoring_relay_retry", args=[relay.pk]))
    assert "1 event is sent again now." in messages_of(answer)
    assert work_off() == 1
    assert "Everything was passed on" in owner.get(page).content.decode()
    assert "Works" in owner.get(reverse("admin:monitoring_relay_changelist")).content.decode()


def test_relays_are_added_and_stopped_on_pages(workspace, settings):
    settings.CHAINED_WEBHOOKS_ON_LOOPBACK = False
    owner, add = signed_in(workspace), reverse("admin:monitoring_relay_add")

    refused = owner.post(add, {"url": "https://10.0.0.1/"})
    assert "must be on the public internet" in refused.content.decode()
    assert owner.post(add, {"url": "https://example.com/events?token=s3cret"}).status_code == 302
    with scoped(workspace.pk):
        row = Relay.objects.get()
    assert row.url == "https://example.com/events?token=s3cret"

    owner.post(reverse("admin:monitoring_relay_stop", args=[row.pk]))
    assert fresh(row).stopped_at is not None
    with scoped(workspace.pk):
        entries = AuditEntry.objects.filter(action__startswith="relay.").order_by("sequence")
        assert [entry.action for entry in entries] == ["relay.add", "relay.stop"]
        assert "s3cret" not in str([entry.detail for entry in entries])


def test_relays_by_rest(workspace, receiver, settings):
    settings.CHAINED_WEBHOOKS_ON_LOOPBACK = True
    client, address = client_of(workspace), "/api/v1/relays/"

    made = client.post(address, {"url": receiver.url})
    assert (made.status_code, made.json()["waiting"]) == (201, 0)
    assert made.json()["url"] == receiver.url.removesuffix("?key=1")
    assert_problem(client.post(address, {"url": receiver.url}), 422, "url")
    assert_problem(client.post(address, {"url": "https://10.0.0.1/"}), 422, "url")
    assert_problem(client.post(address, {}), 422, "url")
    relays.forget()
    receiver.status = 500
    send(workspace, call_event("call_ended"))
    work_off()
    one = f"{address}{made.json()['id']}/"
    assert (client.get(one).json()["waiting"], client.get(one).json()["last_error"]) == (1, "It answered 500.")
    assert client.post(f"{one}retry/").json() == {"events": 1}
    assert client.delete(one).status_code == 204
    assert client.get(address).json()["results"] == client.get(f"{address}?stopped=false").json()["results"] == []
    assert [row["id"] for row in client.get(f"{address}?stopped=true").json()["results"]] == [made.json()["id"]]
    assert client.get(one).json()["given_up"] == 1
    assert_problem(client.post(f"{one}retry/"), 422, "stopped_at")


def test_an_address_is_shown_without_its_secrets():
    assert relays.shown_url("https://hook:s3cret@example.com/a@b?token=s3cret#x") == "https://example.com/a@b"
    assert relays.shown_url("https://example.com:8443?token=s3cret") == "https://example.com:8443"


@pytest.mark.django_db(transaction=True)
def test_threads_of_its_own_pass_events_on(workspace, relay, receiver):
    if connection.vendor == "sqlite":
        pytest.skip("SQLite's test database cannot be shared by threads")
    for number in range(5):
        send(workspace, call_event("call_ended", f"call_{number}"))

    relaying.wake()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and {row.state for row in deliveries()} != {State.DELIVERED}:
        time.sleep(0.02)

    assert {row.state for row in deliveries()} == {State.DELIVERED}
    assert len({body for _, _, body in receiver.got}) == len(receiver.got) == 5
    while relaying._busy.threads:
        time.sleep(0.01)
