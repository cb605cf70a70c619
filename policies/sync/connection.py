"""All of a workspace's conversation with UponAI in the background goes through its one row: breaker, request budget,
refused key, and what UponAI last said. It is changed by compare-and-swap, so that all processes obey it.

Enter `client` outside of a transaction: others read the row while a request is under way.
"""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import httpx
from django.db import models, transaction
from django.utils import timezone

from accounts import audit, workspaces
from accounts.encryption import CannotOpen
from accounts.models import UponaiKey, Workspace
from accounts.scoping import scoped, unscoped
from policies import bells
from policies.models import SyncTarget, UponaiConnection
from policies.uponai import client as wire
from policies.uponai.client import UponaiClient, UponaiTrouble

FAILURES_TO_BLOCK = 5
FIRST_BLOCK_SECONDS = 2.0
LONGEST_BLOCK_SECONDS = 15.0
"""Short: one request now and then harms nobody, and a provider that is back is to be noticed soon."""
PROBE_SECONDS = 30.0
"""Longer than a request can take; whoever died with the probe is not waited for."""
PATIENCE_SECONDS = 5
"""Nobody waits longer for a place in the budget."""
TURNED_AWAY_SECONDS = 1
TRIED_AGAIN_AFTER = timedelta(minutes=1)
"""One request a minute finds out whether a refused key is taken again: a 401 may be UponAI's own mistake."""
CATCHING_UP = timedelta(seconds=0.2)
"""So late a request may leave without its place being lost."""
PAUSE = timedelta(seconds=2)
"""After it nothing is made up for: what comes then begins at the rate, not with a burst."""
SOONEST_AFTER_429_SECONDS = 1.0
NOTED_EVERY = timedelta(seconds=2)
TRIES = 200

Clock = Callable[[], datetime]


class Standing(StrEnum):
    """Whether UponAI may be asked for a workspace now."""

    READY = "ready"
    BLOCKED = "blocked"
    KEY_REFUSED = "key_refused"
    NO_KEY = "no_key"
    DISCONNECTED = "disconnected"


SENTENCES = {
    Standing.BLOCKED: "UponAI did not answer, or asked us to wait; it is tried again by itself in a moment.",
    Standing.KEY_REFUSED: "UponAI refuses the workspace's key (401). Everything waits for another key.",
    Standing.NO_KEY: "This workspace has no UponAI key. Enter one on the page UponAI.",
    Standing.DISCONNECTED: "This workspace is disconnected from UponAI.",
}
UNREADABLE_KEY = (
    "The workspace's UponAI key cannot be read: ENCRYPTION_KEYS lacks the key that it is kept under. "
    "Bring that back, or enter the UponAI key anew on the page UponAI."
)
BUSY = "The workspace's budget of requests to UponAI is spent for the moment."


class Waiting(UponaiTrouble):
    """Nothing was sent, and that is nobody's failure: the workspace has to wait."""

    def __init__(self, sentence: str, *, until: datetime | None = None) -> None:
        super().__init__(sentence)
        self.until = until


@contextmanager
def client(workspace_id: int, *, clock: Clock = timezone.now, only_assumed: bool = False) -> Iterator[UponaiClient]:
    """The client for everything that is not waited for at the gate. Each request takes its place in the budget.

    `only_assumed`: what it is used for is not documented, so a refusal there says nothing of the key or of UponAI.
    Raises Waiting, which is an UponaiTrouble, at once or at any request: then that request was not sent.
    """
    with scoped(workspace_id):
        key = _newest_key(workspace_id)
        if key is None:
            raise Waiting(SENTENCES[Standing.NO_KEY])
        line = _Line(workspace_id, key.pk, clock)
        line.require_open()
        yield _PacedClient(line, _text_of(key), only_assumed=only_assumed)


