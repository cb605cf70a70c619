"""Subjects of one workspace who may be one person: found by rows of keyed digests, so that no name stands there.

What is found is shown with why and how strongly; nothing is decided by it.
"""

from __future__ import annotations

import hashlib
import hmac
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final

from accounts import encryption
from accounts.models import KycDocument, KycRecord, Subject, SubjectTrait

Kind = SubjectTrait.Kind
LIKENESS_BITS: Final = 128
LIKENESS_BAND: Final = 16
MOST_DIFFERENT_BITS: Final = 7
"""Of 128. With eight bands, two that differ in at most seven bits have one band in common."""
LEAST_NUMBER: Final = 5
MOST_LOOKED_AT: Final = 1000
_FOLDED: Final = str.maketrans({"ø": "o", "ð": "d", "þ": "th", "đ": "d", "ł": "l", "ß": "ss", "æ": "ae", "œ": "oe"})
_ALIKE: Final = str.maketrans("OQIZSB", "001258")


class Strength(StrEnum):
    STRONG = "strong"
    LIKELY = "likely"
    WEAK = "weak"


class Why(StrEnum):
    DOCUMENT_NUMBER = "the same document's number"
    DOCUMENT_FILE = "the same file"
    DOCUMENT_ALIKE = "a document that looks the same"
    PHONE = "the same phone number"
    EMAIL = "the same e-mail address"
    DEVICE = "the same device"
    NAME_AND_BIRTH = "the same name and date of birth"
    NEARLY_NAME = "nearly the same name, the same date of birth"
    NEARLY_BIRTH = "the same name, nearly the same date of birth"
    PART_OF_NAME = "a name in common, the same date of birth"


