"""What people do with public keys: mint, register, edit, rotate, revoke. The gate is told by the snapshot."""

from __future__ import annotations

import re
import secrets
import string
from datetime import datetime
from typing import Any

import phonenumbers
from django.core.exceptions import ValidationError

from accounts import audit
from accounts.audit import Acting
from accounts.models import PublicKey, Workspace
from accounts.workspaces import bump_snapshot, taking_turns

MARK = "pk_"
RANDOM_LENGTH = 32
CHANNELS = {"phone_call": "Phone call", "sms": "SMS", "web_call": "Web call", "chat": "Chat"}
EDITABLE = [
    "name",
    "domains",
    "channels",
    "phone_number",
    "agent",
    "allowed_fields",
    "fraud_protection",
    "captcha",
    "kyc_level",
    "mode",
]

_HOST_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")
_FIELD_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.]{0,63}")


def looks_like_key(text: str) -> bool:
    """Whether the text could be a key that the console minted; nothing is looked up."""
    return text.startswith(MARK) and len(text) == len(MARK) + RANDOM_LENGTH and text.isascii() and text[3:].isalnum()


def mint_public_key(*, workspace: Workspace, acting_user: Acting, now: datetime, **facts: Any) -> PublicKey:
    """Makes a gate key that works at once. Raises ValidationError naming the field."""
    row = PublicKey(workspace=workspace, kind=PublicKey.Kind.GATE_KEY, key=_new_key(), created_at=now)
    with taking_turns(workspace.pk):
        _fill(row, facts)
        _save(row, action="public_key.mint", acting_user=acting_user, now=now, after=_facts(row))
    return row


def register_public_key(
    *, workspace: Workspace, key: str, acting_user: Acting, now: datetime, **facts: Any
) -> PublicKey:
    """Notes a key that exists in UponAI's dashboard. Nothing here can prove it, or stop it."""
    row = PublicKey(workspace=workspace, kind=PublicKey.Kind.UPONAI, key=key.strip(), created_at=now)
    with taking_turns(workspace.pk):
        if PublicKey.objects.filter(key=row.key).exists():
            raise ValidationError({"key": "This key is in the register already."})
        _fill(row, facts)
        _save(row, action="public_key.register", acting_user=acting_user, now=now, after=_facts(row))
    return row


def edit_public_key(*, public_key: PublicKey, acting_user: Acting, now: datetime, **changes: Any) -> PublicKey:
    """Changes what a key may do. Raises ValidationError naming the field."""
    with taking_turns(public_key.workspace_id):
        row = _locked(public_key)
        before = _facts(row)
        _fill(row, changes)
        after = _facts(row)
        changed = [name for name in EDITABLE if before[name] != after[name]]
        if changed:
            _save(
                row,
                action="public_key.edit",
                acting_user=acting_user,
                now=now,
                before={name: before[name] for name in changed},
                after={name: after[name] for name in changed},
            )
    return row


def rotate_public_key(
    *, public_key: PublicKey, overlap: bool, acting_user: Acting, now: datetime, reason: str = ""
) -> PublicKey:
    """Mints a successor that may do the same, under the same name, and answers it.

    With `overlap` the old key works until somebody revokes it, so that web pages can change over.
    """
    with taking_turns(public_key.workspace_id):
        old = _locked(public_key)
        _refuse_unless_rotatable(old)
        name, facts = old.name, {field: getattr(old, field) for field in EDITABLE}
        old.name = _free_name(f"{name} (until {now:%Y-%m-%d})" if not overlap else f"{name} (old)")
        if not overlap:
            old.status = PublicKey.Status.REVOKED
        old.save(update_fields=["name", "status"])
        new = PublicKey(workspace_id=old.workspace_id, key=_new_key(), created_at=now, **facts)
        _save(
            new,
            action="public_key.rotate",
            acting_user=acting_user,
            now=now,
            before={"key": old.key},
            after={"key": new.key, "old_key_works": overlap},
            reason=reason,
        )
    return new


