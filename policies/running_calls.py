"""Ends the calls at UponAI that a hold covers and that are running already. The Hold row is the schedule.

UponAI is asked what runs, since our own rows may be behind. It is asked again until nothing is left to end: what
was being dialled when the hold came into force shows as running only a little later.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from django.db import models

from accounts import workspaces
from accounts.scoping import scoped, unscoped
from policies.engine.holds import Holds, Subjects
from policies.engine.numbers import understand
from policies.engine.types import Attempt, Direction
from policies.held import as_snapshot
from policies.models import Hold
from policies.uponai import payloads
from policies.uponai.client import UponaiClient, UponaiTrouble

logger = logging.getLogger(__name__)

LEASE: Final = timedelta(minutes=5)
NEXT_LOOK: Final = timedelta(seconds=10)
LEAST_LOOKS: Final = 2
LONGEST_BACKOFF_SECONDS: Final = 60
DUE_AT_MOST: Final = 100

Clock = Callable[[], datetime]


def due_holds(*, now: datetime) -> list[int]:
    """The holds of all workspaces whose running calls are due to be ended."""
    with unscoped(reason="the sweep serves every workspace"):
        rows = Hold.objects.filter(stop_calls_due_at__lte=now, settled_at=None, expires_at__gt=now)
        return list(rows.order_by("stop_calls_due_at", "pk").values_list("pk", flat=True)[:DUE_AT_MOST])


def end(hold_id: int, *, clock: Clock) -> int:
    """Ends what runs under a hold, if that is due and nobody else is at it. Answers how many calls it ended."""
    with unscoped(reason="a due row names its workspace"):
        workspace_id = Hold.objects.filter(pk=hold_id).values_list("workspace_id", flat=True).first()
    if workspace_id is None:
        return 0
    with scoped(workspace_id):
        now = clock()
        leased_until = now + LEASE
        due = Hold.objects.filter(pk=hold_id, stop_calls_due_at__lte=now, settled_at=None, expires_at__gt=now)
        if not due.update(stop_calls_due_at=leased_until):
            return 0
        hold = Hold.objects.get(pk=hold_id)
        # Wanted again or lifted meanwhile, the time is another one, and stays.
        row = Hold.objects.filter(pk=hold_id, stop_calls_due_at=leased_until)
        try:
            ended = _end_covered(hold, clock)
        except (UponaiTrouble, workspaces.NoUponaiKey) as trouble:
            _postpone(hold, row, trouble, now=clock())
            return 0
        looks = hold.stop_calls_looks + 1
        again = ended > 0 or looks < LEAST_LOOKS
        row.update(
            stop_calls_due_at=clock() + NEXT_LOOK if again else None,
            stop_calls_looks=looks,
            stop_calls_attempts=0,
            stop_calls_error="",
        )
        return ended


def _end_covered(hold: Hold, clock: Clock) -> int:
    """Each call by itself: one that cannot be ended does not save the others. Raises the last trouble."""
    ended, last_trouble = 0, None
    with UponaiClient(workspaces.uponai_key(hold.workspace_id)) as client:
        # All pages first: ending a call would shift what the following pages hold.
        running = list(client.list_running_calls())
        for call_id in filter(None, (_covered(hold, call, clock()) for call in running)):
            try:
                stopped = client.stop_call(call_id)
            except UponaiTrouble as trouble:
                logger.warning("Call %s was not ended: %s", call_id, trouble)
                last_trouble = trouble
                continue
            if stopped:
                ended += 1
                Hold.objects.filter(pk=hold.pk).update(calls_ended=models.F("calls_ended") + 1)
    if last_trouble is not None:
        raise last_trouble
    return ended


def _covered(hold: Hold, call: object, now: datetime) -> str | None:
    """The id of a call that the hold covers."""
    try:
        attempt = payloads.read_running_call(call)
    except payloads.PayloadError as problem:
        logger.warning("A running call cannot be understood: %s", problem)
        return None
    at_ms = int(now.timestamp() * 1000)
    holds = Holds.of([as_snapshot(hold)])
    if not holds.covering(_subjects(attempt), attempt.direction, attempt.channel, at_ms):
        return None
    return str(attempt.call_reference)


def _subjects(attempt: Attempt) -> Subjects:
    peer = understand(attempt.peer_number, role="caller" if attempt.direction == Direction.INBOUND else "destination")
    own = attempt.own_number
    return Subjects(phone_number=own if isinstance(own, str) else None, peer=peer.e164, country=peer.country)


def _postpone(hold: Hold, row: models.QuerySet[Hold], trouble: Exception, *, now: datetime) -> None:
    attempts = hold.stop_calls_attempts + 1
    wait = min(LONGEST_BACKOFF_SECONDS, 2 ** min(attempts, 10))
    row.update(
        stop_calls_due_at=now + timedelta(seconds=wait), stop_calls_attempts=attempts, stop_calls_error=str(trouble)
    )