def of(workspace_id: int) -> UponaiConnection:
    """The workspace's row."""
    with scoped(workspace_id):
        row, _ = UponaiConnection.objects.get_or_create(workspace_id=workspace_id)
    return row  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class Said:
    """How a workspace stands with UponAI, and the sentence for it; no sentence when all is well."""

    standing: Standing
    sentence: str = ""
    until: datetime | None = None


def stopped(workspace_id: int, *, now: datetime) -> str:
    """Why nothing is sent until somebody does something, in a sentence; empty where waiting may help."""
    said = standing(workspace_id, now=now)
    return "" if said.standing in (Standing.READY, Standing.BLOCKED) else said.sentence


def standing(workspace_id: int, *, now: datetime) -> Said:
    with scoped(workspace_id):
        row = UponaiConnection.objects.filter(workspace_id=workspace_id).first() or UponaiConnection()
        newest = _newest_key(workspace_id)
    found = Standing.NO_KEY if newest is None else _standing(row, newest.pk, now)
    until = row.blocked_until if found is Standing.BLOCKED else None
    return Said(found, SENTENCES.get(found, ""), until)


def silent(now: datetime) -> list[int]:
    """The workspaces for which nothing may be sent now, though they have a key."""
    with unscoped(reason="the sweep serves every workspace"):
        in_use = UponaiKey.objects.filter(verifies_until=None)
        rows = UponaiConnection.objects.filter(
            models.Q(disconnected_at__isnull=False)
            | models.Q(blocked_until__gt=now, blocked_until__lte=now + _longest_block())
            | models.Q(refused_key__in=in_use.values("pk"), last_trouble_at__gt=now - TRIED_AGAIN_AFTER)
            | models.Q(refused_key__in=in_use.values("pk"), last_trouble_at=None)
        )
        return list(rows.values_list("workspace_id", flat=True))


def key_replaced(workspace_id: int, *, now: datetime) -> None:
    """There is a new key: forgets what the old one met, and has everything that waits sent at once."""
    with scoped(workspace_id), transaction.atomic():
        UponaiConnection.objects.filter(workspace_id=workspace_id).update(
            key_refused_at=None, refused_key=None, failures=0, blocked_until=None
        )
        hurry(workspace_id, now=now)
        transaction.on_commit(lambda: bells.ring("policies.tasks.sweep_sync_targets"))


def hurry(workspace_id: int, *, now: datetime, attempts_at_most: int = 10**6) -> int:
    """Pulls the due times of the rows that wait after a failure forward to now."""
    with scoped(workspace_id):
        later = SyncTarget.objects.filter(due_at__gt=now, attempts__range=(1, attempts_at_most))
        return int(later.update(due_at=now))


def hurry_one(workspace_id: int, *, now: datetime, attempts_at_most: int) -> None:
    """The same for the one that would come first."""
    with scoped(workspace_id):
        later = SyncTarget.objects.filter(due_at__gt=now, attempts__range=(1, attempts_at_most))
        first = later.order_by("due_at", "pk").values("pk")[:1]
        SyncTarget.objects.filter(pk__in=list(first.values_list("pk", flat=True))).update(due_at=now)


def note_trouble(workspace_id: int, sentence: str, *, now: datetime) -> None:
    """A request was answered, but not with what was asked for; the breaker does not count it."""
    with scoped(workspace_id):
        of(workspace_id)
        UponaiConnection.objects.filter(workspace_id=workspace_id).update(last_trouble=sentence, last_trouble_at=now)


def _newest_key(workspace_id: int) -> UponaiKey | None:
    rows = UponaiKey.objects.filter(workspace_id=workspace_id, verifies_until=None)
    newest: UponaiKey | None = rows.order_by("-created_at").first()
    return newest


def _text_of(key: UponaiKey) -> str:
    try:
        return workspaces.opened(key)
    except CannotOpen:
        time.sleep(TURNED_AWAY_SECONDS)  # its rows stay due: else they would be tried in a circle
        raise Waiting(UNREADABLE_KEY) from None


