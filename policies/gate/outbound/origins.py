"""What a browser has to be told before it lets a web page read the gate's answers (CORS)."""

from __future__ import annotations

from typing import Final

from django.http import HttpRequest, HttpResponse

from policies.engine.door import host_of
from policies.engine.types import KeySnapshot
from policies.gate.outbound.refusals import DECISION_HEADER, RETRY_HEADER

_REQUEST_HEADERS: Final = (
    "authorization",
    "content-type",
    "idempotency-key",
    "x-captcha-token",
    "x-end-user-token",
)
_CLIENT_LIBRARY: Final = "x-stainless-"  # UponAI's client library adds some to every request
_EXPOSED: Final = f"{DECISION_HEADER}, Retry-After, {RETRY_HEADER}"
_PREFLIGHT_SECONDS: Final = "600"
_MOST_HEADERS: Final = 40


def preflight(request: HttpRequest) -> HttpResponse:
    """A preflight shows no key, so it opens nothing and is answered alike for every page: the request that follows is
    judged by its own origin.
    """
    asked = request.headers.get("Access-Control-Request-Headers", "").lower().split(",")[:_MOST_HEADERS]
    of_library = sorted({name for name in map(str.strip, asked) if _is_of_library(name)})
    response = HttpResponse(status=204)
    response["Access-Control-Allow-Origin"] = "*"
    response["Access-Control-Allow-Methods"] = "POST, GET"
    response["Access-Control-Allow-Headers"] = ", ".join((*_REQUEST_HEADERS, *of_library))
    response["Access-Control-Max-Age"] = _PREFLIGHT_SECONDS
    response["Vary"] = "Origin, Access-Control-Request-Headers"
    return response


def let_read(response: HttpResponse, *, origin: str, key: KeySnapshot | None) -> None:
    """Lets the page read the answer where its origin is one of the key's."""
    response["Vary"] = "Origin"
    if key is not None and is_allowed(origin, key):
        response["Access-Control-Allow-Origin"] = origin
        response["Access-Control-Expose-Headers"] = _EXPOSED


def is_allowed(origin: str, key: KeySnapshot) -> bool:
    host = host_of(origin)
    return host is not None and host in key.domains


def _is_of_library(name: str) -> bool:
    return name.startswith(_CLIENT_LIBRARY) and len(name) < 64 and name.replace("-", "").isalnum() and name.isascii()
