"""Public keys, as UponAI's dashboard would hold them, and what a request with one has to pass.

None of this is documented by UponAI; the management paths live under /sandbox/ for that reason.
"""

from __future__ import annotations

import json
import secrets
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from . import bodies
from .bodies import Body, Check
from .errors import RATE_LIMITED, Refusal, not_found
from .provider import Provider
from .store import dump

ENDPOINTS = frozenset(
    {
        "/create-chat",
        "/create-chat-completion",
        "/v2/create-web-call",
        "/v3/create-web-call",
        "/v2/create-phone-call",
        "/create-sms-chat",
    }
)
FIELDS: dict[str, Check] = {
    "key": bodies.full_text,
    "name": bodies.text,
    "domains": bodies.list_of(bodies.full_text),
    "abuse_prevention": bodies.flag,
    "score_threshold": bodies.number,
    "fraud_protection": bodies.flag,
}
DEFAULTS: Body = {
    "name": "",
    "domains": [],
    "abuse_prevention": False,
    "score_threshold": 0.5,
    "fraud_protection": False,
}
# A token of this form carries its score; every other token counts as a person's.
SCORE_PREFIX = "score:"
PERSON_SCORE = 0.9


def find(provider: Provider, key: str) -> Body | None:
    row = provider.store.row("SELECT body FROM public_keys WHERE key = ?", key)
    return json.loads(row["body"]) if row else None


def check_door(public_key: Body, *, path: str, origin: str | None) -> None:
    """What can be told before the body is read."""
    if path not in ENDPOINTS:
        raise Refusal(403, "A public key may not be used for this endpoint.")
    host = urlsplit(origin or "").hostname
    if host is None or host not in public_key["domains"]:
        raise Refusal(403, "The origin is not among the allowed domains of this public key.")


def admit(provider: Provider, request: Request, body: Body, *, destination: str | None = None) -> None:
    """Captcha and Fraud Protection of the public key, if the request came with one."""
    public_key = request.scope.get("public_key")
    if public_key is None:
        return
    if public_key["abuse_prevention"]:
        field = provider.settings["recaptcha_field"]
        if _score(body.get(field)) < public_key["score_threshold"]:
            raise Refusal(403, f"{field}: the captcha is missing or its score is too low.")
    if public_key["fraud_protection"] and destination is not None:
        _spend_attempt(provider, public_key["key"], _address(request), destination)


def _score(token: object) -> float:
    if not isinstance(token, str) or not token:
        return -1.0
    if not token.startswith(SCORE_PREFIX):
        return PERSON_SCORE
    try:
        return float(token.removeprefix(SCORE_PREFIX))
    except ValueError:
        return -1.0


def _address(request: Request) -> str:
    """Only this machine talks to the sandbox, so a forwarded address is the one meant."""
    forwarded = request.headers.get("x-forwarded-for", "").split(",")[0].strip()
    return forwarded or (request.client.host if request.client else "")


def _spend_attempt(provider: Provider, key: str, ip: str, destination: str) -> None:
    since = provider.now() - int(provider.settings["fraud_protection_seconds"] * 1000)
    store = provider.store
    store.execute("DELETE FROM website_attempts WHERE at <= ?", since)
    row = store.row("SELECT count(*) FROM website_attempts WHERE ip = ? AND destination = ?", ip, destination)
    if row is not None and row[0] >= provider.settings["fraud_protection_limit"]:
        raise Refusal(429, RATE_LIMITED)
    store.execute("INSERT INTO website_attempts VALUES (?, ?, ?, ?)", key, ip, destination, provider.now())


# Controls under /sandbox/


async def list_keys(request: Request) -> Response:
    rows = request.app.state.provider.store.execute("SELECT body FROM public_keys ORDER BY rowid")
    return JSONResponse([json.loads(row["body"]) for row in rows])


async def create_key(request: Request) -> Response:
    provider: Provider = request.app.state.provider
    fields = bodies.checked(await bodies.read_body(request), FIELDS)
    public_key = {"key": f"public_key_{secrets.token_hex(12)}", **DEFAULTS, **fields}
    if find(provider, public_key["key"]) is not None:
        raise Refusal(400, f"key: {public_key['key']} exists already.")
    _save(provider, public_key)
    return JSONResponse(public_key, 201)


async def get_key(request: Request) -> Response:
    return JSONResponse(_existing(request))


async def update_key(request: Request) -> Response:
    fields = bodies.checked(await bodies.read_body(request), {k: v for k, v in FIELDS.items() if k != "key"})
    public_key = {**_existing(request), **fields}
    _save(request.app.state.provider, public_key)
    return JSONResponse(public_key)


async def delete_key(request: Request) -> Response:
    key = _existing(request)["key"]
    request.app.state.provider.store.execute("DELETE FROM public_keys WHERE key = ?", key)
    return Response(status_code=204)


def _existing(request: Request) -> Body:
    public_key = find(request.app.state.provider, request.path_params["key"])
    if public_key is None:
        raise not_found()
    return public_key


def _save(provider: Provider, public_key: Body) -> None:
    provider.store.execute(
        "INSERT INTO public_keys VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET body = excluded.body",
        *(public_key["key"], dump(public_key)),
    )
