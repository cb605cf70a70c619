"""Events from their arrival to their effect on Call. The only writer of WebhookEvent; what an event means is `fold`'s.

The rows are the queue of record; the bell only makes it prompt. A worker takes rows by a lease, and marks them done
in the transaction of their effect: an event that is there and not done will be processed, however often it came.
"""

from __future__ import annotations

import hashlib
import logging
import random
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import orjson
from django.db import connection, models, transaction

from accounts import encryption
from accounts.scoping import current_workspace_id, scoped, unscoped
from monitoring import relays, uponai_alerts
from monitoring.ingest import agents, calls, fold
from monitoring.models import WebhookEvent
from policies import bells
from policies.gate import transfers

logger = logging.getLogger(__name__)

LEASE = timedelta(seconds=60)
BATCH = 500  # short transactions: on SQLite nobody else writes meanwhile
BODIES_AT_ONCE = 50  # in memory, since one may be of megabytes
MOST_ATTEMPTS = 12
FIRST_BACKOFF_SECONDS = 1.0
LONGEST_BACKOFF_SECONDS = 300.0
RING_AT_MOST_EVERY_SECONDS = 0.25
"""A burst of events is one ring; the sweep finds what came just after it."""

WITHOUT_EFFECT = frozenset({"transcript_updated", "transfer_bridged", "transfer_cancelled", "transfer_ended"})
"""Known, kept, and told of by others: the end of the call tells what it said, its start where it was transferred."""

KNOWN_EVENTS = (*fold.RANKS, transfers.EVENT, *sorted(WITHOUT_EFFECT))

State = WebhookEvent.State
Clock = Callable[[], datetime]


class Unusable(Exception):
    """An event that can have no effect, however often it is tried; the message says why."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What tells one event from another: its name and the call, or its bytes where we do not know better."""

    event_key: str
    event: str
    call_reference: str


# --- Receiving ------------------------------------------------------------------------------------


def receive(workspace_id: int, body: bytes, *, now: datetime, signature: str | None = None) -> None:
    """Keeps a genuine event, once, and rings for its processing. Raises DatabaseError, CannotOpen.

    `signature`: UponAI's, for the relays that are to get the event as well; None for one that is for us alone.
    """
    identity = identify(body)
    row = WebhookEvent(
        workspace_id=workspace_id,
        event_key=identity.event_key,
        event=identity.event,
        call_reference=identity.call_reference,
        sealed_body=_seal(workspace_id, identity.event_key, body),
        received_at=now,
        due_at=now,
    )
    with scoped(workspace_id):
        if signature is None or not relays.active(workspace_id):
            WebhookEvent.objects.bulk_create([row], ignore_conflicts=True)
        else:
            with transaction.atomic():
                WebhookEvent.objects.bulk_create([row], ignore_conflicts=True)
                relays.schedule(workspace_id, identity.event_key, signature=signature, now=now)
    transaction.on_commit(lambda: ring(workspace_id))


def identify(body: bytes) -> Identity:
    """Total: bytes that are not JSON are an event without a name."""
    payload = _parsed(body)
    event = payload.get("event")
    event = event if isinstance(event, str) else ""
    reference = _details(payload).get("chat_id" if event.startswith("chat_") else "call_id")
    reference = reference if isinstance(reference, str) else ""
    key = f"{event}:{reference}"
    if event == transfers.EVENT and (transfer := transfers.read(payload)):
        return Identity(f"{event}:{transfer.identity}", _cut("event", event), transfer.call_id)
    if event not in fold.RANKS or not reference or len(reference) > _longest("call_reference") or "\x00" in key:
        key = f"sha256:{hashlib.sha256(body).hexdigest()}"
    return Identity(key, _cut("event", event), _cut("call_reference", reference))


def _parsed(body: bytes) -> Mapping[str, Any]:
    try:
        payload = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return payload if isinstance(payload, dict) else {}


