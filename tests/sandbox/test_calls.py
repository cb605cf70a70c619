from __future__ import annotations

import time
from typing import Any

import pytest
import retell

from .conftest import CU_PEER, GB_PEER, US, US_PEER, Sandbox, wait_for


def ended(sandbox: Sandbox, call_id: str) -> Any:
    def over() -> Any:
        call = sandbox.retell.call.retrieve(call_id)
        return call if call.call_status in ("ended", "error", "not_connected") else None

    return wait_for(over)


def test_dials_and_lets_the_call_live_and_end(sandbox: Sandbox) -> None:
    call = sandbox.retell.call.create_phone_call(
        from_number=US, to_number=GB_PEER, metadata={"campaign": 7}, retell_llm_dynamic_variables={"name": "Ada"}
    )
    assert (call.call_status, call.direction, call.agent_id, call.agent_version) == (
        "registered",
        "outbound",
        "agent_outbound",
        3,
    )
    wait_for(lambda: sandbox.retell.call.retrieve(call.call_id).call_status == "ongoing")
    assert sandbox.retell.concurrency.retrieve().current_concurrency == 1

    over = ended(sandbox, call.call_id)

    assert (over.call_status, over.disconnection_reason) == ("ended", "user_hangup")
    assert over.duration_ms == 1000
    assert over.end_timestamp - over.start_timestamp == 1000
    # A minute to GB costs ten cents.
    assert over.call_cost.combined_cost == pytest.approx(10 / 60, abs=0.001)
    assert over.metadata == {"campaign": 7}
    assert sandbox.retell.concurrency.retrieve().current_concurrency == 0
    wait_for(lambda: sandbox.retell.call.retrieve(call.call_id).call_analysis)


def test_ends_a_call_at_its_cap(sandbox: Sandbox) -> None:
    call_id = sandbox.dial(agent_override={"agent": {"max_call_duration_ms": 300}})

    over = ended(sandbox, call_id)

    assert over.disconnection_reason == "max_duration_reached"
    assert over.duration_ms == 300


def test_blocks_a_country_that_is_not_on_the_list(sandbox: Sandbox) -> None:
    sandbox.retell.phone_number.update(US, allowed_outbound_country_list=["US", "CU"])

    with pytest.raises(retell.BadRequestError) as closed:
        sandbox.dial(GB_PEER)
    with pytest.raises(retell.BadRequestError) as sanctioned:
        sandbox.dial(CU_PEER)

    assert closed.value.body == {
        "status": "error",
        "message": "Country is not in the allowed outbound country list for this phone number",
    }
    assert sanctioned.value.body == {"status": "error", "message": "Destination country is not supported"}
    assert sandbox.retell.call.list().items == []
    assert sandbox.dial(US_PEER)


@pytest.mark.parametrize(
    ("number", "is_open"),
    [("+77012345678", True), ("+77221234567", False), ("+79161234567", False), ("+71234567890", False)],
)
def test_takes_plus_seven_for_russia_unless_it_is_kazakhstan(sandbox: Sandbox, number: str, is_open: bool) -> None:
    body = {"from_number": US, "to_number": number}

    status = sandbox.http.post("/v2/create-phone-call", json=body).status_code

    assert status == (201 if is_open else 400)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"from_number": US}, 400),
        ({"from_number": US, "to_number": "4155550142"}, 400),
        ({"from_number": US, "to_number": US_PEER, "metadata": []}, 400),
        ({"from_number": US, "to_number": US_PEER, "retell_llm_dynamic_variables": {"a": 1}}, 400),
        ({"from_number": "+14155550199", "to_number": US_PEER}, 422),
        ({"from_number": US, "to_number": US_PEER, "override_agent_id": "somebody"}, 422),
    ],
    ids=["no destination", "not E.164", "metadata", "variables", "not owned", "no such agent"],
)
def test_refuses_a_dial(sandbox: Sandbox, body: dict[str, Any], status: int) -> None:
    assert sandbox.http.post("/v2/create-phone-call", json=body).status_code == status
    assert sandbox.retell.call.list().items == []


