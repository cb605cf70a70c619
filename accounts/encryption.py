"""Secrets at rest: AES-256-GCM under a data key per workspace, which is itself wrapped by ENCRYPTION_KEYS.

A sealed text is bound to its workspace, model, row and field: copied to another place it does not open.
Deleting a workspace's data keys makes all of its secrets unreadable for ever.
"""

import base64
import hashlib
import hmac
import os
from dataclasses import dataclass
from functools import lru_cache
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.db import transaction

from accounts.models import DataKey
from accounts.scoping import unscoped

KEY_BYTES = 32
NONCE_BYTES = 12  # what AES-GCM is specified for (NIST SP 800-38D, 5.2.1.1)
FORMAT = "v1"
FILE_FORMAT = b"fc-file-1\n"


class CannotOpen(Exception):
    """A sealed text was altered, moved to another place, or its key is gone."""


SealingKey = tuple[UUID, bytes]


def sealing_key(workspace_id: int) -> SealingKey:
    """What `seal` looks up each time, for who seals many secrets of one workspace within seconds."""
    return _current_key(workspace_id, DataKey.Purpose.SECRETS)


def seal(*, workspace_id: int, model: str, row: object, field: str, secret: str, key: SealingKey | None = None) -> str:
    """The sealed text of `secret`, to be kept in `field` of `row` (its primary key) of `model` (its label)."""
    data_key_id, data_key = key or sealing_key(workspace_id)
    nonce = os.urandom(NONCE_BYTES)
    place = _place(workspace_id, model, row, field, data_key_id)
    sealed = AESGCM(data_key).encrypt(nonce, secret.encode(), place)
    return f"{FORMAT}.{data_key_id}.{_encode(nonce + sealed)}"


def unseal(*, workspace_id: int, model: str, row: object, field: str, sealed: str) -> str:
    """The secret. Raises CannotOpen."""
    try:
        _, key_text, body_text = sealed.split(".")
        data_key_id, body = UUID(key_text), base64.urlsafe_b64decode(body_text)
    except ValueError:
        raise CannotOpen(f"{model}.{field} does not hold a sealed text.") from None
    key = _data_key(data_key_id)
    place = _place(workspace_id, model, row, field, data_key_id)
    try:
        return AESGCM(key).decrypt(body[:NONCE_BYTES], body[NONCE_BYTES:], place).decode()
    except (InvalidTag, ValueError):
        raise CannotOpen(f"{model}.{field} of row {row} was altered or moved from another place.") from None


def new_file_key() -> str:
    """A key for one file, to be kept sealed beside what says where the file lies: without it the file is noise."""
    return _encode(os.urandom(KEY_BYTES))


def seal_bytes(*, key: str, workspace_id: int, model: str, row: object, field: str, content: bytes) -> bytes:
    """The sealed form of a file that belongs to `field` of `row` of `model`, under a key of `new_file_key`."""
    nonce = os.urandom(NONCE_BYTES)
    place = _place(workspace_id, model, row, field, "file")
    return FILE_FORMAT + nonce + AESGCM(base64.urlsafe_b64decode(key)).encrypt(nonce, content, place)


def unseal_bytes(*, key: str, workspace_id: int, model: str, row: object, field: str, sealed: bytes) -> bytes:
    """The file. Raises CannotOpen."""
    start = len(FILE_FORMAT)
    nonce, body = sealed[start : start + NONCE_BYTES], sealed[start + NONCE_BYTES :]
    place = _place(workspace_id, model, row, field, "file")
    try:
        if not sealed.startswith(FILE_FORMAT):
            raise ValueError("no sealed file")
        return AESGCM(base64.urlsafe_b64decode(key)).decrypt(nonce, body, place)
    except (InvalidTag, ValueError):
        raise CannotOpen(f"The file of {model}.{field} of row {row} was altered or moved.") from None


def derived_key(workspace_id: int, purpose: str) -> bytes:
    """A key for digests by which rows are found again: it never rotates, as the one that it comes from."""
    return hmac.new(audit_key(workspace_id), b"derived for " + purpose.encode(), hashlib.sha256).digest()


def audit_key(workspace_id: int) -> bytes:
    """The key of a workspace's audit chain. It never rotates: the whole chain is verified with it."""
    return _current_key(workspace_id, DataKey.Purpose.AUDIT)[1]


