"""Documents of a record: taken in, read, shown, removed. The original is sealed; people see the clean pages alone."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Sum
from django_countries import countries

from accounts import audit, encryption
from accounts.audit import Acting
from accounts.kyc import duplicates, evidence, people, rendering, scanning, storage
from accounts.kyc.machine_readable import Reading, read
from accounts.kyc.rendering import MEDIA_TYPES, NotRendered, Page, Rendition
from accounts.kyc.states import State
from accounts.kyc.transitions import WrongState, locked
from accounts.models import KycDocument, KycRecord, ProviderResult
from accounts.scoping import scoped
from accounts.workspaces import taking_turns

Kind = KycDocument.Kind
IDENTITY: Final = (Kind.PASSPORT, Kind.IDENTITY_CARD, Kind.DRIVING_LICENCE, Kind.RESIDENCE_PERMIT)
SIDES: Final = ("", "front", "back")
LONGEST_NAME: Final = 120
MOST_DOCUMENTS: Final = 40
MOST_SUBJECT_BYTES: Final = 120 * 1024 * 1024

OPEN: Final = (
    State.DRAFT,
    State.SUBMITTED,
    State.IN_REVIEW,
    State.NEEDS_INFORMATION,
    State.PROPOSED_APPROVE,
    State.PROPOSED_REJECT,
    State.SUSPENDED,
)
OPEN_TO_SUBJECT: Final = (State.DRAFT, State.NEEDS_INFORMATION)


@dataclass(frozen=True, slots=True)
class Asked:
    """One thing that a level asks for: a document of one of `kinds`."""

    name: str
    kinds: tuple[Kind, ...]
    words: str
    hint: str


IDENTITY_DOCUMENT: Final = Asked(
    "identity", IDENTITY, "Passport, identity card or driving licence", "Every side that has something on it."
)
SELFIE: Final = Asked("selfie", (Kind.SELFIE,), "A photo of yourself", "Your face from the front, in good light.")
ADDRESS: Final = Asked(
    "address", (Kind.PROOF_OF_ADDRESS,), "A letter with your address", "A bill or a bank's letter of the last 3 months."
)
ASKED_FOR: Final = {1: (IDENTITY_DOCUMENT,), 2: (IDENTITY_DOCUMENT, SELFIE), 3: (IDENTITY_DOCUMENT, SELFIE, ADDRESS)}


def missing(record: KycRecord) -> list[Asked]:
    """What the record's level asks for and nobody handed in."""
    kinds = set(KycDocument.objects.filter(record=record, state="clean").values_list("kind", flat=True))
    return [asked for asked in ASKED_FOR[record.level] if not kinds & set(asked.kinds)]


def shows_identity(record: KycRecord) -> bool:
    """Whether there is anything to tell by who the person is, on the record or on the one that it renews."""
    held = [pk for pk in (record.pk, record.renews_id) if pk is not None]
    papers = KycDocument.objects.filter(record__in=held, state=KycDocument.State.CLEAN, kind__in=IDENTITY)
    results = ProviderResult.objects.filter(record__in=held, kind=ProviderResult.Kind.IDENTITY)
    return papers.exists() or results.exists()


def accept(
    *,
    record: KycRecord,
    content: bytes,
    name: str,
    kind: str,
    acting_user: Acting,
    now: datetime,
    side: str = "",
    by_subject: bool = False,
) -> KycDocument:
    """Takes a file in. Raises ValidationError, which names the file and says what is wrong with it; WrongState."""
    row = prepare(
        record=record,
        content=content,
        name=name,
        kind=kind,
        side=side,
        acting_user=acting_user,
        now=now,
        by_subject=by_subject,
    )
    try:
        return add(row, by_subject=by_subject, acting_user=acting_user, now=now)
    except BaseException:
        discard(row)
        raise