def test_needs_an_agent_or_an_override_to_dial(sandbox: Sandbox) -> None:
    sandbox.retell.phone_number.update(US, outbound_agents=None)

    with pytest.raises(retell.UnprocessableEntityError):
        sandbox.dial()

    call = sandbox.retell.call.create_phone_call(
        from_number=US, to_number=US_PEER, override_agent_id="agent_other", override_agent_version=9
    )
    assert (call.agent_id, call.agent_version) == ("agent_other", 9)


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"payment_method": False}, 402),
        ({"kyc_status": "in_review"}, 403),
        ({"flagged_agents": ["agent_outbound"]}, 403),
    ],
    ids=["no payment method", "review not complete", "flagged agent"],
)
def test_refuses_dials_of_an_account_in_trouble(sandbox: Sandbox, settings: dict[str, Any], error: int) -> None:
    sandbox.put("settings", **settings)

    with pytest.raises(retell.APIStatusError) as caught:
        sandbox.dial()

    assert caught.value.status_code == error


def test_honours_do_not_call_when_asked_to(sandbox: Sandbox) -> None:
    sandbox.put("settings", do_not_call=[US_PEER])

    with pytest.raises(retell.BadRequestError, match="do-not-call"):
        sandbox.dial(honor_internal_dnc=True)

    assert sandbox.dial()


def test_gives_the_same_call_for_the_same_idempotency_key_within_an_hour(sandbox: Sandbox) -> None:
    first = sandbox.dial(idempotency_key="once")
    again = sandbox.dial(idempotency_key="once")
    changes = [entry for entry in sandbox.get("log") if entry["path"] == "/v2/create-phone-call"]
    sandbox.put("settings", clock_offset_ms=3_700_000)
    an_hour_later = sandbox.dial(idempotency_key="once")

    assert first == again
    assert len(changes) == 1
    assert an_hour_later != first


def test_limits_dials_per_second(sandbox: Sandbox) -> None:
    sandbox.put("settings", cps=1)
    sandbox.dial()

    with pytest.raises(retell.RateLimitError):
        sandbox.dial()
    # The stock client does not retry a dial unless it is told to.
    patient = sandbox.retell.call.create_phone_call(from_number=US, to_number=US_PEER, max_retries=2)

    assert patient.call_status == "registered"


def test_fails_a_dial_over_the_concurrency_limit_after_accepting_it(sandbox: Sandbox) -> None:
    sandbox.put("settings", base_concurrency=3, reserved_inbound_concurrency=1)
    placed = [sandbox.dial() for _ in range(3)]

    over = ended(sandbox, placed[2])

    assert (over.call_status, over.disconnection_reason) == ("error", "concurrency_limit_reached")
    assert over.start_timestamp is None
    assert over.call_cost is None
    figures = sandbox.retell.concurrency.retrieve()
    assert (figures.current_concurrency, figures.concurrency_limit) == (2, 3)
    assert figures.reserved_inbound_concurrency == 1
    assert figures.concurrency_burst_limit == 0


def test_says_that_nobody_can_be_reached_at_an_impossible_number(sandbox: Sandbox) -> None:
    over = ended(sandbox, sandbox.dial("+1415555"))

    assert (over.call_status, over.disconnection_reason) == ("not_connected", "invalid_destination")


def test_stops_a_call_once(sandbox: Sandbox) -> None:
    call_id = sandbox.dial()
    wait_for(lambda: sandbox.retell.call.retrieve(call_id).call_status == "ongoing")

    sandbox.retell.call.stop(call_id)

    call = sandbox.retell.call.retrieve(call_id)
    assert (call.call_status, call.disconnection_reason) == ("ended", "manual_stopped")
    with pytest.raises(retell.BadRequestError):
        sandbox.retell.call.stop(call_id)
    with pytest.raises(retell.NotFoundError):
        sandbox.retell.call.stop("call_unknown")


