"""When one reviewer is not enough, and why."""

from __future__ import annotations

from typing import Final

from accounts import countries
from accounts.countries import ExposureTier
from accounts.kyc.screening import screen_countries
from accounts.models import KycRecord

FROM_LEVEL: Final = 3
EXPOSED: Final = (ExposureTier.ALWAYS_DENIED, ExposureTier.DENIED_BY_DEFAULT, ExposureTier.CHALLENGED)

WORDS: Final = {
    "level": "Level 3 is confirmed by a second reviewer",
    "exposure": "Calls to places where fraud is dear were asked for",
    "sanctioned_country": "A nationality, the residence or a document is of a sanctioned country",
    "reversal": "It would reverse a rejection or a suspension",
    "override": "The checklist was overridden",
}


def reasons(record: KycRecord, *, override: bool = False) -> list[str]:
    """Why a second reviewer is needed; empty where one is enough."""
    exposed = any(countries.exposure_tier(country.code) in EXPOSED for country in record.declared_countries)
    found = {
        "level": record.level >= FROM_LEVEL,
        "exposure": exposed,
        "sanctioned_country": bool(screen_countries(record).hits),
        "reversal": record.is_reversal,
        "override": override,
    }
    return [name for name, holds in found.items() if holds]


def in_words(names: list[str]) -> list[str]:
    return [WORDS.get(name, name) for name in names]
