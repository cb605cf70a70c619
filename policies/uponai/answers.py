"""What is answered to an inbound webhook when others have a say in it: the customer's own webhook, unbound agents.

Pure: bytes and dicts in, dicts out. The console's own verdict always stands; see `merge_inbound`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

_GUARDED: Final = "guard"
_CAP: Final = "max_call_duration_ms"


class UnusableAnswer(ValueError):
    """The other webhook's answer is not in UponAI's form; the message says where."""


def is_rejected(answer: Mapping[str, Any]) -> bool:
    """Only a JSON true rejects."""
    return answer.get("reject") is True


def is_guarded(answer: Mapping[str, Any]) -> bool:
    """Whether the console's own answer lets a call in under guard."""
    metadata = answer.get("metadata")
    return isinstance(metadata, Mapping) and metadata.get("gate") == _GUARDED


def read_answer(body: bytes, event: str) -> dict[str, Any]:
    """The part of the other webhook's answer that counts. Raises UnusableAnswer where UponAI would not take it."""
    if not body.strip():
        return {}
    try:
        whole = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise UnusableAnswer("it is not JSON") from None
    if not isinstance(whole, dict):
        raise UnusableAnswer("it is not a JSON object")
    answer = whole.get(event)
    if answer is None:
        return {}
    if not isinstance(answer, dict):
        raise UnusableAnswer(f"{event} is not an object")
    told = {name: value for name, value in answer.items() if value is not None}
    for name, is_right in _FORMS.items():
        if name in told and not is_right(told[name]):
            raise UnusableAnswer(f"{name} has another form")
    return told


def merge_inbound(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
    """The console's answer with that of the customer's own webhook, both without their envelope.

    A rejection of either wins. When we allow, their agent, variables and metadata win. Under guard our agent and our
    cap on the call's length win, and their variables stay.
    """
    if is_rejected(ours) or is_rejected(theirs):
        return {"reject": True}
    theirs = {name: value for name, value in theirs.items() if name != "reject"}
    if is_guarded(ours):
        return _guarded(ours, theirs)
    merged = _with_their_agent(ours, theirs)
    if "metadata" in ours and "metadata" in theirs:
        merged["metadata"] = {**ours["metadata"], **theirs["metadata"]}
    return merged


def _guarded(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
    if "override_agent_id" in ours:
        # Their overrides were written for another agent, and might undo what makes this one a guarded one.
        theirs = {name: value for name, value in theirs.items() if name not in _ABOUT_THE_AGENT}
    merged = {**theirs, **ours, "metadata": {**theirs.get("metadata", {}), **ours["metadata"]}}
    if "agent_override" in ours and "agent_override" in theirs:
        merged["agent_override"] = _capped(theirs["agent_override"], ours["agent_override"])
    return merged


def _capped(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> dict[str, Any]:
    """Their override of the agent with our settings on top; the shorter of the two caps."""
    agent = {**theirs.get("agent", {}), **ours.get("agent", {})}
    caps = [_cap(override) for override in (theirs, ours)]
    known = [cap for cap in caps if cap is not None]
    return {**theirs, "agent": {**agent, _CAP: min(known)} if known else agent}


def _cap(override: Mapping[str, Any]) -> int | None:
    cap = override.get("agent", {}).get(_CAP)
    return cap if isinstance(cap, int) and not isinstance(cap, bool) and cap > 0 else None


def _with_their_agent(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
    """A version belongs to the agent that it was named with."""
    if "override_agent_id" in theirs:
        ours = {name: value for name, value in ours.items() if name != "override_agent_version"}
    return {**ours, **theirs}


_ABOUT_THE_AGENT: Final = frozenset({"override_agent_id", "override_agent_version", "agent_override"})


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _is_version(value: Any) -> bool:
    return _is_text(value) or (isinstance(value, int) and not isinstance(value, bool))


def _is_variables(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())


def _is_override(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(part, dict) for part in value.values())


_FORMS: Final = {
    "override_agent_id": _is_text,
    "override_agent_version": _is_version,
    "dynamic_variables": _is_variables,
    "metadata": lambda value: isinstance(value, dict),
    "agent_override": _is_override,
}


# --- Agents that the console names, since UponAI has none bound -----------------------------------


def read_bindings(phone_number: Mapping[str, Any], field: str = "inbound_agents") -> list[dict[str, Any]]:
    """The agents bound to UponAI's phone number object, with weight and version, in the form in which they came."""
    bound = phone_number.get(field)
    if not isinstance(bound, list):
        return []
    return [
        {name: agent[name] for name in ("agent_id", "weight", "agent_version") if agent.get(name) is not None}
        for agent in bound
        if isinstance(agent, dict) and _is_text(agent.get("agent_id"))
    ]
