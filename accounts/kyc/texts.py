"""What reviewers write: reason codes of a closed list, and texts of a sane length."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models

LONGEST_TEXT = 2000


def read_codes(given: Sequence[str], allowed: type[models.TextChoices], *, name: str = "reason_codes") -> list[str]:
    """Raises ValidationError for none, or one that is not in the list."""
    listed = ", ".join(allowed.values)
    if isinstance(given, str) or not isinstance(given, Sequence) or not given:
        raise ValidationError({name: f"Name at least one reason: {listed}."})
    unknown = [code for code in given if code not in allowed.values]
    if unknown:
        raise ValidationError({name: f"“{str(unknown[0])[:40]}” is none of the reasons: {listed}."})
    return sorted(set(given))


def read_text(name: str, given: Any, *, is_needed: bool = False) -> str:
    if not isinstance(given, str) or "\0" in given:
        raise ValidationError({name: "This must be text."})
    text = given.strip()
    if is_needed and not text:
        raise ValidationError({name: "Write a sentence here."})
    if len(text) > LONGEST_TEXT:
        raise ValidationError({name: f"Write at most {LONGEST_TEXT} characters."})
    return text
