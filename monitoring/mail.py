"""Mail of the console: to whom in a workspace, with which addresses of pages, and when to try again."""

from __future__ import annotations

import smtplib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.core.mail import EmailMultiAlternatives

from accounts.models import Membership
from accounts.roles import Role
from accounts.scoping import scoped

TOLD_ROLES: Final = (Role.OWNER, Role.POLICY_EDITOR)
LEASE: Final = timedelta(minutes=2)
"""Longer than a mail server may take, see EMAIL_TIMEOUT."""
MOST_ATTEMPTS: Final = 12
FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=1), timedelta(hours=2)
LONGEST_SUBJECT: Final = 150


class NotSent(Exception):
    """The mail server did not take it; the words say why."""


def recipients(workspace_id: int) -> list[str]:
    """Who is told: the owners and policy editors that may sign in."""
    with scoped(workspace_id):
        members = Membership.objects.filter(role__in=TOLD_ROLES, user__is_active=True)
        return list(members.order_by("user__email").values_list("user__email", flat=True))


def send(*, to: Sequence[str], subject: str, text: str, html: str = "") -> None:
    """Sends one mail. Raises NotSent."""
    line = " ".join(subject.split())
    shown = line if len(line) <= LONGEST_SUBJECT else f"{line[: LONGEST_SUBJECT - 1]}…"
    message = EmailMultiAlternatives(subject=shown, body=text, to=list(to))
    # No answer of an absent person, and no thread with a robot.
    message.extra_headers = {"Auto-Submitted": "auto-generated"}
    if html:
        message.attach_alternative(html, "text/html")
    try:
        message.send()
    except (smtplib.SMTPException, OSError, ValueError) as trouble:
        words = " ".join(str(trouble).split())[:300]
        raise NotSent(
            f"The mail could not be sent ({type(trouble).__name__}{f': {words}' if words else ''})."
        ) from None


def page_address(path: str) -> str:
    return f"{settings.CONSOLE_URL}{path}"


def next_try(attempts: int, *, now: datetime) -> datetime | None:
    """When to send again after so many attempts; None when it is given up."""
    if attempts >= MOST_ATTEMPTS:
        return None
    return now + min(FIRST_PAUSE * 2 ** (attempts - 1), LONGEST_PAUSE)