STRENGTHS: Final = {
    Why.DOCUMENT_NUMBER: Strength.STRONG,
    Why.DOCUMENT_FILE: Strength.STRONG,
    Why.NAME_AND_BIRTH: Strength.STRONG,
    Why.DOCUMENT_ALIKE: Strength.LIKELY,
    Why.NEARLY_NAME: Strength.LIKELY,
    Why.NEARLY_BIRTH: Strength.LIKELY,
    Why.PHONE: Strength.LIKELY,
    Why.EMAIL: Strength.LIKELY,
    Why.DEVICE: Strength.LIKELY,
    Why.PART_OF_NAME: Strength.WEAK,
}
_EXACT: Final = {
    Kind.DOCUMENT_NUMBER: Why.DOCUMENT_NUMBER,
    Kind.DOCUMENT_FILE: Why.DOCUMENT_FILE,
    Kind.PHONE: Why.PHONE,
    Kind.EMAIL: Why.EMAIL,
    Kind.DEVICE: Why.DEVICE,
    Kind.NAME_AND_BIRTH: Why.NAME_AND_BIRTH,
}


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Another subject who may be the same person: why, the strongest first."""

    subject: Subject
    why: tuple[Why, ...]
    strength: Strength


@dataclass(frozen=True, slots=True)
class Trait:
    """A fact in its normal form. `is_close`: it only brings together who has to be compared."""

    kind: Kind
    text: str
    is_close: bool = False


# --- Noting ---------------------------------------------------------------------------------------


def note_subject(subject: Subject) -> None:
    """To be called in the transaction of every change of a subject."""
    note_subjects([subject])


def note_subjects(subjects: Iterable[Subject]) -> None:
    """The same for many of one workspace."""
    rows = list(subjects)
    SubjectTrait.objects.filter(subject__in=rows, document=None).delete()
    SubjectTrait.objects.bulk_create(
        (row for subject in rows for row in _rows(subject, traits_of(subject))), batch_size=1000
    )


def note_document(document: KycDocument, *, number: str | None = None) -> None:
    """To be called in the transaction of every change of a document; without `number`, a number noted before stays."""
    subject = document.record.subject
    noted = SubjectTrait.objects.filter(document=document)
    (noted.exclude(kind=Kind.DOCUMENT_NUMBER) if number is None else noted).delete()
    SubjectTrait.objects.bulk_create(_rows(subject, traits_of_document(document, number or ""), document))


def _rows(subject: Subject, traits: Iterable[Trait], document: KycDocument | None = None) -> Iterator[SubjectTrait]:
    key = encryption.derived_key(subject.workspace_id, "traits")
    for trait in traits:
        yield SubjectTrait(
            workspace_id=subject.workspace_id,
            subject=subject,
            document=document,
            kind=trait.kind,
            digest=_digest(key, trait),
            is_close=trait.is_close,
        )


def _digest(key: bytes, trait: Trait) -> str:
    text = f"{trait.kind}|{int(trait.is_close)}|{trait.text}"
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def traits_of(subject: Subject) -> Iterator[Trait]:
    if subject.phone:
        yield Trait(Kind.PHONE, subject.phone)
    if subject.email:
        yield Trait(Kind.EMAIL, plain_email(subject.email))
    for device in sorted({str(device).strip() for device in subject.devices} - {""}):
        yield Trait(Kind.DEVICE, device)
    words = name_words(subject.name)
    if subject.date_of_birth and words:
        born = subject.date_of_birth.isoformat()
        yield Trait(Kind.NAME_AND_BIRTH, f"{' '.join(words)}|{born}")
        yield Trait(Kind.NAME_AND_BIRTH, f"born {born}", is_close=True)
        yield Trait(Kind.NAME_AND_BIRTH, f"called {' '.join(words)}", is_close=True)


def traits_of_document(document: KycDocument, number: str) -> Iterator[Trait]:
    plain = plain_number(number)
    if len(plain) >= LEAST_NUMBER:
        yield Trait(Kind.DOCUMENT_NUMBER, plain)
    if document.sha256:
        yield Trait(Kind.DOCUMENT_FILE, document.sha256)
    for band, bits in enumerate(_bands(document.likeness)):
        yield Trait(Kind.DOCUMENT_FILE, f"likeness {band} {bits:04x}", is_close=True)


def _bands(likeness: str) -> list[int]:
    """Empty for a picture of nothing, which looks like every other."""
    if not likeness or _says_nothing(likeness):
        return []
    value = int(likeness, 16)
    return [value >> start & (1 << LIKENESS_BAND) - 1 for start in range(0, LIKENESS_BITS, LIKENESS_BAND)]


def _says_nothing(likeness: str) -> bool:
    ones = int(likeness, 16).bit_count()
    return not 16 <= ones <= LIKENESS_BITS - 16


# --- Normal forms ---------------------------------------------------------------------------------


def plain_number(number: str) -> str:
    """Upper case, letters and digits alone, look-alikes as one: what is read off a photo is read in both ways."""
    folded = unicodedata.normalize("NFKC", number).upper()
    return "".join(sign for sign in folded if sign.isalnum()).translate(_ALIKE)


def plain_email(email: str) -> str:
    """Without what the same mailbox is also reached by: what follows a plus, and dots at Gmail."""
    local, _, domain = email.strip().lower().rpartition("@")
    local = local.partition("+")[0]
    if domain in ("gmail.com", "googlemail.com"):
        local, domain = local.replace(".", ""), "gmail.com"
    return f"{local}@{domain}"


def name_words(name: str) -> tuple[str, ...]:
    """The words of a name without marks and in one order, whichever way round they were written."""
    folded = unicodedata.normalize("NFKD", name.casefold().translate(_FOLDED))
    letters = "".join(sign if sign.isalnum() else " " for sign in folded if not unicodedata.combining(sign))
    return tuple(sorted(letters.split()))


def differ_by_one(first: str, second: str) -> bool:
    """At most one character changed, added, left out, or swapped with its neighbour."""
    if first == second:
        return True
    if abs(len(first) - len(second)) > 1:
        return False
    start = next((at for at, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), None)
    if start is None:
        return True
    a, b = first[start:], second[start:]
    return a[1:] == b[1:] or a[1:] == b or a == b[1:] or (a[:2] == b[1::-1] and a[2:] == b[2:])


def names_nearly_equal(first: tuple[str, ...], second: tuple[str, ...]) -> bool:
    """All words in common but one, which differs by one character."""
    only_first, only_second = list(first), list(second)
    for word in first:
        if word in only_second:
            only_first.remove(word)
            only_second.remove(word)
    joined = differ_by_one("".join(only_first), "".join(only_second))
    return joined if len(only_first) <= 1 and len(only_second) <= 1 else differ_by_one("".join(first), "".join(second))


# --- Finding --------------------------------------------------------------------------------------


def find(record: KycRecord) -> list[Duplicate]:
    """Other subjects of the workspace who may be this record's, the likeliest first."""
    return of_subject(record.subject)


