"""When one reviewer is not enough, and why."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from django.db.models import Max, Q

from accounts import countries
from accounts.countries import ExposureTier
from accounts.kyc.screening import screen_countries
from accounts.kyc.states import Rejection, State
from accounts.models import KycRecord

FROM_LEVEL: Final = 3
EXPOSED: Final = (ExposureTier.ALWAYS_DENIED, ExposureTier.DENIED_BY_DEFAULT, ExposureTier.CHALLENGED)

WORDS: Final = {
    "level": "Level 3 is confirmed by a second reviewer",
    "exposure": "Calls to places where fraud is dear were asked for",
    "sanctioned_country": "A nationality, the residence or a document is of a sanctioned country",
    "stateless": "Nobody's citizen: no country's list tells anything of them",
    "reversal": "It would reverse a rejection or a suspension",
    "override": "The checklist was overridden",
}


def reasons(record: KycRecord, *, override: bool = False) -> list[str]:
    """Why a second reviewer is needed; empty where one is enough."""
    exposed = any(countries.exposure_tier(country.code) in EXPOSED for country in record.declared_countries)
    screened = screen_countries(record)
    found = {
        "level": record.level >= FROM_LEVEL,
        "exposure": exposed,
        "sanctioned_country": bool(screened.hits),
        "stateless": screened.is_stateless,
        "reversal": record.is_reversal or reverses(record),
        "override": override,
    }
    return [name for name, holds in found.items() if holds]


def reverses(record: KycRecord) -> bool:
    """Whether another record of this subject was rejected for good or suspended, and nobody reversed that since.

    Else a new record would be a way around both: one person opens it, another one approves it.
    """
    others = KycRecord.objects.filter(subject_id=record.subject_id).exclude(pk=record.pk)
    held = Q(state__in=(State.APPROVED, State.EXPIRED))
    closed = others.filter(Q(rejection=Rejection.FINAL) | Q(is_reversal=True) & ~held)
    closed_at = closed.aggregate(at=Max("transitions__at"))["at"]
    reversed_at = others.filter(held, is_reversal=True).aggregate(at=Max("decided_at"))["at"]
    return closed_at is not None and closed_at > (reversed_at or datetime.min.replace(tzinfo=UTC))


def in_words(names: list[str]) -> list[str]:
    return [WORDS.get(name, name) for name in names]
