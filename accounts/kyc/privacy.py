"""What a person may ask of us: everything about them, or that it is gone. And how long we keep what nobody asks for."""

from __future__ import annotations

import hashlib
import hmac
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import IO, Any, Final

import orjson
from django.db import models
from django.db.models import Max

from accounts import audit, encryption
from accounts.audit import Acting
from accounts.kyc import documents, duplicates, review, rules, storage
from accounts.kyc.rendering import room
from accounts.kyc.states import State
from accounts.models import (
    AuditEntry,
    Erasure,
    KeptAnswer,
    KycDelivery,
    KycDocument,
    KycRecord,
    KycTransition,
    ProviderResult,
    Subject,
    SubjectTrait,
    UploadLink,
    User,
    Workspace,
)
from accounts.scoping import scoped, unscoped
from accounts.workspaces import taking_turns

MAY_SEE_DOCUMENTS: Final = "accounts.view_kycdocument"
MAY_ERASE: Final = "accounts.change_workspace"
"""Who answers for the workspace."""
DOTS: Final = "••••"
ENDED: Final = (State.REJECTED, State.WITHDRAWN, State.EXPIRED)
"""Where the time that a record is kept begins. One that is open or approved is kept as long as it is so."""
MOST_AT_ONCE: Final = 200
ORPHANED_AFTER: Final = timedelta(hours=1)
ENDINGS: Final = {"image/png": "png", "image/jpeg": "jpg", "application/pdf": "pdf"}
SEALED: Final = ("sealed_file", "clean_file", "file_key", "number_sealed", "token_sha256", "workspace")


# --- Masking --------------------------------------------------------------------------------------


def may_see_documents(who: Any) -> bool:
    """Whether this person's role looks at documents and full numbers. A token never does."""
    return isinstance(who, User) and who.has_perm(MAY_SEE_DOCUMENTS)


def shown_number(document: KycDocument, who: Any) -> str:
    """A document's number in full for whose work it is, else its last four characters."""
    if not document.number_last_four:
        return ""
    if may_see_documents(who):
        return documents.number_of(document)
    return DOTS + document.number_last_four


def shown_phone(phone: str, who: Any) -> str:
    """A subject's number: its country and last two digits for whoever does not work with subjects."""
    if not phone or (isinstance(who, User) and who.has_perm("accounts.view_subject")):
        return phone
    return f"{phone[:3]}{DOTS}{phone[-2:]}"


# --- Everything about one subject -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Called:
    """What a subject is or was called, and when: after `since` and before `until`, each where it is known."""

    reference: str
    since: datetime | None
    until: datetime | None


_elsewhere: list[tuple[str, Callable[[Subject], Iterable[bytes]]]] = []


def also_exports(name: str, lines: Callable[[Subject], Iterable[bytes]]) -> None:
    """For those built on this package, when the applications are loaded: a file of what they keep about a subject."""
    _elsewhere.append((name, lines))


def export(*, subject: Subject, acting_user: Acting, now: datetime) -> IO[bytes]:
    """A zip of everything we keep about a subject, files included. That it was made is written down."""
    bundle = room()
    with taking_turns(subject.workspace_id):
        row: Subject = Subject.objects.get(pk=subject.pk)
        with zipfile.ZipFile(bundle, "w", zipfile.ZIP_STORED) as archive:
            for document in KycDocument.objects.filter(record__subject=row).order_by("uploaded_at"):
                for name, content in _files(document):
                    archive.writestr(name, content)
            for name, lines in _elsewhere:
                with archive.open(name, "w") as file:
                    for line in lines(row):
                        file.write(line)
            facts = orjson.dumps(_everything(row), default=str, option=orjson.OPT_INDENT_2)
            archive.writestr("subject.json", facts)
        audit.record(
            workspace_id=row.workspace_id,
            action="subject.export",
            subject=row,
            acting_user=acting_user,
            now=now,
            after={"bytes": bundle.tell()},
        )
    bundle.seek(0)
    return bundle


def _everything(subject: Subject) -> dict[str, Any]:
    records = KycRecord.objects.filter(subject=subject).order_by("pk")
    entries = AuditEntry.objects.filter(_about(_objects(subject))).order_by("sequence")
    return {
        "subject": _plain(subject),
        "records": [
            _plain(record)
            | {
                "transitions": [_plain(row) for row in record.transitions.order_by("sequence")],
                "documents": [_of_document(row) for row in record.documents.order_by("uploaded_at")],
                "provider_results": [_plain(row) for row in record.provider_results.order_by("pk")],
                "upload_links": [_plain(row) for row in record.upload_links.order_by("pk")],
            }
            for record in records
        ],
        "audit_log": [
            {"at": row.at, "action": row.action, "by": row.actor_label, "detail": row.detail} for row in entries
        ],
    }


def _of_document(row: KycDocument) -> dict[str, Any]:
    number = documents.number_of(row) if row.state == KycDocument.State.CLEAN else ""
    return _plain(row) | {"number": number}


