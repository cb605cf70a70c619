"""Mailing digests. The rows are the schedule; what is mailed is what the digest's page shows."""

from __future__ import annotations

import logging
import zoneinfo
from datetime import datetime

from django.db import models
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from accounts.scoping import scoped, unscoped
from monitoring import digest_words, mail
from monitoring.models import Digest

logger = logging.getLogger(__name__)

MOST_AT_ONCE = 100


def mail_due(*, now: datetime) -> int:
    """Mails what is due in every workspace; answers how many digests were sent."""
    with unscoped(reason="digests of every workspace are mailed"):
        rows = Digest.objects.filter(mail_due_at__lte=now).order_by("mail_due_at", "pk")
        due = list(rows.values_list("pk", "workspace_id")[:MOST_AT_ONCE])
    return sum(mail_digest(pk, workspace_id, now=now) for pk, workspace_id in due)


def mail_digest(pk: int, workspace_id: int, *, now: datetime) -> bool:
    """Mails one digest, once. Who is second finds it leased."""
    with scoped(workspace_id):
        mine = Digest.objects.filter(pk=pk)
        lease = now + mail.LEASE
        if not mine.filter(mail_due_at__lte=now).update(mail_due_at=lease, attempts=models.F("attempts") + 1):
            return False
        digest = mine.select_related("workspace").get()
        to = mail.recipients(workspace_id)
        if not to:
            mine.update(mail_due_at=None, error="Nobody here is an owner or policy editor who may sign in.")
            return False
        try:
            with timezone.override(zoneinfo.ZoneInfo(digest.workspace.time_zone)):
                _send(digest, to)
        except mail.NotSent as trouble:
            logger.warning("The digest %s was not mailed: %s", digest, trouble)
            mine.update(mail_due_at=mail.next_try(digest.attempts, now=now), error=str(trouble))
            return False
        mine.update(mail_due_at=None, mailed_at=now, error="")
    return True


def _send(digest: Digest, to: list[str]) -> None:
    context = {
        "workspace": digest.workspace,
        "digest": digest_words.said(digest),
        "console": mail.page_address(""),
        "page": mail.page_address(reverse("admin:monitoring_digest_change", args=[digest.pk])),
        "settings": mail.page_address(reverse("admin:accounts_workspace_changelist")),
    }
    mail.send(
        to=to,
        subject=f"[{digest.workspace.name}] {digest_words.title(digest)}: {digest_words.sentence(digest)}",
        text=render_to_string("monitoring/mail/digest.txt", context),
        html=render_to_string("monitoring/mail/digest.html", context),
    )
