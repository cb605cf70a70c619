"""The gate's doors in OpenAPI. They are plain views that know nothing of DRF, so they are described here by hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

from policies.engine.names import Reason
from policies.gate.judging.attempts import MOST_ATTEMPTS
from policies.gate.outbound import bodies, credentials, refusals
from policies.models import DecisionOutcome

Object = dict[str, Any]

TAG: Final = "gate"
TOKEN, GATE_KEY = "token", "gate_key"
_TEXT: Final[Object] = {"type": "string"}
_FREE: Final[Object] = {"type": "object", "additionalProperties": True}
_ID: Final[Object] = {"type": "string", "format": "uuid"}

_KEY_SCHEME: Final[Object] = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "pk_…",
    "description": "A gate key, for web pages of its own domains. It says what may be started; the page chooses the "
    "destination, and what the key allows by name.",
}
_PARAMETERS: Final[Mapping[str, Object]] = MappingProxyType(
    {
        bodies.IDEMPOTENCY_HEADER: {
            "schema": {"type": "string", "maxLength": bodies.LONGEST_IDEMPOTENCY_KEY},
            "description": "The same request again gets the answer of the first, and starts nothing. Or "
            f"`{bodies.IDEMPOTENCY_FIELD}` in the body.",
        },
        credentials.USER_ID: {
            "schema": {"type": "string", "maxLength": credentials.LONGEST_SUBJECT},
            "description": "With an API token: the end user for whom the backend vouches. Refused with a gate key.",
        },
        credentials.USER_IP: {
            "schema": _TEXT,
            "description": "With an API token: the end user's address. Without it the limits by address are skipped. "
            "Refused with a gate key.",
        },
        credentials.USER_TOKEN: {
            "schema": _TEXT,
            "description": "With a gate key: the end user's token, from `POST /api/v1/end-user-tokens/`. Refused "
            "with an API token.",
        },
        bodies.CAPTCHA_HEADER: {
            "schema": {"type": "string", "maxLength": bodies.LONGEST_CAPTCHA_TOKEN},
            "description": "The solved captcha, for the action `call`, `sms`, `web_call` or `chat`. Or "
            f"`{bodies.CAPTCHA_FIELD}` in the body.",
        },
        "Origin": {
            "schema": _TEXT,
            "description": "With a gate key: the web page's, as its browser sends it. One of the key's domains.",
        },
    }
)
_DECISION: Final[Object] = {refusals.DECISION_HEADER: {"schema": _ID}}
_OF_USER: Final = (credentials.USER_ID, credentials.USER_IP, credentials.USER_TOKEN, "Origin")
_OF_START: Final = (bodies.IDEMPOTENCY_HEADER, bodies.CAPTCHA_HEADER, *_OF_USER)
_OF_JUDGE: Final = (bodies.IDEMPOTENCY_HEADER, bodies.CAPTCHA_HEADER, credentials.USER_ID, credentials.USER_IP)

_REFUSALS: Final = MappingProxyType(
    {
        400: "What is given as destination is no number that can be called.",
        401: "The credential is unknown, revoked or over.",
        403: "Blocked, or challenged to solve a captcha or to prove an identity.",
        404: "There is no such decision.",
        405: "This is asked for with another method.",
        409: "The same Idempotency-Key is being worked at.",
        413: "The body is too large.",
        422: "The body or a header is not as it has to be; the message names it.",
        429: "A limit or cap is reached; Retry-After says when there is room.",
        503: "The console cannot judge now, or does not know yet whether UponAI started it.",
    }
)
_ALWAYS: Final = (401, 403, 405, 422, 503)
_OF_BODY: Final = (*_ALWAYS, 413)

_DIALLED: Final[Object] = {
    "from_number": {**_TEXT, "description": "One of the workspace's numbers. A gate key has its own."},
    "to_number": {**_TEXT, "description": "The destination, in E.164 or any complete international spelling."},
}
_CALL_FIELDS: Final[Object] = {
    "override_agent_id": _TEXT,
    "metadata": _FREE,
    "retell_llm_dynamic_variables": _FREE,
    "agent_override": _FREE,
}
_CHAT_FIELDS: Final[Object] = {"agent_id": _TEXT, "metadata": _FREE, "retell_llm_dynamic_variables": _FREE}
_START_WORDS: Final = (
    "{} after judging it, and answers as UponAI does, refusals of UponAI's own to a backend included. UponAI's "
    "other fields are passed on for an API token (scope `gate:write`); for a gate key, the fields that the key allows "
    "by name, and everything else is refused with 422."
)


def describe_gate(result: Object, generator: Any, request: Any, public: bool) -> Object:
    """A postprocessing hook of drf-spectacular."""
    components = result.setdefault("components", {})
    components.setdefault("securitySchemes", {})[GATE_KEY] = _KEY_SCHEME
    components.setdefault("schemas", {}).update(_schemas())
    result["paths"] = {**result.get("paths", {}), **paths()}
    return result


def paths() -> dict[str, Object]:
    return {
        "/gate/v2/create-phone-call": _start("gate_create_phone_call", "Starts a call", {**_DIALLED, **_CALL_FIELDS}),
        "/gate/create-sms-chat": _start(
            "gate_create_sms_chat",
            "Sends an SMS",
            {**_DIALLED, **{name: value for name, value in _CALL_FIELDS.items() if name != "agent_override"}},
        ),
        "/gate/v3/create-web-call": _start("gate_create_web_call", "Starts a web call", _CHAT_FIELDS, required=()),
        "/gate/create-chat": _start("gate_create_chat", "Starts a chat", _CHAT_FIELDS, required=()),
        "/gate/create-chat-completion": _completion(),
        "/gate/v1/judge": _judge(),
        "/gate/v1/outcomes": _outcomes(),
        "/gate/v1/form": _form(),
    }


def _start(name: str, what: str, fields: Object, *, required: tuple[str, ...] = ("to_number",)) -> Object:
    is_dialled = "to_number" in required
    statuses = (*_OF_BODY, 409, 429, *((400,) if is_dialled else ()))
    body = {"type": "object", "properties": fields, "additionalProperties": True} | (
        {"required": list(required)} if required else {}
    )
    answer = _answer("UponAI's own answer.", _FREE, _DECISION)
    words = _START_WORDS.format(what)
    return {"post": _operation(name, words, _OF_START, (TOKEN, GATE_KEY), statuses, body, (201, answer))}


def _completion() -> Object:
    body = _object({"chat_id": _TEXT, "content": _TEXT}, "chat_id", "content")
    words = (
        "Says something in a chat that was started here, by the same credential and end user. The brake, holds and "
        "lost approvals end running chats too. It has no Idempotency-Key."
    )
    answer = _answer("UponAI's own answer.", _FREE, _DECISION)
    statuses = (*_OF_BODY, 400, 429)
    operation = _operation(
        "gate_create_chat_completion", words, _OF_USER, (TOKEN, GATE_KEY), statuses, body, (201, answer)
    )
    return {"post": operation}


def _judge() -> Object:
    attempt = {"$ref": "#/components/schemas/Attempt"}
    batch = _object({"attempts": {"type": "array", "items": attempt, "maxItems": MOST_ATTEMPTS}}, "attempts")
    judged = {"$ref": "#/components/schemas/GateJudged"}
    results = _object({"results": {"type": "array", "items": judged}}, "results")
    words = (
        f"Judges what is dialled elsewhere, one attempt or up to {MOST_ATTEMPTS:,}: recorded and counted, and nothing "
        "is started. What is refused is an answer with 200 as well: look at `verdict`. No captcha of a batch is "
        "verified. Needs the scope `gate:write`."
    )
    answer = _answer("The verdicts.", {"oneOf": [judged, results]})
    body = {"oneOf": [attempt, batch]}
    return {"post": _operation("gate_judge", words, _OF_JUDGE, (TOKEN,), (*_OF_BODY, 409), body, (200, answer))}


def _outcomes() -> Object:
    outcome = {"type": "string", "enum": list(DecisionOutcome.Outcome.values)}
    words = (
        "Tells what became of an attempt; the latest word counts. `good` and `verified` make its destination a known "
        "one. Needs the scope `gate:write`."
    )
    noted = _object({"status": {"type": "string", "enum": ["ok"]}}, "status")
    answer = _answer("Noted.", noted, _DECISION)
    body = _object({"decision_id": _ID, "outcome": outcome}, "decision_id", "outcome")
    return {"post": _operation("gate_outcomes", words, (), (TOKEN,), (*_OF_BODY, 404), body, (200, answer))}


def _form() -> Object:
    country = _object({"code": _TEXT, "name": _TEXT}, "code", "name")
    captcha = _object({"kind": _TEXT, "site_key": _TEXT}, "kind", "site_key")
    shown = {
        "channels": {"type": "array", "items": {"$ref": "#/components/schemas/ChannelEnum"}},
        "countries": {
            "type": "array",
            "items": country,
            "nullable": True,
            "description": "Where it may call now; null where nothing restricts it.",
        },
        "captcha": {**captcha, "nullable": True},
        "kyc_required": {"type": "boolean"},
    }
    answer = _answer("It may be kept for a minute.", _object(shown, *shown))
    words = "What the form of a web page needs to know of its gate key. Nothing here is secret."
    return {"get": _operation("gate_form", words, _OF_USER[2:], (GATE_KEY,), _ALWAYS, None, (200, answer))}


def _operation(
    name: str,
    words: str,
    headers: Iterable[str],
    schemes: Iterable[str],
    statuses: Iterable[int],
    body: Object | None,
    success: tuple[int, Object],
) -> Object:
    status, answer = success
    operation: Object = {
        "operationId": name,
        "description": words,
        "tags": [TAG],
        "parameters": [{"in": "header", "name": header, **_PARAMETERS[header]} for header in headers],
        "security": [{scheme: []} for scheme in schemes],
        "responses": {
            str(status): answer,
            **{str(number): _refusal(number) for number in sorted(statuses)},
        },
    }
    if body is not None:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    return operation


def _answer(words: str, schema: Object, headers: Object | None = None) -> Object:
    content = {"application/json": {"schema": schema}}
    return {"description": words, "content": content} | ({"headers": headers} if headers else {})


def _refusal(status: int) -> Object:
    headers: Object = {
        refusals.RETRY_HEADER: {
            "schema": {"type": "string", "enum": ["false"]},
            "description": "UponAI's client library obeys it, and does not send the request again by itself.",
        }
    }
    if status in (409, 429):
        headers["Retry-After"] = {"schema": {"type": "integer"}, "description": "In seconds."}
    return _answer(_REFUSALS[status], {"$ref": "#/components/schemas/GateRefusal"}, headers)


def _schemas() -> dict[str, Object]:
    verdict = {"$ref": "#/components/schemas/Verdict"}
    seconds = {"type": "integer", "nullable": True, "description": "The longest that it may last, if it passes."}
    told = "#/components/schemas/"
    return {
        "GateTokenCode": {
            "type": "string",
            "enum": [*(reason.value for reason in Reason), *refusals.REQUEST_CODES],
            "description": "What a backend is told: the reason of the verdict, or what is wrong with the request.",
        },
        "GateKeyCode": {
            "type": "string",
            "enum": list(refusals.PAGE_CODES),
            "description": "What a web page is told: nothing that would help to probe a policy.",
        },
        "GateRefusal": _object(
            {
                "status": {"type": "string", "enum": ["error"]},
                "message": _TEXT,
                "code": {"anyOf": [{"$ref": f"{told}GateTokenCode"}, {"$ref": f"{told}GateKeyCode"}]},
                "decision_id": {**_ID, "nullable": True, "description": "Null where nothing was judged."},
            },
            *("status", "message", "code", "decision_id"),
        ),
        "GateJudged": {
            "allOf": [
                verdict,
                _object(
                    {"decision_id": {**_ID, "nullable": True}, "call_seconds": seconds}, "decision_id", "call_seconds"
                ),
            ]
        },
    }


def _object(fields: Object, *required: str) -> Object:
    return {"type": "object", "properties": fields, "required": list(required)}
