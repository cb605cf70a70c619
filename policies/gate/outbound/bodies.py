"""What may be chosen in a request: UponAI's whole body by a backend, by a web page what its key allows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import orjson
from django.http import HttpRequest

from policies.engine.types import Channel, KeySnapshot
from policies.gate.outbound.credentials import Caller
from policies.gate.outbound.refusals import Refused, unprocessable
from policies.uponai import payloads

LARGEST_BODY_BYTES: Final = 256 * 1024  # metadata alone may have 50 kB
LONGEST_IDEMPOTENCY_KEY: Final = 200
LONGEST_CAPTCHA_TOKEN: Final = 8192

CAPTCHA_HEADER, CAPTCHA_FIELD = "X-Captcha-Token", "recaptcha_token"
IDEMPOTENCY_HEADER, IDEMPOTENCY_FIELD = "Idempotency-Key", "idempotency_key"

_TEXTS: Final = ("from_number", "to_number", "agent_id", "override_agent_id", "chat_id", "content")
_OBJECTS: Final = ("metadata", "agent_override", "retell_llm_dynamic_variables", "custom_sip_headers")
_VERSIONS: Final = ("agent_version", "override_agent_version")
_DIALLED: Final = frozenset({Channel.PHONE_CALL, Channel.SMS})
_FREE: Final = MappingProxyType({Channel.PHONE_CALL: frozenset({"to_number"}), Channel.SMS: frozenset({"to_number"})})
_OF_MESSAGE: Final = frozenset({"chat_id", "content"})
_NOT_ALLOWED: Final = "a web page may not choose this with its gate key. The key's page in the console can allow it."


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody wants to be started. `fields` is the body for UponAI as far as they chose it or the key pins it."""

    channel: Channel
    fields: Mapping[str, Any]
    captcha: str | None
    idempotency_key: str  # empty: none was given
    sha256: str  # of all that must be the same when the same idempotency key comes again

    @property
    def from_number(self) -> Any:
        return self.fields.get("from_number")

    @property
    def to_number(self) -> Any:
        return self.fields.get("to_number")


def read(request: HttpRequest, *, largest_bytes: int = LARGEST_BODY_BYTES) -> dict[str, Any]:
    """The JSON object that was sent. Raises Refused."""
    content = _content(request, largest_bytes)
    try:
        value = orjson.loads(content)
    except orjson.JSONDecodeError:
        raise unprocessable("body", "is not JSON in UTF-8.") from None
    if not isinstance(value, dict):
        raise unprocessable("body", "is not a JSON object.")
    return value


def _content(request: HttpRequest, largest_bytes: int) -> bytes:
    too_large = Refused(413, "body_too_large", f"A body may have {largest_bytes} bytes.", tells_page=True)
    try:
        if int(request.META.get("CONTENT_LENGTH") or 0) > largest_bytes:
            raise too_large
        content = request.read(largest_bytes + 1)
    except (ValueError, OSError):
        raise unprocessable("body", "did not arrive as announced.") from None
    if len(content) > largest_bytes:
        raise too_large
    return content


def understand(given: dict[str, Any], request: HttpRequest, caller: Caller, channel: Channel) -> Wanted:
    """What is wanted of one channel, with nothing in it that the caller may not choose. Raises Refused."""
    given = {name: value for name, value in given.items() if value is not None}
    captcha = said_once(request, CAPTCHA_HEADER, given, CAPTCHA_FIELD, LONGEST_CAPTCHA_TOKEN)
    idempotency_key = said_once(request, IDEMPOTENCY_HEADER, given, IDEMPOTENCY_FIELD, LONGEST_IDEMPOTENCY_KEY)
    _check_types(given)
    key = caller.credential.key
    fields = given if key is None else _chosen_by_page(given, key, channel)
    _require(fields, channel, key)
    same = [channel, fields, caller.subject] + ([caller.ip] if key is not None else [])
    return Wanted(channel, fields, captcha or None, idempotency_key, _digest(same))


def message(given: dict[str, Any], request: HttpRequest) -> dict[str, str]:
    """What is said in a chat. Raises Refused."""
    given = {name: value for name, value in given.items() if value is not None}
    said_once(request, CAPTCHA_HEADER, given, CAPTCHA_FIELD, LONGEST_CAPTCHA_TOKEN)
    if said_once(request, IDEMPOTENCY_HEADER, given, IDEMPOTENCY_FIELD, LONGEST_IDEMPOTENCY_KEY):
        raise unprocessable(IDEMPOTENCY_HEADER, "messages of a chat have none.")
    _check_types(given)
    for name in given:
        if name not in _OF_MESSAGE:
            raise unprocessable(name[:120], "a message has chat_id and content only.")
    for name in sorted(_OF_MESSAGE):
        if not given.get(name):
            raise unprocessable(name, "is missing.")
    if not given["chat_id"].isprintable():
        raise unprocessable("chat_id", "is not the id of a chat.")
    return given


