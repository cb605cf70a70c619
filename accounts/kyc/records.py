"""What people write down about subjects and their KYC records. Decisions about records are not made here."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import phonenumbers
from django.core.exceptions import ValidationError
from django.db import models, transaction

from accounts import audit
from accounts.audit import Acting
from accounts.models import KycRecord, Subject, Workspace
from accounts.scoping import scoped

SUBJECT_FIELDS = [
    "reference",
    "name",
    "phone",
    "email",
    "nationalities",
    "country_of_residence",
    "date_of_birth",
]
RECORD_FIELDS = ["level", "declared_countries", "declared_purpose", "note_for_colleagues"]
DECIDED = (KycRecord.State.APPROVED, KycRecord.State.REJECTED, KycRecord.State.ERASED)


def create_subject(*, workspace: Workspace, acting_user: Acting, now: datetime, **facts: Any) -> Subject:
    """Writes down an end user. Raises ValidationError naming the field."""
    row = Subject(workspace=workspace, created_at=now)
    with scoped(workspace.pk), transaction.atomic():
        _fill_subject(row, facts, now=now)
        row.save()
        _tell(row, "subject.create", acting_user, now, after=_facts(row, SUBJECT_FIELDS))
    return row


def edit_subject(*, subject: Subject, acting_user: Acting, now: datetime, **changes: Any) -> Subject:
    """Changes what is known about an end user. Raises ValidationError naming the field."""
    with scoped(subject.workspace_id), transaction.atomic():
        row = Subject.objects.select_for_update().get(pk=subject.pk)
        before = _facts(row, SUBJECT_FIELDS)
        _fill_subject(row, changes, now=now)
        _save_changes(row, before, SUBJECT_FIELDS, "subject.edit", acting_user, now)
    return row


def create_kyc_record(
    *, workspace: Workspace, subject: Subject, acting_user: Acting, now: datetime, **facts: Any
) -> KycRecord:
    """Opens a draft. Raises ValidationError naming the field."""
    row = KycRecord(workspace=workspace, subject=subject, created_at=now)
    with scoped(workspace.pk), transaction.atomic():
        if not Subject.objects.filter(pk=subject.pk).exists():
            raise ValidationError({"subject": "This subject belongs to another workspace."})
        _fill_record(row, facts)
        row.save()
        _tell(
            row,
            "kyc_record.create",
            acting_user,
            now,
            after={"subject": subject.reference} | _facts(row, RECORD_FIELDS),
        )
    return row


def edit_kyc_record(*, record: KycRecord, acting_user: Acting, now: datetime, **changes: Any) -> KycRecord:
    """Changes what was declared and noted. The level of a decided record stays. Raises ValidationError."""
    with scoped(record.workspace_id), transaction.atomic():
        row = KycRecord.objects.select_for_update().get(pk=record.pk)
        before = _facts(row, RECORD_FIELDS)
        if row.state in DECIDED and changes.get("level", row.level) != row.level:
            raise ValidationError({"level": "This record was decided at its level; open another record instead."})
        _fill_record(row, changes)
        _save_changes(row, before, RECORD_FIELDS, "kyc_record.edit", acting_user, now)
    return row


def _fill_subject(row: Subject, facts: dict[str, Any], *, now: datetime) -> None:
    problems: dict[str, list[str]] = {}
    _set(row, facts, SUBJECT_FIELDS)
    row.reference, row.name = row.reference.strip(), row.name.strip()
    if row.phone:
        row.phone, problem = _as_e164(row.phone)
        if problem:
            problems["phone"] = [problem]
    if Subject.objects.filter(reference=row.reference).exclude(pk=row.pk).exists():
        problems["reference"] = [f"There is a subject with the reference “{row.reference}” already."]
    if row.date_of_birth and row.date_of_birth >= now.date():
        problems["date_of_birth"] = ["The date of birth must be in the past."]
    _clean(row, problems)


def _fill_record(row: KycRecord, facts: dict[str, Any]) -> None:
    _set(row, facts, RECORD_FIELDS)
    _clean(row, {})


def _set(row: models.Model, facts: dict[str, Any], known: list[str]) -> None:
    for name, value in facts.items():
        if name not in known:
            raise ValueError(f"{name} is nothing that can be set about a {row._meta.verbose_name}.")
        setattr(row, name, value)


def _clean(row: models.Model, problems: dict[str, list[str]]) -> None:
    try:
        row.clean_fields(exclude=list(problems))
    except ValidationError as problem:
        problems |= problem.message_dict
    if problems:
        raise ValidationError(problems)


def _as_e164(text: str) -> tuple[str, str]:
    try:
        number = phonenumbers.parse(text.strip())
    except phonenumbers.NumberParseException:
        number = None
    if number is None or not phonenumbers.is_valid_number(number):
        return text, f"“{text[:40]}” is not a telephone number. Write it with its country: +14155550100."
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164), ""


def _save_changes(
    row: models.Model,
    before: dict[str, Any],
    known: list[str],
    action: str,
    acting_user: Acting,
    now: datetime,
) -> None:
    after = _facts(row, known)
    changed = [name for name in known if before[name] != after[name]]
    if changed:
        row.save(update_fields=changed)
        _tell(
            row,
            action,
            acting_user,
            now,
            before={name: before[name] for name in changed},
            after={name: after[name] for name in changed},
        )


def _tell(row: Any, action: str, acting_user: Acting, now: datetime, **entry: Any) -> None:
    audit.record(workspace_id=row.workspace_id, action=action, subject=row, acting_user=acting_user, now=now, **entry)


def _facts(row: models.Model, known: list[str]) -> dict[str, Any]:
    """The values as JSON can keep them: countries as lists of codes."""
    return {name: _plain(getattr(row, name)) for name in known}


def _plain(value: Any) -> Any:
    if hasattr(value, "code"):
        return value.code or ""
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [_plain(entry) for entry in value]
    return value.isoformat() if hasattr(value, "isoformat") else value
