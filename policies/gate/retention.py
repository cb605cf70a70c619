"""What the gate forgets: requests to judge that are not repeated, attempts that nothing needs, old decisions."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction
from django.db.models import QuerySet

from accounts.models import Workspace
from accounts.scoping import scoped
from policies.gate.judging import repeats
from policies.models import Decision, DecisionOutcome, Dial, JudgedRequest

DIALS_KEPT: Final = timedelta(days=90)
"""Numbers, addresses and end users stand in them. So long UponAI may still correct what a call did cost, a complaint
may ask what was started, and a chat may go on; no limit looks back as far, and decisions tell the rest."""
AT_ONCE: Final = 500
"""Little enough that nobody who wants to write has to wait for it, on SQLite too."""

_KNOWN: Final = (Dial.State.DONE, Dial.State.NEVER)


def forget_old(*, now: datetime) -> int:
    """Deletes a batch of each workspace. Answers how many rows."""
    total = 0
    for workspace_id in Workspace.objects.order_by("pk").values_list("pk", flat=True):
        with scoped(workspace_id):
            total += sum(_forget_some(rows) for rows in _old(now))
    return total


def forget_decisions(*, before: datetime) -> int:
    """Deletes a batch of the workspace's decisions, with what was told of their outcome. Needs its scope.

    One that its subject's reviewers are yet to know of stays.
    """
    old = Decision.objects.filter(at__lt=before, left_declared_use=False).order_by("at")
    rows = list(old.values_list("pk", "decision_id")[:AT_ONCE])
    if not rows:
        return 0
    with transaction.atomic():
        DecisionOutcome.objects.filter(decision_id__in=[decision_id for _, decision_id in rows]).delete()
        return int(Decision.objects.filter(pk__in=[pk for pk, _ in rows]).delete()[0])


def _old(now: datetime) -> list[QuerySet[Any]]:
    """A dial that is still looked for, or that the live store is yet to be told of, is needed however old it is."""
    dials = Dial.objects.filter(at__lt=now - DIALS_KEPT, state__in=_KNOWN, due_at=None, counted_by_database=False)
    return [JudgedRequest.objects.filter(at__lt=now - repeats.KEPT_FOR), dials]


def _forget_some(rows: QuerySet[Any]) -> int:
    ids = list(rows.order_by("at").values_list("pk", flat=True)[:AT_ONCE])
    return rows.filter(pk__in=ids).delete()[0] if ids else 0
