"""An inbound call or SMS: who is asked in which order, and what becomes of the caller.

Refused callers leave no call and cause no event, as at UponAI.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import httpx

from . import bodies, chats, conversations, countries, dialling, lifecycle, phone_numbers, webhooks
from .bodies import Body
from .errors import Refusal
from .provider import Provider


@dataclass
class Attempt:
    """One caller at one of our numbers. `what` is the wire's word: call_inbound or chat_inbound."""

    what: str
    id: str
    caller: str
    number: Body
    deliveries: list[Body] = field(default_factory=list)
    answer: Body = field(default_factory=dict)

    @property
    def is_call(self) -> bool:
        return self.what == "call_inbound"

    @property
    def binding(self) -> str:
        return "inbound_agents" if self.is_call else "inbound_sms_agents"

    def outcome(self, outcome: str, by: str) -> Body:
        return {"outcome": outcome, "by": by, "deliveries": self.deliveries}


def make_attempt(provider: Provider, body: Body, *, what: str) -> Attempt:
    checks: dict[str, bodies.Check] = {
        "from_number": bodies.text,
        "to_number": bodies.full_text,
        "content": bodies.text,
    }
    fields = bodies.checked(body, checks, required=("from_number", "to_number"))
    number = phone_numbers.owned(provider, fields["to_number"])
    new_id = conversations.new_id("call" if what == "call_inbound" else "chat")
    return Attempt(what=what, id=new_id, caller=fields["from_number"], number=number)


async def receive(provider: Provider, client: httpx.AsyncClient, attempt: Attempt, *, content: str = "") -> Body:
    lists_first = provider.settings["inbound_order"] == "lists-first"
    refusal = _refused_by_lists(attempt) if lists_first else None
    if refusal is not None:
        return refusal
    await _ask_webhook(provider, client, attempt)
    if attempt.answer.get("reject") is True:
        return attempt.outcome("rejected", "webhook")
    # The number may have changed while its webhook was thinking.
    attempt.number = phone_numbers.find(provider, attempt.number["phone_number"]) or attempt.number
    refusal = _refused_by_lists(attempt)
    if refusal is not None:
        return refusal
    with provider.store.transaction():
        return _answer(provider, attempt, content)


def _refused_by_lists(attempt: Attempt) -> Body | None:
    if countries.sanctioned_country(attempt.caller) is not None:
        return attempt.outcome("rejected", "sanctions")
    # Lists govern calls; an inbound SMS is held to the sanctions only.
    allowed = attempt.number.get("allowed_inbound_country_list")
    if attempt.is_call and allowed and countries.country_of(attempt.caller) not in allowed:
        return attempt.outcome("rejected", "country_list")
    return None


def _answer(provider: Provider, attempt: Attempt, content: str) -> Body:
    """Concurrency, then an agent; with neither the caller is dropped."""
    if attempt.is_call and not conversations.has_room(provider, outbound=False):
        return _overflow(provider, attempt)
    agent = _agent(attempt)
    if agent is None:
        return attempt.outcome("dropped", "no_agent")
    if attempt.is_call:
        call = _new_call(provider, attempt, agent)
        lifecycle.connect(provider, call, at=provider.now())
    else:
        _start_chat(provider, attempt, agent, content)
    return attempt.outcome("answered", "agent")


def _overflow(provider: Provider, attempt: Attempt) -> Body:
    """No free line: the fallback number takes the call, or it is lost. UponAI lets it wait 40 s before."""
    agent = _agent(attempt) or {"agent_id": "agent_none", "agent_version": 0}
    call = _new_call(provider, attempt, agent)
    has_fallback = bool(attempt.number.get("fallback_number"))
    reason = "no_concurrency_fallback" if has_fallback else "concurrency_limit_reached"
    lifecycle.finish(provider, call, reason=reason, at=provider.now())
    return attempt.outcome("answered" if has_fallback else "dropped", "concurrency")


def _agent(attempt: Attempt) -> Body | None:
    answer = attempt.answer
    fields = {
        "override_agent_id": answer.get("override_agent_id"),
        "override_agent_version": answer.get("override_agent_version"),
    }
    try:
        return dialling.choose_agent(attempt.number, attempt.binding, fields)
    except Refusal:
        return None


def _new_call(provider: Provider, attempt: Attempt, agent: Body) -> conversations.Conversation:
    shape = {
        "call_type": "phone_call",
        **agent,
        "direction": "inbound",
        "from_number": attempt.caller,
        "to_number": attempt.number["phone_number"],
    }
    call = dialling.new_call(provider, shape, _answer_fields(attempt))
    call.id = call.body["call_id"] = attempt.id
    return call


def _answer_fields(attempt: Attempt) -> Body:
    return {
        "metadata": attempt.answer.get("metadata"),
        "retell_llm_dynamic_variables": attempt.answer.get("dynamic_variables"),
        "agent_override": attempt.answer.get("agent_override"),
    }


def _start_chat(provider: Provider, attempt: Attempt, agent: Body, content: str) -> None:
    numbers = {
        "agent_number": attempt.number["phone_number"],
        "user_number": attempt.caller,
        "direction": "inbound",
    }
    chat = chats.start_chat(
        provider,
        agent=agent,
        fields=_answer_fields(attempt),
        hidden=numbers,
        chat_type="sms_chat",
        chat_id=attempt.id,
    )
    chats.add_message(provider, chat, role="user", content=content or "Hello")
    chats.add_message(provider, chat, role="agent", content=chats.GREETING)
    conversations.save(provider, chat)


# The webhook


async def _ask_webhook(provider: Provider, client: httpx.AsyncClient, attempt: Attempt) -> None:
    """Fills `deliveries`, and `answer` if one was understood. After four failures: as if there were none."""
    field_name = "inbound_webhook_url" if attempt.is_call else "inbound_sms_webhook_url"
    url = attempt.number.get(field_name)
    if not url:
        return
    body = webhooks.encode(_question(provider, attempt))
    for count in range(webhooks.ATTEMPTS):
        if count:
            await asyncio.sleep(provider.settings["retry_seconds"])
        delivery = await webhooks.post(provider, client, url, body)
        attempt.deliveries.append(delivery)
        if delivery["status"] == "refused":
            return
        answer = _understood(delivery, attempt.what)
        if answer is not None:
            attempt.answer = answer
            return


def _question(provider: Provider, attempt: Attempt) -> Body:
    question: Body = {}
    if provider.settings["inbound_call_id"]:
        question["call_id" if attempt.is_call else "chat_id"] = attempt.id
    bound = attempt.number.get(attempt.binding) or []
    if bound:
        question["agent_id"] = bound[0]["agent_id"]
        question["agent_version"] = dialling.version_number(bound[0].get("agent_version"))
    question.update(from_number=attempt.caller, to_number=attempt.number["phone_number"])
    return {"event": attempt.what, attempt.what: question}


def _understood(delivery: Body, what: str) -> Body | None:
    """The part of the answer that counts; None when it is no success or makes no sense."""
    if not webhooks.is_success(delivery):
        return None
    body: Any = delivery["body"]
    if body == "":
        return {}
    answer = body.get(what, {}) if isinstance(body, dict) else None
    if not isinstance(answer, dict):
        return None
    checks = {
        "override_agent_id": bodies.nullable(bodies.full_text),
        "override_agent_version": bodies.nullable(bodies.version),
        "metadata": bodies.nullable(bodies.metadata),
        "dynamic_variables": bodies.nullable(bodies.text_mapping),
        "agent_override": bodies.nullable(bodies.agent_override),
    }
    try:
        bodies.checked(answer, checks)
    except Refusal:
        return None
    return answer
