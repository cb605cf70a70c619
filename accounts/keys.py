"""What people do with public keys: mint, register, edit, rotate, revoke. The gate is told by the snapshot."""

from __future__ import annotations

import secrets
import string
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import OuterRef, QuerySet, Subquery

from accounts import audit, encryption, gate_rules
from accounts.audit import Acting
from accounts.key_input import CHANNELS, EDITABLE, fill
from accounts.models import PublicKey, Workspace
from accounts.scoping import unscoped
from accounts.workspaces import bump_snapshot, taking_turns

__all__ = [
    "CHANNELS",
    "EDITABLE",
    "LONGEST_OVERLAP",
    "NO_OVERLAP",
    "OVERLAP",
    "captcha_secret",
    "edit_public_key",
    "mint_public_key",
    "register_public_key",
    "retire_public_keys",
    "revoke_public_key",
    "rotate_public_key",
    "with_names",
]

MARK = "pk_"
RANDOM_LENGTH = 32
OVERLAP = timedelta(days=7)
LONGEST_OVERLAP = timedelta(days=90)
NO_OVERLAP = timedelta(0)


def looks_like_key(text: str) -> bool:
    """Whether the text could be a key that the console minted; nothing is looked up."""
    return text.startswith(MARK) and len(text) == len(MARK) + RANDOM_LENGTH and text.isascii() and text[3:].isalnum()


def mint_public_key(
    *, workspace: Workspace, acting_user: Acting, now: datetime, captcha_follows: bool = False, **facts: Any
) -> PublicKey:
    """Makes a gate key that works at once; see `key_input.fill`. Raises ValidationError naming the field."""
    row = PublicKey(workspace=workspace, kind=PublicKey.Kind.GATE_KEY, key=_new_key(), created_at=now)
    with taking_turns(workspace.pk):
        secret = fill(row, facts, captcha_follows=captcha_follows)
        after = _facts(row, secret)
        _save(row, secret=secret, action="public_key.mint", acting_user=acting_user, now=now, after=after)
        if row.mode == PublicKey.Mode.OBSERVING:
            gate_rules.of_the_gate().ask_to_observe_key(row, None, facts, acting_user, now)
    return row


def register_public_key(
    *, workspace: Workspace, key: str, acting_user: Acting, now: datetime, **facts: Any
) -> PublicKey:
    """Notes a key that exists in UponAI's dashboard. Nothing here can prove it, or stop it."""
    row = PublicKey(workspace=workspace, kind=PublicKey.Kind.UPONAI, key=key.strip(), created_at=now)
    with taking_turns(workspace.pk):
        if PublicKey.objects.filter(key=row.key).exists():
            raise ValidationError({"key": "This key is in the register already."})
        fill(row, facts)
        _save(row, action="public_key.register", acting_user=acting_user, now=now, after=_facts(row))
    return row


def edit_public_key(
    *, public_key: PublicKey, acting_user: Acting, now: datetime, captcha_follows: bool = False, **changes: Any
) -> PublicKey:
    """Changes what a key may do; see `key_input.fill`. Raises ValidationError naming the field."""
    with taking_turns(public_key.workspace_id):
        row = _locked(public_key)
        before = _facts(row)
        secret = fill(row, changes, captcha_follows=captcha_follows)
        after = _facts(row, secret)
        changed = [name for name in after if before[name] != after[name]]
        if changed:
            _save(
                row,
                secret=secret,
                action="public_key.edit",
                acting_user=acting_user,
                now=now,
                before={name: before[name] for name in changed},
                after={name: after[name] for name in changed},
            )
        if "mode" in changed and row.mode == PublicKey.Mode.OBSERVING and row.kind == PublicKey.Kind.GATE_KEY:
            wanted = {name: value for name, value in changes.items() if name in changed}
            gate_rules.of_the_gate().ask_to_observe_key(row, before, wanted, acting_user, now)
    return row


def rotate_public_key(
    *, public_key: PublicKey, overlap: timedelta = OVERLAP, acting_user: Acting, now: datetime, reason: str = ""
) -> PublicKey:
    """Mints a successor that may do the same, under the same name, and answers it.

    The old key goes on working for `overlap`, so that web pages can change over.
    """
    if not NO_OVERLAP <= overlap <= LONGEST_OVERLAP:
        raise ValidationError({"overlap": f"The overlap is at most {LONGEST_OVERLAP.days} days."})
    with taking_turns(public_key.workspace_id):
        old = _locked(public_key)
        _refuse_unless_rotatable(old)
        name, facts = old.name, {field: getattr(old, field) for field in EDITABLE}
        ends_at = now + overlap
        old.name = _free_name(f"{name} (until {ends_at:%Y-%m-%d})")
        old.save(update_fields=["name"])
        new = PublicKey(workspace_id=old.workspace_id, key=_new_key(), created_at=now, **facts)
        _save(
            new,
            secret=captcha_secret(old),
            action="public_key.rotate",
            acting_user=acting_user,
            now=now,
            before={"key": old.key},
            after={"key": new.key, "old_key_works_until": ends_at.isoformat()},
            reason=reason,
        )
        old.successor, old.retires_at = new, ends_at
        if not overlap:
            old.status = PublicKey.Status.REVOKED
        old.save(update_fields=["status", "successor", "retires_at"])
    return new