def prepare(
    *,
    record: KycRecord,
    content: bytes,
    name: str,
    kind: str,
    acting_user: Acting,
    now: datetime,
    side: str = "",
    by_subject: bool = False,
) -> KycDocument:
    """Its files, kept, and its row, which is not: what takes its time, before anything is locked."""
    shown = harmless_name(name)
    _check_words(kind, side)
    with scoped(record.workspace_id):
        _check_room(record, len(content), shown)
    rendition = _rendered(content, shown)
    row = KycDocument(
        pk=uuid.uuid4(), workspace_id=record.workspace_id, record=record, kind=kind, side=side, name=shown
    )
    _describe(row, content, rendition)
    row.uploaded_by = people.identity(acting_user, subject=record.subject if by_subject else None)
    row.uploaded_at = now
    _keep(row, content, rendition.pages)
    return row


def discard(row: KycDocument) -> None:
    """The files of one that was prepared and is not added."""
    storage.remove(row.sealed_file, row.clean_file)


def add(row: KycDocument, *, by_subject: bool, acting_user: Acting, now: datetime) -> KycDocument:
    """The row and what follows from it. The same file twice is one document. Raises ValidationError, WrongState."""
    with taking_turns(row.workspace_id):
        held = locked(row.record)
        if held.state not in (OPEN_TO_SUBJECT if by_subject else OPEN):
            raise WrongState(f"This record is {State(held.state).label.lower()}: no documents can be added to it.")
        twin = KycDocument.objects.filter(record=held, sha256=row.sha256, kind=row.kind, side=row.side, state="clean")
        if twin.exists():
            found: KycDocument = twin.get()
            discard(row)
            return found
        _check_room(held, row.size_bytes, row.name)
        row.save(force_insert=True)
        duplicates.note_document(row)
        _tell(row, "kyc_document.add", acting_user, now, after=_facts(row))
        evidence.changed(record=held, acting_user=acting_user, now=now)
    return row


def remove(*, document: KycDocument, acting_user: Acting, now: datetime, reason: str) -> KycDocument:
    """Takes a document off its record: the files and everything read from it are gone for good. Raises WrongState."""
    with taking_turns(document.workspace_id):
        held = locked(document.record)
        row: KycDocument = KycDocument.objects.select_for_update(of=("self",)).get(pk=document.pk)
        if row.state == KycDocument.State.REMOVED:
            return row
        if held.state not in OPEN:
            raise WrongState("This record was decided with its documents; they stay until they are no longer kept.")
        facts = _facts(row)
        empty(row, now=now)
        _tell(row, "kyc_document.remove", acting_user, now, before=facts, reason=reason)
        evidence.changed(record=held, acting_user=acting_user, now=now)
    return row


def empty(row: KycDocument, *, now: datetime) -> None:
    """Inside a transaction: leaves of a document that there was one. Its files go when the transaction stands."""
    files = (row.sealed_file, row.clean_file)
    row.state, row.removed_at = KycDocument.State.REMOVED, now
    for name in ("name", "sha256", "clean_sha256", "likeness", "sealed_file", "clean_file", "file_key"):
        setattr(row, name, "")
    row.number_sealed = row.number_last_four = row.side = row.issuing_country = ""
    row.reading, row.expires_on = {}, None
    row.save()
    row.traits.all().delete()
    transaction.on_commit(lambda: storage.remove(*files))


def read_lines(*, document: KycDocument, text: str, acting_user: Acting, now: datetime) -> Reading:
    """Keeps what the machine-readable lines say, as somebody typed them. Lines that do not fit are kept as such."""
    reading = read(text, today=now.date())
    with taking_turns(document.workspace_id):
        held = locked(document.record)
        if held.state not in OPEN:
            raise WrongState("This record was decided with its documents; nothing more can be read from them.")
        row: KycDocument = KycDocument.objects.select_for_update(of=("self",)).get(pk=document.pk)
        row.reading = reading.as_facts()
        if reading.number:
            row.number_sealed = _sealed(row, "number_sealed", reading.number)
            row.number_last_four = reading.number[-4:]
        row.issuing_country = _country(reading.issuer) or row.issuing_country
        row.expires_on = reading.expires_on or row.expires_on
        row.save()
        duplicates.note_document(row, number=reading.number)
        _tell(row, "kyc_document.read_lines", acting_user, now, after={"fits": reading.fits, **_facts(row)})
        evidence.changed(record=held, acting_user=acting_user, now=now)
    return reading


