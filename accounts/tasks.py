"""What happens in the background to KYC records and kept answers. A task calls one function or two."""

from __future__ import annotations

import time

from celery import shared_task
from django.utils import timezone

from accounts.api import repeats
from accounts.kyc import due, privacy, webhooks

DELIVERING_SECONDS = 30.0


@shared_task
def sweep_kyc(**_: object) -> None:
    """Ends what has run out, asks for what is to be renewed, escalates what waits for too long."""
    now = timezone.now()
    due.expire_due(now=now)
    due.ask_reverification_due(now=now)
    due.escalate_due(now=now)


@shared_task
def forget_kyc(**_: object) -> None:
    """Erases what is no longer kept, and removes files that nothing names."""
    now = timezone.now()
    privacy.erase_due(now=now)
    privacy.remove_orphans(now=now)


@shared_task
def forget_answers(**_: object) -> None:
    repeats.forget_old(now=timezone.now())


@shared_task
def deliver_kyc_webhooks(**_: object) -> None:
    ends_at = time.monotonic() + DELIVERING_SECONDS
    for delivery_id in webhooks.due_deliveries(now=timezone.now()):
        webhooks.deliver(delivery_id, now=timezone.now())
        if time.monotonic() > ends_at:
            break
