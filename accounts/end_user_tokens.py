"""End-user tokens: with one, a web page that has only a gate key proves whom it speaks for.

The customer's backend has one minted for a person it has signed in. It is signed, not kept, and ends by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import phonenumbers
from django.core import signing
from django.core.exceptions import ValidationError

MARK = "eu_"  # lets a secret scanner tell what it has found
USUAL_SECONDS = 10 * 60
SHORTEST_SECONDS = 10
LONGEST_SECONDS = 24 * 3600
LONGEST_SUBJECT = 120
LONGEST_TOKEN = 1024


class InvalidEndUserToken(Exception):
    """Not a token of this workspace, altered, or over; the message says which."""


@dataclass(frozen=True, slots=True)
class EndUser:
    """Whom a token speaks for. `destination`: the only number it may be used to reach; None for any."""

    subject: str
    destination: str | None
    expires_at: datetime


def mint(
    *,
    workspace_id: int,
    subject: str,
    now: datetime,
    expires_in: int = USUAL_SECONDS,
    destination: str | None = None,
) -> tuple[str, EndUser]:
    """A token's text and what it says. Raises ValidationError naming the field."""
    problems: dict[str, str] = {}
    if not subject.strip() or len(subject) > LONGEST_SUBJECT or not subject.isprintable():
        problems["subject"] = f"Write what your systems call this person, in up to {LONGEST_SUBJECT} characters."
    if not SHORTEST_SECONDS <= expires_in <= LONGEST_SECONDS:
        problems["expires_in"] = f"A token lasts from {SHORTEST_SECONDS} seconds to {LONGEST_SECONDS} (a day)."
    number = None if destination is None else _canonical(destination)
    if number is None and destination is not None:
        problems["destination"] = f"“{destination[:40]}” is not a telephone number. Write it as +14155550100."
    if problems:
        raise ValidationError(problems)
    ends = (now + timedelta(seconds=expires_in)).replace(microsecond=0)
    end_user = EndUser(subject.strip(), number, ends.astimezone(UTC))
    content = {"s": end_user.subject, "d": number, "e": int(ends.timestamp())}
    return MARK + _signer(workspace_id).sign_object(content), end_user


def read(text: Any, *, workspace_id: int, now: datetime) -> EndUser:
    """What a token says. Raises InvalidEndUserToken."""
    if not isinstance(text, str) or len(text) > LONGEST_TOKEN or not text.startswith(MARK):
        raise InvalidEndUserToken("This is no end-user token.")
    try:
        content = _signer(workspace_id).unsign_object(text.removeprefix(MARK))
    except (signing.BadSignature, UnicodeError):
        raise InvalidEndUserToken("This is no end-user token of this workspace.") from None
    end_user = EndUser(content["s"], content["d"], datetime.fromtimestamp(content["e"], UTC))
    if now >= end_user.expires_at:
        raise InvalidEndUserToken("This end-user token is over; have a new one minted.")
    return end_user


def _signer(workspace_id: int) -> signing.Signer:
    return signing.Signer(salt=f"end-user token of workspace {workspace_id}")


def _canonical(text: str) -> str | None:
    try:
        number = phonenumbers.parse(text)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number) or number.extension:
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
