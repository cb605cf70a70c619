"""What a page showed of the evidence, piece by piece, so that a refused decision can say what has changed since.

This only explains. Whether evidence changed is told by `accounts.kyc.evidence`, which the verbs compare.
"""

from __future__ import annotations

import json
from typing import Any

from django.utils.crypto import salted_hmac

from accounts.models import KycDocument, KycRecord, ProviderResult

_SUBJECT = {
    "name": "The name",
    "reference": "The reference",
    "phone": "The phone number",
    "email": "The e-mail address",
    "date_of_birth": "The date of birth",
    "nationalities": "The nationality",
    "country_of_residence": "The country of residence",
    "devices": "The devices",
}
_RECORD = {
    "level": "The level",
    "declared_countries": "The declared countries",
    "declared_channels": "The declared channels",
    "declared_calls_per_day": "The declared calls per day",
    "declared_purpose": "The declared purpose",
}


def shown(record: KycRecord) -> dict[str, list[str]]:
    """Each piece by a key: how it is called, and a digest of what it said."""
    found: dict[str, list[str]] = {}
    for name, words in _SUBJECT.items():
        found[f"subject.{name}"] = [words, _digest(getattr(record.subject, name))]
    for name, words in _RECORD.items():
        found[f"record.{name}"] = [words, _digest(getattr(record, name))]
    for document in KycDocument.objects.filter(record=record, removed_at=None).order_by("pk"):
        facts = [document.state, document.sha256, document.clean_sha256, document.expires_on, document.reading]
        facts += [document.issuing_country, document.number_sealed, document.kind, document.side]
        found[f"document.{document.pk}"] = [f"The {_lower(document.get_kind_display())}", _digest(facts)]
    for result in ProviderResult.objects.filter(record=record).order_by("pk"):
        found[f"result.{result.pk}"] = [f"A result of {result.provider}", _digest(result.sha256)]
    return found


def written(pieces: dict[str, list[str]]) -> str:
    return json.dumps(pieces, separators=(",", ":"))


def changed_since(text: str, record: KycRecord) -> list[str]:
    """What differs from what the page showed, in sentences. Empty where the page did not say what it showed."""
    try:
        before = json.loads(text)
    except ValueError:
        return []
    now = shown(record)
    if not isinstance(before, dict):
        return []
    came = [f"{words} was added." for key, (words, _) in now.items() if key not in before]
    differs = [f"{words} changed." for key, (words, digest) in now.items() if _differs(before.get(key), digest)]
    gone = [f"{_words(piece)} was removed." for key, piece in before.items() if key not in now]
    return [*came, *differs, *gone]


def _differs(piece: Any, digest: str) -> bool:
    return isinstance(piece, list) and len(piece) == 2 and piece[1] != digest


def _words(piece: Any) -> str:
    return str(piece[0])[:80] if isinstance(piece, list) and piece else "Something"


def _digest(value: Any) -> str:
    plain = [str(item) for item in value] if isinstance(value, list | tuple) else str(value)
    if not isinstance(value, list | tuple | str) and hasattr(value, "__iter__"):
        plain = sorted(str(getattr(item, "code", item)) for item in value)
    return salted_hmac("accounts.admin.kyc.pieces", json.dumps(plain)).hexdigest()[:16]


def _lower(words: str) -> str:
    return words[:1].lower() + words[1:]
