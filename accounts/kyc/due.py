"""What becomes due by itself: approvals end, re-verification is asked for, overdue cases are escalated."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import models

from accounts import audit
from accounts.kyc import effects, people, review, rules, sla, webhooks
from accounts.kyc.states import WITH_US, State
from accounts.kyc.transitions import Move, locked
from accounts.models import KycRecord, Workspace
from accounts.scoping import unscoped
from accounts.workspaces import taking_turns

MOST_AT_ONCE = 500


def expire_due(*, now: datetime) -> int:
    """Notes of approvals that they have ended. The gate itself looks at the clock."""
    return sum(_expire(row, now) for row in _found(models.Q(state=State.APPROVED, expires_at__lte=now)))


def ask_reverification_due(*, now: datetime) -> int:
    """Opens the renewal of what ends soon, and tells the customer; once for each approval."""
    asked = 0
    with unscoped(reason="approvals of every workspace end soon"):
        workspaces = list(Workspace.objects.all())
    for workspace in workspaces:
        ahead = now + timedelta(days=rules.of(workspace)["reverify_days"])
        ending = models.Q(state=State.APPROVED, expires_at__gt=now, expires_at__lte=ahead)
        rows = _found(ending & models.Q(workspace=workspace, reverification_asked_at=None))
        asked += sum(_ask(row, now) for row in rows)
    return asked


def escalate_due(*, now: datetime) -> int:
    """Marks what has been with us for too long: once when it is nearly so, once when it is."""
    overdue = models.Q(due_at__lte=now, escalation__lt=sla.OVERDUE)
    nearly = models.Q(warn_at__lte=now, escalation__lt=sla.WARNED)
    return sum(_escalate(row, now) for row in _found(models.Q(state__in=WITH_US) & (overdue | nearly)))


def _found(condition: models.Q) -> list[KycRecord]:
    with unscoped(reason="records of every workspace become due"):
        return list(KycRecord.objects.filter(condition).order_by("pk")[:MOST_AT_ONCE])


def _expire(record: KycRecord, now: datetime) -> bool:
    with taking_turns(record.workspace_id):
        row = locked(record)
        if row.state != State.APPROVED or row.expires_at is None or row.expires_at > now:
            return False
        effects.carry_out(row, Move("expire", State.EXPIRED, people.CONSOLE, None, now))
    return True


def _ask(record: KycRecord, now: datetime) -> bool:
    with taking_turns(record.workspace_id):
        row = locked(record)
        if row.state != State.APPROVED or row.reverification_asked_at is not None:
            return False
        renewal = review.renewal_of(row, because="reverification", acting_user=None, now=now)
        row.reverification_asked_at = now
        row.save(update_fields=["reverification_asked_at"])
        webhooks.announce_reverification(row, renewal, now=now)
    return True


def _escalate(record: KycRecord, now: datetime) -> bool:
    with taking_turns(record.workspace_id):
        row = locked(record)
        if row.state not in WITH_US or row.due_at is None or row.warn_at is None or row.warn_at > now:
            return False
        row.escalation = sla.OVERDUE if row.due_at <= now else sla.WARNED
        row.save(update_fields=["escalation"])
        audit.record(
            workspace_id=row.workspace_id,
            action="kyc_record.escalate",
            subject=row,
            acting_user=None,
            now=now,
            after={"escalation": row.escalation, "state": row.state, "due_at": row.due_at},
        )
    return True
