"""The inbound door: who it believes, what it answers, and that each call is decided once."""

import time

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from redis import Redis

from accounts import keys
from accounts.models import PublicKey, UponaiKey
from accounts.scoping import scoped
from policies import actions
from policies.gate import recorder, snapshots, store
from policies.models import Decision, RefusedWebhook
from tests.factories import make_phone_number, make_workspace, moment
from tests.policies.gate.webhooks import (
    ACCEPTED,
    CANADIAN,
    CUBAN,
    JAMAICAN,
    OUR_NUMBER,
    REJECTED,
    body,
    deliver,
    signed,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def number(workspace):
    row = make_phone_number(workspace, OUR_NUMBER)
    store.publish_version(workspace.pk, snapshots.load(workspace.pk).version)
    return row


def _decisions(workspace):
    recorder.drain(now=moment())
    with scoped(workspace.pk):
        return list(Decision.objects.order_by("id"))


@pytest.mark.parametrize(
    ("caller", "answer", "reason"),
    [
        (CANADIAN, ACCEPTED, ""),
        (JAMAICAN, REJECTED, "country_not_allowed"),
        (CUBAN, REJECTED, "sanctioned_country"),
        ("+79161234567", REJECTED, "sanctioned_country"),
        ("anonymous", REJECTED, "withheld_number"),
        (None, REJECTED, "withheld_number"),
    ],
)
def test_answers_by_the_callers_country_and_records_why(workspace, number, caller, answer, reason):
    response = deliver(workspace, body(caller, call_id="call_1"))

    assert (response.status_code, response.json()) == (200, answer)
    (decision,) = _decisions(workspace)
    assert decision.reason == reason
    assert decision.verdict == ("block" if answer == REJECTED else "allow")
    assert (decision.phone_number, decision.call_reference) == (OUR_NUMBER, "call_1")
    assert decision.policy_revision == 1
    assert decision.trace


def test_lets_nobody_in_from_a_sanctioned_country_even_without_restriction(workspace):
    make_phone_number(workspace, OUR_NUMBER, inbound=None)

    assert deliver(workspace, body(CUBAN, call_id="call_1")).json() == REJECTED
    assert deliver(workspace, body(JAMAICAN, call_id="call_2")).json() == ACCEPTED


def test_does_not_know_numbers_of_another_workspace(workspace, number):
    make_phone_number(make_workspace(), "+14155550177")

    assert deliver(workspace, body(to_number="+14155550177", call_id="call_1")).json() == REJECTED
    assert _decisions(workspace)[0].reason == "unknown_number"


def test_judges_sms_by_the_same_rules_in_its_own_envelope(workspace, number):
    content = body(JAMAICAN, chat_id="chat_1").replace(b"call_inbound", b"chat_inbound")

    assert deliver(workspace, content).json() == {"chat_inbound": {"reject": True}}
    assert _decisions(workspace)[0].channel == "sms"


def test_gives_a_retry_the_first_answer_and_counts_it_once(workspace, number):
    content = body(JAMAICAN, call_id="call_1")
    first = deliver(workspace, content)
    actions.edit_phone_number(phone_number=number, inbound_countries=["US", "CA", "JM"], acting_user=None, now=moment())
    store.publish_version(workspace.pk, snapshots.load(workspace.pk).version)

    repeated = [deliver(workspace, content) for _ in range(3)]

    assert [answer.json() for answer in (first, *repeated)] == [REJECTED] * 4
    assert len(_decisions(workspace)) == 1
    assert deliver(workspace, body(JAMAICAN, call_id="call_2")).json() == ACCEPTED


def test_takes_two_quick_calls_without_an_id_for_two(workspace, number):
    deliver(workspace, body())
    deliver(workspace, body())

    assert len(_decisions(workspace)) == 2


def test_takes_a_delivery_after_the_providers_wait_for_a_retry(workspace, number, monkeypatch):
    monkeypatch.setattr(store, "LEAST_WAIT_MS", 50)
    for _ in range(6):
        deliver(workspace, body(JAMAICAN))
        time.sleep(0.06)

    # The first and its three retries, then a new call and its first retry.
    assert len(_decisions(workspace)) == 2


def test_obeys_an_edit_at_once(workspace, number, django_capture_on_commit_callbacks):
    assert deliver(workspace, body(JAMAICAN, call_id="call_1")).json() == REJECTED

    with django_capture_on_commit_callbacks(execute=True):
        actions.edit_phone_number(phone_number=number, inbound_countries=["JM"], acting_user=None, now=moment())

    assert deliver(workspace, body(JAMAICAN, call_id="call_2")).json() == ACCEPTED
    assert deliver(workspace, body(CANADIAN, call_id="call_3")).json() == REJECTED


def test_loads_the_newest_policy_when_the_store_was_emptied(workspace, number):
    deliver(workspace, body(call_id="call_1"))
    actions.edit_phone_number(phone_number=number, inbound_countries=["JM"], acting_user=None, now=moment())
    store.connection().flushdb()

    assert deliver(workspace, body(call_id="call_2")).json() == REJECTED


def test_asks_the_database_nothing_when_warm(workspace, number):
    deliver(workspace, body(call_id="call_1"))

    with CaptureQueriesContext(connection) as queries:
        deliver(workspace, body(call_id="call_2"))

    assert len(queries) == 0


def test_sends_the_store_one_command_when_warm(workspace, number, settings):
    deliver(workspace, body(call_id="call_1"))
    observer = Redis.from_url(settings.REDIS_URL)

    with observer.monitor() as monitor:
        deliver(workspace, body(call_id="call_2"))
        store.connection().echo("end")
        seen = _until_end(monitor)

    assert [command.split()[0].upper() for command in seen] == ["EVALSHA"]


def _until_end(monitor):
    """The commands that clients sent; what a script calls inside the server is not one."""
    commands = []
    for entry in monitor.listen():
        if "end" in entry["command"].split():
            return commands
        if entry["client_type"] != "lua":
            commands.append(entry["command"])
    return commands


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-UponAI-Signature": "v=1700000000000,d=" + "0" * 64},
        {"X-UponAI-Signature": "nonsense"},
        signed(body(), key="key_of_somebody_else"),
        signed(body() + b" "),
        signed(body(), at_ms=time.time_ns() // 1_000_000 - 86_400_000),
        signed(body(), at_ms=time.time_ns() // 1_000_000 + 86_400_000),
        signed(body()) | {"X-Retell-Signature": "v=1700000000000,d=" + "0" * 64},
    ],
)
def test_refuses_and_counts_what_is_not_signed_well(workspace, number, headers):
    response = deliver(workspace, body(), headers)

    assert response.status_code == 401
    assert response.json()["status"] == "error"
    recorder.drain_refused(now=moment())
    with scoped(workspace.pk):
        assert sum(RefusedWebhook.objects.values_list("requests", flat=True)) == 1
    assert _decisions(workspace) == []


def test_never_parses_what_is_not_signed(workspace, number):
    response = deliver(workspace, b"\xff{not json at all", {})

    assert response.status_code == 401


@pytest.mark.parametrize("name", ["X-UponAI-Signature", "X-Retell-Signature"])
def test_believes_either_header(workspace, number, name):
    (value,) = signed(body(call_id="call_1")).values()

    assert deliver(workspace, body(call_id="call_1"), {name: value}).status_code == 200


def test_believes_both_headers_when_they_say_the_same(workspace, number):
    (value,) = signed(body(call_id="call_1")).values()
    both = {"X-UponAI-Signature": value, "X-Retell-Signature": value}

    assert deliver(workspace, body(call_id="call_1"), both).status_code == 200


@pytest.mark.parametrize(
    "content",
    [b"[]{}", b'{"event":"call_inbound"}', b'{"event":"call_inbound","call_inbound":[]}', b'{"event":7}', b"{}"],
)
def test_rejects_a_genuine_webhook_that_it_does_not_understand(workspace, number, content):
    response = deliver(workspace, content)

    assert response.status_code == 200
    assert response.json() == {"call_inbound": {"reject": True}, "chat_inbound": {"reject": True}}


def test_rejects_while_the_workspaces_keys_cannot_be_read(workspace, number):
    """An error would let the agent answer: sanctioned callers too."""
    with scoped(workspace.pk):
        UponaiKey.objects.update(sealed="v1.altered.altered")
    snapshots.forget()

    response = deliver(workspace, body(CUBAN, call_id="call_1"))

    assert response.status_code == 200
    assert response.json() == {"call_inbound": {"reject": True}, "chat_inbound": {"reject": True}}


def test_goes_on_although_the_secret_of_a_captcha_cannot_be_read(workspace, number):
    key = keys.mint_public_key(
        workspace=workspace, name="shop", domains=["www.example.com"], channels=["chat"], acting_user=None, now=moment()
    )
    with scoped(workspace.pk):
        PublicKey.objects.filter(pk=key.pk).update(captcha="recaptcha_v3", captcha_secret="v1.altered.altered")
    snapshots.forget()

    assert deliver(workspace, body(CANADIAN, call_id="call_1")).json() == ACCEPTED
    assert snapshots.for_endpoint(workspace.endpoint).captcha_secret(key.pk) is None


def test_refuses_a_body_larger_than_any_webhook(workspace, number):
    content = body(note="x" * 70_000)

    assert deliver(workspace, content).status_code == 413


def test_knows_only_its_own_addresses(client, workspace):
    assert client.post("/hooks/nobody/inbound", data=b"{}", content_type="application/json").status_code == 404
    assert client.get(f"/hooks/{workspace.endpoint}/inbound").status_code == 405
    assert client.post(f"/hooks/{workspace.endpoint}/elsewhere").status_code == 404


def test_decides_without_the_store_and_says_so(workspace, number, nobody_listens):
    answers = [
        deliver(workspace, body(caller, call_id=f"call_{caller}")).json() for caller in (CANADIAN, JAMAICAN, CUBAN)
    ]

    assert answers == [ACCEPTED, REJECTED, REJECTED]
    with scoped(workspace.pk):
        rows = list(Decision.objects.order_by("id"))
    assert [row.verdict for row in rows] == ["allow", "block", "block"]
    assert all(row.degraded for row in rows)


def test_answers_a_retry_alike_without_the_store(workspace, number, nobody_listens):
    content = body(JAMAICAN, call_id="call_1")
    first = deliver(workspace, content).json()
    actions.edit_phone_number(phone_number=number, inbound_countries=["JM"], acting_user=None, now=moment())
    snapshots.forget()

    assert deliver(workspace, content).json() == first == REJECTED
    with scoped(workspace.pk):
        assert Decision.objects.count() == 1


def test_records_once_when_the_drain_dies_between_writing_and_forgetting(workspace, number):
    deliver(workspace, body(call_id="call_1"))
    entries = store.undrained(workspace.pk)
    recorder.write(workspace.pk, [recorder.orjson.loads(content) for _, content in entries], now=moment())

    assert recorder.drain(now=moment()) == 1
    assert len(_decisions(workspace)) == 1