def _files(document: KycDocument) -> Iterator[tuple[str, bytes]]:
    """Names of our own making: a file's own name has no say in where somebody unpacks it."""
    if document.state != KycDocument.State.CLEAN:
        return
    folder = f"documents/{document.kind}-{document.pk}"
    yield f"{folder}/original.{ENDINGS[document.content_type]}", documents.original(document)
    for number, jpeg in enumerate(documents.clean_pages(document), 1):
        yield f"{folder}/page-{number}.jpg", jpeg


def _plain(row: models.Model) -> dict[str, Any]:
    fields = [field for field in row._meta.concrete_fields if field.name not in SEALED]
    return {field.name: _value(getattr(row, field.attname)) for field in fields}


def _value(value: Any) -> Any:
    if hasattr(value, "code"):
        return value.code
    if hasattr(value, "__iter__") and not isinstance(value, str | dict | list):
        return [_value(each) for each in value]
    return value


# --- Erasing --------------------------------------------------------------------------------------


def erase(*, subject: Subject, reason: str, acting_user: Acting, now: datetime) -> Subject:
    """Removes a person: rows are emptied, files deleted, the gate forgets them. That there was somebody stays."""
    with taking_turns(subject.workspace_id):
        row: Subject = Subject.objects.select_for_update().get(pk=subject.pk)
        if row.erased_at is not None:
            return row
        objects = _objects(row)  # before some of them are no more
        for record in KycRecord.objects.filter(subject=row).order_by("pk"):
            _erase_record(record, acting_user, now)
        _erase_subject(row, now)
        # Among the answers that REST clients may ask for again are some about this person; nobody can tell which.
        KeptAnswer.objects.filter(status__isnull=False).update(status=None, answer="")
        audit.erase_details(workspace_id=row.workspace_id, objects=objects)
        audit.record(
            workspace_id=row.workspace_id,
            action="subject.erase",
            subject=row,
            acting_user=acting_user,
            now=now,
            reason=reason,
        )
    return row


def _erase_subject(row: Subject, now: datetime) -> None:
    key = encryption.derived_key(row.workspace_id, "erasures")
    digest = hmac.new(key, row.reference.encode(), hashlib.sha256).hexdigest()
    called = orjson.dumps([*_former_references(row), row.reference]).decode()
    sealed = encryption.seal(**_place(row.workspace_id, row.pk), secret=called)
    facts = {"reference_digest": digest, "reference_sealed": sealed, "erased_at": now}
    Erasure.objects.get_or_create(subject_id=row.pk, defaults=facts)
    row.name, row.reference = "Erased", tombstone(row.pk)
    row.phone = row.email = row.country_of_residence = ""
    row.nationalities, row.devices, row.date_of_birth, row.erased_at = [], [], None, now
    row.save()
    SubjectTrait.objects.filter(subject=row).delete()


def _former_references(row: Subject) -> list[str]:
    """What the subject was called before, by the audit log, whose details of it are about to be erased."""
    edits = _edits(object_id=str(row.pk)).order_by("sequence")
    before = [(entry.detail or {}).get("before") or {} for entry in edits]
    former = dict.fromkeys(facts["reference"] for facts in before if facts.get("reference"))
    return [reference for reference in former if reference != row.reference]


def called(subject: Subject) -> list[Called]:
    """By all its references, for those who look for what is the subject's and nobody else's."""
    workspace_id, found = subject.workspace_id, []
    for reference in (*_former_references(subject), subject.reference):
        taken_at = _taken_at(subject, reference) or subject.created_at
        others = _edits(detail__before__reference=reference).exclude(object_id=str(subject.pk))
        is_former = reference != subject.reference
        found.append(
            Called(
                reference,
                since=others.filter(at__lte=taken_at).aggregate(at=Max("at"))["at"],
                until=called_so_since(workspace_id=workspace_id, reference=reference) if is_former else None,
            )
        )
    return found


def _edits(**conditions: Any) -> models.QuerySet[AuditEntry]:
    return AuditEntry.objects.filter(object_type=Subject._meta.label_lower, action="subject.edit", **conditions)


def _taken_at(holder: Subject, reference: str) -> datetime | None:
    """When it was called so by an edit; None where it is called so from its beginning."""
    edits = _edits(object_id=str(holder.pk), detail__after__reference=reference)
    taken_at: datetime | None = edits.aggregate(at=Max("at"))["at"]
    return taken_at


def tombstone(subject_id: int) -> str:
    """What an erased subject is called wherever they were named."""
    return f"erased-{subject_id}"


def former_references(erasure: Erasure) -> list[str]:
    """All that the subject was ever called, for those who still have to forget it. Raises CannotOpen."""
    place = _place(erasure.workspace_id, erasure.subject_id)
    called: list[str] = orjson.loads(encryption.unseal(**place, sealed=erasure.reference_sealed))
    return called