def _current_key(workspace_id: int, purpose: DataKey.Purpose) -> SealingKey:
    with unscoped(reason="a data key is found by its workspace, which the caller names"):
        row = DataKey.objects.filter(workspace_id=workspace_id, purpose=purpose).order_by("-created_at").first()
        if row is None:
            row = _make_key(workspace_id, purpose)
    return row.pk, _data_key(row.pk)


def _make_key(workspace_id: int, purpose: DataKey.Purpose) -> DataKey:
    row = DataKey(workspace_id=workspace_id, purpose=purpose)
    row.wrapped = _wrap(os.urandom(KEY_BYTES), row.pk)
    with transaction.atomic():
        # Two writers may both find none: the unique `generation` lets one of them win.
        created, _ = DataKey.objects.get_or_create(
            workspace_id=workspace_id,
            purpose=purpose,
            generation=1,
            defaults={"pk": row.pk, "wrapped": row.wrapped},
        )
    return created


@lru_cache(maxsize=1024)
def _data_key(data_key_id: UUID) -> bytes:
    with unscoped(reason="a sealed text names its data key"):
        row = DataKey.objects.filter(pk=data_key_id).first()
    if row is None:
        raise CannotOpen("The data key of this secret no longer exists.")
    return _unwrap(row.wrapped, data_key_id)


@dataclass(frozen=True, slots=True)
class Rewrapping:
    """What became of the data keys: how many were wrapped anew, were so already, and could not be opened."""

    rewrapped: int
    already: int
    lost: tuple[UUID, ...] = ()


def rewrap_data_keys() -> Rewrapping:
    """Wraps every data key by the newest of ENCRYPTION_KEYS. What it wraps stays, so no secret is written again.

    Each key is a write of its own: broken off, it goes on where it was when it is called again.
    """
    newest = _fingerprint(_wrapping_keys()[0])
    rewrapped, already = 0, 0
    lost: list[UUID] = []
    with unscoped(reason="data keys of every workspace are wrapped anew"):
        for row in list(DataKey.objects.order_by("pk")):
            if row.wrapped.startswith(f"{newest}."):
                already += 1
                continue
            try:
                anew = _wrap(_unwrap(row.wrapped, row.pk), row.pk)
            except CannotOpen:
                lost.append(row.pk)
                continue
            # Only over what was read: of two that do this at once, one does it.
            rewrapped += DataKey.objects.filter(pk=row.pk, wrapped=row.wrapped).update(wrapped=anew)
    return Rewrapping(rewrapped, already, tuple(lost))


def forget_keys() -> None:
    """Drops the unwrapped data keys that this process remembers."""
    _data_key.cache_clear()


def _wrap(key: bytes, data_key_id: UUID) -> str:
    wrapping = _wrapping_keys()[0]
    nonce = os.urandom(NONCE_BYTES)
    return f"{_fingerprint(wrapping)}.{_encode(nonce + AESGCM(wrapping).encrypt(nonce, key, data_key_id.bytes))}"


def _unwrap(wrapped: str, data_key_id: UUID) -> bytes:
    fingerprint, _, body_text = wrapped.partition(".")
    body = base64.urlsafe_b64decode(body_text)
    for wrapping in _wrapping_keys():
        if hmac.compare_digest(_fingerprint(wrapping), fingerprint):
            try:
                return AESGCM(wrapping).decrypt(body[:NONCE_BYTES], body[NONCE_BYTES:], data_key_id.bytes)
            except InvalidTag:
                raise CannotOpen("A data key was altered.") from None
    raise CannotOpen("None of ENCRYPTION_KEYS opens this data key. Was a key removed too early?")


def _wrapping_keys() -> list[bytes]:
    if not settings.ENCRYPTION_KEYS:
        raise CannotOpen("ENCRYPTION_KEYS is empty: no secret can be kept or read.")
    return [base64.urlsafe_b64decode(key) for key in settings.ENCRYPTION_KEYS]


def _fingerprint(wrapping: bytes) -> str:
    return hashlib.sha256(b"wrapping key " + wrapping).hexdigest()[:12]


def _place(workspace_id: int, model: str, row: object, field: str, data_key_id: UUID | str) -> bytes:
    return "|".join((FORMAT, str(workspace_id), model, str(row), field, str(data_key_id))).encode()


def _encode(body: bytes) -> str:
    return base64.urlsafe_b64encode(body).decode()
