"""The one door through which a provider's results come in. Who cannot sign learns nothing, not even of a workspace."""

from __future__ import annotations

from typing import Any, Final

import orjson
from django.core.exceptions import ValidationError
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from accounts import audit
from accounts.addresses import client_address
from accounts.api.problems import KINDS, MEDIA_TYPE, PROBLEMS_PAGE
from accounts.kyc import provider_results
from accounts.models import Workspace

HEADER: Final = "X-Provider-Signature"
MOST_BODY_BYTES: Final = 128 * 1024
NOT_SIGNED: Final = ("unauthenticated", "A valid signature is needed")


@csrf_exempt
@require_POST
def receive(request: HttpRequest, endpoint: str) -> JsonResponse:
    length = request.headers.get("Content-Length", "")
    if not (length.isascii() and length.isdigit() and int(length) <= MOST_BODY_BYTES):
        return _problem(413, f"A result is at most {MOST_BODY_BYTES // 1024} kB, and says its length.")
    workspace, body, now = Workspace.objects.filter(endpoint=endpoint).first(), request.body, timezone.now()
    secret = provider_results.secret_of(workspace) if workspace else ""
    if workspace is None or not provider_results.is_signed(
        request.headers.get(HEADER, ""), body, secret=secret, now=now
    ):
        return _problem(401, f"The signature in {HEADER} does not fit, or is older than 5 minutes.")
    try:
        facts = orjson.loads(body)
    except orjson.JSONDecodeError:
        return _problem(400, "The body is no JSON.")
    if not isinstance(facts, dict):
        return _problem(422, "The body must be an object.")
    try:
        with audit.origin(ip=client_address(request), via="provider"):
            row, is_new = provider_results.attach(workspace=workspace, facts=facts, now=now)
    except ValidationError as refusal:
        errors = [
            {"field": field, "code": "invalid", "detail": " ".join(words)}
            for field, words in refusal.message_dict.items()
        ]
        return _problem(422, "Some fields are not right.", errors)
    return JsonResponse({"id": row.pk, "record": row.record_id, "outcome": row.outcome}, status=201 if is_new else 200)


def _problem(status: int, detail: str, errors: list[dict[str, Any]] | None = None) -> JsonResponse:
    kind, title = NOT_SIGNED if status == 401 else KINDS[status]
    body = {"type": f"{PROBLEMS_PAGE}#{kind}", "title": title, "status": status, "detail": detail}
    return JsonResponse(body | {"errors": errors or []}, status=status, content_type=MEDIA_TYPE)
