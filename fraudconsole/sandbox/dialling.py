"""From a dial, browser-call or registration request to a call or a refusal. Owns the order of refusals."""

from __future__ import annotations

import random
import secrets
from typing import Any

from . import bodies, conversations, countries, lifecycle, phone_numbers
from .bodies import Body, Check
from .conversations import Conversation
from .errors import RATE_LIMITED, Refusal, malformed, missing_asset
from .provider import Bucket, Provider

IDEMPOTENCY_MS = 3_600_000
NOT_IN_COUNTRY_LIST = "Country is not in the allowed outbound country list for this phone number"
SANCTIONED = "Destination country is not supported"

CALL_FIELDS: dict[str, Check] = {
    "agent_override": bodies.agent_override,
    "metadata": bodies.metadata,
    "retell_llm_dynamic_variables": bodies.text_mapping,
    "custom_sip_headers": bodies.text_mapping,
}
TASK_FIELDS: dict[str, Check] = {
    **CALL_FIELDS,
    "to_number": bodies.full_text,
    "override_agent_id": bodies.agent_id,
    "override_agent_version": bodies.version,
    "ignore_e164_validation": bodies.flag,
    "honor_internal_dnc": bodies.flag,
}
DIAL_FIELDS: dict[str, Check] = {
    **TASK_FIELDS,
    "from_number": bodies.full_text,
    "idempotency_key": bodies.full_text,
}
WEB_FIELDS: dict[str, Check] = {
    **CALL_FIELDS,
    "agent_id": bodies.agent_id,
    "agent_version": bodies.version,
}
REGISTER_FIELDS: dict[str, Check] = {
    **WEB_FIELDS,
    "direction": bodies.one_of("inbound", "outbound"),
    "from_number": bodies.full_text,
    "to_number": bodies.full_text,
}


def check_dial(body: Body) -> Body:
    fields = bodies.checked(body, DIAL_FIELDS, required=("from_number", "to_number"))
    if not fields.get("ignore_e164_validation"):
        bodies.e164("to_number", fields["to_number"])
    return fields


def earlier_call(provider: Provider, key: str | None) -> Conversation | None:
    """The call that the same idempotency key made within the last hour."""
    if key is None:
        return None
    sql = "SELECT call_id FROM idempotency WHERE key = ? AND at > ?"
    row = provider.store.row(sql, key, provider.now() - IDEMPOTENCY_MS)
    return conversations.find(provider, "call", row["call_id"]) if row else None


def dial(provider: Provider, fields: Body, *, bucket: Bucket | None, batch_call_id: str | None = None) -> Conversation:
    """Place a call. Batches pass no bucket: they are not held to the dials per second."""
    number = phone_numbers.owned(provider, fields["from_number"])
    if fields.get("ignore_e164_validation") and number["phone_number_type"] != "custom":
        bodies.e164("to_number", fields["to_number"])
    agent = choose_agent(number, "outbound_agents", fields)
    refuse_by_policy(provider, number, fields, agent)
    if bucket is not None and not bucket.take(provider.settings["cps"]):
        raise Refusal(429, RATE_LIMITED)
    body = {
        "call_type": "phone_call",
        **agent,
        "direction": "outbound",
        "from_number": number["phone_number"],
        "to_number": fields["to_number"],
        "telephony_identifier": {"twilio_call_sid": f"CA{secrets.token_hex(16)}"},
    }
    call = new_call(provider, body, fields)
    if batch_call_id is not None:
        call.hidden["batch_call_id"] = batch_call_id
    _schedule_dial(provider, call, dialable=number["phone_number_type"] == "custom")
    conversations.save(provider, call)
    if fields.get("idempotency_key"):
        sql = "INSERT OR REPLACE INTO idempotency VALUES (?, ?, ?)"
        provider.store.execute(sql, fields["idempotency_key"], call.id, provider.now())
    return call


def _schedule_dial(provider: Provider, call: Conversation, *, dialable: bool) -> None:
    """A dial that cannot succeed is still accepted, and fails a moment later: that is how UponAI tells it."""
    reason = None
    if not conversations.has_room(provider, outbound=True):
        reason = "concurrency_limit_reached"
    elif not dialable and not countries.is_dialable(call.body["to_number"]):
        reason = "invalid_destination"
    if reason is None:
        call.holds_slot = True
        call.schedule("connect", provider.now() + lifecycle.CONNECT_MS)
    else:
        call.hidden["ends_as"] = reason
        call.schedule("finish", provider.now() + lifecycle.REFUSED_MS)