def _details(payload: Mapping[str, Any]) -> Mapping[str, Any]:
    details = payload.get("chat" if str(payload.get("event")).startswith("chat_") else "call")
    return details if isinstance(details, dict) else {}


def _longest(column: str) -> int:
    return int(WebhookEvent._meta.get_field(column).max_length or 0)


def _cut(column: str, text: str) -> str:
    return text[: _longest(column)].replace("\x00", "�")


def _seal(workspace_id: int, event_key: str, body: bytes) -> str:
    # Latin-1 has a character for every byte, so the bytes come back as they were.
    return encryption.seal(**_place(workspace_id, event_key), secret=body.decode("latin-1"))


def body_of(row: WebhookEvent) -> bytes:
    """The event as UponAI sent it. Raises CannotOpen."""
    return _unsealed(row.workspace_id, row.event_key, row.sealed_body)


def _unsealed(workspace_id: int, event_key: str, sealed: str) -> bytes:
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


# --- Processing -----------------------------------------------------------------------------------


def due_workspaces(*, now: datetime) -> list[int]:
    with unscoped(reason="the sweep serves every workspace"):
        rows = WebhookEvent.objects.filter(due_at__lte=now)
        return list(rows.order_by("workspace_id").values_list("workspace_id", flat=True).distinct())


def process(workspace_id: int, *, clock: Clock) -> int:
    """Processes what is due. Answers how many events were taken."""
    total = 0
    with scoped(workspace_id):
        while lease := _claim(now=clock()):
            total += _process_leased(lease, clock)
    return total


class Leased(NamedTuple):
    """An event that is ours until its lease ends, without its body. The names of the columns it is read from."""

    id: int
    event_key: str
    event: str
    call_reference: str
    received_at: datetime
    attempts: int
    lease_token: uuid.UUID
    processed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Lease:
    """Events that one worker took together."""

    token: uuid.UUID
    until: datetime
    ids: Sequence[int]

    def rows(self) -> models.QuerySet[WebhookEvent]:
        """Those that are still ours. `until` is the index that finds them."""
        return WebhookEvent.objects.filter(due_at=self.until, lease_token=self.token)


def _claim(*, now: datetime) -> Lease | None:
    with transaction.atomic():
        due = WebhookEvent.objects.filter(due_at__lte=now).order_by("due_at", "id")
        if connection.features.has_select_for_update_skip_locked:
            due = due.select_for_update(skip_locked=True)
        # Not in one statement: PostgreSQL may look for the oldest anew for each row that it updates.
        lease = Lease(uuid.uuid4(), now + LEASE, sorted(due.values_list("pk", flat=True)[:BATCH]))
        WebhookEvent.objects.filter(pk__in=lease.ids).update(
            state=State.PROCESSING,
            due_at=lease.until,
            lease_token=lease.token,
            attempts=models.F("attempts") + 1,
        )
    return lease if lease.ids else None


def _process_leased(lease: Lease, clock: Clock) -> int:
    readable: list[tuple[Leased, Readable]] = []
    total = 0
    for *facts, sealed in _with_bodies(lease):
        row = Leased(*facts)
        total += 1
        try:
            readable.append((row, _read(row, sealed)))
        except Unusable as trouble:
            _bury(row, trouble)
        except encryption.CannotOpen as trouble:
            _postpone(row, trouble, now=clock())
    try:
        _apply(lease, readable, now=clock())
    except Exception as trouble:
        # One event of the batch must not hold up the others.
        logger.warning("%s events could not be processed together: %s. One by one now.", len(readable), trouble)
        for row, event in readable:
            try:
                _apply(lease, [(row, event)], now=clock())
            except Exception as reason:
                logger.exception("The event %s could not be processed.", row.event_key)
                _postpone(row, reason, now=clock())
    return total


