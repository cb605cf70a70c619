"""Reads request bodies and checks their fields; says which field is wrong and why."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from starlette.requests import Request

from .countries import ISO_CODES, is_e164
from .errors import BAD_REQUEST, Refusal, malformed, missing_asset

Body = dict[str, Any]
Check = Callable[[str, Any], Any]

MAX_BODY_BYTES = 32 * 1024 * 1024
MAX_METADATA_BYTES = 50_000
MAX_NUMBER = 10**13  # milliseconds: a year far away


async def read_body(request: Request) -> Body:
    """The JSON object sent; nothing sent is the empty object, since the stock client sends bare POSTs."""
    return parse_object(await request.body())


def parse_object(raw: bytes) -> Body:
    if len(raw) > MAX_BODY_BYTES:
        raise Refusal(400, f"{BAD_REQUEST} The body is larger than {MAX_BODY_BYTES} bytes.")
    if not raw.strip():
        return {}
    try:
        value = json.loads(raw, parse_constant=_no_constant, parse_int=_bounded_int)
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError) as error:
        raise Refusal(400, f"{BAD_REQUEST} The body is not JSON in UTF-8.") from error
    if not isinstance(value, dict):
        raise Refusal(400, f"{BAD_REQUEST} The body must be a JSON object.")
    return value


def _bounded_int(digits: str) -> int:
    value = int(digits)
    if abs(value) >= 2**63:
        raise ValueError("no clock and no counter is that large")
    return value


def _no_constant(name: str) -> None:
    raise ValueError(name)


def checked(body: Body, checks: dict[str, Check], *, required: tuple[str, ...] = ()) -> Body:
    """The known fields that were sent, checked. Unknown fields are ignored, as UponAI does."""
    for field in required:
        if body.get(field) is None:
            raise malformed(field, "is required")
    result: Body = {}
    unknown_asset: Refusal | None = None
    for field, check in checks.items():
        try:
            if field in body:
                result[field] = check(field, body[field])
        except Refusal as refusal:
            if refusal.status == 400:
                raise
            # A malformed field is told before an unknown asset, wherever it stands in the body.
            unknown_asset = unknown_asset or refusal
    if unknown_asset is not None:
        raise unknown_asset
    return result


def text(field: str, value: Any) -> str:
    if not isinstance(value, str):
        raise malformed(field, "must be a string")
    return value


def full_text(field: str, value: Any) -> str:
    if not text(field, value):
        raise malformed(field, "must not be empty")
    return value


def whole(field: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise malformed(field, "must be an integer")
    return value


def number(field: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise malformed(field, "must be a number")
    return value


def flag(field: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise malformed(field, "must be true or false")
    return value


def mapping(field: str, value: Any) -> Body:
    if not isinstance(value, dict):
        raise malformed(field, "must be an object")
    return value


def metadata(field: str, value: Any) -> Body:
    if len(json.dumps(mapping(field, value))) > MAX_METADATA_BYTES:
        raise malformed(field, "must not be larger than 50 kB")
    return value


def text_mapping(field: str, value: Any) -> dict[str, str]:
    for key, item in mapping(field, value).items():
        text(f"{field}.{key}", item)
    return value


def texts_mapping(field: str, value: Any) -> dict[str, list[str]]:
    for key, items in mapping(field, value).items():
        list_of(full_text)(f"{field}.{key}", items)
    return value


def durations_by_prefix(field: str, value: Any) -> dict[str, list[float]]:
    """{"+4474": [300, 42.5]}: seconds, at least one of them for each prefix."""
    for prefix, seconds in mapping(field, value).items():
        if not list_of(between(0, 10**6, number))(f"{field}.{prefix}", seconds):
            raise malformed(f"{field}.{prefix}", "must name at least one duration")
    return value


def attributes(field: str, value: Any) -> Body:
    for key, item in mapping(field, value).items():
        if not isinstance(item, str | int | float | bool):
            raise malformed(f"{field}.{key}", "must be a string, a number or a boolean")
    return value


def e164(field: str, value: Any) -> str:
    if not is_e164(value):
        raise malformed(field, "must be a phone number in E.164 format")
    return value


def version(field: str, value: Any) -> int | str:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise malformed(field, "must be a version number or a tag")
    return value


def one_of(*allowed: str) -> Check:
    def check(field: str, value: Any) -> str:
        if value not in allowed:
            raise malformed(field, f"must be one of {', '.join(allowed)}")
        return value

    return check


def list_of(item_check: Check) -> Check:
    def check(field: str, value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise malformed(field, "must be a list")
        return [item_check(f"{field}[{index}]", item) for index, item in enumerate(value)]

    return check


def nullable(check: Check) -> Check:
    return lambda field, value: None if value is None else check(field, value)


def at_least(lowest: float, check: Check) -> Check:
    return between(lowest, MAX_NUMBER, check)


def between(lowest: float, highest: float, check: Check) -> Check:
    def bounded(field: str, value: Any) -> Any:
        if not lowest <= check(field, value) <= highest:
            raise malformed(field, f"must be between {lowest} and {highest}")
        return value

    return bounded


def country_list(field: str, value: Any) -> list[str]:
    if not isinstance(value, list):
        raise malformed(field, "must be a list of ISO 3166-1 alpha-2 codes or null")
    for code in value:
        if not isinstance(code, str) or code not in ISO_CODES:
            raise malformed(field, f"{json.dumps(code)} is not an upper-case ISO 3166-1 alpha-2 country code")
    return list(dict.fromkeys(value))


def agent_id(field: str, value: Any) -> str:
    """Any agent exists, provided that its id looks like one."""
    if not full_text(field, value).startswith("agent_"):
        raise missing_asset()
    return value


def weighted_agents(field: str, value: Any) -> list[Body]:
    agents = [_weighted_agent(f"{field}[{index}]", item) for index, item in enumerate(list_of(mapping)(field, value))]
    if agents and abs(sum(agent["weight"] for agent in agents) - 1) > 1e-6:
        raise malformed(field, "the weights must add up to 1")
    for agent in agents:
        agent_id(f"{field}.agent_id", agent["agent_id"])
    return agents


def _weighted_agent(field: str, value: Body) -> Body:
    checks: dict[str, Check] = {
        "agent_id": full_text,
        "weight": at_least(0, number),
        "agent_version": version,
    }
    return checked(value, checks, required=("agent_id", "weight"))


def agent_override(field: str, value: Any) -> Body:
    override = mapping(field, value)
    for part in ("agent", "retell_llm", "conversation_flow"):
        if part in override:
            mapping(f"{field}.{part}", override[part])
    agent = override.get("agent", {})
    checks: dict[str, Check] = {
        "max_call_duration_ms": at_least(1, whole),
        "webhook_url": nullable(text),
        "webhook_events": nullable(list_of(text)),
    }
    checked(agent, checks)
    return override