def said_once(request: HttpRequest, header: str, given: dict[str, Any], field: str, longest: int) -> str:
    """What may come in a header or in the body, taken out of the body."""
    in_header, in_body = request.headers.get(header, "").strip(), given.pop(field, "")
    if not isinstance(in_body, str):
        raise unprocessable(field, "is not text.")
    if in_header and in_body and in_header != in_body:
        raise unprocessable(field, f"differs from the header {header}. Send one of them.")
    said = in_header or in_body
    if len(said) > longest or not said.isascii() or (said and not said.isprintable()):
        raise unprocessable(header if in_header else field, f"must be at most {longest} visible ASCII characters.")
    return said


def _check_types(given: Mapping[str, Any]) -> None:
    for name in _TEXTS:
        if name in given and not isinstance(given[name], str):
            code = "invalid_number" if name == "to_number" else "invalid_request"
            raise unprocessable(name, "is not text.", code=code)
    for name in _OBJECTS:
        if name in given and not isinstance(given[name], dict):
            raise unprocessable(name, "is not an object.")
    for name in _VERSIONS:
        if name in given and (isinstance(given[name], bool) or not isinstance(given[name], int | str)):
            raise unprocessable(name, "is neither a number nor a tag.")
    agent = given.get("agent_override", {}).get("agent")
    if agent is not None and not isinstance(agent, dict):
        raise unprocessable("agent_override.agent", "is not an object.")
    longest = (agent or {}).get("max_call_duration_ms")
    if longest is not None and (isinstance(longest, bool) or not isinstance(longest, int | float)):
        raise unprocessable("agent_override.agent.max_call_duration_ms", "is not a number.")
    if longest is not None and longest <= 0:  # which somebody may read as no cap at all
        raise unprocessable("agent_override.agent.max_call_duration_ms", "is not above zero.")


def _chosen_by_page(given: Mapping[str, Any], key: KeySnapshot, channel: Channel) -> dict[str, Any]:
    allowed = frozenset(tuple(name.split(".")) for name in key.allowed_fields)
    pinned, chosen = _pinned(key, channel), {}
    for name, value in given.items():
        if name in _FREE.get(channel, ()) or _permits(allowed, (name,), value):
            chosen[name] = value
        elif str(pinned.get(name, "")) != str(value) or isinstance(value, dict | list):
            raise unprocessable(_path(_first_refused(allowed, (name,), value)), _NOT_ALLOWED)
    agent, version = payloads.agent_fields(channel)
    if agent in chosen:
        pinned.pop(version, None)  # of another agent
    return {**pinned, **chosen}


def _pinned(key: KeySnapshot, channel: Channel) -> dict[str, Any]:
    agent, version = payloads.agent_fields(channel)
    fields: dict[str, Any] = {}
    if channel in _DIALLED and key.phone_number:
        fields["from_number"] = key.phone_number
    if key.agent:
        fields[agent] = key.agent
        if key.agent_version:
            fields[version] = int(key.agent_version) if key.agent_version.isdecimal() else key.agent_version
    return fields


def _permits(allowed: Iterable[tuple[str, ...]], path: tuple[str, ...], value: Any) -> bool:
    return _first_refused(allowed, path, value) == ()


def _first_refused(allowed: Iterable[tuple[str, ...]], path: tuple[str, ...], value: Any) -> tuple[str, ...]:
    """The first place in a value that no name on the list covers; `a.b` covers all of `b` in the object `a`."""
    if path in allowed:
        return ()
    if not isinstance(value, dict) or not value or not any(name[: len(path)] == path for name in allowed):
        return path
    refused = (_first_refused(allowed, (*path, name), inner) for name, inner in value.items())
    return next((place for place in refused if place), ())


def _path(parts: tuple[str, ...]) -> str:
    return ".".join(parts)[:120]


def _require(fields: Mapping[str, Any], channel: Channel, key: KeySnapshot | None) -> None:
    if channel in _DIALLED:
        if not fields.get("from_number"):
            raise unprocessable("from_number", "is missing." if key is None else "this key has no phone number pinned.")
        if "to_number" not in fields:
            raise unprocessable("to_number", "is missing.", code="invalid_number")
    elif not fields.get("agent_id"):
        raise unprocessable("agent_id", "is missing." if key is None else "this key has no agent pinned.")


def _digest(value: Any) -> str:
    try:
        return hashlib.sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).hexdigest()
    except TypeError:  # it can read deeper than it can write
        raise unprocessable("body", "is nested too deeply.") from None
