"""What a case page shows of the evidence: documents, subjects who may be the same, what was screened and found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from django.urls import reverse

from accounts import countries
from accounts.admin.display import as_people_write, country_facts
from accounts.admin.kyc import words
from accounts.kyc import duplicates, privacy, screening
from accounts.kyc.documents import IDENTITY
from accounts.models import KycDocument, KycRecord, ProviderResult, Subject, User

MOST_DUPLICATES: Final = 10
NO_REASON_TO_REJECT: Final = "That is no reason to reject: two people decide, and calls to those places stay blocked."


@dataclass(frozen=True, slots=True)
class Shown:
    """One document. `pages`: where each clean page is looked at; empty for who may not, and for what was refused."""

    pk: str
    title: str
    facts: tuple[tuple[str, str], ...]
    pages: tuple[str, ...]
    trouble: str
    reading: str
    reading_tone: str
    problems: tuple[str, ...]
    lines_href: str
    number_href: str
    uploaded_at: datetime


@dataclass(frozen=True, slots=True)
class Screened:
    """One kind of screening in words; `tone` as in components/_sentence.html."""

    title: str
    text: str
    tone: str


@dataclass(frozen=True, slots=True)
class Twin:
    """Another subject who may be the same person, line by line beside the one of the case."""

    name: str
    why: str
    tone: str
    rows: tuple[tuple[str, str, str, bool], ...]
    records: tuple[dict[str, Any], ...]
    documents: tuple[Shown, ...]


def documents(record: KycRecord, who: User) -> list[Shown]:
    """The papers that say who somebody is first, then in the order in which they came."""
    rows = KycDocument.objects.filter(record=record, removed_at=None).order_by("uploaded_at", "pk")
    return [_shown(row, who) for row in sorted(rows, key=lambda row: KycDocument.Kind.values.index(row.kind))]


def _shown(row: KycDocument, who: User) -> Shown:
    may_see = privacy.may_see_documents(who)
    is_clean = row.state == KycDocument.State.CLEAN
    pages = range(1, row.pages + 1) if is_clean and may_see else ()
    trouble = "" if is_clean else row.refused_because or row.get_state_display()
    if is_clean and not may_see:
        trouble = "Your role does not see documents."
    facts = [
        ("Side", row.side),
        ("Number", privacy.shown_number(row, who)),
        ("Issued by", countries.name_of(row.issuing_country.code) if row.issuing_country.code else ""),
        ("Expires", f"{row.expires_on:%-d %b %Y}" if row.expires_on else ""),
        ("File", row.name),
    ]
    reading, tone = _reading(row)
    return Shown(
        pk=str(row.pk),
        title=row.get_kind_display(),
        facts=tuple((name, value) for name, value in facts if value),
        pages=tuple(reverse("admin:accounts_kycrecord_document_page", args=[row.record_id, row.pk, n]) for n in pages),
        trouble=trouble,
        reading=reading,
        reading_tone=tone,
        problems=tuple(problem["words"] for problem in row.reading.get("problems", ())) if may_see else (),
        lines_href=_lines_href(row) if is_clean and may_see else "",
        number_href=_number_href(row) if is_clean and may_see else "",
        uploaded_at=row.uploaded_at,
    )


def _lines_href(row: KycDocument) -> str:
    """Where its machine-readable lines are typed in; empty for papers that have none."""
    if row.kind not in IDENTITY:
        return ""
    return reverse("admin:accounts_kycrecord_document_lines", args=[row.record_id, row.pk])


def _number_href(row: KycDocument) -> str:
    """Where its number is noted by hand; empty for papers that have none."""
    if row.kind not in IDENTITY:
        return ""
    return reverse("admin:accounts_kycrecord_document_number", args=[row.record_id, row.pk])


def _reading(row: KycDocument) -> tuple[str, str]:
    """What is known of the machine-readable lines. Lines that nobody typed in were not checked."""
    if not row.reading:
        return "", ""
    if row.reading.get("fits"):
        return "The check digits of its machine-readable lines are right.", "quiet"
    return "Its machine-readable lines do not fit, as they were typed in.", "danger"


# --- Screening ------------------------------------------------------------------------------------

_FIELDS: Final = {
    "nationality": "nationality",
    "country_of_residence": "country of residence",
    "issuing_country": "document's country",
}
_OUTCOMES: Final = {
    ProviderResult.Outcome.PASSED: "quiet",
    ProviderResult.Outcome.FAILED: "danger",
    ProviderResult.Outcome.UNCLEAR: "warning",
}


def screened(record: KycRecord) -> list[Screened]:
    """Countries are compared here; names by a provider alone, and not screened is said so."""
    found = screening.of(record)
    return [_countries(found["countries"]), _name(found["name"]), *_providers(record)]


def _countries(found: dict[str, Any]) -> Screened:
    title = f"Countries ({found['list_version']})"
    hits = [finding for finding in found["findings"] if finding["outcome"] == screening.HIT]
    if hits:
        said = ", ".join(f"{_FIELDS[hit['field']]} {countries.name_of(hit['value'])}" for hit in hits)
        return Screened(title, f"On the sanctions list: {said}. {NO_REASON_TO_REJECT}", "danger")
    if found["outcome"] == screening.UNCLEAR:
        unclear = [finding for finding in found["findings"] if finding["outcome"] == screening.UNCLEAR]
        stateless = ["stateless"] if any(finding["value"] == countries.STATELESS for finding in unclear) else []
        unclear = [finding for finding in unclear if finding["value"] != countries.STATELESS]
        names = stateless + sorted({_FIELDS[finding["field"]] for finding in unclear})
        return Screened(title, f"Not known for sure: {', '.join(names)}. Ask, or read it off a document.", "warning")
    return Screened(title, "No nationality, residence or document of a sanctioned country.", "quiet")


def _name(found: dict[str, Any]) -> Screened:
    if found["outcome"] == screening.NOT_SCREENED:
        text = "Not screened. No provider has compared this name with lists of persons."
        return Screened("Name", text, "unknown")
    outcome = ProviderResult.Outcome(found["outcome"])
    at = datetime.fromisoformat(found["at"])
    text = f"{outcome.label}, says {found['provider']}, by its list {found['list_version']}, on {at:%-d %b %Y}."
    return Screened("Name", text, _OUTCOMES[outcome])


def _providers(record: KycRecord) -> list[Screened]:
    rows = ProviderResult.objects.filter(record=record, kind=ProviderResult.Kind.IDENTITY).order_by("-received_at")
    return [
        Screened(
            f"Identity check by {row.provider}",
            f"{row.get_outcome_display()} on {row.received_at:%-d %b %Y} ({row.external_id}).",
            _OUTCOMES[ProviderResult.Outcome(row.outcome)],
        )
        for row in rows
    ]


# --- Subjects who may be the same -----------------------------------------------------------------

_STRENGTHS: Final = {"strong": "danger", "likely": "warning", "weak": "unknown"}


def twins(record: KycRecord, who: User) -> list[Twin]:
    found = duplicates.find(record)[:MOST_DUPLICATES]
    records = _records_of([each.subject for each in found])
    return [
        Twin(
            name=each.subject.name,
            why="; ".join(why.value for why in each.why),
            tone=_STRENGTHS[each.strength.value],
            rows=compared(record.subject, each.subject),
            records=tuple(_record(row) for row in records if row.subject_id == each.subject.pk),
            documents=tuple(_first_documents(records, each.subject, who)),
        )
        for each in found
    ]


def _records_of(subjects: Sequence[Subject]) -> list[KycRecord]:
    rows = KycRecord.objects.filter(subject__in=subjects).select_related("subject").order_by("-pk")
    return list(rows.prefetch_related("documents"))


def _record(row: KycRecord) -> dict[str, Any]:
    return {
        "href": reverse("admin:accounts_kycrecord_change", args=[row.pk]),
        "level": row.get_level_display(),
        "badge": words.badge_of(row),
    }


def _first_documents(records: Sequence[KycRecord], subject: Subject, who: User) -> list[Shown]:
    rows = [document for row in records if row.subject_id == subject.pk for document in row.documents.all()]
    return [_shown(row, who) for row in rows if row.state == KycDocument.State.CLEAN][:2]


def compared(mine: Subject, theirs: Subject) -> tuple[tuple[str, str, str, bool], ...]:
    """Name of the fact, of this subject, of the other, and whether they say the same."""
    pairs = zip(_facts(mine), _facts(theirs), strict=True)
    both = ((name, here, there) for (name, here), (_, there) in pairs if here or there)
    return tuple((name, here, there, here == there) for name, here, there in both)


def _facts(subject: Subject) -> list[tuple[str, str]]:
    return [
        ("Name", subject.name),
        ("Reference", subject.reference),
        ("Born", born(subject.date_of_birth)),
        ("Phone", as_people_write(subject.phone) if subject.phone else ""),
        ("E-mail", subject.email),
        ("Nationality", nationalities(subject)),
        ("Lives in", countries.name_of(subject.country_of_residence.code) if subject.country_of_residence else ""),
        ("Devices", ", ".join(str(device) for device in subject.devices)),
    ]


def born(day: date | None) -> str:
    return f"{day:%-d %b %Y}" if day else ""


def nationalities(subject: Subject) -> str:
    facts = country_facts(country.code for country in subject.nationalities)
    return ", ".join(f"{country['flag']} {country['name']}" for country in facts)
