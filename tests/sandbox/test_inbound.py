from __future__ import annotations

import json
import time
from typing import Any

import pytest
from retell.lib import verify

from .conftest import API_KEY, CU_PEER, GB_PEER, US, US_PEER, Receiver, Sandbox


def call_in(sandbox: Sandbox, caller: str = US_PEER) -> dict[str, Any]:
    return sandbox.post("inbound-call", from_number=caller, to_number=US)


def answering(value: Any) -> Any:
    content = value if isinstance(value, bytes) else json.dumps(value).encode()
    return lambda count: (200, content)


def test_answers_with_the_bound_agent_and_makes_a_call(sandbox: Sandbox) -> None:
    response = sandbox.http.post("/sandbox/inbound-call", json={"from_number": US_PEER, "to_number": US})

    assert response.json() == {"outcome": "answered", "by": "agent", "deliveries": []}
    call = sandbox.retell.call.retrieve(response.headers["X-Call-Id"])
    assert (call.call_status, call.direction, call.agent_id) == ("ongoing", "inbound", "agent_inbound")
    assert (call.from_number, call.to_number) == (US_PEER, US)


@pytest.mark.parametrize(
    ("caller", "countries", "by"),
    [
        (CU_PEER, None, "sanctions"),
        (CU_PEER, ["CU"], "sanctions"),
        (GB_PEER, ["US"], "country_list"),
        ("anonymous", ["US"], "country_list"),
    ],
)
def test_rejects_by_sanctions_and_lists_without_a_call(
    sandbox: Sandbox, caller: str, countries: list[str] | None, by: str
) -> None:
    sandbox.retell.phone_number.update(US, allowed_inbound_country_list=countries)

    assert call_in(sandbox, caller) == {"outcome": "rejected", "by": by, "deliveries": []}
    assert sandbox.retell.call.list().items == []


@pytest.mark.parametrize("countries", [None, [], ["US"]])
def test_lets_in_who_is_on_the_list_or_whom_no_list_keeps_out(sandbox: Sandbox, countries: Any) -> None:
    sandbox.retell.phone_number.update(US, allowed_inbound_country_list=countries)

    assert call_in(sandbox)["outcome"] == "answered"


def test_asks_the_webhook_and_obeys_its_rejection(sandbox: Sandbox, receiver: Receiver) -> None:
    sandbox.retell.phone_number.update(US, inbound_webhook_url=receiver.url)
    receiver.answer = answering({"call_inbound": {"reject": True}})

    result = call_in(sandbox)

    assert (result["outcome"], result["by"]) == ("rejected", "webhook")
    assert result["deliveries"][0]["status"] == 200
    assert result["deliveries"][0]["body"] == {"call_inbound": {"reject": True}}
    assert set(result["deliveries"][0]) == {"status", "ms", "body"}
    asked = receiver.received[0]
    assert asked.body["event"] == "call_inbound"
    question = asked.body["call_inbound"]
    assert (question["from_number"], question["to_number"]) == (US_PEER, US)
    assert (question["agent_id"], question["agent_version"]) == ("agent_inbound", 3)
    assert question["call_id"].startswith("call_")
    assert verify(asked.raw.decode(), API_KEY, asked.headers["X-UponAI-Signature"])
    assert asked.headers["X-UponAI-Signature"] == asked.headers["X-Retell-Signature"]
    assert sandbox.retell.call.list().items == []


@pytest.mark.parametrize("value", ["true", 1, "yes", {}, [True], False, None])
def test_takes_nothing_but_true_for_a_rejection(sandbox: Sandbox, receiver: Receiver, value: Any) -> None:
    sandbox.retell.phone_number.update(US, inbound_webhook_url=receiver.url)
    receiver.answer = answering({"call_inbound": {"reject": value}})

    result = call_in(sandbox)

    assert (result["outcome"], result["by"]) == ("answered", "agent")
    assert len(result["deliveries"]) == 1


def test_takes_agent_metadata_and_cap_from_the_webhook(sandbox: Sandbox, receiver: Receiver) -> None:
    sandbox.retell.phone_number.update(US, inbound_webhook_url=receiver.url, inbound_agents=None)
    answer = {
        "override_agent_id": "agent_guarded",
        "metadata": {"gate": "watch"},
        "dynamic_variables": {"name": "Ada"},
        "agent_override": {"agent": {"max_call_duration_ms": 200}},
    }
    receiver.answer = answering({"call_inbound": answer})

    assert call_in(sandbox)["outcome"] == "answered"

    call = sandbox.retell.call.list().items[0]
    assert (call.agent_id, call.metadata) == ("agent_guarded", {"gate": "watch"})
    assert call.retell_llm_dynamic_variables == {"name": "Ada"}
    time.sleep(0.5)
    assert sandbox.retell.call.retrieve(call.call_id).disconnection_reason == "max_duration_reached"
    assert "agent_id" not in receiver.received[0].body["call_inbound"]


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"call_inbound":[]}', b'{"call_inbound":{"agent_override":5}}'])
def test_takes_an_answer_without_sense_for_a_failure(sandbox: Sandbox, receiver: Receiver, content: bytes) -> None:
    sandbox.retell.phone_number.update(US, inbound_webhook_url=receiver.url)
    receiver.answer = answering(content)

    result = call_in(sandbox)

    assert (result["outcome"], result["by"], len(result["deliveries"])) == ("answered", "agent", 4)


