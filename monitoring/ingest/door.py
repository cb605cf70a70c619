"""The hot door of UponAI's events: keeps each before it is acknowledged, and looks at none of them now."""

from __future__ import annotations

import logging

from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from accounts import encryption
from accounts.encryption import CannotOpen, SealingKey
from monitoring.ingest import inbox
from policies.gate import chaining, door
from policies.gate.snapshots import LoadedSnapshot

logger = logging.getLogger(__name__)

LARGEST_BODY_BYTES = 8 * 1024 * 1024  # a call of hours, with its transcript word by word

NOT_KEPT = b'{"status":"error","message":"The event could not be kept. Please send it again."}'


@csrf_exempt
def events(request: HttpRequest, endpoint: str) -> HttpResponse:
    """Takes in an event. Any answer but 2xx makes UponAI send it again, so that is for events not kept."""
    try:
        admitted = door.admit(request, endpoint, largest_body_bytes=LARGEST_BODY_BYTES, recheck=True)
        key = _key(endpoint, admitted.loaded)
        workspace_id, signature = admitted.loaded.workspace_id, _signature(request)
        inbox.receive(workspace_id, admitted.body, now=timezone.now(), signature=signature, key=key)
    except door.TurnedAway as refusal:
        return refusal.response
    except (DatabaseError, CannotOpen) as trouble:
        logger.error("An event could not be kept (%s); UponAI was told so.", trouble)
        return door.answer(NOT_KEPT, status=503)
    return HttpResponse(status=204)


_keys: dict[str, tuple[LoadedSnapshot, SealingKey]] = {}


def _key(endpoint: str, loaded: LoadedSnapshot) -> SealingKey:
    """Looked up once for each snapshot, which is never older than some seconds here. Raises CannotOpen."""
    known = _keys.get(endpoint)
    if known is None or known[0] is not loaded:
        known = _keys[endpoint] = (loaded, encryption.sealing_key(loaded.workspace_id))
    return known[1]


def _signature(request: HttpRequest) -> str | None:
    """As it came, for those who get the event from us; None where we got it from a console, which told them itself."""
    if f"HTTP_{_variable(chaining.MARK)}" in request.META:
        return None
    variables = (f"HTTP_{_variable(name)}" for name in settings.UPONAI_SIGNATURE_HEADERS)
    return next((request.META[name] for name in variables if name in request.META), "")


def _variable(header: str) -> str:
    return header.upper().replace("-", "_")
