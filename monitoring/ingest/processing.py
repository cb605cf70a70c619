"""Kept events to their effect on Call, each once. What an event means is `fold`'s.

A batch is folded and marked done in one transaction, so what a worker died at is as it was before. Whoever was in a
batch that failed goes alone from then on, by a lease that counts how often it was begun: no event holds up the others.
"""

from __future__ import annotations

import logging
import random
import uuid
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from django.db import connection, models, transaction

from accounts.scoping import current_workspace_id, scoped, unscoped
from monitoring import uponai_alerts
from monitoring.ingest import agents, among, calls, fold, inbox  # noqa: F401  (among: a lookup)
from monitoring.models import EventBatch, WebhookEvent
from policies.gate import transfers

logger = logging.getLogger(__name__)

LEASE: Final = timedelta(seconds=60)
BATCH: Final = 2000  # short transactions: on SQLite nobody else writes meanwhile
BODIES_AT_ONCE: Final = 50  # in memory, since one may be of megabytes
MOST_ATTEMPTS: Final = 12
FIRST_BACKOFF_SECONDS: Final = 1.0
LONGEST_BACKOFF_SECONDS: Final = 300.0

State = WebhookEvent.State
Clock = Callable[[], datetime]
Readable = fold.Event | transfers.Transfer | uponai_alerts.UponaiAlert | None
"""None: an event without effect."""


class Unusable(Exception):
    """An event that can have no effect, however often it is tried; the message says why."""


class Row(NamedTuple):
    """An event without its body. The names of the columns it is read from."""

    id: int
    event_key: str
    event: str
    call_reference: str
    received_at: datetime
    attempts: int
    processed_at: datetime | None
    told: str | None


@dataclass(frozen=True, slots=True)
class Taken:
    """Events that a worker is at, as long as `still` is true of them. `batch_id`: of the EventBatch that tells so."""

    ids: Collection[int]
    still: models.Q
    batch_id: int | None = None

    def rows(self) -> models.QuerySet[WebhookEvent]:
        return WebhookEvent.objects.filter(self.still, pk__among=self.ids)

    def row(self, row: Row) -> models.QuerySet[WebhookEvent]:
        return WebhookEvent.objects.filter(self.still, pk=row.id)

    def end(self) -> None:
        if self.batch_id is not None:
            EventBatch.objects.filter(pk=self.batch_id).delete()


_UNTRIED: Final = models.Q(attempts=0, due_at__isnull=False)


def due_workspaces(*, now: datetime) -> list[int]:
    with unscoped(reason="the sweep serves every workspace"):
        rows = WebhookEvent.objects.filter(due_at__lte=now)
        return list(rows.order_by("workspace_id").values_list("workspace_id", flat=True).distinct())


def process(workspace_id: int, *, clock: Clock) -> int:
    """Processes what is due. Answers how many events were taken."""
    total = 0
    with scoped(workspace_id):
        _suspect_what_was_never_ended(now=clock())
        for take, work in ((_take_batch, _process_batch), (_take_one, _process_one)):
            while taken := take(now=clock()):
                total += work(taken, clock)
    return total


# --- Together -------------------------------------------------------------------------------------


def _take_batch(*, now: datetime) -> Taken | None:
    """The oldest that nobody tried yet. Two workers may take the same ones; the first to lock them has them."""
    with transaction.atomic():
        due = WebhookEvent.objects.filter(due_at__lte=now, attempts=0).order_by("due_at", "id")
        ids = list(_unlocked(due).values_list("pk", flat=True)[:BATCH])
        if not ids:
            return None
        batch = EventBatch.objects.create(event_ids=ids, began_at=now)
    return Taken(ids, _UNTRIED, batch.pk)


def _unlocked(rows: models.QuerySet[WebhookEvent]) -> models.QuerySet[WebhookEvent]:
    return rows.select_for_update(skip_locked=True) if connection.features.has_select_for_update_skip_locked else rows


def _process_batch(taken: Taken, clock: Clock) -> int:
    readable = _readable(taken, clock)
    try:
        _apply(taken, readable, now=clock())
    except Exception as trouble:
        logger.warning("%s events could not be processed together: %s. One by one now.", len(readable), trouble)
        with transaction.atomic():
            _set_aside(taken.ids)
            taken.end()
        return 0
    return len(taken.ids)


def _suspect_what_was_never_ended(*, now: datetime) -> None:
    """A worker that dies may have died of one of its events."""
    for batch_id, event_ids in EventBatch.objects.filter(began_at__lt=now - LEASE).values_list("pk", "event_ids"):
        with transaction.atomic():
            _set_aside(event_ids)
            EventBatch.objects.filter(pk=batch_id).delete()


def _set_aside(ids: Collection[int]) -> None:
    WebhookEvent.objects.filter(_UNTRIED, pk__among=ids).update(attempts=1)


# --- Alone ----------------------------------------------------------------------------------------


def _take_one(*, now: datetime) -> Taken | None:
    with transaction.atomic():
        due = WebhookEvent.objects.filter(due_at__lte=now, attempts__gt=0).order_by("due_at", "id")
        pk = _unlocked(due).values_list("pk", flat=True).first()
        if pk is None:
            return None
        token = uuid.uuid4()
        leased = {"state": State.PROCESSING, "due_at": now + LEASE, "lease_token": token}
        WebhookEvent.objects.filter(pk=pk).update(**leased, attempts=models.F("attempts") + 1)
    return Taken([pk], models.Q(lease_token=token))


