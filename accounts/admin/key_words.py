"""What the page of a gate key says in sentences: how it is used, how long it works, what protects it."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.urls import reverse
from django.utils import timezone

from accounts import gate_rules
from accounts.components import Action, Sentence
from accounts.models import PublicKey

CALLS = {"phone_call", "sms"}


def sentences(row: PublicKey, now: datetime, *, unused_after: timedelta) -> list[Sentence]:
    """What somebody should do something about."""
    found = [_retiring(row, now), _unused(row, now, unused_after), _numberless(row), _unverifiable(row)]
    return [sentence for sentence in found if sentence is not None]


def protection(row: PublicKey, now: datetime) -> Sentence:
    """Fraud Protection in words, with what it allows and what happened today."""
    gate = gate_rules.of_the_gate()
    allowed, use = gate.fraud_protection_limits(row), gate.use_today(row, now)
    attempts = f"{use.attempts:,} attempt{'s' if use.attempts != 1 else ''}"
    today = f"Measured at this console's gate. Today: {attempts} with this key, {use.limited:,} stopped by a limit."
    if not CALLS & set(row.channels):
        return Sentence("quiet", "Fraud protection limits calls and SMS; this key starts neither.", today)
    if not row.fraud_protection:
        detail = f"Switched on, it would allow {_and(allowed)}. {today}" if allowed else today
        return Sentence("warning", "Fraud protection is off: one address may try one number again and again.", detail)
    if not allowed:
        return Sentence("warning", "Fraud protection is on, but both of its limits are off: it limits nothing.", today)
    text = f"Fraud protection is on: from one IP address to one number, at most {_and(allowed)} calls and SMS."
    return Sentence("quiet", text, today)


def _and(allowed: list[str]) -> str:
    return " and ".join(allowed)


def _retiring(row: PublicKey, now: datetime) -> Sentence | None:
    if row.retires_at is None:
        return None
    until = timezone.localtime(row.retires_at)
    text = (
        f"It was rotated, and works until {until:%-d %B, %H:%M}."
        if now < row.retires_at
        else f"It was rotated, and stopped working on {until:%-d %B, %H:%M}."
    )
    successor = row.successor
    if successor is None:
        return Sentence("notice", text)
    link = reverse("admin:accounts_publickey_change", args=[successor.pk])
    return Sentence("notice", text, "", (Action(f"Open {successor.name}", link),))


def _unused(row: PublicKey, now: datetime, unused_after: timedelta) -> Sentence | None:
    last = row.last_used_at or row.created_at
    if last > now - unused_after:
        return None
    days = (now - last).days
    text = f"Not used for {days} days." if row.last_used_at else f"Never used in the {days} days since it was minted."
    return Sentence("warning", text, "A key that nobody needs is one that only a stranger can use. Revoke it below.")


def _numberless(row: PublicKey) -> Sentence | None:
    wanting = CALLS & set(row.channels)
    if not wanting or row.phone_number:
        return None
    return Sentence("warning", "It may start calls or SMS, but has no phone number to start them from.")


def _unverifiable(row: PublicKey) -> Sentence | None:
    if row.captcha == PublicKey.Captcha.NONE or (row.captcha_site_key and row.captcha_secret):
        return None
    missing = "secret" if row.captcha_site_key else "site key"
    text = f"{row.get_captcha_display()} is asked for, but its {missing} is missing: nobody can pass it."
    return Sentence("danger", text)
