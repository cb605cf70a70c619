"""The customer's own inbound webhook behind ours: asked with UponAI's bytes, held to its manners, never waited for."""

from __future__ import annotations

import json
import threading
import time

import pytest

from accounts.scoping import scoped
from policies import answering
from policies.gate import chaining, snapshots, store
from policies.models import PhoneNumber
from policies.uponai import signature
from tests.factories import UPONAI_KEY, make_phone_number, moment
from tests.policies.gate.webhooks import ACCEPTED, CANADIAN, JAMAICAN, OUR_NUMBER, REJECTED, body, deliver, signed
from tests.sandbox.conftest import receiver, wait_for

__all__ = ["receiver"]

pytestmark = pytest.mark.django_db

WANTED = {"override_agent_id": "agent_theirs", "dynamic_variables": {"name": "Ann"}}


@pytest.fixture(autouse=True)
def _good_manners():
    chaining.forget()
    yield
    chaining.forget()


@pytest.fixture
def chained(workspace, receiver):
    receiver.answer = lambda count: (200, json.dumps({"call_inbound": WANTED}).encode())
    row = make_phone_number(
        workspace, OUR_NUMBER, chained_webhook_url=receiver.url, chained_sms_webhook_url=f"{receiver.url}/sms"
    )
    store.publish_version(workspace.pk, snapshots.load(workspace.pk).version)
    return row


def ask(url, **more):
    return chaining.ask_chained(url, body(), {}, event="call_inbound", **{"deadline": 5.0} | more)[0]


def answer(status, content):
    return lambda count: (status, content if isinstance(content, bytes) else json.dumps(content).encode())


def call(workspace, call_id="call_1", caller=CANADIAN, **more):
    return deliver(workspace, body(caller, call_id=call_id), **more).json()


def today(workspace):
    return chaining.record_of(workspace.pk, OUR_NUMBER, now=moment())


# --- Through the door -----------------------------------------------------------------------------


def test_passes_the_very_bytes_on_with_the_signature_under_both_names(workspace, chained, receiver):
    content = b' {"event":"call_inbound", "call_inbound":{"from_number":"+14165550123","to_number":"+14155550100"}}'
    (value,) = signed(content).values()
    headers = {"X-UponAI-Signature": value, "X-Retell-Signature": value}

    assert deliver(workspace, content, headers).json() == {"call_inbound": WANTED}

    (delivery,) = receiver.received
    assert delivery.raw == content
    passed_on = {name.lower(): told for name, told in delivery.headers.items()}
    assert passed_on["x-uponai-signature"] == passed_on["x-retell-signature"] == value
    theirs = {"X-Retell-Signature": passed_on["x-retell-signature"]}
    now_ms = time.time_ns() // 1_000_000
    assert signature.verify(body=delivery.raw, headers=theirs, secrets=[UPONAI_KEY], now_ms=now_ms) is None


def test_invents_no_header_that_uponai_did_not_send(workspace, chained, receiver):
    call(workspace)

    assert "x-retell-signature" not in {name.lower() for name in receiver.received[0].headers}


def test_never_asks_about_a_call_that_is_blocked(workspace, chained, receiver):
    assert call(workspace, caller=JAMAICAN) == REJECTED
    assert receiver.received == []


def test_they_may_reject_what_we_let_in(workspace, chained, receiver):
    receiver.answer = answer(200, {"call_inbound": {"reject": True}})

    assert call(workspace) == REJECTED


def test_a_retry_gets_the_first_answer_and_they_are_asked_once(workspace, chained, receiver):
    receiver.answer = lambda count: (
        200,
        json.dumps({"call_inbound": {"override_agent_id": f"agent_{count}"}}).encode(),
    )

    told = [call(workspace, "call_1") for _ in range(3)]
    other = call(workspace, "call_2")

    assert told == [{"call_inbound": {"override_agent_id": "agent_1"}}] * 3
    assert other == {"call_inbound": {"override_agent_id": "agent_2"}}
    assert len(receiver.received) == 2


