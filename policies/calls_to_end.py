"""Ends single running calls at UponAI, each asked for by one decision. The CallToEnd row is the schedule."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction

from accounts import workspaces
from accounts.scoping import scoped, unscoped
from policies import bells
from policies.models import CallToEnd
from policies.uponai.client import TOTAL_SECONDS, UponaiClient, UponaiTrouble

logger = logging.getLogger(__name__)

LEASE: Final = timedelta(seconds=2 * TOTAL_SECONDS)
LONGEST_BACKOFF_SECONDS: Final = 30
GIVEN_UP_AFTER: Final = timedelta(hours=2)
"""No call at UponAI lasts longer."""
DUE_AT_MOST: Final = 100
TASK: Final = "policies.tasks.end_call"

Clock = Callable[[], datetime]


def ask(*, call_id: str, decision_id: uuid.UUID, now: datetime) -> None:
    """Has a call ended, in the transaction and scope of the caller. Asked twice for one decision, it is asked once."""
    row = CallToEnd(call_id=call_id, decision_id=decision_id, asked_at=now, due_at=now)
    CallToEnd.objects.bulk_create([row], ignore_conflicts=True)
    transaction.on_commit(lambda: bells.ring(TASK, decision_id=str(decision_id)))


def due(*, now: datetime) -> list[uuid.UUID]:
    """The decisions of all workspaces whose calls are due to be ended."""
    with unscoped(reason="the sweep serves every workspace"):
        rows = CallToEnd.objects.filter(due_at__lte=now)
        return list(rows.order_by("due_at", "pk").values_list("decision_id", flat=True)[:DUE_AT_MOST])


def end(decision_id: uuid.UUID, *, clock: Clock) -> bool:
    """Ends the call of one decision, if that is due and nobody else is at it. True when it is over."""
    with unscoped(reason="a due row names its workspace"):
        workspace_id = CallToEnd.objects.filter(decision_id=decision_id).values_list("workspace_id", flat=True).first()
    if workspace_id is None:
        return False
    with scoped(workspace_id):
        now = clock()
        rows = CallToEnd.objects.filter(decision_id=decision_id)
        if not rows.filter(due_at__lte=now).update(due_at=now + LEASE):
            return False
        row = rows.get()
        try:
            with UponaiClient(workspaces.uponai_key(workspace_id)) as client:
                client.stop_call(row.call_id)
        except (UponaiTrouble, workspaces.NoUponaiKey) as trouble:
            _postpone(row, trouble, now=clock())
            return False
        rows.update(due_at=None, ended_at=clock(), error="")
    return True


def _postpone(row: CallToEnd, trouble: Exception, *, now: datetime) -> None:
    logger.warning("Call %s was not ended: %s", row.call_id, trouble)
    row.attempts += 1
    wait = min(LONGEST_BACKOFF_SECONDS, 2 ** min(row.attempts, 10))
    given_up = now - row.asked_at > GIVEN_UP_AFTER
    row.due_at = None if given_up else now + timedelta(seconds=wait)
    row.error = str(trouble)
    row.save(update_fields=["attempts", "due_at", "error"])
