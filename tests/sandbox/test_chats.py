from __future__ import annotations

import pytest
import retell

from .conftest import CU_PEER, GB_PEER, US, US_PEER, Sandbox, wait_for


def test_chats_from_hello_to_the_end(sandbox: Sandbox) -> None:
    chat = sandbox.retell.chat.create(agent_id="agent_chat", metadata={"page": "home"})
    reply = sandbox.retell.chat.create_chat_completion(chat_id=chat.chat_id, content="Bonjour à tous")

    sandbox.retell.chat.end(chat.chat_id)

    assert (chat.chat_status, chat.chat_type) == ("ongoing", "api_chat")
    assert reply.messages[0].role == "agent"
    over = sandbox.retell.chat.retrieve(chat.chat_id)
    assert over.chat_status == "ended"
    assert over.chat_cost is not None
    assert over.chat_cost.combined_cost == 0.2
    assert [message.role for message in over.message_with_tool_calls or []] == ["user", "agent"]
    wait_for(lambda: sandbox.retell.chat.retrieve(chat.chat_id).chat_analysis)
    with pytest.raises(retell.BadRequestError):
        sandbox.retell.chat.create_chat_completion(chat_id=chat.chat_id, content="More")


def test_sends_an_sms_and_finds_it_by_its_numbers(sandbox: Sandbox) -> None:
    chat = sandbox.retell.chat.create_sms_chat(from_number=US, to_number=GB_PEER)
    to_gb = {"user_number": {"type": "string", "op": "sw", "value": "+44"}}
    to_fr = {"user_number": {"type": "string", "op": "sw", "value": "+33"}}

    assert chat.chat_type == "sms_chat"
    found = sandbox.retell.chat.list(filter_criteria=to_gb, include_total=True)  # type: ignore[arg-type]
    assert [item.chat_id for item in found.items] == [chat.chat_id]
    assert found.total == 1
    assert sandbox.retell.chat.list(filter_criteria=to_fr).items == []  # type: ignore[arg-type]


@pytest.mark.parametrize("number", [GB_PEER, CU_PEER])
def test_holds_an_sms_to_the_country_list(sandbox: Sandbox, number: str) -> None:
    sandbox.retell.phone_number.update(US, allowed_outbound_country_list=["US"])

    with pytest.raises(retell.BadRequestError):
        sandbox.retell.chat.create_sms_chat(from_number=US, to_number=number)

    assert sandbox.retell.chat.create_sms_chat(from_number=US, to_number=US_PEER).chat_id


def test_needs_an_sms_agent(sandbox: Sandbox) -> None:
    sandbox.retell.phone_number.update(US, outbound_sms_agents=[])

    with pytest.raises(retell.UnprocessableEntityError):
        sandbox.retell.chat.create_sms_chat(from_number=US, to_number=US_PEER)


def test_updates_and_deletes_a_chat(sandbox: Sandbox) -> None:
    chat_id = sandbox.retell.chat.create(agent_id="agent_chat").chat_id

    updated = sandbox.retell.chat.update(chat_id, metadata={"seen": "yes"})
    sandbox.retell.chat.delete(chat_id)

    assert updated.metadata == {"seen": "yes"}
    with pytest.raises(retell.NotFoundError):
        sandbox.retell.chat.retrieve(chat_id)


def test_ends_a_silent_chat(sandbox: Sandbox) -> None:
    chat_id = sandbox.retell.chat.create(agent_id="agent_chat").chat_id

    sandbox.put("settings", clock_offset_ms=3_600_000)

    wait_for(lambda: sandbox.retell.chat.retrieve(chat_id).chat_status == "ended")