def test_retries_a_failing_webhook_with_the_same_question(sandbox: Sandbox, receiver: Receiver) -> None:
    sandbox.retell.phone_number.update(US, inbound_webhook_url=receiver.url)
    reject = b'{"call_inbound":{"reject":true}}'
    receiver.answer = lambda count: (200, reject) if count == 3 else (403, reject)

    result = call_in(sandbox)

    assert [delivery["status"] for delivery in result["deliveries"]] == [403, 403, 200]
    assert result["outcome"] == "rejected"
    assert len({delivery.raw for delivery in receiver.received}) == 1
    assert len({delivery.headers["X-UponAI-Signature"] for delivery in receiver.received}) == 3


@pytest.mark.parametrize(("bound", "outcome", "by"), [(True, "answered", "agent"), (False, "dropped", "no_agent")])
def test_falls_through_when_the_webhook_is_down(sandbox: Sandbox, bound: bool, outcome: str, by: str) -> None:
    number = sandbox.retell.phone_number
    number.update(US, inbound_webhook_url="http://127.0.0.1:9/down")
    if not bound:
        number.update(US, inbound_agents=[])

    result = call_in(sandbox)

    assert (result["outcome"], result["by"]) == (outcome, by)
    assert [delivery["status"] for delivery in result["deliveries"]] == ["error"] * 4


def test_gives_up_on_a_slow_webhook(sandbox: Sandbox, receiver: Receiver) -> None:
    sandbox.put("settings", webhook_timeout_ms=100)
    sandbox.retell.phone_number.update(US, inbound_webhook_url=receiver.url)

    def slow(count: int) -> tuple[int, bytes]:
        time.sleep(0.3)
        return 200, b'{"call_inbound":{"reject":true}}'

    receiver.answer = slow

    result = call_in(sandbox)

    assert [delivery["status"] for delivery in result["deliveries"]] == ["timeout"] * 4
    assert result["outcome"] == "answered"


def test_keeps_a_foreign_webhook_and_never_requests_it(sandbox: Sandbox) -> None:
    foreign = "https://business.example.com/inbound"
    number = sandbox.retell.phone_number.update(US, inbound_webhook_url=foreign)

    result = call_in(sandbox)

    assert number.inbound_webhook_url == foreign
    assert [delivery["status"] for delivery in result["deliveries"]] == ["refused"]
    assert (result["outcome"], result["by"]) == ("answered", "agent")


@pytest.mark.parametrize(("order", "asked"), [("webhook-first", 1), ("lists-first", 0)])
def test_asks_the_webhook_before_or_after_the_lists(
    sandbox: Sandbox, receiver: Receiver, order: str, asked: int
) -> None:
    sandbox.put("settings", inbound_order=order)
    sandbox.retell.phone_number.update(US, inbound_webhook_url=receiver.url)

    result = call_in(sandbox, CU_PEER)

    assert (result["outcome"], result["by"]) == ("rejected", "sanctions")
    assert len(receiver.received) == len(result["deliveries"]) == asked


@pytest.mark.parametrize(
    ("fallback", "outcome", "reason"),
    [(None, "dropped", "concurrency_limit_reached"), (US_PEER, "answered", "no_concurrency_fallback")],
)
def test_has_no_line_for_one_caller_too_many(sandbox: Sandbox, fallback: str | None, outcome: str, reason: str) -> None:
    sandbox.put("settings", base_concurrency=1)
    sandbox.retell.phone_number.update(US, fallback_number=fallback)
    call_in(sandbox)

    result = call_in(sandbox)

    assert (result["outcome"], result["by"]) == (outcome, "concurrency")
    assert reason in [call.disconnection_reason for call in sandbox.retell.call.list().items]


def test_receives_an_sms_and_asks_its_own_webhook(sandbox: Sandbox, receiver: Receiver) -> None:
    sandbox.retell.phone_number.update(US, inbound_sms_webhook_url=receiver.url)
    answered = sandbox.post("inbound-sms", from_number=GB_PEER, to_number=US)
    receiver.answer = answering({"chat_inbound": {"reject": True}})
    rejected = sandbox.post("inbound-sms", from_number=GB_PEER, to_number=US)

    assert (answered["outcome"], answered["by"]) == ("answered", "agent")
    assert (rejected["outcome"], rejected["by"]) == ("rejected", "webhook")
    question = receiver.received[0].body["chat_inbound"]
    chat = sandbox.retell.chat.list().items[0]
    assert question["chat_id"] == chat.chat_id
    assert chat.chat_type == "sms_chat"


def test_refuses_a_call_to_a_number_it_does_not_have(sandbox: Sandbox) -> None:
    body = {"from_number": US_PEER, "to_number": "+14155550199"}

    assert sandbox.http.post("/sandbox/inbound-call", json=body).status_code == 422