def test_a_retry_gets_our_own_answer_when_the_first_got_that(workspace, chained, receiver):
    receiver.answer = lambda count: (500, b"") if count == 1 else (200, b'{"call_inbound":{"override_agent_id":"a"}}')

    assert [call(workspace), call(workspace)] == [ACCEPTED, ACCEPTED]


def test_without_an_id_a_new_call_of_the_same_pair_asks_anew(workspace, chained, receiver):
    deliver(workspace, body())
    deliver(workspace, body())

    assert len(receiver.received) == 2


def test_a_message_goes_to_the_webhook_for_messages(workspace, chained, receiver):
    receiver.answer = answer(200, {"chat_inbound": {"dynamic_variables": {"name": "Bo"}}})
    content = body(CANADIAN, chat_id="chat_1").replace(b"call_inbound", b"chat_inbound")

    assert deliver(workspace, content).json() == {"chat_inbound": {"dynamic_variables": {"name": "Bo"}}}


def test_a_request_that_comes_back_is_not_sent_round(workspace, chained, receiver):
    content = body(call_id="call_1")

    assert deliver(workspace, content, signed(content) | {chaining.MARK: "fraudconsole"}).json() == ACCEPTED
    assert receiver.received == []


def test_under_guard_their_variables_stay_and_our_cap_wins(workspace, chained, receiver, monkeypatch):
    ours = {"metadata": {"gate": "guard"}, "agent_override": {"agent": {"max_call_duration_ms": 60_000}}}
    loaded = snapshots.load(workspace.pk)
    attempt = chaining_attempt()

    told = chaining.answer_with_chain(loaded, attempt, body(), {}, json.dumps({"call_inbound": ours}).encode(), "guard")

    assert json.loads(told) == {"call_inbound": {**WANTED, **ours}}


def chaining_attempt():
    from policies.uponai import payloads

    return payloads.read_inbound(body(call_id="call_1"))


def test_still_asks_without_the_store(workspace, chained, receiver, nobody_listens):
    assert call(workspace) == {"call_inbound": WANTED}
    assert today(workspace) is None


# --- When theirs is no good -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "content", "words"),
    [
        (500, b"oops", "answered 500"),
        (302, b"", "answered 302"),
        (404, {"call_inbound": WANTED}, "answered 404"),
        (200, b"<html>", "not JSON"),
        (200, {"call_inbound": {"dynamic_variables": {"age": 4}}}, "dynamic_variables"),
        (200, b"x" * 70_000, "larger"),
    ],
)
def test_what_cannot_be_used_leaves_our_answer_alone_and_is_noted(
    workspace,
    chained,
    receiver,
    status,
    content,
    words,
):
    receiver.answer = answer(status, content)

    assert call(workspace) == ACCEPTED

    record = today(workspace)
    assert (record.asked, record.answered) == (1, 0)
    assert words in record.trouble
    assert record.trouble_at is not None


def test_counts_what_was_asked_and_answered(workspace, chained, receiver):
    receiver.answer = lambda count: (200, b"{}") if count != 2 else (503, b"")

    for number in range(3):
        call(workspace, f"call_{number}")

    record = today(workspace)
    assert (record.asked, record.answered) == (3, 2)


@pytest.mark.parametrize("content", [b"", b"{}", b'{"call_inbound":{}}'])
def test_an_answer_that_wants_nothing_is_an_answer(workspace, chained, receiver, content):
    receiver.answer = answer(200, content)

    assert call(workspace) == ACCEPTED
    assert today(workspace).answered == 1


def test_nobody_there_is_no_answer():
    assert ask("http://127.0.0.1:9/hook") is None


@pytest.mark.parametrize(
    "url", ["", "nonsense", "ftp://127.0.0.1/x", "http://", "http://[::1", "http://127.0.0.1:99999/"]
)
def test_an_address_that_is_none_is_no_answer(url):
    assert ask(url) is None


# --- Only where it may go -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host", ["10.0.0.1", "169.254.169.254", "192.168.1.1", "[fd00::1]", "[::ffff:10.0.0.1]", "0.0.0.0"]
)
def test_asks_nobody_inside(host):
    assert ask(f"http://{host}/") is None
    with pytest.raises(chaining._Failed, match="not a public one"):
        chaining._fetch(f"http://{host}/", b"", {}, 1.0)


