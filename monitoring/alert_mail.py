"""Mailing alerts: at most one mail for each workspace and minute, with all that is new. The rows are the schedule."""

from __future__ import annotations

import logging
import zoneinfo
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from django.db import models
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from accounts import jobs
from accounts.models import Workspace
from accounts.scoping import scoped, unscoped
from monitoring import mail
from monitoring.alerts import by_gravity
from monitoring.models import Alert

logger = logging.getLogger(__name__)

AT_MOST_EVERY: Final = timedelta(minutes=1)
MOST_IN_ONE: Final = 50
GRAVEST_FIRST: Final = (by_gravity(), "raised_at", "pk")


def mail_due(*, now: datetime) -> int:
    """Mails what is due in every workspace; answers how many mails that were."""
    with unscoped(reason="alerts of every workspace are mailed"):
        rows = Alert.objects.filter(mail_due_at__lte=now)
        workspace_ids = list(rows.order_by("workspace_id").values_list("workspace_id", flat=True).distinct())
    return sum(mail_alerts(workspace_id, now=now) for workspace_id in workspace_ids)


def mail_alerts(workspace_id: int, *, now: datetime) -> bool:
    """Mails a workspace's alerts that are due, all in one. Whether there was a mail."""
    with scoped(workspace_id):
        due = list(_due(now).order_by(*GRAVEST_FIRST).values_list("pk", flat=True)[:MOST_IN_ONE])
        to = mail.recipients(workspace_id)
        if not to:
            _due(now).update(mail_due_at=None, error="Nobody here is an owner or policy editor who may sign in.")
            return False
        # Whoever has this minute's slot mails; the others find theirs taken, and the rows next minute.
        if not due or jobs.claim(f"mail alerts of {workspace_id}", AT_MOST_EVERY, now) is None:
            return False
        taken = _due(now).filter(pk__in=due)
        taken.update(mail_due_at=now + mail.LEASE, attempts=models.F("attempts") + 1)
        alerts = list(Alert.objects.filter(pk__in=due, mail_due_at=now + mail.LEASE).order_by(*GRAVEST_FIRST))
        workspace = Workspace.objects.get(pk=workspace_id)
        with timezone.override(zoneinfo.ZoneInfo(workspace.time_zone)):
            return bool(alerts) and _send(workspace, to, alerts, now=now)


def _send(workspace: Workspace, to: Sequence[str], alerts: Sequence[Alert], *, now: datetime) -> bool:
    mine = Alert.objects.filter(pk__in=[alert.pk for alert in alerts], mail_due_at__isnull=False)
    context = {
        "workspace": workspace,
        "alerts": [(alert, mail.page_address(alert.path) if alert.path else "") for alert in alerts],
        "page": mail.page_address(reverse("admin:monitoring_alert_changelist")),
    }
    try:
        mail.send(
            to=to,
            subject=_subject(workspace, alerts),
            text=render_to_string("monitoring/mail/alerts.txt", context),
            html=render_to_string("monitoring/mail/alerts.html", context),
        )
    except mail.NotSent as trouble:
        logger.warning("%s alerts of workspace %s were not mailed: %s", len(alerts), workspace.pk, trouble)
        for alert in alerts:
            mine.filter(pk=alert.pk).update(mail_due_at=mail.next_try(alert.attempts, now=now), error=str(trouble))
        return False
    mine.update(mail_due_at=None, mailed_at=now, error="")
    return True


def _due(now: datetime) -> models.QuerySet[Alert]:
    return Alert.objects.filter(mail_due_at__lte=now)


def _subject(workspace: Workspace, alerts: Sequence[Alert]) -> str:
    if len(alerts) == 1:
        return f"[{workspace.name}] {alerts[0].sentence}"
    return f"[{workspace.name}] {len(alerts)} alerts: {alerts[0].get_kind_display()}, …"