def test_updates_and_deletes_a_call(sandbox: Sandbox) -> None:
    call_id = sandbox.dial(metadata={"a": 1})

    updated = sandbox.retell.call.update(call_id, metadata={"b": 2}, custom_attributes={"checked": True})
    sandbox.retell.call.delete(call_id)

    assert updated.metadata == {"b": 2}
    with pytest.raises(retell.UnprocessableEntityError):
        sandbox.retell.call.retrieve(call_id)


@pytest.mark.parametrize(
    ("reason", "duration_ms", "status"),
    [
        ("dial_no_answer", None, "not_connected"),
        ("scam_detected", 4000, "error"),
        ("agent_hangup", 62_000, "ended"),
    ],
)
def test_ends_a_call_as_a_control_says(sandbox: Sandbox, reason: str, duration_ms: int | None, status: str) -> None:
    call_id = sandbox.dial()

    sandbox.post(f"calls/{call_id}", disconnection_reason=reason, duration_ms=duration_ms or 0)

    call = sandbox.retell.call.retrieve(call_id)
    assert (call.call_status, call.disconnection_reason, call.duration_ms) == (status, reason, duration_ms)
    again = sandbox.http.post(f"/sandbox/calls/{call_id}", json={"disconnection_reason": reason})
    assert again.status_code == 400


def test_gives_a_browser_call_a_ticket_that_runs_out(sandbox: Sandbox) -> None:
    ticket = sandbox.retell.call.create_web_call(agent_id="agent_web")
    assert ticket.transport == "gateway"
    assert 29_000 < ticket.expires_at - time.time() * 1000 <= 30_000
    assert sandbox.retell.call.retrieve(ticket.call_id).call_status == "registered"

    sandbox.put("settings", clock_offset_ms=30_000)

    over = ended(sandbox, ticket.call_id)
    assert (over.call_status, over.disconnection_reason) == ("error", "error_user_not_joined")
    assert over.start_timestamp is None
    assert sandbox.retell.call.list().items[0].call_type == "web_call"


def test_lets_a_control_join_and_end_browser_calls(sandbox: Sandbox) -> None:
    joined = sandbox.retell.call.create_web_call(agent_id="agent_web").call_id
    over = sandbox.retell.call.create_web_call(agent_id="agent_web").call_id

    sandbox.post(f"calls/{joined}", join=True)
    sandbox.post(f"calls/{over}", disconnection_reason="user_hangup", duration_ms=9000)

    assert sandbox.retell.call.retrieve(joined).call_status == "ongoing"
    call = sandbox.retell.call.retrieve(over)
    assert (call.call_status, call.duration_ms) == ("ended", 9000)
    assert call.call_cost is not None
    assert call.call_cost.product_costs[0].product == "voice_engine"


def test_registers_a_call_that_times_out(sandbox: Sandbox) -> None:
    call = sandbox.retell.call.register_phone_call(agent_id="agent_sip", from_number=GB_PEER, to_number=US)
    sandbox.put("settings", clock_offset_ms=300_000)

    assert ended(sandbox, call.call_id).disconnection_reason == "registered_call_timeout"


def test_dials_the_tasks_of_a_batch_and_skips_the_refused(sandbox: Sandbox) -> None:
    batch = sandbox.retell.batch_call.create_batch_call(
        from_number=US, tasks=[{"to_number": US_PEER}, {"to_number": CU_PEER}, {"to_number": GB_PEER}]
    )
    of_batch = {"batch_call_id": {"type": "string", "op": "eq", "value": batch.batch_call_id}}

    items = wait_for(lambda: sandbox.retell.call.list(filter_criteria=of_batch).items)  # type: ignore[arg-type]

    assert batch.total_task_count == 3
    assert {call.to_number for call in items} == {US_PEER, GB_PEER}
