"""The outbound doors: what is let through is started at UponAI as it was judged; what is not, is refused in words."""

import itertools
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from accounts import keys
from accounts.scoping import scoped
from policies import actions
from policies.gate import recorder
from policies.gate.outbound import dials, refusals
from policies.models import Decision, Dial, PhoneNumber
from tests.factories import make_phone_number, make_token, make_workspace, moment
from tests.policies.gate.outbound.conftest import (
    CALL,
    CHAT,
    DIAL,
    LONDON,
    OURS,
    PEER,
    SMS,
    WEB,
    calls,
    started,
)

pytestmark = pytest.mark.django_db


def test_dials_what_was_judged_and_answers_as_uponai_does(gate, uponai):
    body = DIAL | {"to_number": "+1 (415) 555-0142", "metadata": {"customer": "7"}, "override_agent_id": "agent_mine"}

    response = gate.post(CALL, body)

    assert response.status_code == 201
    (call,) = calls(uponai)
    assert response.json()["call_id"] == call.call_id
    assert response.json()["call_type"] == "phone_call"
    assert (call.from_number, call.to_number, call.agent_id) == (OURS, PEER, "agent_mine")
    assert call.metadata == {"customer": "7", "decision_id": response["X-Decision-Id"]}
    (entry,) = started(uponai)
    assert entry["body"]["idempotency_key"] == response["X-Decision-Id"]
    assert 0 < entry["body"]["agent_override"]["agent"]["max_call_duration_ms"] <= 900_000
    (dial,) = gate.dials()
    assert (dial.state, dial.call_id, dial.due_at) == ("done", call.call_id, None)
    assert (dial.from_number, dial.to_number, dial.country) == (OURS, PEER, "US")


def test_a_decision_names_the_call_that_was_made_for_it_whichever_is_written_first(gate, uponai):
    response = gate.post(CALL, DIAL)
    recorder.drain(now=moment())
    named_by_recorder = _call_of_the_decision(gate.workspace)
    (row,) = gate.dials()
    dials.finish(row, state=Dial.State.DONE, now=moment(), call_id="call_found_later")

    assert named_by_recorder == response.json()["call_id"]
    assert _call_of_the_decision(gate.workspace) == "call_found_later"


def _call_of_the_decision(workspace):
    with scoped(workspace.pk):
        return Decision.objects.get(direction="outbound").call_reference


@pytest.mark.parametrize(("asked", "sent"), [(10_000, 10_000), (7_200_000, None)])
def test_caps_the_length_without_making_it_longer_than_asked(gate, uponai, asked, sent):
    override = {"agent": {"max_call_duration_ms": asked, "language": "de-DE"}, "retell_llm": {"model": "x"}}

    gate.post(CALL, DIAL | {"agent_override": override})

    got = started(uponai)[0]["body"]["agent_override"]
    assert got["agent"]["max_call_duration_ms"] == (sent or 900_000)
    assert (got["agent"]["language"], got["retell_llm"]) == ("de-DE", {"model": "x"})


def test_starts_the_other_channels(gate, uponai):
    sms = gate.post(SMS, DIAL)
    web = gate.post(WEB, {"agent_id": "agent_web", "agent_override": {"agent": {"max_call_duration_ms": 5000}}})
    chat = gate.post(CHAT, {"agent_id": "agent_chat", "agent_version": 3, "metadata": {"a": 1}})

    assert (sms.status_code, sms.json()["chat_type"]) == (200, "sms_chat")
    assert (web.status_code, set(web.json())) == (
        201,
        {"access_token", "call_id", "expires_at", "ice_servers", "transport"},
    )
    assert (chat.status_code, chat.json()["chat_type"], chat.json()["version"]) == (201, "api_chat", 3)
    bodies = [entry["body"] for entry in started(uponai)]
    for body, response in zip(bodies, (sms, web, chat), strict=True):
        assert body["metadata"]["decision_id"] == response["X-Decision-Id"]
        assert "idempotency_key" not in body
    assert bodies[1]["agent_override"]["agent"]["max_call_duration_ms"] == 5000
    assert [dial.call_id for dial in gate.dials()] == [
        sms.json()["chat_id"],
        web.json()["call_id"],
        chat.json()["chat_id"],
    ]


