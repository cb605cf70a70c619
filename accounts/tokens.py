"""API tokens: minting and recognising them. A token is shown once; only its hash is kept."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import string
import zlib
from datetime import datetime, timedelta

from django.db import transaction

from accounts import audit
from accounts.audit import Acting
from accounts.models import ApiToken, Workspace
from accounts.scoping import scoped, unscoped
from accounts.workspaces import bump_snapshot

ALPHABET = string.digits + string.ascii_letters
MARK = "fc_"
IDENTIFIER_LENGTH = 8
SECRET_LENGTH = 32  # 190 random bits: a plain SHA-256 is enough to keep it
CHECKSUM_LENGTH = 6  # lets a secret scanner tell a token from a look-alike without asking us
LAST_USED_PRECISION = timedelta(minutes=1)

EVERYTHING = "*"
RESOURCES = [
    "alerts",
    "approvals",
    "audit-log",
    "blocked-callers",
    "blocked-calls",
    "calls",
    "country-policies",
    "decisions",
    "digests",
    "exposure",
    "gate",
    "holds",
    "known-senders",
    "kyc-records",
    "kyc-webhooks",
    "opens",
    "phone-numbers",
    "public-keys",
    "relays",
    "subjects",
    "sync",
    "trusted",
    "uponai",
    "usage",
    "workspace",
]
DECIDE_KYC = "kyc-records:decide"
BY_NAME_ONLY = (DECIDE_KYC, "subjects:export", "subjects:erase")  # what no other scope includes, not even all of them
SCOPES = (EVERYTHING, *(f"{resource}:{verb}" for resource in RESOURCES for verb in ("read", "write")), *BY_NAME_ONLY)


class UnknownScope(ValueError):
    """A scope that does not exist was asked for."""


def create_token(
    *,
    workspace: Workspace,
    name: str,
    scopes: list[str],
    acting_user: Acting,
    now: datetime,
    expires_at: datetime | None = None,
) -> str:
    """Mints a token and answers its text, which cannot be had again. Raises UnknownScope."""
    for scope in scopes:
        if scope not in SCOPES:
            raise UnknownScope(f"{scope!r} is not a scope. The scopes are: {', '.join(SCOPES)}.")
    identifier, secret = _random(IDENTIFIER_LENGTH), _random(SECRET_LENGTH)
    body = f"{MARK}{identifier}{secret}"
    text = body + _checksum(body)
    with scoped(workspace.pk), transaction.atomic():
        token = ApiToken.objects.create(
            name=name,
            prefix=f"{MARK}{identifier}",
            secret_sha256=_hash(text),
            scopes=sorted(set(scopes)),
            created_by=acting_user if not isinstance(acting_user, ApiToken) else None,
            created_at=now,
            expires_at=expires_at,
        )
        audit.record(
            workspace_id=workspace.pk,
            action="token.create",
            subject=token,
            acting_user=acting_user,
            now=now,
            after={"name": name, "scopes": token.scopes, "expires_at": expires_at},
        )
        bump_snapshot(workspace.pk)
    return text


def revoke_token(*, token: ApiToken, acting_user: Acting, now: datetime) -> None:
    """Ends a token at once."""
    with scoped(token.workspace_id), transaction.atomic():
        ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=now)
        audit.record(
            workspace_id=token.workspace_id,
            action="token.revoke",
            subject=token,
            acting_user=acting_user,
            now=now,
        )
        bump_snapshot(token.workspace_id)


def looks_like_token(text: str) -> bool:
    """Whether the text's own checksum says so; nothing is looked up."""
    body, checksum = text[:-CHECKSUM_LENGTH], text[-CHECKSUM_LENGTH:]
    return text.startswith(MARK) and text.isascii() and _checksum(body) == checksum


def prefix_of(text: str) -> str:
    """The part of a token that is no secret, and tells it from others."""
    return text[: len(MARK) + IDENTIFIER_LENGTH]


def find_token(text: str, *, now: datetime) -> ApiToken | None:
    """The valid token with this text, with its workspace; None for any other text."""
    if not looks_like_token(text):
        return None
    with unscoped(reason="a token tells its workspace"):
        token = ApiToken.objects.select_related("workspace").filter(prefix=prefix_of(text)).first()
        if token is None or not hmac.compare_digest(token.secret_sha256, _hash(text)) or not token.is_valid(now):
            return None
        if token.last_used_at is None or now - token.last_used_at > LAST_USED_PRECISION:
            ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
    return token


def grants(token: ApiToken, scope: str) -> bool:
    """Whether the token may do `scope`; writing includes reading."""
    if scope in BY_NAME_ONLY:
        return scope in token.scopes
    resource, _, verb = scope.partition(":")
    accepted = {EVERYTHING, scope} | ({f"{resource}:write"} if verb == "read" else set())
    return not accepted.isdisjoint(token.scopes)


def _random(length: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def _checksum(body: str) -> str:
    number, text = zlib.crc32(body.encode()), ""
    for _ in range(CHECKSUM_LENGTH):
        number, digit = divmod(number, len(ALPHABET))
        text += ALPHABET[digit]
    return text


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
