"""The hot door of UponAI's inbound webhook. Nothing in the body is read before its signature is verified."""

from __future__ import annotations

import logging
import time

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from redis.exceptions import RedisError

from policies.gate import judge, snapshots, store
from policies.gate.snapshots import LoadedSnapshot
from policies.uponai import payloads, signature

logger = logging.getLogger(__name__)

LARGEST_BODY_BYTES = 64 * 1024  # a real one has some hundred; custom SIP headers may add a few thousand

REJECT_ALL = b'{"call_inbound":{"reject":true},"chat_inbound":{"reject":true}}'
"""For a genuine webhook that cannot be understood: an error would be retried, and then the agent would answer."""

NOT_FOUND = b'{"status":"error","message":"There is no such webhook address."}'
UNAUTHORISED = b'{"status":"error","message":"The signature is missing or wrong."}'
METHOD_NOT_ALLOWED = b'{"status":"error","message":"Webhooks are sent with POST."}'
TOO_LARGE = b'{"status":"error","message":"The body is larger than an inbound webhook can be."}'


@csrf_exempt
def inbound(request: HttpRequest, endpoint: str) -> HttpResponse:
    """Answers whether a call or message may reach the agent."""
    started = time.perf_counter()
    if request.method != "POST":
        return _json(METHOD_NOT_ALLOWED, status=405)
    try:
        loaded = snapshots.for_endpoint(endpoint)
    except snapshots.NoSuchEndpoint:
        return _json(NOT_FOUND, status=404)
    body = _body(request)
    if body is None:
        return _json(TOO_LARGE, status=413)
    problem = _signature_problem(request, body, endpoint, loaded)
    if problem is not None:
        _count_refused(loaded.workspace_id, problem)
        return _json(UNAUTHORISED, status=401)
    try:
        attempt = payloads.read_inbound(body)
    except payloads.PayloadError as unusable:
        logger.error("A genuine inbound webhook cannot be understood (%s); rejected.", unusable)
        return _json(REJECT_ALL)
    return _json(judge.judge_inbound(endpoint, attempt, now=timezone.now(), started=started))


def _body(request: HttpRequest) -> bytes | None:
    try:
        if int(request.META.get("CONTENT_LENGTH") or 0) > LARGEST_BODY_BYTES:
            return None
        body = request.body
    except (ValueError, RequestDataTooBig):
        return None
    return body if len(body) <= LARGEST_BODY_BYTES else None


def _signature_problem(
    request: HttpRequest, body: bytes, endpoint: str, loaded: LoadedSnapshot
) -> signature.SignatureProblem | None:
    headers = {
        name: request.headers[name] for name in settings.UPONAI_SIGNATURE_HEADERS if name in request.headers
    }
    now_ms = time.time_ns() // 1_000_000
    problem = signature.verify(body=body, headers=headers, secrets=loaded.webhook_secrets, now_ms=now_ms)
    if problem is signature.SignatureProblem.MISMATCH and loaded.age_seconds() > snapshots.POLL_SECONDS:
        # The workspace's key may be newer than this snapshot; look again, but not at every forged request.
        renewed = snapshots.recheck(endpoint, loaded)
        return signature.verify(body=body, headers=headers, secrets=renewed.webhook_secrets, now_ms=now_ms)
    return problem


def _count_refused(workspace_id: int, problem: signature.SignatureProblem) -> None:
    hour = timezone.now().replace(minute=0, second=0, microsecond=0).isoformat()
    try:
        store.count_refused(workspace_id, hour=hour, problem=problem.value)
    except RedisError:
        logger.warning("A webhook was refused (%s) and could not be counted.", problem.value)


def _json(body: bytes, *, status: int = 200) -> HttpResponse:
    return HttpResponse(body, status=status, content_type="application/json")
