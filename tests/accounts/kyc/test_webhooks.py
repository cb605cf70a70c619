"""The customer's systems are told of every change of state: signed, repeated, at public addresses alone."""

import hashlib
import hmac
import json
import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from django.core.exceptions import ValidationError

from accounts.kyc import due, review, webhooks
from accounts.models import KycDelivery
from tests.accounts.kyc import cases


class Receiver(HTTPServer):
    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answering)
        self.status, self.got = 200, []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/kyc?key=1"


class Answering(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.path, dict(self.headers), body))
        self.send_response(self.server.status)
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args):
        pass


@pytest.fixture
def receiver():
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def listening(receiver, in_workspace, now, settings):
    settings.CHAINED_WEBHOOKS_ON_LOOPBACK = True
    return webhooks.add_webhook(workspace=in_workspace, url=receiver.url, acting_user=None, now=now)


def deliver_all(now):
    return [webhooks.deliver(delivery_id, now=now) for delivery_id in webhooks.due_deliveries(now=now)]


def test_every_change_of_state_is_told_signed_and_without_what_is_for_colleagues(
    listening, receiver, in_workspace, now
):
    _, secret = listening
    case = cases.in_review(in_workspace, now)
    cases.approve(case, now, text_for_subject="Welcome.", text_for_colleagues="Nice person.")

    assert deliver_all(now) == [True] * 3

    events = [json.loads(body) for _, _, body in receiver.got]
    assert sorted(event["kyc_record"]["state"] for event in events) == ["approved", "in_review", "submitted"]
    approved = next(event for event in events if event["kyc_record"]["state"] == "approved")
    assert approved["event"] == "kyc_record.state_changed"
    assert approved["kyc_record"]["text_for_subject"] == "Welcome."
    assert approved["kyc_record"]["subject"] == case.record.subject.reference
    assert all(b"Nice person" not in body for _, _, body in receiver.got)
    path, headers, body = receiver.got[0]
    stamp, digest = headers[webhooks.SIGNATURE].removeprefix("t=").split(",v1=")
    assert digest == hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    assert path == "/kyc?key=1"
    assert deliver_all(now) == []


@pytest.mark.parametrize("status", [500, 302, 404])
def test_what_does_not_arrive_is_repeated_with_longer_pauses_and_given_up_in_the_end(
    listening, receiver, in_workspace, now, status
):
    receiver.status = status
    cases.submitted(in_workspace, now)

    pauses, moment = [], now
    while (row := KycDelivery.objects.get()).due_at is not None:
        pauses.append((row.due_at - moment).total_seconds())
        moment = row.due_at
        assert deliver_all(moment - timedelta(seconds=1)) == []
        assert deliver_all(moment) == [False]

    assert pauses == [0, *webhooks.PAUSES]
    assert (row.gave_up_at, row.trouble) == (moment, f"answered {status}")
    assert len(receiver.got) == len(webhooks.PAUSES) + 1


def test_an_event_keeps_its_id_when_it_is_repeated(listening, receiver, in_workspace, now):
    receiver.status = 500
    cases.submitted(in_workspace, now)
    deliver_all(now)
    receiver.status = 200
    deliver_all(now + timedelta(seconds=10))

    assert len({json.loads(body)["id"] for _, _, body in receiver.got}) == 1
    assert KycDelivery.objects.get().delivered_at is not None


def test_who_is_second_finds_the_delivery_taken(listening, receiver, in_workspace, now):
    cases.submitted(in_workspace, now)
    row = KycDelivery.objects.get()
    KycDelivery.objects.update(leased_until=now + webhooks.LEASE)

    assert webhooks.deliver(row.pk, now=now) is False
    assert receiver.got == []


def test_a_stopped_webhook_is_told_nothing_more(listening, receiver, in_workspace, now):
    row, _ = listening
    record = cases.submitted(in_workspace, now)
    webhooks.stop_webhook(webhook=row, acting_user=None, now=now)
    review.withdraw(record=record, acting_user=None, now=now)

    assert deliver_all(now) == []
    assert receiver.got == []


def test_a_coming_re_verification_is_told(listening, receiver, in_workspace, now):
    case = cases.approved(in_workspace, now)
    deliver_all(now)
    soon = case.record.expires_at - timedelta(days=5)

    due.ask_reverification_due(now=soon)
    deliver_all(soon)

    told = json.loads(receiver.got[-1][2])
    assert (told["event"], told["kyc_record"]["id"]) == ("kyc_record.reverification_due", case.record.pk)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://localhost:9/",
        "https://10.1.2.3/hook",
        "https://[::1]/",
        "https://169.254.169.254/latest",
        "http://example.com/",
        "file:///etc/passwd",
        "https://",
        "nonsense",
        "https://exa mple.com/",
        "https://example.com:99999/",
    ],
)
def test_an_address_that_is_not_public_is_refused(in_workspace, now, settings, url):
    settings.CHAINED_WEBHOOKS_ON_LOOPBACK = False

    with pytest.raises(ValidationError) as refusal:
        webhooks.add_webhook(workspace=in_workspace, url=url, acting_user=None, now=now)

    assert set(refusal.value.message_dict) == {"url"}


def test_a_name_that_leads_inside_is_not_asked(listening, receiver, in_workspace, now, settings):
    settings.CHAINED_WEBHOOKS_ON_LOOPBACK = False
    cases.submitted(in_workspace, now)

    assert deliver_all(now) == [False]
    assert receiver.got == []
    assert "not a public one" in KycDelivery.objects.get().trouble