def note_number(*, document: KycDocument, number: str, acting_user: Acting, now: datetime) -> KycDocument:
    """Keeps a number as somebody read it off a document without machine-readable lines."""
    plain = duplicates.plain_number(number)
    if not 4 <= len(plain) <= 40:
        raise ValidationError({"number": "Write the document's number: 4 to 40 letters and digits."})
    with taking_turns(document.workspace_id):
        held = locked(document.record)
        if held.state not in OPEN:
            raise WrongState("This record was decided with its documents; nothing more can be read from them.")
        row: KycDocument = KycDocument.objects.select_for_update(of=("self",)).get(pk=document.pk)
        row.number_sealed, row.number_last_four = _sealed(row, "number_sealed", number.strip()), plain[-4:]
        row.save()
        duplicates.note_document(row, number=number)
        _tell(row, "kyc_document.note_number", acting_user, now, after=_facts(row))
        evidence.changed(record=held, acting_user=acting_user, now=now)
    return row


# --- Looking --------------------------------------------------------------------------------------


def view(*, document: KycDocument, page: int, acting_user: Acting, now: datetime) -> bytes:
    """One clean page as JPEG. That it was looked at is written down. Raises storage.Gone, CannotOpen."""
    with scoped(document.workspace_id), transaction.atomic():
        jpeg = clean_page(document, page)
        _tell(document, "kyc_document.view", acting_user, now, after={"kind": document.kind, "page": page})
    return jpeg


def clean_page(document: KycDocument, page: int) -> bytes:
    """One clean page as JPEG, without a word to the audit log."""
    pages = _unpacked(_opened(document, "clean_file"))
    if not 1 <= page <= len(pages):
        raise storage.Gone("This document has no such page.")
    return pages[page - 1]


def clean_pages(document: KycDocument) -> list[bytes]:
    return _unpacked(_opened(document, "clean_file"))


def original(document: KycDocument) -> bytes:
    """The file as it was sent. Never to be shown by a browser."""
    return _opened(document, "sealed_file")


def number_of(document: KycDocument) -> str:
    """The document's number in full, where one was read."""
    if not document.number_sealed:
        return ""
    place = {"workspace_id": document.workspace_id, "model": "kycdocument", "row": document.pk}
    return encryption.unseal(**place, field="number_sealed", sealed=document.number_sealed)


def harmless_name(name: str) -> str:
    """What the file was called, without folders, control characters, and marks that turn text around."""
    last = re.split(r"[/\\]", unicodedata.normalize("NFC", name))[-1]
    plain = "".join(sign for sign in last if unicodedata.category(sign)[0] != "C" and sign not in "<>\"'`&;|$")
    plain = re.sub(r"\s+", " ", plain).strip(" .")
    if len(plain) > LONGEST_NAME:
        plain = plain[: LONGEST_NAME - 12] + "…" + plain[-11:]
    return plain or "file"


# --- Inside ---------------------------------------------------------------------------------------


def _check_words(kind: str, side: str) -> None:
    if kind not in Kind.values:
        raise ValidationError({"kind": f"“{kind[:40]}” is no kind of document; there are: {', '.join(Kind.values)}."})
    if side not in SIDES:
        raise ValidationError({"side": "A side is front, back, or left out."})


