"""The only writer of AuditEntry: one hash chain per workspace, verified by `verify`.

Each link is keyed with the workspace's audit key, so that whoever can write to the database alone cannot
forge one. A person's details stand outside the chain (see AuditEntry), so erasing them does not break it.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from django.db import models, transaction

from accounts import encryption
from accounts.models import ApiToken, AuditEntry, AuditHead, User
from accounts.scoping import unscoped

FIRST_DIGEST = "0" * 64
SYSTEM = "fraudconsole"
ERASED = "erased"

Acting = User | ApiToken | None
"""Who acts: a person, a REST client's token, or None for the console itself."""

_origin: ContextVar[dict[str, str] | None] = ContextVar("audit_origin", default=None)


@contextmanager
def origin(**facts: str) -> Iterator[None]:
    """Notes where the changes made inside come from: `ip`, `request_id`, `via`."""
    token = _origin.set({name: value for name, value in facts.items() if value})
    try:
        yield
    finally:
        _origin.reset(token)


def current_origin() -> dict[str, str]:
    """Where changes come from at this moment, for one that knows more of it."""
    return dict(_origin.get() or {})


@dataclass(frozen=True, slots=True)
class Note:
    """What one entry is to tell."""

    action: str
    subject: models.Model
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None
    reason: str = ""


def record(
    *,
    workspace_id: int,
    action: str,
    subject: models.Model,
    acting_user: Acting,
    now: datetime,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    reason: str = "",
) -> AuditEntry:
    """Appends an entry about `subject`, in the transaction of the change that it tells of."""
    note = Note(action, subject, before, after, reason)
    [entry] = record_all(workspace_id=workspace_id, notes=[note], acting_user=acting_user, now=now)
    return entry


def record_all(*, workspace_id: int, notes: Sequence[Note], acting_user: Acting, now: datetime) -> list[AuditEntry]:
    """Appends an entry for each note, in their order, in hardly more queries than one takes."""
    if not transaction.get_connection().in_atomic_block:
        raise transaction.TransactionManagementError("An audit entry belongs into the transaction of its change.")
    if not notes:
        return []
    with unscoped(reason="the chain's newest link, by its workspace"):
        AuditHead.objects.get_or_create(workspace_id=workspace_id)
        head = AuditHead.objects.select_for_update().get(workspace_id=workspace_id)
        key, entries = encryption.audit_key(workspace_id), []
        for note in notes:
            entry = _entry(note, workspace_id=workspace_id, acting_user=acting_user, now=now)
            entry.sequence, entry.previous_digest = head.sequence + 1, head.digest
            entry.digest = _digest(entry, key)
            head.sequence, head.digest = entry.sequence, entry.digest
            entries.append(entry)
        AuditEntry.objects.bulk_create(entries)
        AuditHead.objects.filter(pk=head.pk).update(sequence=head.sequence, digest=head.digest)
    return entries


def _entry(note: Note, *, workspace_id: int, acting_user: Acting, now: datetime) -> AuditEntry:
    """The entry before it has its place in the chain."""
    detail = {"before": note.before, "after": note.after, "reason": note.reason, "origin": _origin.get() or {}}
    entry = AuditEntry(
        workspace_id=workspace_id,
        at=now.astimezone(UTC),
        action=note.action,
        actor_id=acting_user.pk if isinstance(acting_user, User) else None,
        actor_label=label_of(acting_user),
        object_type=note.subject._meta.label_lower,
        object_id=str(note.subject.pk),
        object_label=str(note.subject)[:200],
        detail=orjson.loads(orjson.dumps(detail, default=str)),
        detail_key=secrets.token_hex(32),
    )
    entry.detail_digest = _detail_digest(entry)
    return entry


def erase_details(*, workspace_id: int, objects: Mapping[str, Iterable[object]]) -> int:
    """Erases what entries about these objects (ids by type) tell of a person, in the transaction of an erasure.

    That something was done, when, by whom and to which object stays, and the chain with it.
    """
    if not transaction.get_connection().in_atomic_block:
        raise transaction.TransactionManagementError("Details are erased in the transaction of an erasure.")
    count = 0
    for object_type, ids in objects.items():
        # Past the model's own refusal: nothing else may, and this leaves the links of the chain alone.
        entries = models.QuerySet(AuditEntry).filter(workspace_id=workspace_id, object_type=object_type)
        texts = [str(pk) for pk in ids]
        for start in range(0, len(texts), 500):
            chosen = entries.filter(object_id__in=texts[start : start + 500])
            count += chosen.update(detail=None, detail_key="", object_label=ERASED)
    return count


@dataclass(frozen=True, slots=True)
class Verification:
    """`entries` read; the first bad one's sequence and what is wrong with it, or neither."""

    entries: int
    bad_sequence: int | None = None
    problem: str = ""


def verify(workspace_id: int) -> Verification:
    """Reads a workspace's whole chain and names the first entry that does not fit."""
    key = encryption.audit_key(workspace_id)
    previous, count = FIRST_DIGEST, 0
    with unscoped(reason="the whole chain of one workspace, by its id"):
        head = AuditHead.objects.filter(workspace_id=workspace_id).first()
        for entry in AuditEntry.objects.filter(workspace_id=workspace_id).order_by("sequence").iterator(2000):
            problem = _problem(entry, count + 1, previous, key)
            if problem:
                return Verification(count, count + 1, problem)
            previous, count = entry.digest, count + 1
            if head and head.sequence == count and head.digest != previous:
                return Verification(count - 1, count, "it is not the one that was written")
    if head is None and count:
        return Verification(count, count + 1, "nothing says any more whether entries are missing at the end")
    # The head was read first, so there may be more entries than it counts, written meanwhile, but never fewer.
    if head and head.sequence > count:
        return Verification(count, count + 1, f"entries {count + 1} to {head.sequence} are missing at the end")
    return Verification(count)


def _problem(entry: AuditEntry, sequence: int, previous: str, key: bytes) -> str:
    if entry.sequence != sequence:
        return f"entry {sequence} is missing"
    if entry.previous_digest != previous:
        return "it does not follow the entry before it"
    if not hmac.compare_digest(entry.digest, _digest(entry, key)):
        return "it was altered"
    erased = entry.detail is None and not entry.detail_key
    if not erased and not hmac.compare_digest(entry.detail_digest, _detail_digest(entry)):
        return "its detail was altered"
    return ""


def _detail_digest(entry: AuditEntry) -> str:
    body = orjson.dumps(
        {"detail": entry.detail, "actor": entry.actor_label, "object": entry.object_label},
        option=orjson.OPT_SORT_KEYS,
    )
    return hmac.new(bytes.fromhex(entry.detail_key), body, hashlib.sha256).hexdigest()


def _digest(entry: AuditEntry, key: bytes) -> str:
    body = orjson.dumps(
        [
            entry.workspace_id,
            entry.sequence,
            int(entry.at.timestamp() * 1_000_000),
            entry.action,
            entry.actor_id,
            entry.object_type,
            entry.object_id,
            entry.detail_digest,
            entry.previous_digest,
        ]
    )
    return hmac.new(key, body, hashlib.sha256).hexdigest()


def label_of(acting_user: Acting) -> str:
    if acting_user is None:
        return SYSTEM
    if isinstance(acting_user, ApiToken):
        return f"API token {acting_user.name}"[:200]
    return f"{acting_user.name} <{acting_user.email}>".strip()[:200] if acting_user.name else acting_user.email