def choose_agent(number: Body, binding: str, fields: Body) -> Body:
    """`agent_id` and `agent_version`: the override, else one of the bound agents by weight."""
    agent_id, version = fields.get("override_agent_id"), fields.get("override_agent_version")
    if agent_id is None:
        bound = number.get(binding) or []
        if not bound:
            raise missing_asset()
        chosen = random.choices(bound, [agent["weight"] or 1e-9 for agent in bound])[0]  # noqa: S311
        agent_id, version = chosen["agent_id"], chosen.get("agent_version")
    return {"agent_id": agent_id, "agent_version": version_number(version)}


def version_number(version: Any) -> int:
    """Tags resolve to some version; the sandbox knows no agents, so it says 0."""
    return version if isinstance(version, int) else 0


def refuse_by_policy(provider: Provider, number: Body, fields: Body, agent: Body) -> None:
    refuse_account(provider, agent["agent_id"])
    settings = provider.settings
    destination = fields["to_number"]
    if settings["kyc_status"] != "approved":
        raise Refusal(403, "Know-your-customer review must be complete before outbound calls.")
    if fields.get("honor_internal_dnc") and destination in settings["do_not_call"]:
        raise Refusal(400, "The contact is on the do-not-call list.")
    if countries.sanctioned_country(destination) is not None:
        raise Refusal(400, SANCTIONED)
    allowed = number.get("allowed_outbound_country_list")
    if allowed and countries.country_of(destination) not in allowed:
        raise Refusal(400, NOT_IN_COUNTRY_LIST)


def refuse_account(provider: Provider, agent_id: str) -> None:
    if not provider.settings["payment_method"]:
        raise Refusal(402, "Trial is over, please add a payment method.")
    if agent_id in provider.settings["flagged_agents"]:
        raise Refusal(403, "This agent has been flagged for a breach of the terms of service.")


def new_call(provider: Provider, body: Body, fields: Body) -> Conversation:
    """A registered call with what the request said about it; the caller schedules and saves it."""
    call_id = conversations.new_id("call")
    shown = {
        name: fields[name]
        for name in ("metadata", "retell_llm_dynamic_variables", "custom_sip_headers")
        if fields.get(name) is not None
    }
    agent = (fields.get("agent_override") or {}).get("agent") or {}
    hidden = {
        "cap_ms": agent.get("max_call_duration_ms"),
        "webhook_url": agent.get("webhook_url"),
        "webhook_events": agent.get("webhook_events"),
    }
    return Conversation(
        id=call_id,
        kind="call",
        sort_at=provider.now(),
        body={"call_id": call_id, "call_status": "registered", **body, **shown},
        hidden={name: value for name, value in hidden.items() if value is not None},
    )


def register_web_call(provider: Provider, body: Body) -> Conversation:
    fields = bodies.checked(body, WEB_FIELDS, required=("agent_id",))
    refuse_account(provider, fields["agent_id"])
    shape = {
        "call_type": "web_call",
        "agent_id": fields["agent_id"],
        "agent_version": version_number(fields.get("agent_version")),
        "access_token": secrets.token_urlsafe(32),
    }
    call = new_call(provider, shape, fields)
    if not conversations.has_room(provider, outbound=True):
        call.hidden["ends_as"] = "concurrency_limit_reached"
        call.schedule("finish", provider.now() + lifecycle.REFUSED_MS)
    elif provider.settings["join_web_calls"]:
        call.schedule("connect", provider.now() + lifecycle.CONNECT_MS)
    else:
        call.hidden["ends_as"] = "error_user_not_joined"
        call.schedule("finish", provider.now() + lifecycle.JOIN_MS)
    conversations.save(provider, call)
    return call


def register_phone_call(provider: Provider, body: Body) -> Conversation:
    """A call over the customer's own SIP trunk; it times out unless a control lets it begin."""
    fields = bodies.checked(body, REGISTER_FIELDS, required=("agent_id",))
    refuse_account(provider, fields["agent_id"])
    for name in ("from_number", "to_number"):
        if len(fields.get(name, "")) > 200:
            raise malformed(name, "is too long")
    shape = {
        "call_type": "phone_call",
        "agent_id": fields["agent_id"],
        "agent_version": version_number(fields.get("agent_version")),
        "direction": fields.get("direction", "inbound"),
        "from_number": fields.get("from_number", ""),
        "to_number": fields.get("to_number", ""),
    }
    call = new_call(provider, shape, fields)
    call.hidden["ends_as"] = "registered_call_timeout"
    call.schedule("finish", provider.now() + lifecycle.REGISTERED_MS)
    conversations.save(provider, call)
    return call