def _standing(row: UponaiConnection, key: uuid.UUID, now: datetime) -> Standing:
    if row.disconnected_at is not None:
        return Standing.DISCONNECTED
    if row.refused_key == key and (not row.last_trouble_at or now < row.last_trouble_at + TRIED_AGAIN_AFTER):
        return Standing.KEY_REFUSED
    # A time that nobody sets so far ahead was set by another clock.
    if row.blocked_until and now < row.blocked_until <= now + _longest_block():
        return Standing.BLOCKED
    return Standing.READY


def _longest_block() -> timedelta:
    return timedelta(seconds=wire.LONGEST_RETRY_AFTER_SECONDS + 1)


class _PacedClient(UponaiClient):
    """Takes a place in the budget for each request, and notes how it went."""

    def __init__(self, line: _Line, key: str, *, only_assumed: bool) -> None:
        super().__init__(key, http=wire.connections(key))
        self._line = line
        self._only_assumed = only_assumed

    def _exchange(self, method: str, path: str, **arguments: Any) -> tuple[int, bytes, httpx.Headers]:
        place = self._line.take_place()
        try:
            status, body, headers = super()._exchange(method, path, **arguments)
        except UponaiTrouble as trouble:
            self._line.failed(place, str(trouble))
            raise
        self._note(place, status, wire.refusal(status, body, headers) if status >= httpx.codes.BAD_REQUEST else None)
        return status, body, headers

    def _note(self, place: _Place, status: int, trouble: UponaiTrouble | None) -> None:
        if trouble and self._only_assumed and status != httpx.codes.TOO_MANY_REQUESTS:
            self._line.answered_aside(place)
        elif trouble and status == wire.UNAUTHORISED:
            self._line.refused(str(trouble))
        elif trouble and status == httpx.codes.TOO_MANY_REQUESTS:
            self._line.told_to_wait(place, trouble)
        elif trouble and (status >= httpx.codes.INTERNAL_SERVER_ERROR or status == httpx.codes.REQUEST_TIMEOUT):
            self._line.failed(place, str(trouble))
        else:
            self._line.answered(place)


@dataclass(frozen=True, slots=True)
class _Place:
    """A request that may leave at `at`. `probe`: it is the one that tries whether UponAI is back; until when."""

    at: datetime
    row: UponaiConnection
    probe: datetime | None = None