def _with_bodies(lease: Lease) -> Iterator[tuple[Any, ...]]:
    for first in range(0, len(lease.ids), BODIES_AT_ONCE):
        some = lease.ids[first : first + BODIES_AT_ONCE]
        rows = WebhookEvent.objects.filter(pk__in=some, lease_token=lease.token)
        yield from rows.order_by("id").values_list(*Leased._fields, "sealed_body")


Readable = fold.Event | transfers.Transfer | uponai_alerts.UponaiAlert | None


def _read(row: Leased, sealed: str) -> Readable:
    """None for an event without effect: it is kept. Raises Unusable, CannotOpen."""
    if row.attempts > MOST_ATTEMPTS:
        raise Unusable(f"It was begun {row.attempts - 1} times and never came to an end.")
    payload = _parsed(_unsealed(current_workspace_id(), row.event_key, sealed))
    if not payload:
        raise Unusable("The body is not a JSON object.")
    if row.event == transfers.EVENT:
        return transfers.read(payload)
    if row.event == uponai_alerts.EVENT:
        return uponai_alerts.UponaiAlert(payload)
    if row.event not in fold.RANKS:
        if row.event not in WITHOUT_EFFECT:
            logger.info("An event of the unknown kind %r was kept.", row.event)
        return None
    if row.event_key != f"{row.event}:{row.call_reference}":
        raise Unusable("It names no call or chat.")
    return fold.read(row.event, _details(payload), received_at=row.received_at)


def _apply(lease: Lease, readable: Sequence[tuple[Leased, Readable]], *, now: datetime) -> None:
    """Folds events into their calls and marks them done, in one transaction."""
    if not readable:
        return
    with transaction.atomic():
        ours = _done(lease, [row for row, _ in readable], now=now)
        of_call: dict[str, list[fold.Event]] = defaultdict(list)
        for row, event in readable:
            if row.id not in ours:
                continue
            if isinstance(event, fold.Event):
                of_call[row.call_reference].append(event)
            elif isinstance(event, uponai_alerts.UponaiAlert):
                uponai_alerts.note(current_workspace_id(), event, now=now)
            elif event is not None and row.processed_at is None:
                # What was judged stays judged: a replay years later would judge by another policy.
                transfers.judge(current_workspace_id(), event, now=now)
        if of_call:
            agents.note_events(calls.write(of_call, now=now))


def _done(lease: Lease, rows: Sequence[Leased], *, now: datetime) -> set[int]:
    """Locks the rows and marks them done, without those whose lease ended and that somebody else has taken."""
    ours = set(lease.rows().select_for_update().order_by("pk").values_list("pk", flat=True))
    asked = {row.id for row in rows}
    leased = lease.rows() if ours == asked else WebhookEvent.objects.filter(pk__in=ours & asked)
    leased.update(state=State.DONE, due_at=None, lease_token=None, processed_at=now, error="")
    return ours & asked


# --- When it does not work ------------------------------------------------------------------------


def _postpone(row: Leased, trouble: Exception, *, now: datetime) -> None:
    if row.attempts >= MOST_ATTEMPTS:
        _bury(row, trouble)
        return
    ceiling = min(LONGEST_BACKOFF_SECONDS, FIRST_BACKOFF_SECONDS * 2**row.attempts)
    wait = random.uniform(ceiling / 4, ceiling)  # noqa: S311  (jitter, no secret)
    _ours(row).update(
        state=State.FAILED, due_at=now + timedelta(seconds=wait), lease_token=None, error=_sentence(trouble)
    )


def _bury(row: Leased, trouble: Exception) -> None:
    logger.error("The event %s is given up: %s", row.event_key, trouble)
    _ours(row).update(state=State.DEAD, due_at=None, lease_token=None, error=_sentence(trouble))


def _ours(row: Leased) -> models.QuerySet[WebhookEvent]:
    return WebhookEvent.objects.filter(pk=row.id, lease_token=row.lease_token)


def _sentence(trouble: Exception) -> str:
    return f"{type(trouble).__name__}: {trouble}"[:500].replace("\x00", "�")
