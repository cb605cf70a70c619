"""Whether a subject's countries are sanctioned, and what a provider said about the name. Unknown is never clear."""

from __future__ import annotations

import hashlib
import logging
import unicodedata
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final, Protocol

import orjson
from django_countries import countries as iso

from accounts import audit, countries
from accounts.audit import Acting
from accounts.kyc import evidence
from accounts.models import KycDocument, KycRecord, ProviderResult, Subject
from accounts.workspaces import taking_turns

logger = logging.getLogger(__name__)

CLEAR, HIT, UNCLEAR, NOT_SCREENED = "clear", "hit", "unclear", "not_screened"

# Codes that are no longer, or never were, of ISO 3166-1 and stand on papers and in forms. Those of a country that
# became several are of none, unless a sanctioned one is among them.
_OTHER_CODES: Final = {
    "SU": "RU", "SUN": "RU", "BYS": "BY", "YU": "RS", "YUG": "RS", "DD": "DE", "DDR": "DE", "D": "DE",
    "BU": "MM", "BUR": "MM", "ZR": "CD", "ZAR": "CD", "TP": "TL", "TMP": "TL", "UK": "GB", "EL": "GR",
    "GBD": "GB", "GBN": "GB", "GBO": "GB", "GBP": "GB", "GBS": "GB", "RKS": "XK", "UNK": "XK", "ROM": "RO",
}  # fmt: skip
_OTHER_NAMES: Final = {
    "soviet union": "RU", "ussr": "RU", "russian federation": "RU", "russia": "RU", "byelorussia": "BY",
    "dprk": "KP", "democratic people s republic of korea": "KP", "north korea": "KP", "islamic republic of iran": "IR",
    "persia": "IR", "syrian arab republic": "SY", "bolivarian republic of venezuela": "VE", "burma": "MM",
    "usa": "US", "united states of america": "US", "great britain": "GB", "england": "GB", "holland": "NL",
    "south korea": "KR", "republic of korea": "KR", "ivory coast": "CI", "turkey": "TR", "czech republic": "CZ",
}  # fmt: skip

_OF_NONE: Final = frozenset({countries.STATELESS.casefold(), "xxa", "xxb", "xxc", "xxx", "stateless"})


def _words(name: str) -> frozenset[str]:
    """In any order: "Iran (Islamic Republic of)" is "Islamic Republic of Iran"."""
    letters = unicodedata.normalize("NFKD", name).casefold()
    words = "".join(letter if letter.isalnum() else " " for letter in letters if not unicodedata.combining(letter))
    return frozenset(words.split()) - {"the", "of", "and", "s"}


_ALPHA_3: Final = {iso.alpha3(code): code for code in countries.CODES if iso.alpha3(code)}
_NAMES: Final = (
    {_words(str(name)): code for code, name in iso if code in countries.CODES}
    | {_words(name): code for code, name in countries.NAMES.items()}
    | {_words(name): code for name, code in _OTHER_NAMES.items()}
)


def country_of(text: Any) -> str | None:
    """The ISO 3166-1 alpha-2 code that a code or a name of any kind means; None where that is not certain."""
    if not isinstance(text, str):
        return None
    code = text.strip().strip("<").upper()
    if code in countries.CODES:
        return code
    return _OTHER_CODES.get(code) or _ALPHA_3.get(code) or _NAMES.get(_words(text))