def revoke_public_key(
    *, public_key: PublicKey, acting_user: Acting, now: datetime, exposed: bool = False, reason: str = ""
) -> PublicKey | None:
    """Ends a key at once. An exposed one gets a successor without overlap, which is answered."""
    if exposed:
        return rotate_public_key(
            public_key=public_key,
            overlap=False,
            acting_user=acting_user,
            now=now,
            reason=reason or "The key was exposed.",
        )
    with taking_turns(public_key.workspace_id):
        row = _locked(public_key)
        if row.status != PublicKey.Status.REVOKED:
            before, row.status = row.status, PublicKey.Status.REVOKED
            _save(
                row,
                action="public_key.revoke",
                acting_user=acting_user,
                now=now,
                before={"status": before},
                after={"status": row.status},
                reason=reason,
            )
    return None


def _refuse_unless_rotatable(key: PublicKey) -> None:
    if key.kind != PublicKey.Kind.GATE_KEY:
        raise ValidationError("This key is UponAI's own: rotate it in UponAI's dashboard, then note the new one here.")
    if key.status == PublicKey.Status.REVOKED:
        raise ValidationError("This key is revoked already; mint a new one instead.")


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


def _facts(row: PublicKey) -> dict[str, Any]:
    return {"key": row.key} | {name: getattr(row, name) for name in EDITABLE}


def _save(row: PublicKey, *, action: str, acting_user: Acting, now: datetime, **entry: Any) -> None:
    row.save()
    bump_snapshot(row.workspace_id)
    audit.record(workspace_id=row.workspace_id, action=action, subject=row, acting_user=acting_user, now=now, **entry)


def _fill(row: PublicKey, facts: dict[str, Any]) -> None:
    """Puts values right and sets them. Raises ValidationError naming every bad field."""
    problems: dict[str, list[str]] = {}
    for name, value in facts.items():
        if name not in EDITABLE:
            raise ValueError(f"{name} is nothing that can be set about a public key.")
        try:
            setattr(row, name, _CLEANERS.get(name, _as_given)(value))
        except ValidationError as problem:
            problems[name] = problem.messages
    row.name = row.name.strip()
    if PublicKey.objects.filter(name=row.name).exclude(pk=row.pk).exists():
        problems.setdefault("name", [f"There is a public key named “{row.name}” already."])
    if row.kind == PublicKey.Kind.GATE_KEY:
        if not row.domains:
            problems.setdefault("domains", ["Name at least one web site: without one the key opens nothing."])
        if not row.channels:
            problems.setdefault("channels", ["Choose at least one channel: without one the key opens nothing."])
    try:
        row.clean_fields(exclude=list(problems))
    except ValidationError as problem:
        problems |= problem.message_dict
    if problems:
        raise ValidationError(problems)


def _as_given(value: Any) -> Any:
    return value


def _domains(values: Any) -> list[str]:
    return sorted({_domain(value) for value in values})


def _domain(value: Any) -> str:
    text = str(value).strip().lower().rstrip(".")
    try:
        host = text.encode("idna").decode()
    except UnicodeError:
        host = ""
    labels = host.split(".")
    known = host == "localhost" or len(labels) > 1
    if not known or len(host) > 253 or not all(_HOST_LABEL.fullmatch(label) for label in labels):
        raise ValidationError(
            f"“{text[:80]}” is not a host name. Write it as www.example.com, without https:// and without a path."
        )
    return host


def _channels(values: Any) -> list[str]:
    unknown = sorted(str(value) for value in values if value not in CHANNELS)
    if unknown:
        raise ValidationError(f"“{unknown[0]}” is not a channel. The channels are {', '.join(CHANNELS)}.")
    return [channel for channel in CHANNELS if channel in values]


def _phone_number(value: Any) -> str:
    text = str(value or "").strip()
    if not text:
        return ""
    try:
        number = phonenumbers.parse(text)
    except phonenumbers.NumberParseException:
        number = None
    if number is None or not phonenumbers.is_valid_number(number):
        raise ValidationError(f"“{text[:40]}” is not a telephone number. Write it with its country: +14155550100.")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _allowed_fields(values: Any) -> list[str]:
    names = sorted({str(value).strip() for value in values})
    bad = [name for name in names if not _FIELD_NAME.fullmatch(name)]
    if bad:
        raise ValidationError(f"“{bad[0][:64]}” is not the name of a field.")
    return names


_CLEANERS = {
    "domains": _domains,
    "channels": _channels,
    "phone_number": _phone_number,
    "allowed_fields": _allowed_fields,
}