@pytest.mark.parametrize(
    ("to_number", "status", "code"),
    [
        ("not a number", 400, "invalid_number"),
        ("+1415555014", 400, "invalid_number"),
        ("9" * 250, 400, "invalid_number"),
        ("+14155550142,,79161234567", 400, "extension_not_allowed"),
        (LONDON, 403, "country_not_allowed"),
        ("+5351234567", 403, "sanctioned_country"),
        ("+79161234567", 403, "sanctioned_country"),
    ],
)
def test_refuses_in_words_and_tells_a_backend_the_reason(gate, uponai, to_number, status, code):
    response = gate.post(CALL, DIAL | {"to_number": to_number})

    said = response.json()
    assert (response.status_code, said["status"], said["code"]) == (status, "error", code)
    assert said["message"].endswith(".")
    assert said["decision_id"] == response["X-Decision-Id"]
    assert response["x-should-retry"] == "false"
    assert started(uponai) == []
    assert gate.dials() == []


@pytest.mark.parametrize(
    ("to_number", "status", "code"),
    [
        ("not a number", 400, "invalid_number"),
        (LONDON, 403, "blocked"),
        ("+5351234567", 403, "blocked"),
    ],
)
def test_tells_a_web_page_no_more_than_its_visitor_can_use(gate, uponai, to_number, status, code):
    response = gate.page(CALL, gate.key(), {"to_number": to_number})

    said = response.json()
    assert (response.status_code, said["code"]) == (status, code)
    for word in ("countries", "sanction", "Kingdom", "Cuba", "policy", "list"):
        assert word not in said["message"]
    assert started(uponai) == []


def test_a_key_calls_from_its_own_number_with_its_own_agent(gate, uponai):
    key = gate.key(agent="agent_page")

    response = gate.page(CALL, key, {"to_number": PEER})

    assert response.status_code == 201
    (call,) = calls(uponai)
    assert (call.from_number, call.agent_id) == (OURS, "agent_page")
    (dial,) = gate.dials()
    assert (dial.credential, dial.public_key, dial.ip) == (f"key:{key.pk}", key.key, "203.0.113.7")


def test_does_not_dial_from_another_workspaces_number(gate, uponai):
    other = make_workspace()
    make_phone_number(other, "+14155550177")

    response = gate.post(CALL, DIAL | {"from_number": "+14155550177"})

    assert (response.status_code, response.json()["code"]) == (403, "unknown_number")
    assert started(uponai) == []


def test_passes_uponais_refusal_on_to_a_backend_and_has_it_not_repeated(gate, uponai):
    uponai.put("settings", flagged_agents=["agent_bad"])

    response = gate.post(CALL, DIAL | {"override_agent_id": "agent_bad"}, Idempotency_Key="k1")
    uponai.put("settings", flagged_agents=[])
    again = gate.post(CALL, DIAL | {"override_agent_id": "agent_bad"}, Idempotency_Key="k1")

    assert (response.status_code, response["x-should-retry"]) == (403, "false")
    assert "terms of service" in response.json()["message"]
    assert (again.status_code, again.json()) == (403, response.json())
    (dial,) = gate.dials()
    assert (dial.state, dial.answer_status, dial.cost_micro) == ("done", 403, 0)
    assert "UponAI answered 403" in dial.error


def test_does_not_tell_a_web_page_what_uponai_says_of_the_account(gate, uponai):
    uponai.put("settings", payment_method=False)

    response = gate.page(CALL, gate.key(), {"to_number": PEER})

    assert (response.status_code, response.json()["code"]) == (402, "blocked")
    assert "payment" not in response.json()["message"]


def test_a_throttled_request_may_come_again_with_its_key(gate, uponai):
    uponai.put("settings", rps=0.001)
    gate.post(CALL, DIAL)  # takes what there is
    throttled = gate.post(CALL, DIAL, Idempotency_Key="k1")
    uponai.put("settings", rps=0)

    assert (throttled.status_code, throttled["Retry-After"], throttled["x-should-retry"]) == (429, "1", "false")
    assert gate.post(CALL, DIAL, Idempotency_Key="k1").status_code == 201


def test_a_key_that_uponai_refuses_is_not_the_callers_fault(gate, uponai):
    uponai.put("settings", api_keys=["key_another_one"])

    response = gate.post(CALL, DIAL)

    assert (response.status_code, response.json()["code"]) == (503, "degraded")
    assert "UponAI refuses this workspace's key" in response.json()["message"]


