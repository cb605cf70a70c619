from __future__ import annotations

from typing import Any

import pytest
from retell.lib import verify

from .conftest import API_KEY, US, US_PEER, Receiver, Sandbox, wait_for


def test_sends_signed_events_over_the_life_of_a_call(sandbox: Sandbox, receiver: Receiver) -> None:
    sandbox.put("settings", events_url=receiver.url)
    call_id = sandbox.dial()

    wait_for(lambda: len(receiver.received) == 3)

    assert sorted(receiver.events()) == ["call_analyzed", "call_ended", "call_started"]
    by_name = {delivery.body["event"]: delivery.body["call"] for delivery in receiver.received}
    assert {call["call_id"] for call in by_name.values()} == {call_id}
    assert by_name["call_started"]["call_status"] == "ongoing"
    assert "call_analysis" not in by_name["call_ended"]
    assert by_name["call_ended"]["call_cost"]["combined_cost"] > 0
    assert "metadata" not in by_name["call_started"]
    for delivery in receiver.received:
        signature = delivery.headers["X-UponAI-Signature"]
        assert signature == delivery.headers["X-Retell-Signature"]
        assert verify(delivery.raw.decode(), API_KEY, signature)


def test_skips_call_started_when_nobody_picked_up(sandbox: Sandbox, receiver: Receiver) -> None:
    sandbox.put("settings", events_url=receiver.url)
    call_id = sandbox.dial()

    sandbox.post(f"calls/{call_id}", disconnection_reason="dial_busy")
    wait_for(lambda: len(receiver.received) == 2)

    assert receiver.events() == ["call_ended", "call_analyzed"]
    assert "start_timestamp" not in receiver.received[0].body["call"]


def test_retries_three_times_with_a_fresh_signature(sandbox: Sandbox, receiver: Receiver) -> None:
    sandbox.put("settings", events_url=receiver.url)
    receiver.answer = lambda count: (500, b"no")
    sandbox.retell.chat.create(agent_id="agent_chat")

    wait_for(lambda: sandbox.get("deliveries")[0]["state"] == "failed")

    assert receiver.events() == ["chat_started"] * 4
    assert len({delivery.headers["X-UponAI-Signature"] for delivery in receiver.received}) == 4
    assert len({delivery.raw for delivery in receiver.received}) == 1
    assert [attempt["status"] for attempt in sandbox.get("deliveries")[0]["attempts"]] == [500] * 4


def test_stops_retrying_once_it_is_answered(sandbox: Sandbox, receiver: Receiver) -> None:
    sandbox.put("settings", events_url=receiver.url)
    receiver.answer = lambda count: (204, b"") if count == 2 else (503, b"")
    sandbox.retell.chat.create(agent_id="agent_chat")

    wait_for(lambda: sandbox.get("deliveries")[0]["state"] == "delivered")

    assert len(receiver.received) == 2


@pytest.mark.parametrize("way", ["override of the call", "address of the agent"])
def test_lets_an_agents_address_replace_the_accounts(sandbox: Sandbox, receiver: Receiver, way: str) -> None:
    sandbox.put("settings", events_url="http://127.0.0.1:9/nobody")
    fields: dict[str, Any] = {}
    if way == "override of the call":
        fields = {"agent_override": {"agent": {"webhook_url": receiver.url}}}
    else:
        sandbox.put("settings", agent_webhook_urls={"agent_outbound": receiver.url})
    call_id = sandbox.dial(**fields)

    sandbox.post(f"calls/{call_id}", disconnection_reason="dial_busy")
    wait_for(lambda: len(receiver.received) == 2)

    assert {row["url"] for row in sandbox.get("deliveries")} == {receiver.url}


@pytest.mark.parametrize(
    "url",
    [
        "https://console.example.com/hooks",
        "http://127.0.0.1.example.com/",
        "http://169.254.169.254/latest",
        "http://0.0.0.0:8000/",
        "ftp://127.0.0.1/",
        "http://localhost@example.com/",
    ],
)
def test_never_requests_another_machine(sandbox: Sandbox, url: str) -> None:
    sandbox.put("settings", events_url=url)
    sandbox.retell.chat.create(agent_id="agent_chat")

    wait_for(lambda: sandbox.get("deliveries")[0]["state"] == "refused")

    assert [attempt["status"] for attempt in sandbox.get("deliveries")[0]["attempts"]] == ["refused"]


def test_sends_any_body_signed_and_unchanged(sandbox: Sandbox, receiver: Receiver) -> None:
    body = {"event": "alert_triggered", "alert": {"name": "Spike", "current_value": 150}}
    sandbox.put("settings", alert_url=receiver.url, webhook_key="key_webhook")

    sandbox.post("events", body=body)
    wait_for(lambda: receiver.received)

    delivery = receiver.received[0]
    assert delivery.body == body
    assert verify(delivery.raw.decode(), "key_webhook", delivery.headers["X-UponAI-Signature"])


def test_sends_no_event_for_a_blocked_dial(sandbox: Sandbox, receiver: Receiver) -> None:
    sandbox.put("settings", events_url=receiver.url)

    blocked = sandbox.http.post("/v2/create-phone-call", json={"from_number": US, "to_number": "+5351234567"})
    allowed = sandbox.retell.chat.create_sms_chat(from_number=US, to_number=US_PEER)
    wait_for(lambda: receiver.received)

    assert blocked.status_code == 400
    assert [row["subject"] for row in sandbox.get("deliveries")] == [allowed.chat_id]
