"""What is forgotten when it is old: events, calls, what was blocked, and decisions, as each workspace says.

Counts by the hour stay for ever. The hours whose rows are gone are marked, so that nobody counts them anew.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction
from django.db.models import Q, QuerySet

from accounts.models import Workspace
from accounts.scoping import scoped
from monitoring.ingest import rollups
from monitoring.models import BlockedCall, Call, RollupProgress, WebhookEvent
from policies.gate import retention as gate_retention
from policies.models import Decision

logger = logging.getLogger(__name__)

AT_ONCE: Final = 500
"""Little enough that nobody who wants to write has to wait for it, on SQLite too."""
MOST_SECONDS: Final = 240.0
"""What is still too old then is the next run's."""


def forget_history(*, now: datetime) -> None:
    """Deletes, batch by batch, what is older than each workspace keeps it. What is not done in time waits an hour."""
    ends_at = time.monotonic() + MOST_SECONDS
    for workspace in list(Workspace.objects.order_by("pk")):
        total: Counter[str] = Counter()
        while time.monotonic() < ends_at and (some := forget_some(workspace=workspace, now=now)):
            total += some
        if total:
            told = ", ".join(f"{count:,} {what}" for what, count in sorted(total.items()))
            logger.info("Of workspace %s were forgotten, being too old: %s.", workspace.slug, told)


def forget_some(*, workspace: Workspace, now: datetime) -> Counter[str]:
    """Deletes a batch of each kind; answers how many rows of which. Empty: nothing is too old any more."""
    events_until = now - timedelta(days=workspace.keep_events_days)
    until = rollups.hour_of(now - timedelta(days=workspace.keep_calls_days))
    with scoped(workspace.pk):
        done_with = WebhookEvent.objects.filter(received_at__lt=events_until, due_at=None)
        some = Counter(events=_delete(done_with, "received_at"))
        if _is_any_older(until):
            _settle_counts(workspace.pk, until)
            some["calls"] = _delete(Call.objects.filter(started_at__lt=until), "started_at")
            some["blocked calls"] = _delete(BlockedCall.objects.filter(at__lt=until), "at")
            some["decisions"] = gate_retention.forget_decisions(before=until)
    return +some


def _is_any_older(until: datetime) -> bool:
    return (
        Call.objects.filter(started_at__lt=until).exists()
        or BlockedCall.objects.filter(at__lt=until).exists()
        or Decision.objects.filter(at__lt=until, left_declared_use=False).exists()
    )


def _settle_counts(workspace_id: int, until: datetime) -> None:
    """From now on the counts of these hours stay as they are. Said before the first row goes; whoever counts waits."""
    with transaction.atomic():
        RollupProgress.objects.get_or_create(workspace_id=workspace_id)
        earlier = Q(forgotten_until=None) | Q(forgotten_until__lt=until)
        RollupProgress.objects.filter(earlier, workspace_id=workspace_id).update(forgotten_until=until)


def _delete(rows: QuerySet[Any], moment: str) -> int:
    ids = list(rows.order_by(moment).values_list("pk", flat=True)[:AT_ONCE])
    return int(rows.model.objects.filter(pk__in=ids).delete()[0]) if ids else 0