def test_says_that_a_workspace_has_no_uponai_key_yet(gate, uponai):
    other = make_workspace(uponai_key="")
    make_phone_number(other, OURS)

    response = gate.post(CALL, DIAL, credential=make_token(other, "gate:write"))

    assert (response.status_code, "no UponAI key" in response.json()["message"]) == (503, True)


def test_obeys_a_policy_that_was_tightened_while_the_request_was_under_way(gate, uponai, monkeypatch):
    """The decision is made, then somebody edits, then UponAI would be asked."""
    from policies.gate.outbound import dials

    write = dials.write_dial

    def edit_first(*arguments, **more):
        write(*arguments, **more)
        actions.edit_phone_number(
            phone_number=PhoneNumber.objects.get(), outbound_countries=["CA"], acting_user=None, now=moment()
        )

    monkeypatch.setattr(dials, "write_dial", edit_first)
    with scoped(gate.workspace.pk):
        response = gate.post(CALL, DIAL, Idempotency_Key="k1")

    assert (response.status_code, response.json()["code"]) == (403, "country_not_allowed")
    assert started(uponai) == []
    (dial,) = gate.dials()
    assert (dial.state, dial.cost_micro) == ("never", 0)


@pytest.mark.postgres
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite in memory has one writer, and nobody waits")
@pytest.mark.django_db(transaction=True)
def test_dials_nobody_a_second_after_a_policy_was_tightened(gate, uponai):
    """G10 at a test's size: many requests are under way while somebody closes the country."""
    closed_at = []
    numbers = itertools.count(100)

    def ask():
        answers = []
        try:
            while not closed_at or time.time() < closed_at[0] + 1.5:
                wanted = {"to_number": f"+1415555{next(numbers):04}"}
                answers.append(gate.post(CALL, DIAL | wanted).status_code)
        finally:
            connection.close()
        return answers

    with ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(ask) for _ in range(4)]
        time.sleep(0.7)
        with scoped(gate.workspace.pk):
            actions.edit_phone_number(
                phone_number=PhoneNumber.objects.get(), outbound_countries=["CA"], acting_user=None, now=moment()
            )
        closed_at.append(time.time())
        answers = [status for asked in asking for status in asked.result()]

    assert {201, 403} <= set(answers)
    dialled = [entry["time"] for entry in started(uponai)]
    assert len(dialled) == answers.count(201)
    assert max(dialled) <= (closed_at[0] + 1) * 1000


def test_refuses_a_key_that_was_revoked_while_the_request_was_under_way(gate, uponai, monkeypatch):
    from policies.gate.outbound import dials

    key, write = gate.key(), dials.write_dial

    def revoke_first(*arguments, **more):
        write(*arguments, **more)
        keys.revoke_public_key(public_key=key, acting_user=None, now=moment())

    monkeypatch.setattr(dials, "write_dial", revoke_first)

    assert gate.page(CALL, key, {"to_number": PEER}).status_code in (401, 403)
    assert started(uponai) == []


def test_dials_nothing_when_it_was_held_up_too_long(gate, uponai, monkeypatch):
    from datetime import timedelta

    from policies.gate.outbound import dialling

    monkeypatch.setattr(dialling, "LATEST", timedelta(0))

    assert gate.post(CALL, DIAL).status_code == 503
    assert started(uponai) == []


@pytest.mark.parametrize(("uponais", "ours"), [(201, 201), (402, 402), (430, 400), (499, 400), (218, 200)])
def test_passes_on_no_status_that_a_server_could_not_send(uponais, ours):
    assert refusals.answer(b"{}", status=uponais).status_code == ours


def test_answers_only_to_post(gate, client):
    for path in (CALL, SMS, WEB, CHAT):
        response = client.get(path)
        assert (response.status_code, response.json()["status"]) == (405, "error")


def test_opens_no_connection_anew_for_the_next_call(gate, uponai):
    from policies.uponai import client as uponai_client

    uponai_client._kept_open.cache_clear()
    for _ in range(3):
        assert gate.post(CALL, DIAL).status_code == 201
    pool = uponai_client.shared("key_sandbox")._http._transport._pool

    assert len(pool.connections) == 1
