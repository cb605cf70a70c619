"""Chats in the browser and by SMS: create, say, end, list."""

from __future__ import annotations

import secrets

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from . import (
    bodies,
    calls,
    conversations,
    countries,
    dialling,
    lifecycle,
    listing,
    phone_numbers,
    public_keys,
    webhooks,
)
from .bodies import Body, Check
from .conversations import Conversation
from .errors import Refusal, not_found
from .provider import Provider

CHAT_FIELDS: dict[str, Check] = {
    "agent_id": bodies.agent_id,
    "agent_version": bodies.version,
    "metadata": bodies.metadata,
    "retell_llm_dynamic_variables": bodies.text_mapping,
}
SAY_FIELDS: dict[str, Check] = {"chat_id": bodies.full_text, "content": bodies.text}
SMS_FIELDS: dict[str, Check] = {
    "from_number": bodies.full_text,
    "to_number": bodies.e164,
    "override_agent_id": bodies.agent_id,
    "override_agent_version": bodies.version,
    "metadata": bodies.metadata,
    "retell_llm_dynamic_variables": bodies.text_mapping,
    "honor_internal_dnc": bodies.flag,
}
UPDATE_FIELDS: dict[str, Check] = {
    "metadata": bodies.nullable(bodies.metadata),
    "data_storage_setting": bodies.one_of("everything", "basic_attributes_only"),
    "custom_attributes": bodies.nullable(bodies.attributes),
}
GREETING = "Hello, how can I help?"


def start_chat(
    provider: Provider, *, agent: Body, fields: Body, hidden: Body, chat_type: str, chat_id: str | None = None
) -> Conversation:
    """An ongoing chat with a chat agent's `agent_id` and `agent_version`; it ends after a silence."""
    chat_id = chat_id or conversations.new_id("chat")
    shown = {
        name: fields[name] for name in ("metadata", "retell_llm_dynamic_variables") if fields.get(name) is not None
    }
    body = {
        "chat_id": chat_id,
        "agent_id": agent["agent_id"],
        "version": agent["agent_version"],
        "chat_status": "ongoing",
        "chat_type": chat_type,
        "start_timestamp": provider.now(),
        **shown,
    }
    chat = Conversation(id=chat_id, kind="chat", sort_at=provider.now(), body=body, hidden=hidden)
    chat.schedule("finish_chat", provider.now() + int(provider.settings["chat_seconds"] * 1000))
    conversations.save(provider, chat)
    webhooks.announce(provider, "chat_started", chat)
    return chat


def add_message(provider: Provider, chat: Conversation, *, role: str, content: str) -> Body:
    message = {
        "message_id": secrets.token_hex(8),
        "role": role,
        "content": content,
        "created_timestamp": provider.now(),
    }
    chat.body.setdefault("message_with_tool_calls", []).append(message)
    chat.body["transcript"] = chat.body.get("transcript", "") + f"{role.capitalize()}: {content}\n"
    if role == "agent":
        _add_cost(chat, content)
    chat.schedule("finish_chat", provider.now() + int(provider.settings["chat_seconds"] * 1000))
    return message


def _add_cost(chat: Conversation, content: str) -> None:
    if chat.body["chat_type"] == "sms_chat":
        product, cents = "sms", countries.sms_cents(chat.hidden["user_number"], content)
    else:
        product, cents = "chat", countries.CHAT_MESSAGE_CENTS
    total = round(chat.body.get("chat_cost", {}).get("combined_cost", 0) + cents, 4)
    chat.body["chat_cost"] = {"combined_cost": total, "product_costs": [{"product": product, "cost": total}]}


async def create_chat(request: Request) -> Response:
    provider: Provider = request.app.state.provider
    body = await bodies.read_body(request)
    fields = bodies.checked(body, CHAT_FIELDS, required=("agent_id",))
    public_keys.admit(provider, request, body)
    dialling.refuse_account(provider, fields["agent_id"])
    agent = {
        "agent_id": fields["agent_id"],
        "agent_version": dialling.version_number(fields.get("agent_version")),
    }
    chat = start_chat(provider, agent=agent, fields=fields, hidden={}, chat_type="api_chat")
    return JSONResponse(chat.body, 201)


async def say(request: Request) -> Response:
    provider: Provider = request.app.state.provider
    body = await bodies.read_body(request)
    fields = bodies.checked(body, SAY_FIELDS, required=("chat_id", "content"))
    chat = _found(provider, fields["chat_id"])
    public_keys.admit(provider, request, body)
    dialling.refuse_account(provider, chat.body["agent_id"])
    if chat.body["chat_status"] != "ongoing":
        raise Refusal(400, "The chat is over already.")
    add_message(provider, chat, role="user", content=fields["content"])
    reply = add_message(provider, chat, role="agent", content=f"You said: {fields['content']}")
    conversations.save(provider, chat)
    return JSONResponse({"messages": [reply]}, 201)


async def create_sms_chat(request: Request) -> Response:
    provider: Provider = request.app.state.provider
    body = await bodies.read_body(request)
    fields = bodies.checked(body, SMS_FIELDS, required=("from_number", "to_number"))
    public_keys.admit(provider, request, body, destination=fields["to_number"])
    number = phone_numbers.owned(provider, fields["from_number"])
    agent = dialling.choose_agent(number, "outbound_sms_agents", fields)
    dialling.refuse_by_policy(provider, number, fields, agent)
    numbers = {
        "agent_number": number["phone_number"],
        "user_number": fields["to_number"],
        "direction": "outbound",
    }
    chat = start_chat(provider, agent=agent, fields=fields, hidden=numbers, chat_type="sms_chat")
    add_message(provider, chat, role="agent", content=GREETING)
    conversations.save(provider, chat)
    return JSONResponse(chat.body, 200)


def _found(provider: Provider, chat_id: str) -> Conversation:
    chat = conversations.find(provider, "chat", chat_id)
    if chat is None:
        raise not_found()
    return chat


def _existing(request: Request) -> Conversation:
    return _found(request.app.state.provider, request.path_params["chat_id"])


async def get_chat(request: Request) -> Response:
    return JSONResponse(_existing(request).body)


async def update_chat(request: Request) -> Response:
    fields = bodies.checked(await bodies.read_body(request), UPDATE_FIELDS)
    chat = _existing(request)
    calls.update_shown(chat, fields)
    conversations.save(request.app.state.provider, chat)
    return JSONResponse(chat.body)


async def delete_chat(request: Request) -> Response:
    conversations.delete(request.app.state.provider, _existing(request))
    return Response(status_code=204)


async def list_chats(request: Request) -> Response:
    body = await bodies.read_body(request)
    return JSONResponse(listing.list_conversations(request.app.state.provider, "chat", body))


async def end_chat(request: Request) -> Response:
    provider: Provider = request.app.state.provider
    chat = _existing(request)
    if chat.body["chat_status"] != "ongoing":
        raise Refusal(400, "The chat is over already.")
    lifecycle.finish_chat(provider, chat, at=provider.now())
    return Response(status_code=204)