def _process_one(taken: Taken, clock: Clock) -> int:
    for row, event in _readable(taken, clock):
        try:
            _apply(taken, [(row, event)], now=clock())
        except Exception as reason:
            logger.exception("The event %s could not be processed.", row.event_key)
            _postpone(taken, row, reason, now=clock())
    return 1


# --- Reading --------------------------------------------------------------------------------------


def _readable(taken: Taken, clock: Clock) -> list[tuple[Row, Readable]]:
    """In the order of their arrival. What cannot be read is put off, or given up."""
    rows = [Row._make(facts) for facts in taken.rows().values_list(*Row._fields)]
    found: list[tuple[Row, Readable]] = []
    closed: list[Row] = []
    for row in rows:
        event = _told(row)
        if event is not None or not _has_to_be_opened(row):
            found.append((row, event))
        else:
            closed.append(row)
    for row, sealed in _with_bodies(closed):
        try:
            found.append((row, _read(row, sealed)))
        except Unusable as trouble:
            _bury(taken, row, trouble)
        except Exception as trouble:
            _postpone(taken, row, trouble, now=clock())
    return sorted(found, key=lambda one: one[0].id)


def _told(row: Row) -> fold.Event | None:
    """As it was read when it came."""
    if row.told is None or row.attempts > 1:  # what did not work so is read anew
        return None
    try:
        return fold.read_back(row.event, row.told, received_at=row.received_at)
    except (ValueError, KeyError, TypeError, ArithmeticError) as trouble:
        logger.warning("What was written down of the event %s is no use: %s.", row.event_key, trouble)
        return None


def _has_to_be_opened(row: Row) -> bool:
    """An event that has a name came as a JSON object; if nothing follows from it, nobody need look at it."""
    if row.attempts > MOST_ATTEMPTS or not row.event:
        return True
    if row.event in fold.RANKS or row.event in (transfers.EVENT, uponai_alerts.EVENT):
        return True
    if row.event not in inbox.WITHOUT_EFFECT:
        logger.info("An event of the unknown kind %r was kept.", row.event)
    return False


def _with_bodies(rows: Sequence[Row]) -> Iterator[tuple[Row, str]]:
    for first in range(0, len(rows), BODIES_AT_ONCE):
        some = {row.id: row for row in rows[first : first + BODIES_AT_ONCE]}
        for pk, sealed in WebhookEvent.objects.filter(pk__among=some).values_list("pk", "sealed_body"):
            yield some[pk], sealed


def _read(row: Row, sealed: str) -> Readable:
    """Raises Unusable, CannotOpen."""
    if row.attempts > MOST_ATTEMPTS:
        raise Unusable(f"It was begun {row.attempts - 1} times and never came to an end.")
    payload = inbox.parsed(inbox.unsealed(current_workspace_id(), row.event_key, sealed))
    if not payload:
        raise Unusable("The body is not a JSON object.")
    if row.event == transfers.EVENT:
        return transfers.read(payload)
    if row.event == uponai_alerts.EVENT:
        return uponai_alerts.UponaiAlert(payload)
    if row.event not in fold.RANKS:
        return None
    if not inbox.names_a_call(row):
        raise Unusable("It names no call or chat.")
    return fold.read(row.event, inbox.details_of(payload), received_at=row.received_at)


# --- Effect ---------------------------------------------------------------------------------------


def _apply(taken: Taken, readable: Sequence[tuple[Row, Readable]], *, now: datetime) -> None:
    """Folds events into their calls and marks them done, in one transaction."""
    with transaction.atomic():
        ours = set(_unlocked(taken.rows()).values_list("pk", flat=True))
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
        _done(taken, [row.id for row, _ in readable if row.id in ours], now=now)
        taken.end()


def _done(taken: Taken, ids: Sequence[int], *, now: datetime) -> None:
    first = {"attempts": 1} if taken.batch_id is not None else {}
    done = {"state": State.DONE, "due_at": None, "lease_token": None, "processed_at": now, "error": "", "told": None}
    WebhookEvent.objects.filter(pk__among=ids).update(**done, **first)


# --- When it does not work ------------------------------------------------------------------------


def _postpone(taken: Taken, row: Row, trouble: Exception, *, now: datetime) -> None:
    if row.attempts >= MOST_ATTEMPTS:
        _bury(taken, row, trouble)
        return
    attempts = max(row.attempts, 1)
    ceiling = min(LONGEST_BACKOFF_SECONDS, FIRST_BACKOFF_SECONDS * 2**attempts)
    wait = timedelta(seconds=random.uniform(ceiling / 4, ceiling))  # noqa: S311  (jitter, no secret)
    failed = {
        "state": State.FAILED,
        "due_at": now + wait,
        "lease_token": None,
        "told": None,
        "error": _sentence(trouble),
    }
    taken.row(row).update(**failed, attempts=attempts)


def _bury(taken: Taken, row: Row, trouble: Exception) -> None:
    logger.error("The event %s is given up: %s", row.event_key, trouble)
    dead = {"state": State.DEAD, "due_at": None, "lease_token": None, "told": None, "error": _sentence(trouble)}
    taken.row(row).update(**dead, attempts=max(row.attempts, 1))


def _sentence(trouble: Exception) -> str:
    return f"{type(trouble).__name__}: {trouble}"[:500].replace("\x00", "�")
