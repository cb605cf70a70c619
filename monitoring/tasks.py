"""What the worker does for monitoring. Each task calls one function, which the rows make repeatable."""

from __future__ import annotations

import logging
from typing import Any

from celery import shared_task
from django.utils import timezone

from accounts.models import Workspace
from monitoring import alert_mail, alerts, digest_mail, digests, relaying
from monitoring.ingest import blocked_calls, concurrency, parties, processing, pull, retention, rollups

logger = logging.getLogger(__name__)


@shared_task(name="monitoring.tasks.roll_up")
def roll_up(**_: Any) -> None:
    """Brings every workspace's usage by the hour up to date. One that fails does not stop the others."""
    for workspace_id in Workspace.objects.order_by("pk").values_list("pk", flat=True):
        try:
            rollups.roll_up(workspace_id=workspace_id, now=timezone.now())
        except Exception:
            logger.exception("The usage of workspace %s could not be counted; trying again.", workspace_id)


@shared_task(name="monitoring.tasks.list_blocked_calls")
def list_blocked_calls(**_: Any) -> None:
    for workspace_id in Workspace.objects.order_by("pk").values_list("pk", flat=True):
        try:
            blocked_calls.follow(workspace_id=workspace_id, now=timezone.now())
        except Exception:
            logger.exception("What was blocked in workspace %s could not be listed; trying again.", workspace_id)


@shared_task(name="monitoring.tasks.count_parties")
def count_parties(**_: Any) -> None:
    for workspace_id in Workspace.objects.order_by("pk").values_list("pk", flat=True):
        try:
            parties.count(workspace_id=workspace_id, now=timezone.now())
        except Exception:
            logger.exception("Who called in workspace %s could not be counted; trying again.", workspace_id)


@shared_task(name="monitoring.tasks.process_events")
def process_events(workspace_id: int, **_: Any) -> None:
    processing.process(workspace_id, clock=timezone.now)


@shared_task(name="monitoring.tasks.sweep_events")
def sweep_events(**_: Any) -> None:
    """Processes every event that is due: those nobody rang for, and those whose time has come again."""
    for workspace_id in processing.due_workspaces(now=timezone.now()):
        try:
            processing.process(workspace_id, clock=timezone.now)
        except Exception:
            logger.exception("The events of workspace %s could not be processed; trying again.", workspace_id)


@shared_task(name="monitoring.tasks.forget_history")
def forget_history(**_: Any) -> None:
    retention.forget_history(now=timezone.now())


@shared_task(name="monitoring.tasks.forget_minutes")
def forget_minutes(**_: Any) -> None:
    while rollups.forget_minutes(now=timezone.now()):
        pass


@shared_task(name="monitoring.tasks.sweep_pulls")
def sweep_pulls(**_: Any) -> None:
    pull.sweep(now=timezone.now())


@shared_task(name=pull.TASK)
def pull_conversations(workspace_id: int, kind: str, **_: Any) -> None:
    pull.pull_if_due(workspace_id, kind, clock=timezone.now)


@shared_task(name="monitoring.tasks.sweep_concurrency")
def sweep_concurrency(**_: Any) -> None:
    concurrency.sweep(now=timezone.now())


@shared_task(name=concurrency.TASK)
def sample_concurrency(workspace_id: int, **_: Any) -> None:
    concurrency.sample(workspace_id, clock=timezone.now)


@shared_task(name="monitoring.tasks.forget_samples")
def forget_samples(**_: Any) -> None:
    while concurrency.forget_old(now=timezone.now()):
        pass


@shared_task(name="monitoring.tasks.watch_for_alerts")
def watch_for_alerts(**_: Any) -> None:
    alerts.watch(now=timezone.now())


@shared_task(name="monitoring.tasks.mail_messages")
def mail_messages(**_: Any) -> None:
    """Mails alerts first: they are about now."""
    alert_mail.mail_due(now=timezone.now())
    digest_mail.mail_due(now=timezone.now())


@shared_task(name="monitoring.tasks.sweep_relays")
def sweep_relays(**_: Any) -> None:
    """Has events passed on by threads of their own: a receiver that hangs must not keep a worker's."""
    relaying.wake()


@shared_task(name="monitoring.tasks.write_digests")
def write_digests(**_: Any) -> None:
    digests.write_due(now=timezone.now())


@shared_task(name="monitoring.tasks.forget_messages")
def forget_messages(**_: Any) -> None:
    alerts.forget_old(now=timezone.now())
    while relaying.forget_old(now=timezone.now()):
        pass
