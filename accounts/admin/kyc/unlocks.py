"""What approving a record opens, in words, before anybody approves it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.urls import reverse

from accounts.countries import flag, name_of
from accounts.kyc import effects
from accounts.models import KycRecord, PublicKey, User

CHANNELS: Final = {"phone_call": "phone calls", "sms": "SMS", "web_call": "web calls", "chat": "chats"}


@dataclass(frozen=True, slots=True)
class Unlocked:
    text: str
    href: str = ""


def unlocked_by(record: KycRecord, now: datetime, who: User) -> list[Unlocked]:
    """Sentences, the widest first."""
    until = effects.expiry_of(record, now)
    found = [Unlocked(_use(record)), *_keys(record, who.has_perm("accounts.view_publickey"))]
    return [*found, Unlocked(f"It counts until {until:%-d %B %Y}, and the identity is checked again before that.")]


def _use(record: KycRecord) -> str:
    what = in_words([CHANNELS[code] for code in record.declared_channels if code in CHANNELS]) or "calls and messages"
    codes = sorted((country.code for country in record.declared_countries), key=name_of)
    where = in_words([f"{flag(code)} {name_of(code)}" for code in codes]) if codes else ""
    limit = f", up to {record.declared_calls_per_day:,} a day" if record.declared_calls_per_day else ""
    if not where:
        return f"{what[:1].upper()}{what[1:]} to wherever the policies allow{limit}: no country was declared."
    return f"{what[:1].upper()}{what[1:]} to {where}{limit}, as far as the policies allow it."


def _keys(record: KycRecord, may_see: bool) -> list[Unlocked]:
    reached = KycRecord.objects.filter(subject=record.subject, state=KycRecord.State.APPROVED)
    before = max(reached.exclude(pk=record.pk).values_list("level", flat=True), default=0)
    keys = PublicKey.objects.filter(kind=PublicKey.Kind.GATE_KEY, status=PublicKey.Status.ACTIVE).order_by("name")
    opened = [key for key in keys if before < _asks_for(key) <= record.level]
    closed = [key for key in keys if _asks_for(key) > record.level]
    found = [
        Unlocked(
            f"Gate key “{key.name}”, which asks for level {_asks_for(key)}.",
            reverse("admin:accounts_publickey_change", args=[key.pk]) if may_see else "",
        )
        for key in opened
    ]
    if closed:
        names = in_words([f"“{key.name}”" for key in closed])
        found.append(Unlocked(f"Not {names}: more than level {record.level} is asked for there."))
    return found


def _asks_for(key: PublicKey) -> int:
    """The highest level that some attempt with the key needs."""
    rules: dict[str, Any] = key.kyc_rules or {}
    levels = [level for by in rules.values() if isinstance(by, dict) for level in by.values() if isinstance(level, int)]
    return max([key.kyc_level, *levels])


def in_words(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else "".join(names)