def _check_room(record: KycRecord, size: int, name: str) -> None:
    kept = KycDocument.objects.filter(record__subject_id=record.subject_id, removed_at=None)
    if kept.count() >= MOST_DOCUMENTS:
        raise _refusal(name, f"there are {MOST_DOCUMENTS} files of this person already. Remove one first")
    if (kept.aggregate(sum=Sum("size_bytes"))["sum"] or 0) + size > MOST_SUBJECT_BYTES:
        most = MOST_SUBJECT_BYTES // 1024 // 1024
        raise _refusal(name, f"the files of this person would be more than {most} MB. Remove one first")


def _rendered(content: bytes, name: str) -> Rendition:
    try:
        rendering.kind_of(content)
        scanning.scan(content)
        return rendering.render(content)
    except NotRendered as refusal:
        raise _refusal(name, str(refusal)) from None
    except scanning.Infected:
        raise _refusal(name, rendering.REASONS["virus"]) from None
    except scanning.NotScanned:
        raise _refusal(name, rendering.REASONS["not_scanned"]) from None


def _refusal(name: str, words: str) -> ValidationError:
    return ValidationError({"file": f"{name} was not taken: {words}."})


def _describe(row: KycDocument, content: bytes, rendition: Rendition) -> None:
    row.state = KycDocument.State.CLEAN
    row.content_type = MEDIA_TYPES[rendition.kind]
    row.size_bytes = len(content)
    row.pages = len(rendition.pages)
    row.width, row.height = rendition.pages[0].width, rendition.pages[0].height
    row.sha256 = hashlib.sha256(content).hexdigest()
    row.likeness = rendition.likeness


def _keep(row: KycDocument, content: bytes, pages: Sequence[Page]) -> None:
    """Both files sealed under a key of this document's own: with the key gone, so are all copies of them."""
    key = encryption.new_file_key()
    clean = _packed(pages)
    row.clean_sha256 = hashlib.sha256(clean).hexdigest()
    row.file_key = _sealed(row, "file_key", key)
    place = {"key": key, "workspace_id": row.workspace_id, "model": "kycdocument", "row": row.pk}
    row.sealed_file = storage.write(encryption.seal_bytes(**place, field="sealed_file", content=content))
    row.clean_file = storage.write(encryption.seal_bytes(**place, field="clean_file", content=clean))


def _opened(row: KycDocument, field: str) -> bytes:
    if row.state != KycDocument.State.CLEAN:
        raise storage.Gone("This document was removed.")
    place: dict[str, Any] = {"workspace_id": row.workspace_id, "model": "kycdocument", "row": row.pk}
    key = encryption.unseal(**place, field="file_key", sealed=row.file_key)
    return encryption.unseal_bytes(**place, key=key, field=field, sealed=storage.read(getattr(row, field)))


def _packed(pages: Sequence[Page]) -> bytes:
    return json.dumps([len(page.jpeg) for page in pages]).encode() + b"\n" + b"".join(page.jpeg for page in pages)


def _unpacked(packed: bytes) -> list[bytes]:
    head, _, body = packed.partition(b"\n")
    pages, start = [], 0
    for length in json.loads(head):
        pages.append(body[start : start + length])
        start += length
    return pages


def _sealed(row: KycDocument, field: str, secret: str) -> str:
    place = {"workspace_id": row.workspace_id, "model": "kycdocument", "row": row.pk}
    return encryption.seal(**place, field=field, secret=secret)


def _country(issuer: str) -> str:
    """ICAO's code as alpha-2; empty for organisations and for people without a country."""
    return "DE" if issuer == "D" else countries.alpha2(issuer)


def _facts(row: KycDocument) -> dict[str, Any]:
    return {
        "record": row.record_id,
        "kind": row.kind,
        "side": row.side,
        "name": row.name,
        "pages": row.pages,
        "sha256": row.sha256,
    }


def _tell(row: KycDocument, action: str, acting_user: Acting, now: datetime, **entry: Any) -> None:
    audit.record(workspace_id=row.workspace_id, action=action, subject=row, acting_user=acting_user, now=now, **entry)