def nationality_of(text: Any) -> str | None:
    """As country_of, but of people who have none: as papers say it (ICAO 9303-3), refugees among them, or in words."""
    words = text.strip().strip("<").casefold() if isinstance(text, str) else ""
    return countries.STATELESS if words in _OF_NONE else country_of(text)


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found in one place, such as a nationality."""

    field: str
    value: str
    outcome: str


@dataclass(frozen=True, slots=True)
class CountryScreening:
    """Nationalities, residence and issuing countries against the sanctioned seven."""

    findings: tuple[Finding, ...] = ()
    list_version: str = countries.SANCTIONS_VERSION

    @property
    def outcome(self) -> str:
        outcomes = {finding.outcome for finding in self.findings}
        return next((outcome for outcome in (HIT, UNCLEAR) if outcome in outcomes), CLEAR)

    @property
    def is_stateless(self) -> bool:
        return any(finding.value == countries.STATELESS for finding in self.findings)

    @property
    def hits(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.outcome == HIT]

    def as_dict(self) -> dict[str, Any]:
        found = [
            {"field": finding.field, "value": finding.value, "outcome": finding.outcome} for finding in self.findings
        ]
        return {"outcome": self.outcome, "list_version": self.list_version, "findings": found}


def screen_countries(record: KycRecord) -> CountryScreening:
    subject = record.subject
    findings = [_finding("nationality", country.code) for country in subject.nationalities]
    if not findings:
        findings = [Finding("nationality", "", UNCLEAR)]
    findings.append(_finding("country_of_residence", subject.country_of_residence.code or ""))
    documents = KycDocument.objects.filter(record=record, removed_at=None).order_by("pk")
    for row in documents:
        reading = row.reading if isinstance(row.reading, dict) else {}
        for value in (row.issuing_country.code, reading.get("issuer"), reading.get("nationality")):
            if value:
                findings.append(_finding("issuing_country", str(value)))
    return CountryScreening(tuple(dict.fromkeys(findings)))  # papers of one country say the same


def _finding(name: str, value: str) -> Finding:
    code = nationality_of(value)
    if code is None or code == countries.STATELESS:
        return Finding(name, code or value, UNCLEAR)
    return Finding(name, code, HIT if countries.is_sanctioned(code) else CLEAR)


@dataclass(frozen=True, slots=True)
class NameAnswer:
    """What a provider said: `outcome` is a ProviderResult.Outcome, `list_version` what it compared with."""

    outcome: str
    list_version: str
    external_id: str
    detail: dict[str, Any] = field(default_factory=dict)


class NameProvider(Protocol):
    """Compares a name with lists of persons. May be slow, and may raise anything."""

    name: str

    def screen(self, *, name: str, date_of_birth: date | None, nationalities: list[str]) -> NameAnswer: ...


_provider: list[NameProvider] = []


def use(provider: NameProvider | None) -> None:
    """Whom names are screened by from now on; nobody by default."""
    _provider[:] = [] if provider is None else [provider]


def screen_name(*, record: KycRecord, acting_user: Acting, now: datetime) -> ProviderResult | None:
    """Asks the provider and keeps the answer. None where there is no provider, or no answer that names its list."""
    if not _provider:
        return None
    subject = record.subject
    codes = [country.code for country in subject.nationalities]
    try:
        answer = _provider[0].screen(name=subject.name, date_of_birth=subject.date_of_birth, nationalities=codes)
    except Exception:
        logger.exception("The name screening of KYC record %s failed; it stays unscreened.", record.pk)
        return None
    if not answer.list_version or answer.outcome not in ProviderResult.Outcome.values:
        logger.error("The name screening of KYC record %s named no list version.", record.pk)
        return None
    detail = {**answer.detail, "screened": _screened(subject)}
    with taking_turns(record.workspace_id):
        row: ProviderResult = ProviderResult.objects.create(
            workspace_id=record.workspace_id,
            record=record,
            kind=ProviderResult.Kind.NAME_SCREENING,
            provider=_provider[0].name,
            external_id=answer.external_id,
            outcome=answer.outcome,
            list_version=answer.list_version,
            detail=detail,
            sha256=hashlib.sha256(orjson.dumps([detail, answer.outcome, answer.list_version, now])).hexdigest(),
            received_at=now,
        )
        after = {"provider": row.provider, "outcome": row.outcome, "list_version": row.list_version}
        audit.record(
            workspace_id=record.workspace_id,
            action="kyc_record.screen_name",
            subject=record,
            acting_user=acting_user,
            now=now,
            after=after,
        )
        evidence.changed(record=record, acting_user=acting_user, now=now)
    return row


def _screened(subject: Subject) -> str:
    """Tells whether the person who was screened is still called so."""
    return hashlib.sha256(orjson.dumps([subject.pk, subject.name, subject.date_of_birth])).hexdigest()


def name_screening(record: KycRecord) -> dict[str, Any]:
    """What may be said about the screening of the name as it is now: not screened, unless it was."""
    rows = ProviderResult.objects.filter(record=record, kind=ProviderResult.Kind.NAME_SCREENING)
    screened = _screened(record.subject)
    for row in rows.order_by("-received_at"):
        if row.detail.get("screened") == screened:
            known = {"provider": row.provider, "list_version": row.list_version, "at": row.received_at.isoformat()}
            return {"outcome": row.outcome, **known}
    return {"outcome": NOT_SCREENED}


def of(record: KycRecord) -> dict[str, Any]:
    """Both, as they are kept with the record and shown."""
    return {"countries": screen_countries(record).as_dict(), "name": name_screening(record)}