def of_subject(subject: Subject) -> list[Duplicate]:
    own = list(SubjectTrait.objects.filter(subject=subject).values_list("kind", "digest", "is_close"))
    known = {(kind, digest): is_close for kind, digest, is_close in own}
    found: dict[int, set[Why]] = defaultdict(set)
    to_compare: set[int] = set()
    to_look_at: set[int] = set()
    for other, kind, digest in _sharing({digest for _, digest, _ in own}, subject):
        is_close = known.get((kind, digest))
        if is_close is False:
            found[other].add(_EXACT[Kind(kind)])
        elif is_close and kind == Kind.NAME_AND_BIRTH:
            to_compare.add(other)
        elif is_close:
            to_look_at.add(other)
    others = Subject.objects.in_bulk([*found, *to_compare, *to_look_at])
    for other in to_compare - {pk for pk, why in found.items() if Why.NAME_AND_BIRTH in why}:
        found[other] |= _compared(subject, others[other])
    for other in _looking_alike(subject, to_look_at - {pk for pk, why in found.items() if Why.DOCUMENT_FILE in why}):
        found[other].add(Why.DOCUMENT_ALIKE)
    duplicates = [_duplicate(others[pk], why) for pk, why in found.items() if why and others[pk].erased_at is None]
    return sorted(duplicates, key=lambda each: (list(Strength).index(each.strength), -len(each.why), each.subject.pk))


def _sharing(digests: set[str], subject: Subject) -> Iterator[tuple[int, str, str]]:
    shared = SubjectTrait.objects.filter(digest__in=digests, kind__in=Kind.values).exclude(subject=subject)
    yield from shared.order_by("is_close").values_list("subject_id", "kind", "digest")[:MOST_LOOKED_AT]


def _duplicate(subject: Subject, why: set[Why]) -> Duplicate:
    ordered = sorted(why, key=lambda each: list(STRENGTHS).index(each))
    return Duplicate(subject, tuple(ordered), STRENGTHS[ordered[0]])


def _compared(subject: Subject, other: Subject) -> set[Why]:
    mine, theirs = name_words(subject.name), name_words(other.name)
    if subject.date_of_birth is None or other.date_of_birth is None:
        return set()
    if mine == theirs and _dates_nearly_equal(subject.date_of_birth, other.date_of_birth):
        return {Why.NEARLY_BIRTH}
    if subject.date_of_birth != other.date_of_birth:
        return set()
    if names_nearly_equal(mine, theirs):
        return {Why.NEARLY_NAME}
    return {Why.PART_OF_NAME} if {word for word in mine if len(word) > 2} & set(theirs) else set()


def _dates_nearly_equal(first: date, second: date) -> bool:
    """One digit differs, or day and month were taken for each other, or it is a day or a year beside."""
    swapped = (first.year, first.month, first.day) == (second.year, second.day, second.month)
    beside = abs((first - second).days) <= 1
    a_year = abs(first.year - second.year) == 1 and (first.month, first.day) == (second.month, second.day)
    return swapped or beside or a_year or differ_by_one(first.strftime("%Y%m%d"), second.strftime("%Y%m%d"))


def _looking_alike(subject: Subject, others: set[int]) -> set[int]:
    """Of those with a band in common, whose documents really look like one of this subject's."""
    if not others:
        return set()
    mine = _likenesses([subject.pk])
    return {
        pk
        for pk, theirs in _likenesses(others)
        if any(_different_bits(theirs, each) <= MOST_DIFFERENT_BITS for _, each in mine)
    }


def _likenesses(subjects: Iterable[int]) -> list[tuple[int, str]]:
    rows = KycDocument.objects.filter(record__subject__in=list(subjects), removed_at=None).exclude(likeness="")
    return list(rows.values_list("record__subject_id", "likeness"))


def _different_bits(first: str, second: str) -> int:
    return (int(first, 16) ^ int(second, 16)).bit_count()
