"""What every change of a policy, number or hold brings along: due rows of the sync, audit entry, word to the gate."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import models, transaction

from accounts import audit
from accounts.workspaces import bump_snapshot
from policies import bells
from policies.models import Hold, SyncTarget


def make_due(targets: models.QuerySet[SyncTarget], *, now: datetime) -> None:
    """Starts a new generation of what UponAI is to have, due at once."""
    waiting = list(targets.values_list("pk", flat=True)[: bells.SINGLE_RINGS + 1])
    targets.update(
        desired_generation=models.F("desired_generation") + 1,
        desired_at=now,
        due_at=now,
        state=SyncTarget.State.PENDING,
        attempts=0,
        error="",
    )
    transaction.on_commit(lambda: bells.ring_push(waiting))


def make_lists_due(scope: str, value: str, *, now: datetime) -> None:
    """The same for the numbers whose country lists say something that was held or opened: one, or all."""
    targets: models.QuerySet[SyncTarget] = SyncTarget.objects.all()
    if scope == Hold.Scope.PHONE_NUMBER:
        targets = targets.filter(phone_number__e164=value)
    make_due(targets, now=now)


def tell(workspace_id: int, **entry: Any) -> None:
    """Writes the audit entry in this transaction and tells the gate after it."""
    bump_snapshot(workspace_id)
    audit.record(workspace_id=workspace_id, **entry)
