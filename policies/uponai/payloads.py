"""UponAI's JSON to our nouns and back: inbound webhooks, answers to them, phone numbers, country lists.

Pure: bytes and dicts in, dataclasses and dicts out. Everything that depends on the wire's spelling is here.
"""

from __future__ import annotations

import random
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from accounts.countries import NO_TELEPHONES
from policies.engine.types import Attempt, Channel, Direction, VerdictKind

GUARD_SECONDS: Final = 60

_EVENTS: Final = {"call_inbound": Channel.PHONE_CALL, "chat_inbound": Channel.SMS}
_EVENT_OF: Final = {channel: event for event, channel in _EVENTS.items()}
_REFERENCES: Final = {"call_inbound": "call_id", "chat_inbound": "chat_id"}
_MAX_REFERENCE: Final = 200
_E164: Final = re.compile(r"\+[1-9][0-9]{1,14}")


class PayloadError(ValueError):
    """UponAI sent something without the contract's shape. `code` is stable, the detail is for people."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True)
class ProviderNumber:
    """A phone number as UponAI shows it. A country list of None means no restriction."""

    phone_number: str
    phone_number_type: str
    nickname: str
    modified_ms: int | None
    inbound_countries: frozenset[str] | None
    outbound_countries: frozenset[str] | None
    inbound_webhook_url: str | None
    inbound_sms_webhook_url: str | None
    fallback_number: str | None
    inbound_agents: tuple[str, ...]
    outbound_agents: tuple[str, ...]
    inbound_sms_agents: tuple[str, ...]
    outbound_sms_agents: tuple[str, ...]


def read_inbound(body: bytes) -> Attempt:
    """Read an inbound webhook whose signature was verified. Unknown fields are left alone.

    The two numbers stay as they came, absent ones too: a strange number is for the engine to judge, since an
    error would be answered by retries and then by the agent. Only a nest deeper than can be written down again comes
    empty. Raises PayloadError on any other shape.
    """
    try:
        payload = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise PayloadError("not_json", "The body is not JSON.") from None
    if not isinstance(payload, dict):
        raise PayloadError("not_an_object", "The body is not a JSON object.")
    event = payload.get("event")
    if not isinstance(event, str) or event not in _EVENTS:
        raise PayloadError("unknown_event", "The event is neither call_inbound nor chat_inbound.")
    details = payload.get(event)
    if not isinstance(details, dict):
        raise PayloadError("no_details", f"The body has no object named {event}.")
    return Attempt(
        direction=Direction.INBOUND,
        channel=_EVENTS[event],
        from_number=_shallow(details.get("from_number")),
        to_number=_shallow(details.get("to_number")),
        call_reference=_reference(details.get(_REFERENCES[event])),
    )


def _shallow(value: Any) -> Any:
    try:
        orjson.dumps(value)
    except TypeError:
        return type(value)()
    return value


def _reference(value: Any) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= _MAX_REFERENCE else None


def answer_inbound(
    verdict: VerdictKind,
    *,
    channel: Channel,
    guarded_agent: str | None = None,
    agents: Sequence[Mapping[str, Any]] = (),
    guard_seconds: int = GUARD_SECONDS,
) -> dict[str, Any]:
    """What to answer to an inbound webhook. Only a JSON true rejects, and only allow and guard do not.

    `agents`: those one of which is to be named, where none is bound at UponAI; each with its `weight`.
    """
    return {_EVENT_OF[channel]: _answer(verdict, channel, guarded_agent, agents, guard_seconds)}


def _answer(
    verdict: VerdictKind,
    channel: Channel,
    guarded_agent: str | None,
    agents: Sequence[Mapping[str, Any]],
    guard_seconds: int,
) -> dict[str, Any]:
    if verdict not in (VerdictKind.ALLOW, VerdictKind.GUARD):
        return {"reject": True}
    answer = _named(agents)
    if verdict == VerdictKind.ALLOW:
        return answer
    answer["metadata"] = {"gate": "guard"}
    if guarded_agent:
        answer = {"override_agent_id": guarded_agent, "metadata": answer["metadata"]}
    if channel == Channel.PHONE_CALL:
        answer["agent_override"] = {"agent": {"max_call_duration_ms": guard_seconds * 1000}}
    return answer


def _named(agents: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One of the agents by weight, as UponAI would have chosen."""
    if not agents:
        return {}
    [chosen] = random.choices(agents, weights=[_weight(agent) for agent in agents])  # noqa: S311  (no secret)
    answer = {"override_agent_id": chosen["agent_id"]}
    if chosen.get("agent_version") is not None:
        answer["override_agent_version"] = chosen["agent_version"]
    return answer