def test_asks_nobody_on_this_machine_where_that_is_not_allowed(receiver, settings):
    assert ask(receiver.url) is not None
    settings.CHAINED_WEBHOOKS_ON_LOOPBACK = False

    assert ask(receiver.url) is None
    assert ask(receiver.url.replace("127.0.0.1", "localhost")) is None
    assert len(receiver.received) == 1


# --- Nobody waits for long ------------------------------------------------------------------------


@pytest.fixture
def hanging(receiver):
    over = threading.Event()

    def hang(count):
        over.wait(20)
        return 200, b"{}"

    receiver.answer = hang
    yield receiver
    over.set()


def test_a_webhook_that_hangs_is_not_waited_for_and_then_given_a_pause(hanging):
    for _ in range(chaining.FAILURES_IN_A_ROW):
        assert ask(hanging.url, deadline=0.2) is None
    asked = len(hanging.received)

    assert ask(hanging.url, deadline=0.2) is None

    assert len(hanging.received) == asked == chaining.FAILURES_IN_A_ROW
    assert chaining._waiting.by_url[hanging.url].paused_until > time.monotonic()


def test_it_is_asked_again_after_the_pause(receiver, monkeypatch):
    monkeypatch.setattr(chaining, "PAUSE_SECONDS", 0.0)
    receiver.answer = lambda count: (500, b"") if count <= 3 else (200, b"{}")

    assert [ask(receiver.url) is None for _ in range(5)] == [True, True, True, False, False]
    assert receiver.url not in chaining._waiting.by_url or not chaining._waiting.by_url[receiver.url].failures


def test_only_so_many_calls_wait_for_one_webhook(hanging):
    waiting = [
        threading.Thread(target=ask, args=(hanging.url,), kwargs={"deadline": 15.0})
        for _ in range(chaining.MOST_WAITING_AT_ONE)
    ]
    for one in waiting:
        one.start()
    wait_for(lambda: len(hanging.received) == len(waiting))

    with pytest.raises(chaining._Failed, match="as many calls as may wait"):
        chaining._ask_within(hanging.url, body(), {}, "call_inbound", 15.0)

    assert len(hanging.received) == chaining.MOST_WAITING_AT_ONE


def test_only_so_many_calls_wait_for_all_webhooks_together(hanging, settings):
    settings.MOST_CHAINED_AT_ONCE = 1
    waiting = threading.Thread(target=ask, args=(hanging.url,), kwargs={"deadline": 15.0})
    waiting.start()
    wait_for(lambda: hanging.received)

    with pytest.raises(chaining._Failed, match="as many calls as may wait"):
        chaining._ask_within(f"{hanging.url}/other", body(), {}, "call_inbound", 15.0)


def test_an_answer_that_drips_in_is_cut_off(workspace):
    import socket

    server = socket.create_server(("127.0.0.1", 0))

    def drip():
        connection, _ = server.accept()
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(200):
            try:
                connection.sendall(b" ")
            except OSError:
                return
            time.sleep(0.05)

    threading.Thread(target=drip, daemon=True).start()

    assert ask(f"http://127.0.0.1:{server.getsockname()[1]}/", deadline=0.3) is None
    server.close()


def test_the_url_is_read_from_the_newest_snapshot(workspace, chained, receiver):
    with scoped(workspace.pk):
        PhoneNumber.objects.filter(pk=chained.pk).update(chained_webhook_url="")
    snapshots.forget()

    assert call(workspace) == ACCEPTED
    assert receiver.received == []


def test_a_new_webhook_is_asked_about_the_very_next_call(
    workspace, chained, receiver, django_capture_on_commit_callbacks
):
    wanted, nowhere = receiver.url, "http://127.0.0.1:9/hook"
    for url in (nowhere, wanted):
        with django_capture_on_commit_callbacks(execute=True):
            answering.edit_answering(phone_number=chained, chained_webhook_url=url, acting_user=None, now=moment())
        call(workspace, f"call to {url}")

    assert len(receiver.received) == 1