def called_so_since(*, workspace_id: int, reference: str) -> datetime | None:
    """Since when another subject is called so, whose attempts are not to be forgotten; None where none is."""
    with scoped(workspace_id):
        holder = Subject.objects.filter(reference=reference, erased_at=None).first()
        if holder is None:
            return None
        return _taken_at(holder, reference) or holder.created_at


def forget_references(*, erasure: Erasure) -> None:
    """Nobody names the subject any more."""
    with scoped(erasure.workspace_id):
        Erasure.objects.filter(pk=erasure.pk).update(reference_sealed="")


def _place(workspace_id: int, subject_id: int) -> dict[str, Any]:
    return {"workspace_id": workspace_id, "model": "erasure", "row": subject_id, "field": "reference_sealed"}


def _erase_record(record: KycRecord, acting_user: Acting, now: datetime) -> None:
    """Told to the customer's systems under the reference that they know; what was told before is emptied."""
    KycDelivery.objects.filter(record=record, due_at=None).update(body="")
    if record.state != State.ERASED:
        record = review.mark_erased(record=record, acting_user=acting_user, now=now)
    for document in KycDocument.objects.filter(record=record):
        documents.empty(document, now=now)
    ProviderResult.objects.filter(record=record).delete()
    UploadLink.objects.filter(record=record).delete()
    KycTransition.objects.filter(record=record).update(text_for_subject="", text_for_colleagues="")
    record.declared_purpose = record.note_for_colleagues = ""
    record.declared_countries, record.declared_channels, record.declared_calls_per_day = [], [], None
    record.checklist, record.screening = {}, {}
    record.save()


def _objects(subject: Subject) -> dict[str, list[object]]:
    """Everything about a subject that the audit log may have entries of."""
    records = list(KycRecord.objects.filter(subject=subject).values_list("pk", flat=True))
    found: dict[str, list[object]] = {Subject._meta.label_lower: [subject.pk], KycRecord._meta.label_lower: [*records]}
    for model in (KycDocument, UploadLink, ProviderResult):
        ids = set(model.objects.filter(record__in=records).values_list("pk", flat=True))
        found[model._meta.label_lower] = sorted(ids, key=str)
    return found


def _about(objects: dict[str, list[object]]) -> models.Q:
    condition = models.Q(pk=None)
    for object_type, ids in objects.items():
        condition |= models.Q(object_type=object_type, object_id__in=[str(pk) for pk in ids])
    return condition


# --- Keeping no longer than is said ---------------------------------------------------------------


def erase_due(*, now: datetime) -> int:
    """Erases records that ended longer ago than their level is kept; a subject goes with the last of its records."""
    with unscoped(reason="records of every workspace are kept for so long only"):
        workspaces = list(Workspace.objects.all())
    return sum(_erase_due_in(workspace, now) for workspace in workspaces)


def _erase_due_in(workspace: Workspace, now: datetime) -> int:
    days = rules.of(workspace)["retention_days"]
    past = models.Q(pk=None)
    for level, kept in days.items():
        past |= models.Q(level=int(level), ended__lt=now - timedelta(days=kept))
    with scoped(workspace.pk):
        ended = KycRecord.objects.filter(state__in=ENDED).annotate(ended=Max("transitions__at"))
        due = list(ended.filter(past).select_related("subject").order_by("pk")[:MOST_AT_ONCE])
    for record in due:
        _keep_no_longer(record, now)
    return len(due)


def _keep_no_longer(record: KycRecord, now: datetime) -> None:
    with taking_turns(record.workspace_id):
        others = KycRecord.objects.filter(subject=record.subject).exclude(pk=record.pk)
        if not others.exclude(state=State.ERASED).exists():
            erase(subject=record.subject, reason="kept for as long as the workspace says", acting_user=None, now=now)
            return
        held = KycRecord.objects.select_for_update(of=("self",)).get(pk=record.pk)
        if held.state not in ENDED:
            return
        own = _objects_of_record(held)
        _erase_record(held, None, now)
        audit.erase_details(workspace_id=held.workspace_id, objects=own)
        duplicates.note_subject(held.subject)


def _objects_of_record(record: KycRecord) -> dict[str, list[object]]:
    found: dict[str, list[object]] = {KycRecord._meta.label_lower: [record.pk]}
    for model in (KycDocument, UploadLink, ProviderResult):
        found[model._meta.label_lower] = list(model.objects.filter(record=record).values_list("pk", flat=True))
    return found


def remove_orphans(*, now: datetime) -> int:
    """Removes files that no row names: of uploads that broke off, and of erasures that the machine did not survive."""
    old = [
        name for name in storage.names() if storage.age_seconds(name, now.timestamp()) > ORPHANED_AFTER.total_seconds()
    ]
    with unscoped(reason="files of every workspace lie in one place"):
        named = set(KycDocument.objects.values_list("sealed_file", flat=True))
        named |= set(KycDocument.objects.values_list("clean_file", flat=True))
    orphans = [name for name in old if name not in named]
    storage.remove(*orphans)
    return len(orphans)