def revoke_public_key(
    *, public_key: PublicKey, acting_user: Acting, now: datetime, exposed: bool = False, reason: str = ""
) -> PublicKey | None:
    """Ends a key at once. An exposed one has a successor, which is answered: one it was rotated to, or a new one."""
    with taking_turns(public_key.workspace_id):
        row = _locked(public_key)
        if exposed and row.successor is None:
            return rotate_public_key(
                public_key=row,
                overlap=NO_OVERLAP,
                acting_user=acting_user,
                now=now,
                reason=reason or "The key was exposed.",
            )
        if row.status != PublicKey.Status.REVOKED:
            _revoke(row, action="public_key.revoke", acting_user=acting_user, now=now, reason=reason)
    return row.successor if exposed else None


def retire_public_keys(*, now: datetime) -> int:
    """Notes of rotated keys whose overlap is over that they are revoked. The gate itself looks at the clock."""
    with unscoped(reason="rotated keys of every workspace run out"):
        over = PublicKey.objects.filter(status=PublicKey.Status.ACTIVE, retires_at__lte=now)
        workspaces = list(over.values_list("workspace_id", flat=True).distinct())
    retired = 0
    for workspace_id in workspaces:
        with taking_turns(workspace_id):
            for row in PublicKey.objects.filter(status=PublicKey.Status.ACTIVE, retires_at__lte=now):
                _revoke(row, action="public_key.retire", acting_user=None, now=now, reason="Its overlap is over.")
                retired += 1
    return retired


def captcha_secret(public_key: PublicKey) -> str:
    """What the captcha's verifier is shown; empty where there is none."""
    if not public_key.captcha_secret:
        return ""
    return encryption.unseal(**_place(public_key), sealed=public_key.captcha_secret)


def _refuse_unless_rotatable(key: PublicKey) -> None:
    if key.kind != PublicKey.Kind.GATE_KEY:
        raise ValidationError("This key is UponAI's own: rotate it in UponAI's dashboard, then note the new one here.")
    if key.status == PublicKey.Status.REVOKED:
        raise ValidationError("This key is revoked already; mint a new one instead.")
    if key.successor is not None:
        raise ValidationError(f"This key was rotated already: {key.successor.name} takes its place.")


def _revoke(row: PublicKey, **entry: Any) -> None:
    before, row.status = row.status, PublicKey.Status.REVOKED
    _save(row, before={"status": before}, after={"status": row.status}, **entry)


def _locked(key: PublicKey) -> PublicKey:
    row: PublicKey = PublicKey.objects.select_for_update().get(pk=key.pk)
    return row


def _new_key() -> str:
    alphabet = string.ascii_letters + string.digits
    return MARK + "".join(secrets.choice(alphabet) for _ in range(RANDOM_LENGTH))


def _free_name(wanted: str) -> str:
    longest = PublicKey._meta.get_field("name").max_length - 4
    taken = set(PublicKey.objects.values_list("name", flat=True))
    candidates = [wanted[:longest], *(f"{wanted[:longest]} {number}" for number in range(2, 1000))]
    return next(name for name in candidates if name not in taken)


def _facts(row: PublicKey, new_secret: str = "") -> dict[str, Any]:
    """What the audit log keeps: of a secret, only whether there is one."""
    kept = "set" if row.captcha_secret else ""
    secret = ("replaced" if kept else "set") if new_secret else kept
    return {"key": row.key} | {name: getattr(row, name) for name in EDITABLE} | {"captcha_secret": secret}


def _save(row: PublicKey, *, action: str, acting_user: Acting, now: datetime, secret: str = "", **entry: Any) -> None:
    row.save()
    if secret:  # bound to its row when it is sealed, it needs one first
        row.captcha_secret = encryption.seal(**_place(row), secret=secret)
        row.save(update_fields=["captcha_secret"])
    bump_snapshot(row.workspace_id)
    audit.record(workspace_id=row.workspace_id, action=action, subject=row, acting_user=acting_user, now=now, **entry)


def _place(row: PublicKey) -> dict[str, Any]:
    return {"workspace_id": row.workspace_id, "model": "publickey", "row": row.pk, "field": "captcha_secret"}


def with_names(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Rows that keep a public key's text, with the key's name as `key_name`; null where there is no such key."""
    keys = PublicKey.objects.filter(workspace=OuterRef("workspace"), key=OuterRef("public_key"))
    return rows.annotate(key_name=Subquery(keys.values("name")[:1]))
