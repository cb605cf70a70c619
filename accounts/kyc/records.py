"""What people write down about subjects and their KYC records. Decisions about records are not made here."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import phonenumbers
from django.core.exceptions import ValidationError
from django.db import models

from accounts import audit
from accounts.audit import Acting
from accounts.kyc import duplicates, evidence, four_eyes, review
from accounts.kyc.screening import country_of, nationality_of
from accounts.kyc.states import UNDECIDED, State, SuspendReason
from accounts.kyc.transitions import locked
from accounts.models import KycRecord, Subject, Workspace
from accounts.workspaces import bump_snapshot, taking_turns

SUBJECT_FIELDS = [
    "reference",
    "name",
    "phone",
    "email",
    "nationalities",
    "country_of_residence",
    "date_of_birth",
    "devices",
]
IDENTITY_FIELDS = {"reference", "name", "nationalities", "country_of_residence", "date_of_birth"}
"""Who was approved. By the reference the gate knows them: another one may be somebody else."""
RECORD_FIELDS = [
    "level",
    "declared_countries",
    "declared_channels",
    "declared_calls_per_day",
    "declared_purpose",
    "note_for_colleagues",
]
CHANNELS = ("phone_call", "sms", "web_call", "chat")
MOST_DEVICES, LONGEST_DEVICE = 20, 200
MOST_CALLS_PER_DAY = 1_000_000
OLDEST_YEARS = 130


def create_subject(*, workspace: Workspace, acting_user: Acting, now: datetime, **facts: Any) -> Subject:
    """Writes down an end user. Raises ValidationError naming the field."""
    row = Subject(workspace=workspace, created_at=now)
    with taking_turns(workspace.pk):
        _fill_subject(row, facts, now=now)
        row.save()
        duplicates.note_subject(row)
        _tell(row, "subject.create", acting_user, now, after=_facts(row, SUBJECT_FIELDS))
    return row


def edit_subject(*, subject: Subject, acting_user: Acting, now: datetime, **changes: Any) -> Subject:
    """Changes what is known about an end user. Raises ValidationError naming the field."""
    with taking_turns(subject.workspace_id):
        row = Subject.objects.select_for_update().get(pk=subject.pk)
        if row.erased_at is not None:
            raise ValidationError("This subject was erased.")
        before = _facts(row, SUBJECT_FIELDS)
        _fill_subject(row, changes, now=now)
        changed = _save_changes(row, before, SUBJECT_FIELDS, "subject.edit", acting_user, now)
        if changed:
            duplicates.note_subject(row)
            _look_again(row, changed, acting_user, now)
    return row


def _look_again(subject: Subject, changed: set[str], acting_user: Acting, now: datetime) -> None:
    """What was proposed or approved about somebody who is described otherwise now is looked at again."""
    for record in KycRecord.objects.filter(subject=subject).order_by("pk"):
        evidence.changed(record=record, acting_user=acting_user, now=now)
        if record.state in (State.APPROVED, State.EXPIRED) and "reference" in changed:
            bump_snapshot(record.workspace_id)
        if record.state == State.APPROVED and changed & IDENTITY_FIELDS:
            _approved_otherwise(locked(record), changed & IDENTITY_FIELDS, now)


def _approved_otherwise(record: KycRecord, changed: set[str], now: datetime) -> None:
    """A sanctioned country that nobody saw closes at once; anything else is decided again while it stays open."""
    words = f"Changed after the approval: {', '.join(sorted(changed))}."
    common: dict[str, Any] = {"record": record, "acting_user": None, "now": now, "text_for_colleagues": words}
    if "sanctioned_country" in set(four_eyes.reasons(record)) - set(record.second_reasons):
        review.suspend(reason_codes=[SuspendReason.EVIDENCE_CHANGED], **common)
    else:
        review.reopen(**common)


def create_kyc_record(
    *, workspace: Workspace, subject: Subject, acting_user: Acting, now: datetime, **facts: Any
) -> KycRecord:
    """Opens a draft. Raises ValidationError naming the field."""
    row = KycRecord(workspace=workspace, subject=subject, created_at=now)
    with taking_turns(workspace.pk):
        if not Subject.objects.filter(pk=subject.pk, erased_at=None).exists():
            raise ValidationError({"subject": "This subject belongs to another workspace, or was erased."})
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
    """Changes what was declared and noted. What was decided stays as it was. Raises ValidationError."""
    with taking_turns(record.workspace_id):
        row = locked(record)
        before = _facts(row, RECORD_FIELDS)
        _fill_record(row, changes)
        if row.state not in UNDECIDED:
            _refuse_new_use(row, before)
        if _save_changes(row, before, RECORD_FIELDS, "kyc_record.edit", acting_user, now):
            row = evidence.changed(record=row, acting_user=acting_user, now=now)
    return row


def _refuse_new_use(row: KycRecord, before: dict[str, Any]) -> None:
    """The gate holds a subject to what was approved: nobody widens it afterwards."""
    after = _facts(row, RECORD_FIELDS)
    words = f"This record is {row.get_state_display().lower()}; open another record for another level or use."
    problems = {
        name: [words] for name in RECORD_FIELDS if name != "note_for_colleagues" and before[name] != after[name]
    }
    if problems:
        raise ValidationError(problems)


def _fill_subject(row: Subject, facts: dict[str, Any], *, now: datetime) -> None:
    problems: dict[str, list[str]] = {}
    _set(row, _with_codes(facts), SUBJECT_FIELDS)
    row.reference, row.name = row.reference.strip(), row.name.strip()
    if row.phone:
        row.phone, problem = _as_e164(row.phone)
        if problem:
            problems["phone"] = [problem]
    if Subject.objects.filter(reference=row.reference).exclude(pk=row.pk).exists():
        problems["reference"] = [f"There is a subject with the reference “{row.reference}” already."]
    if row.date_of_birth and row.date_of_birth >= now.date():
        problems["date_of_birth"] = ["The date of birth must be in the past."]
    elif row.date_of_birth and now.year - row.date_of_birth.year > OLDEST_YEARS:
        problems["date_of_birth"] = [f"The date of birth is more than {OLDEST_YEARS} years ago: look at the year."]
    if not _are_devices(row.devices):
        problems["devices"] = [
            f"Devices are a list of up to {MOST_DEVICES} texts of at most {LONGEST_DEVICE} characters."
        ]
    _clean(row, problems)


def _fill_record(row: KycRecord, facts: dict[str, Any]) -> None:
    _set(row, _with_codes(facts), RECORD_FIELDS)
    problems: dict[str, list[str]] = {}
    channels = row.declared_channels
    if not isinstance(channels, list) or any(channel not in CHANNELS for channel in channels):
        problems["declared_channels"] = [f"Channels are a list of: {', '.join(CHANNELS)}."]
    else:
        row.declared_channels = [channel for channel in CHANNELS if channel in channels]
    calls = row.declared_calls_per_day
    if calls is not None and not 1 <= calls <= MOST_CALLS_PER_DAY:
        problems["declared_calls_per_day"] = [f"Calls per day are a number from 1 to {MOST_CALLS_PER_DAY}."]
    _clean(row, problems)


def _are_devices(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) <= MOST_DEVICES
        and all(isinstance(entry, str) and 0 < len(entry) <= LONGEST_DEVICE and "\0" not in entry for entry in value)
    )


def _with_codes(facts: dict[str, Any]) -> dict[str, Any]:
    """Countries as ISO alpha-2, however they are written; what is none stays, and is refused by its field."""
    countries: dict[str, Any] = {
        name: [read(_plain(entry)) or entry for entry in facts[name]]
        for name, read in (("nationalities", nationality_of), ("declared_countries", country_of))
        if isinstance(facts.get(name), list | tuple)
    }
    residence = facts.get("country_of_residence")
    if residence:
        countries["country_of_residence"] = country_of(_plain(residence)) or residence
    return facts | countries


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
) -> set[str]:
    """Answers the names of what changed."""
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
    return set(changed)


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
