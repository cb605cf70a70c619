"""Events at their arrival: kept once, sealed, before UponAI is answered. What is done with them then: `processing`.

The rows are the queue of record; the bell only makes it prompt.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Final

import orjson
from django.db import transaction

from accounts import encryption
from accounts.scoping import scoped
from monitoring import relays
from monitoring.ingest import bulk, fold
from monitoring.models import WebhookEvent
from policies import bells
from policies.gate import transfers

logger = logging.getLogger(__name__)

RING_AT_MOST_EVERY_SECONDS = 0.25
"""A burst of events is one ring; the sweep finds what came just after it."""

WITHOUT_EFFECT = frozenset({"transcript_updated", "transfer_bridged", "transfer_cancelled", "transfer_ended"})
"""Known, kept, and told of by others: the end of the call tells what it said, its start where it was transferred."""

KNOWN_EVENTS = (*fold.RANKS, transfers.EVENT, *sorted(WITHOUT_EFFECT))

_WRITTEN: Final = tuple(field.attname for field in WebhookEvent._meta.concrete_fields if not field.primary_key)
_BLANK: Final[Mapping[str, Any]] = {
    field.attname: field.get_default() for field in WebhookEvent._meta.concrete_fields if not field.primary_key
}


@dataclass(frozen=True, slots=True)
class Identity:
    """What tells one event from another: its name and the call, or its bytes where we do not know better."""

    event_key: str
    event: str
    call_reference: str


# --- Receiving ------------------------------------------------------------------------------------


def receive(
    workspace_id: int,
    body: bytes,
    *,
    now: datetime,
    signature: str | None = None,
    key: encryption.SealingKey | None = None,
) -> None:
    """Keeps a genuine event, once, and rings for its processing. Raises DatabaseError, CannotOpen.

    `signature`: UponAI's, for the relays that are to get the event as well; None for one that is for us alone.
    `key`: the workspace's, where the caller knows it.
    """
    payload = parsed(body)
    identity = _identity(payload, body)
    row = {
        **_BLANK,
        "workspace_id": workspace_id,
        "event_key": identity.event_key,
        "event": identity.event,
        "call_reference": identity.call_reference,
        "sealed_body": _seal(workspace_id, identity.event_key, body, key),
        "received_at": now,
        "due_at": now,
        "told": _told(identity, payload, now),
    }
    if signature is None or not relays.active(workspace_id):
        bulk.insert_new(WebhookEvent, row)
    else:
        with scoped(workspace_id), transaction.atomic():
            bulk.insert_new(WebhookEvent, row)
            relays.schedule(workspace_id, identity.event_key, signature=signature, now=now)
    transaction.on_commit(lambda: ring(workspace_id))


def identify(body: bytes) -> Identity:
    """Total: bytes that are not JSON are an event without a name."""
    return _identity(parsed(body), body)


def _identity(payload: Mapping[str, Any], body: bytes) -> Identity:
    event = payload.get("event")
    event = event if isinstance(event, str) else ""
    reference = details_of(payload).get("chat_id" if event.startswith("chat_") else "call_id")
    reference = reference if isinstance(reference, str) else ""
    key = f"{event}:{reference}"
    if event == transfers.EVENT and (transfer := transfers.read(payload)):
        return Identity(f"{event}:{transfer.identity}", _cut("event", event), transfer.call_id)
    if event not in fold.RANKS or not reference or len(reference) > _longest("call_reference") or "\x00" in key:
        key = f"sha256:{hashlib.sha256(body).hexdigest()}"
    return Identity(key, _cut("event", event), _cut("call_reference", reference))


def names_a_call(identity: Any) -> bool:
    """Whether it is of those that are folded, by its Identity or the row with its columns."""
    return bool(identity.event in fold.RANKS and identity.event_key == f"{identity.event}:{identity.call_reference}")


def _told(identity: Identity, payload: Mapping[str, Any], now: datetime) -> str | None:
    """None where the body has to be read again. What cannot be read is kept all the same."""
    if not names_a_call(identity):
        return None
    try:
        return fold.write_down(fold.read(identity.event, details_of(payload), received_at=now))
    except Exception:
        logger.exception("What the event %s tells could not be read; its body is kept.", identity.event_key)
        return None


def parsed(body: bytes) -> Mapping[str, Any]:
    """The event's JSON object; empty where it is none."""
    try:
        payload = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return payload if isinstance(payload, dict) else {}


def details_of(payload: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the event says of its call or chat."""
    details = payload.get("chat" if str(payload.get("event")).startswith("chat_") else "call")
    return details if isinstance(details, dict) else {}


@cache
def _longest(column: str) -> int:
    return int(WebhookEvent._meta.get_field(column).max_length or 0)


def _cut(column: str, text: str) -> str:
    return text[: _longest(column)].replace("\x00", "�")


def _seal(workspace_id: int, event_key: str, body: bytes, key: encryption.SealingKey | None) -> str:
    # Latin-1 has a character for every byte, so the bytes come back as they were.
    return encryption.seal(**_place(workspace_id, event_key), secret=body.decode("latin-1"), key=key)


def body_of(row: WebhookEvent) -> bytes:
    """The event as UponAI sent it. Raises CannotOpen."""
    return unsealed(row.workspace_id, row.event_key, row.sealed_body)


def unsealed(workspace_id: int, event_key: str, sealed: str) -> bytes:
    return encryption.unseal(**_place(workspace_id, event_key), sealed=sealed).encode("latin-1")


def _place(workspace_id: int, event_key: str) -> dict[str, Any]:
    return {"workspace_id": workspace_id, "model": "webhookevent", "row": event_key, "field": "sealed_body"}


_rung_at: dict[int, float] = {}


def ring(workspace_id: int) -> None:
    """Wakes a worker. Nothing is lost when nobody hears: the sweep finds the rows."""
    started = time.monotonic()
    if started - _rung_at.get(workspace_id, -1.0) < RING_AT_MOST_EVERY_SECONDS:
        return
    _rung_at[workspace_id] = started
    bells.ring("monitoring.tasks.process_events", workspace_id=workspace_id)
