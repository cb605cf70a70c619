"""A workspace's private UponAI key, shown where it can only have leaked: noted, and open until the key is replaced."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any

from django.db import models

from accounts import audit
from accounts.models import KeyLeak, UponaiKey
from accounts.scoping import scoped
from accounts.workspaces import taking_turns

logger = logging.getLogger(__name__)


def report_leak(*, key: UponaiKey, origin: str, ip: str, path: str, now: datetime) -> KeyLeak:
    """Notes that a key was shown, once for each origin; what comes again is counted."""
    origin, path = origin[: _longest("origin")], path[: _longest("path")]
    logger.error(
        "The private UponAI key ending in %s of workspace %s was shown at %s by %s.",
        key.last_four,
        key.workspace_id,
        path,
        origin or "a client that names no web page",
    )
    seen = {"last_seen_at": now, "ip": ip or None, "path": path}
    is_replaced = key.verifies_until is not None
    with scoped(key.workspace_id):
        known = KeyLeak.objects.filter(fingerprint=key.fingerprint, origin=origin)
        still_so = known if is_replaced else known.filter(resolved_at=None)
        # Counted without waiting for a turn: whoever has the key could otherwise keep others from theirs.
        if not still_so.update(times=models.F("times") + 1, **seen):
            with taking_turns(key.workspace_id):
                _open(key, origin, seen | {"resolved_at": now if is_replaced else None}, now=now)
        row: KeyLeak = known.get()
    return row


def _open(key: UponaiKey, origin: str, seen: dict[str, Any], *, now: datetime) -> None:
    """Seen for the first time, or again although it had been replaced."""
    row, created = KeyLeak.objects.get_or_create(
        fingerprint=key.fingerprint,
        origin=origin,
        defaults=seen | {"last_four": key.last_four, "first_seen_at": now, "workspace_id": key.workspace_id},
    )
    if not created:
        was_open = row.resolved_at is None
        KeyLeak.objects.filter(pk=row.pk).update(times=models.F("times") + 1, **seen)
        if was_open:
            return
    audit.record(
        workspace_id=key.workspace_id,
        action="uponai_key.leaked",
        subject=row,
        acting_user=None,
        now=now,
        after={"last_four": key.last_four, "origin": origin, "ip": seen["ip"], "path": seen["path"]},
    )


def open_leaks() -> models.QuerySet[KeyLeak]:
    """Of the current workspace, the newest first."""
    return KeyLeak.objects.filter(resolved_at=None).order_by("-last_seen_at", "-pk")


def _longest(field: str) -> int:
    return int(KeyLeak._meta.get_field(field).max_length)