def _weight(agent: Mapping[str, Any]) -> float:
    weight = agent.get("weight")
    return float(weight) if isinstance(weight, int | float) and weight > 0 else 1e-9


def read_running_call(value: Any) -> Attempt:
    """Read a call of UponAI's list as the attempt that it once was. Raises PayloadError where it has no id.

    Without a direction it is one that a visitor of a web page opened: nobody was dialled.
    """
    call_id = _reference(value.get("call_id")) if isinstance(value, Mapping) else None
    if call_id is None:
        raise PayloadError("call_id", "A call has no call_id.")
    return Attempt(
        direction=Direction.OUTBOUND if value.get("direction") == "outbound" else Direction.INBOUND,
        channel=Channel.WEB_CALL if value.get("call_type") == "web_call" else Channel.PHONE_CALL,
        from_number=value.get("from_number"),
        to_number=value.get("to_number"),
        call_reference=call_id,
    )


def read_number(value: Any) -> ProviderNumber:
    """Read UponAI's phone number object. Raises PayloadError naming the field that is not as it should be."""
    if not isinstance(value, Mapping):
        raise PayloadError("not_an_object", "The phone number is not a JSON object.")
    number = value.get("phone_number")
    if not (isinstance(number, str) and _E164.fullmatch(number)):
        raise PayloadError("phone_number", "phone_number is not in E.164 form.")
    modified = value.get("last_modification_timestamp")
    return ProviderNumber(
        phone_number=number,
        phone_number_type=_text(value, "phone_number_type") or "",
        nickname=_text(value, "nickname") or "",
        modified_ms=modified if isinstance(modified, int) and not isinstance(modified, bool) else None,
        inbound_countries=read_country_list(value, "allowed_inbound_country_list"),
        outbound_countries=read_country_list(value, "allowed_outbound_country_list"),
        inbound_webhook_url=_text(value, "inbound_webhook_url"),
        inbound_sms_webhook_url=_text(value, "inbound_sms_webhook_url"),
        fallback_number=_text(value, "fallback_number"),
        inbound_agents=_agents(value, "inbound_agents"),
        outbound_agents=_agents(value, "outbound_agents"),
        inbound_sms_agents=_agents(value, "inbound_sms_agents"),
        outbound_sms_agents=_agents(value, "outbound_sms_agents"),
    )


def _text(value: Mapping[str, Any], field: str) -> str | None:
    text = value.get(field)
    if text is not None and not isinstance(text, str):
        raise PayloadError(field, f"{field} is not text.")
    return text or None


def _agents(value: Mapping[str, Any], field: str) -> tuple[str, ...]:
    agents = value.get(field) or ()
    if not isinstance(agents, list | tuple):
        raise PayloadError(field, f"{field} is not a list of agents.")
    ids = [agent.get("agent_id") if isinstance(agent, Mapping) else None for agent in agents]
    if not all(isinstance(agent_id, str) for agent_id in ids):
        raise PayloadError(field, f"{field} holds an agent without agent_id.")
    return tuple(str(agent_id) for agent_id in ids)


def read_country_list(value: Mapping[str, Any], field: str) -> frozenset[str] | None:
    """Read one list of a phone number object. Null, an empty list and no field all mean: no restriction."""
    countries = value.get(field)
    if countries is None:
        return None
    if not isinstance(countries, list | tuple):
        raise PayloadError(field, f"{field} is neither a list nor null.")
    if not all(isinstance(code, str) and code.strip() for code in countries):
        raise PayloadError(field, f"{field} holds something that is not a country code.")
    return frozenset(code.strip().upper() for code in countries) or None


def update_body(*, inbound: Collection[str] | None, outbound: Collection[str] | None) -> dict[str, list[str] | None]:
    """The body that brings both country lists to UponAI; None means no restriction."""
    return {
        "allowed_inbound_country_list": _list_on_wire(inbound),
        "allowed_outbound_country_list": _list_on_wire(outbound),
    }