class _Line:
    """One process's hold on the workspace's row, for one key."""

    def __init__(self, workspace_id: int, key: uuid.UUID, clock: Clock) -> None:
        self.workspace_id = workspace_id
        self.key = key
        self.clock = clock

    def rows(self) -> models.QuerySet[UponaiConnection]:
        return UponaiConnection.objects.filter(workspace_id=self.workspace_id)

    def require_open(self) -> UponaiConnection:
        row = self.rows().select_related("workspace").first()
        if row is None:
            of(self.workspace_id)
            row = self.rows().select_related("workspace").get()
        found = _standing(row, self.key, self.clock())
        if found is not Standing.READY:
            raise Waiting(SENTENCES[found], until=row.blocked_until if found is Standing.BLOCKED else None)
        return row

    def take_place(self) -> _Place:
        """Waits until the next request may leave. Raises Waiting."""
        place = self._reserve()
        wait = (place.at - self.clock()).total_seconds()
        if wait > 0:
            time.sleep(min(wait, PATIENCE_SECONDS))
            if not place.probe:
                self.require_open()
        return place

    def _reserve(self) -> _Place:
        for _ in range(TRIES):
            row = self.require_open()
            now = self.clock()
            at = _next_place(row, now)
            if (at - now).total_seconds() > PATIENCE_SECONDS:
                time.sleep(TURNED_AWAY_SECONDS)  # else all rows would be tried in no time, one after the other
                raise Waiting(BUSY, until=at)
            changes: dict[str, Any] = {"next_request_at": at + timedelta(seconds=1 / _rate(row.workspace))}
            probe = None
            if row.failures >= FAILURES_TO_BLOCK:
                probe = changes["blocked_until"] = now + timedelta(seconds=PROBE_SECONDS)
            if self._unchanged(row).update(**changes):
                return _Place(at, row, probe)
        raise Waiting(BUSY)

    def _unchanged(self, row: UponaiConnection) -> models.QuerySet[UponaiConnection]:
        return self.rows().filter(next_request_at=row.next_request_at, blocked_until=row.blocked_until)

    def answered(self, place: _Place) -> None:
        now, row = self.clock(), place.row
        if place.probe:
            if self.rows().filter(blocked_until=place.probe).update(failures=0, blocked_until=None, last_answer_at=now):
                hurry(self.workspace_id, now=now)
                bells.ring("policies.tasks.sweep_sync_targets")
        elif row.failures or row.key_refused_at or not row.last_answer_at or row.last_answer_at < now - NOTED_EVERY:
            self.rows().update(failures=0, key_refused_at=None, refused_key=None, last_answer_at=now)

    def answered_aside(self, place: _Place) -> None:
        """Somebody is there; whether what is documented works as well is for the next request to find out."""
        if place.probe:
            self.rows().filter(blocked_until=place.probe).update(blocked_until=None)

    def failed(self, place: _Place, sentence: str) -> None:
        now = self.clock()
        self.rows().update(failures=models.F("failures") + 1, last_trouble=sentence, last_trouble_at=now)
        failures = self.rows().values_list("failures", flat=True).get()
        if failures >= FAILURES_TO_BLOCK:
            self._block(place, now + _backoff(failures))

    def told_to_wait(self, place: _Place, trouble: UponaiTrouble) -> None:
        """A 429 holds the whole workspace. It is an answer, so it is no reason to doubt that UponAI is there."""
        now = self.clock()
        self.rows().update(failures=0, last_answer_at=now, last_trouble=str(trouble), last_trouble_at=now)
        seconds = max(trouble.retry_after or 0.0, SOONEST_AFTER_429_SECONDS)
        self._block(place, now + timedelta(seconds=seconds))

    def _block(self, place: _Place, until: datetime) -> None:
        sooner = models.Q(blocked_until=None) | models.Q(blocked_until__lt=until)
        if place.probe:
            sooner |= models.Q(blocked_until=place.probe)
        self.rows().filter(sooner).update(blocked_until=until)

    def refused(self, sentence: str) -> None:
        """Said once for each key, to the audit log too; of a key that was replaced meanwhile it is no news."""
        now = self.clock()
        with workspaces.taking_turns(self.workspace_id):
            key = _newest_key(self.workspace_id)
            unknown = self.rows().filter(~models.Q(refused_key=self.key) | models.Q(refused_key=None))
            told = {"refused_key": self.key, "key_refused_at": now, "last_trouble": sentence, "last_trouble_at": now}
            if key is None or key.pk != self.key:
                return
            if not unknown.update(**told):
                self.rows().update(last_trouble_at=now)
                return
            audit.record(
                workspace_id=self.workspace_id,
                action="workspace.uponai_key_refused",
                subject=Workspace.objects.get(pk=self.workspace_id),
                acting_user=None,
                now=now,
                after={"last_four": key.last_four, "said": sentence},
            )


def _next_place(row: UponaiConnection, now: datetime) -> datetime:
    booked = row.next_request_at
    spacing = timedelta(seconds=PATIENCE_SECONDS + 2 / _rate(row.workspace))
    if booked is None or booked > now + spacing:  # nobody books so far ahead: it was another clock
        return now
    return max(booked, now - CATCHING_UP) if booked > now - PAUSE else now


def _rate(workspace: Workspace) -> int:
    return max(1, workspace.requests_per_second)


def _backoff(failures: int) -> timedelta:
    doubled = FIRST_BLOCK_SECONDS * 2 ** min(failures - FAILURES_TO_BLOCK, 8)
    ceiling = min(LONGEST_BLOCK_SECONDS, doubled)
    return timedelta(seconds=random.uniform(ceiling / 2, ceiling))  # noqa: S311  (jitter, no secret)
