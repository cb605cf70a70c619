"""What every webhook of UponAI's passes first: method, address, size, signature. Nothing of the body is read before."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from functools import cache

from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from redis.exceptions import RedisError

from policies.gate import snapshots, store
from policies.gate.snapshots import LoadedSnapshot
from policies.uponai import signature

logger = logging.getLogger(__name__)

UNAVAILABLE = b'{"status":"error","message":"The console cannot look this address up now. Send it again."}'
NOT_FOUND = b'{"status":"error","message":"There is no such webhook address."}'
UNAUTHORISED = b'{"status":"error","message":"The signature is missing or wrong."}'
METHOD_NOT_ALLOWED = b'{"status":"error","message":"Webhooks are sent with POST."}'
TOO_LARGE = b'{"status":"error","message":"The body is larger than such a webhook can be."}'


@dataclass(frozen=True, slots=True)
class Admitted:
    """A genuine webhook of one workspace, not yet parsed."""

    loaded: LoadedSnapshot
    body: bytes


class TurnedAway(Exception):
    """What knocked is not a webhook for us; `response` says why."""

    def __init__(self, response: HttpResponse) -> None:
        super().__init__(response.status_code)
        self.response = response


def admit(request: HttpRequest, endpoint: str, *, largest_body_bytes: int, recheck: bool = False) -> Admitted:
    """Lets a signed webhook in. Raises TurnedAway.

    `recheck`: asks the database every few seconds for the workspace's keys, at a door where nothing else does.
    """
    if request.method != "POST":
        raise TurnedAway(answer(METHOD_NOT_ALLOWED, status=405))
    try:
        loaded = snapshots.for_endpoint(endpoint)
        if recheck:
            loaded = snapshots.recheck(endpoint, loaded)
    except snapshots.NoSuchEndpoint:
        raise TurnedAway(answer(NOT_FOUND, status=404)) from None
    except DatabaseError as trouble:
        # Without the workspace's keys nothing can be believed; sent again, it may be.
        logger.error("The database does not answer (%s), and this process does not know the address yet.", trouble)
        raise TurnedAway(answer(UNAVAILABLE, status=503)) from None
    body = _body(request, largest_body_bytes)
    if body is None:
        raise TurnedAway(answer(TOO_LARGE, status=413))
    problem = _signature_problem(request, body, endpoint, loaded)
    if problem is not None:
        _count_refused(loaded.workspace_id, problem)
        raise TurnedAway(answer(UNAUTHORISED, status=401))
    return Admitted(loaded, body)


def answer(body: bytes, *, status: int = 200) -> HttpResponse:
    return HttpResponse(body, status=status, content_type="application/json")


def _body(request: HttpRequest, largest_bytes: int) -> bytes | None:
    try:
        if int(request.META.get("CONTENT_LENGTH") or 0) > largest_bytes:
            return None
    except ValueError:
        return None
    # Not request.body, which has a limit of its own for all pages.
    body = request.read(largest_bytes + 1)
    return body if len(body) <= largest_bytes else None


def _signature_problem(
    request: HttpRequest, body: bytes, endpoint: str, loaded: LoadedSnapshot
) -> signature.SignatureProblem | None:
    headers = _signature_headers(request)
    now = timezone.now()
    now_ms = time.time_ns() // 1_000_000
    problem = signature.verify(body=body, headers=headers, secrets=loaded.secrets_at(now), now_ms=now_ms)
    if problem is signature.SignatureProblem.MISMATCH and loaded.age_seconds() > snapshots.POLL_SECONDS:
        # The workspace's key may be newer than this snapshot; look again, but not at every forged request.
        try:
            renewed = snapshots.recheck(endpoint, loaded)
        except DatabaseError as trouble:
            logger.warning("The database does not answer (%s); no newer key is known.", trouble)
            return problem
        return signature.verify(body=body, headers=headers, secrets=renewed.secrets_at(now), now_ms=now_ms)
    return problem


def _signature_headers(request: HttpRequest) -> dict[str, str]:
    """Straight from WSGI's variables: Django would first make a mapping of every header there is."""
    variables = _variables(tuple(settings.UPONAI_SIGNATURE_HEADERS))
    return {name: request.META[variable] for name, variable in variables if variable in request.META}


@cache
def _variables(names: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    return tuple((name, f"HTTP_{name.upper().replace('-', '_')}") for name in names)


def _count_refused(workspace_id: int, problem: signature.SignatureProblem) -> None:
    hour = timezone.now().replace(minute=0, second=0, microsecond=0).isoformat()
    try:
        store.count_refused(workspace_id, hour=hour, problem=problem.value)
    except RedisError:
        logger.warning("A webhook was refused (%s) and could not be counted.", problem.value)