def _list_on_wire(countries: Collection[str] | None) -> list[str] | None:
    """UponAI reads an empty list as "everything", so "nothing" is a list of a place without telephones."""
    if countries is None:
        return None
    return sorted({code.upper() for code in countries}) or [NO_TELEPHONES]


def same_lists(left: Collection[str] | None, right: Collection[str] | None) -> bool:
    """Compare two lists on the wire as UponAI means them: order, case and duplicates do not matter, and empty
    is null. What we want must have gone through `update_body` first, where "nothing" is not empty.
    """
    return {code.upper() for code in left or ()} == {code.upper() for code in right or ()}


# --- Outbound: what the gate asks UponAI to start, and how it finds it again ---------------------------------------

DECISION_ID: Final = "decision_id"
"""The name in the metadata under which everything that passed the gate carries its decision."""

_NAME_OF_AGENT: Final = {
    Channel.PHONE_CALL: ("override_agent_id", "override_agent_version"),
    Channel.SMS: ("override_agent_id", "override_agent_version"),
    Channel.WEB_CALL: ("agent_id", "agent_version"),
    Channel.CHAT: ("agent_id", "agent_version"),
}
_WITH_LENGTH: Final = frozenset({Channel.PHONE_CALL, Channel.WEB_CALL})


def agent_fields(channel: Channel) -> tuple[str, str]:
    """What a channel's body calls the agent and its version."""
    return _NAME_OF_AGENT[channel]


def start_body(
    fields: Mapping[str, Any],
    *,
    channel: Channel,
    decision_id: str,
    from_number: str | None = None,
    to_number: str | None = None,
    call_seconds: int | None = None,
    guarded_agent: str | None = None,
) -> dict[str, Any]:
    """The body that starts what was judged: what was asked for, under the gate's own words.

    `fields` were checked: `metadata`, `agent_override` and its `agent` are objects where they are not null.
    """
    body = dict(fields)
    body["metadata"] = {**(body.get("metadata") or {}), DECISION_ID: decision_id}
    if from_number is not None:
        body["from_number"] = from_number
    if to_number is not None:
        body["to_number"] = to_number
    if guarded_agent:
        agent, version = agent_fields(channel)
        body[agent] = guarded_agent
        body.pop(version, None)
    if channel in _WITH_LENGTH and call_seconds is not None:
        body["agent_override"] = _capped(body.get("agent_override") or {}, call_seconds * 1000)
    if channel == Channel.PHONE_CALL:
        # UponAI itself makes one call of two requests with the same key; the other channels have no such field.
        body["idempotency_key"] = decision_id
    return body


def _capped(override: Mapping[str, Any], longest_ms: int) -> dict[str, Any]:
    agent = override.get("agent") or {}
    asked = agent.get("max_call_duration_ms")
    length = longest_ms if asked is None else min(asked, longest_ms)
    return {**override, "agent": {**agent, "max_call_duration_ms": length}}


def named_in(body: Any, channel: Channel) -> str:
    """UponAI's id of what an answer says was started; empty where it names none."""
    name = "call_id" if channel in _WITH_LENGTH else "chat_id"
    return _reference(body.get(name)) or "" if isinstance(body, Mapping) else ""


def criteria_by_decision(decision_id: str) -> dict[str, Any]:
    """The filter of a list of calls or chats that finds what carries a decision."""
    return {"metadata": [{"key": DECISION_ID, "type": "string", "op": "eq", "value": decision_id}]}


def criteria_by_destination(channel: Channel, to_number: str) -> dict[str, Any]:
    """The same by the number that was called, which every list can be asked for."""
    name = {Channel.PHONE_CALL: "to_number", Channel.SMS: "user_number"}.get(channel)
    return {name: {"type": "string", "op": "eq", "value": to_number}} if name and to_number else {}


def carries(item: Any, decision_id: str) -> bool:
    """Whether a call or chat of a list is the one of this decision, whatever the list was asked for."""
    metadata = item.get("metadata") if isinstance(item, Mapping) else None
    return isinstance(metadata, Mapping) and metadata.get(DECISION_ID) == decision_id
