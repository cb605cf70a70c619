"""Which numbers are pushed next, and by whom: fairly over workspaces, and never more than a few at once.

A workspace whose UponAI hangs keeps at most its share of the places, and so delays no other.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from django.db import models
from django.db.models.functions import RowNumber

from accounts.models import UponaiKey
from accounts.scoping import unscoped
from policies import bells
from policies.models import SyncTarget, UponaiConnection
from policies.sync import connection, push

logger = logging.getLogger(__name__)

LOOKED_UP_AT_ONCE = 100
LOOKED_UP_EVERY = timedelta(seconds=1)
"""What closes something does not wait behind what was looked up before it."""
FIRST_OF_ALL = ("-urgent", "since", "pk")
WORKING_SECONDS = 20.0
"""A task that goes on with other due rows ends after so long, and rings for another."""
QUIET = timedelta(seconds=10)
"""After so long without trouble UponAI is taken to be well again."""
SOON = timedelta(seconds=5)
ANOTHER = "policies.tasks.push_due_targets"
HURRIED_ATTEMPTS = 12
"""A number that failed more often fails for a reason of its own, and is not worth hurrying."""


def due(*, now: datetime, at_most: int | None = None) -> list[tuple[int, int, bool]]:
    """Rows that are to be sent or looked at and that nobody works on, as (id, workspace, urgent): one of each
    workspace, then a second of each, and so on; the urgent ones first, then the oldest. None of a workspace for which
    nothing may be sent now."""
    with unscoped(reason="the sweep serves every workspace"):
        rows = (
            SyncTarget.objects.filter(push.to_do(now))
            .filter(workspace__in=UponaiKey.objects.filter(verifies_until=None).values("workspace"))
            .exclude(workspace__in=connection.silent(now))
            .annotate(
                since=models.functions.Coalesce("due_at", "verify_at"),
                turn=models.Window(RowNumber(), partition_by=models.F("workspace"), order_by=FIRST_OF_ALL),
            )
        )
        return list(rows.order_by("turn", *FIRST_OF_ALL).values_list("pk", "workspace_id", "urgent")[:at_most])


def due_targets(*, now: datetime) -> list[int]:
    """All of them, for who does by hand what workers do."""
    return [sync_target_id for sync_target_id, *_ in due(now=now)]


class Desk:
    """The places of one process, and the rows it will take next."""

    def __init__(self, places: int) -> None:
        self._places = threading.BoundedSemaphore(places)
        self._share = max(1, places // 2)
        self._lock = threading.Lock()
        self._waiting: dict[int, deque[int]] = {}
        self._in_hand: set[int] = set()
        self._busy: Counter[int] = Counter()
        self._looked_up_at = datetime.min.replace(tzinfo=UTC)

    @contextmanager
    def place(self) -> Iterator[bool]:
        taken = self._places.acquire(blocking=False)
        try:
            yield taken
        finally:
            if taken:
                self._places.release()

    def prefer(self, sync_target_id: int, workspace_id: int) -> None:
        """Puts a row before all others of its workspace: somebody just changed it."""
        with self._lock:
            self._waiting.setdefault(workspace_id, deque()).appendleft(sync_target_id)

    def take(self, now: datetime) -> tuple[int, int] | None:
        """The next row for whoever asks; None when there is none that does not have to wait."""
        with self._lock:
            if now - self._looked_up_at >= LOOKED_UP_EVERY:
                self._look_up(now)
            picked = self._pick()
            if picked is None:
                self._look_up(now)
                picked = self._pick()
            return picked

    def give_back(self, sync_target_id: int, workspace_id: int) -> None:
        with self._lock:
            self._in_hand.discard(sync_target_id)
            self._busy[workspace_id] -= 1

    def has_more(self) -> bool:
        with self._lock:
            return any(self._may_take(workspace_id) for workspace_id in self._waiting)

    def _look_up(self, now: datetime) -> None:
        self._looked_up_at = now
        found: dict[int, deque[int]] = {}
        rows = due(now=now, at_most=LOOKED_UP_AT_ONCE)
        # Several processes read the same rows; in the same order they would all reach for the same one.
        random.shuffle(rows)
        rows.sort(key=lambda row: not row[2])
        for sync_target_id, workspace_id, _ in rows:
            if sync_target_id not in self._in_hand:
                found.setdefault(workspace_id, deque()).append(sync_target_id)
        self._waiting = found

    def _pick(self) -> tuple[int, int] | None:
        for workspace_id in list(self._waiting):
            if not self._may_take(workspace_id):
                continue
            rows = self._waiting.pop(workspace_id)
            sync_target_id = rows.popleft()
            if rows:
                self._waiting[workspace_id] = rows  # at the end: the others come first
            self._busy[workspace_id] += 1
            self._in_hand.add(sync_target_id)
            return sync_target_id, workspace_id
        return None

    def _may_take(self, workspace_id: int) -> bool:
        return bool(self._waiting[workspace_id]) and self._busy[workspace_id] < self._share


def prefer(desk: Desk, sync_target_id: int) -> None:
    """Has this row taken before the others of its workspace: somebody just changed it."""
    with unscoped(reason="a rung row names its workspace"):
        row = SyncTarget.objects.filter(pk=sync_target_id).values_list("pk", "workspace_id").first()
    if row:
        desk.prefer(*row)


def work(desk: Desk, *, clock: Callable[[], datetime]) -> None:
    """Sends what is due until nothing is left or the time is up, and rings for others to help and to go on."""
    ends_at = time.monotonic() + WORKING_SECONDS
    going_on = True
    # Looked for again after the place is free: who rang meanwhile found none, and left its row to us.
    while going_on:
        with desk.place() as taken:
            if not taken:
                return
            _work_here(desk, clock=clock, ends_at=ends_at)
        going_on = desk.has_more() and time.monotonic() < ends_at
    if desk.has_more():
        bells.ring(ANOTHER)


def _work_here(desk: Desk, *, clock: Callable[[], datetime], ends_at: float) -> None:
    has_rung = False
    while time.monotonic() < ends_at and (row := desk.take(clock())):
        if not has_rung and desk.has_more():
            bells.ring(ANOTHER)
            has_rung = True
        try:
            push.push(row[0], clock=clock)
        except Exception:
            # One number's trouble must not end the round; its lease ends by itself.
            logger.exception("The push of row %s broke off.", row[0])
            time.sleep(connection.TURNED_AWAY_SECONDS)  # it may be due still, and be tried in a circle
        finally:
            desk.give_back(*row)


def recover(*, now: datetime) -> None:
    """Pulls the due times of waiting rows forward where UponAI seems to be well again.

    Where it has answered since its last trouble, all of them; where nobody has asked it since, one, to find out.
    """
    with unscoped(reason="the sweep serves every workspace"):
        waiting = SyncTarget.objects.filter(due_at__gt=now + SOON, attempts__range=(1, HURRIED_ATTEMPTS))
        workspace_ids = set(waiting.values_list("workspace_id", flat=True).distinct()) - set(connection.silent(now))
        rows = {row.workspace_id: row for row in UponaiConnection.objects.filter(workspace__in=workspace_ids)}
    for workspace_id in workspace_ids:
        row = rows.get(workspace_id)
        if row and row.last_trouble_at and row.last_trouble_at > now - QUIET:
            continue
        if row and row.last_answer_at and (not row.last_trouble_at or row.last_answer_at > row.last_trouble_at):
            connection.hurry(workspace_id, now=now, attempts_at_most=HURRIED_ATTEMPTS)
        else:
            connection.hurry_one(workspace_id, now=now, attempts_at_most=HURRIED_ATTEMPTS)
