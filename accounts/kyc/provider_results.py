"""Results of identity and screening providers (Persona, Sumsub, Onfido …): evidence that somebody else collected.

They arrive signed with a secret that the workspace shares with whoever passes them on. They decide nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import datetime
from typing import Any, Final

import orjson
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from accounts import audit, encryption
from accounts.audit import Acting
from accounts.kyc import evidence
from accounts.kyc.states import UNDECIDED, State
from accounts.kyc.transitions import locked
from accounts.models import KycRecord, ProviderResult, Workspace
from accounts.workspaces import taking_turns

MARK: Final = "prs_"  # lets a secret scanner tell what it has found
SECRET_BYTES: Final = 32
TOLERANCE_SECONDS: Final = 300
MOST_DETAIL_BYTES: Final = 64 * 1024
FIELDS: Final = ("provider", "external_id", "kind", "outcome", "list_version", "detail", "record", "subject")


def new_secret(*, workspace: Workspace, acting_user: Acting, now: datetime) -> str:
    """A new shared secret, shown this once; the one before it ends now."""
    secret = MARK + secrets.token_urlsafe(SECRET_BYTES)
    with taking_turns(workspace.pk):
        row = Workspace.objects.get(pk=workspace.pk)
        row.provider_secret = encryption.seal(**_place(row), secret=secret)
        row.save(update_fields=["provider_secret"])
        audit.record(
            workspace_id=row.pk,
            action="workspace.new_provider_secret",
            subject=row,
            acting_user=acting_user,
            now=now,
            after={"ends_in": secret[-4:]},
        )
    return secret


def secret_of(workspace: Workspace) -> str:
    """Empty where there is none: nothing is believed then."""
    if not workspace.provider_secret:
        return ""
    return encryption.unseal(**_place(workspace), sealed=workspace.provider_secret)


def sign(secret: str, body: bytes, now: datetime) -> str:
    """The header that proves a body: `t=…,v1=…`."""
    moment = int(now.timestamp())
    return f"t={moment},v1={_signature(secret, body, moment)}"


def is_signed(header: str, body: bytes, *, secret: str, now: datetime) -> bool:
    """Whether this body was signed with the secret, and lately."""
    parts = dict(part.strip().partition("=")[::2] for part in header[:400].split(","))
    moment, given = parts.get("t", ""), parts.get("v1", "")
    if not secret or not (moment.isascii() and moment.isdigit() and len(moment) <= 12):
        return False
    fits = hmac.compare_digest(given.encode(), _signature(secret, body, int(moment)).encode())
    return fits and abs(now.timestamp() - int(moment)) <= TOLERANCE_SECONDS


def attach(*, workspace: Workspace, facts: dict[str, Any], now: datetime) -> tuple[ProviderResult, bool]:
    """Keeps a result, and whether it is new: the same one sent again changes nothing. Raises ValidationError."""
    clean = _read(facts)
    with taking_turns(workspace.pk):
        held = _record(facts)
        body = orjson.dumps([held.pk, clean], option=orjson.OPT_SORT_KEYS)
        clean["sha256"] = hashlib.sha256(body).hexdigest()
        same = {name: clean[name] for name in ("provider", "external_id", "sha256")}
        known = ProviderResult.objects.filter(**same).first()
        if known is not None:
            return known, False
        try:
            with transaction.atomic():
                row: ProviderResult = ProviderResult.objects.create(record=held, received_at=now, **clean)
        except IntegrityError:
            raise ValidationError({"list_version": "A screening of a name says against which list."}) from None
        after = {name: clean[name] for name in ("provider", "external_id", "kind", "outcome")} | {"record": held.pk}
        audit.record(
            workspace_id=workspace.pk,
            action="provider_result.attach",
            subject=row,
            acting_user=None,
            now=now,
            after=after,
        )
        evidence.changed(record=held, acting_user=None, now=now)
    return row, True


def _record(facts: dict[str, Any]) -> KycRecord:
    """The record named, or the newest undecided one of the subject named by the customer's own reference."""
    rows = KycRecord.objects.exclude(state=State.ERASED)
    pk, reference = facts.get("record"), facts.get("subject")
    found = None
    if isinstance(pk, int) and not isinstance(pk, bool) and 0 < pk < 2**63:
        found = rows.filter(pk=pk).first()
    elif isinstance(reference, str) and "\0" not in reference:
        found = rows.filter(subject__reference=reference, state__in=UNDECIDED).order_by("-pk").first()
    if found is None:
        raise ValidationError({"record": "There is no such KYC record. Name its id, or the subject's reference."})
    return locked(found)


def _read(facts: dict[str, Any]) -> dict[str, Any]:
    problems: dict[str, str] = {}
    for name in facts.keys() - set(FIELDS):
        problems[str(name)[:40]] = f"There is no such field; there are: {', '.join(FIELDS)}."
    clean: dict[str, Any] = {
        "provider": _text(facts, "provider", 40, problems),
        "external_id": _text(facts, "external_id", 120, problems),
        "list_version": _text(facts, "list_version", 80, problems, optional=True),
        "kind": facts.get("kind", ProviderResult.Kind.IDENTITY),
        "outcome": facts.get("outcome"),
        "detail": facts.get("detail", {}),
    }
    for name, choices in (("kind", ProviderResult.Kind.values), ("outcome", ProviderResult.Outcome.values)):
        if clean[name] not in choices:
            problems[name] = f"Write one of: {', '.join(choices)}."
    if clean["kind"] == ProviderResult.Kind.NAME_SCREENING and not clean["list_version"]:
        problems["list_version"] = "A screening of a name says against which list."
    if not isinstance(clean["detail"], dict) or "\\u0000" in orjson.dumps(clean["detail"]).decode():
        problems["detail"] = "Write an object without NUL characters."
    elif len(orjson.dumps(clean["detail"])) > MOST_DETAIL_BYTES:
        problems["detail"] = f"This is more than {MOST_DETAIL_BYTES // 1024} kB."
    if problems:
        raise ValidationError(problems)
    return clean


def _text(facts: dict[str, Any], name: str, longest: int, problems: dict[str, str], *, optional: bool = False) -> str:
    value = facts.get(name, "" if optional else None)
    if not isinstance(value, str) or not (value.strip() or optional) or len(value) > longest or "\0" in value:
        problems[name] = f"Write a text of up to {longest} characters."
        return ""
    return value.strip()


def _signature(secret: str, body: bytes, moment: int) -> str:
    return hmac.new(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()


def _place(workspace: Workspace) -> dict[str, Any]:
    return {"workspace_id": workspace.pk, "model": "workspace", "row": workspace.pk, "field": "provider_secret"}
