"""What every change of a policy, number or hold brings along: due rows of the sync, audit entry, word to the gate."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import models, transaction

from accounts import audit
from accounts.workspaces import bump_snapshot
from policies import bells
from policies.engine.rules import DirectionRules
from policies.models import Hold, SyncTarget


def make_due(targets: models.QuerySet[SyncTarget], *, now: datetime, urgent: bool = False) -> None:
    """Starts a new generation of what UponAI is to have, due at once.

    `urgent`: it only closes. Such rows go before those of an edit of thousands, and so does a single one.
    """
    waiting = list(targets.values_list("pk", flat=True)[: bells.SINGLE_RINGS + 1])
    before_others = {"urgent": True} if urgent or len(waiting) == 1 else {}
    targets.update(
        **before_others,
        desired_generation=models.F("desired_generation") + 1,
        desired_at=now,
        due_at=now,
        state=SyncTarget.State.PENDING,
        attempts=0,
        error="",
    )
    transaction.on_commit(lambda: bells.ring_push(waiting))


def make_lists_due(scope: str, value: str, *, now: datetime, urgent: bool) -> None:
    """The same for the numbers whose country lists say something that was held or opened: one, or all."""
    targets: models.QuerySet[SyncTarget] = SyncTarget.objects.all()
    if scope == Hold.Scope.PHONE_NUMBER:
        targets = targets.filter(phone_number__e164=value)
    make_due(targets, now=now, urgent=urgent)


def only_closes(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether no country list of a revision's facts lets more through than the one before."""
    return all(_is_within(after[direction], before[direction]) for direction in ("inbound", "outbound"))


def _is_within(after: Mapping[str, Any], before: Mapping[str, Any]) -> bool:
    was, will_be = (DirectionRules.from_dict(rules).country_list for rules in (before, after))
    return was is None or (will_be is not None and set(will_be) <= set(was))


def tell(workspace_id: int, **entry: Any) -> None:
    """Writes the audit entry in this transaction and tells the gate after it."""
    bump_snapshot(workspace_id)
    audit.record(workspace_id=workspace_id, **entry)
