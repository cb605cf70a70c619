"""The exposure of a workspace: what the gate has of it, handed to `engine.exposure`."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from accounts.models import Workspace
from accounts.scoping import scoped
from policies.engine.exposure import Exposure, Line, exposure
from policies.engine.limits import KNOWN_AFTER_SECONDS
from policies.engine.names import Direction, VerdictKind
from policies.gate import loading
from policies.models import Decision

__all__ = ["Exposure", "Line", "as_written", "of_workspace"]

FRESH: Final = timedelta(minutes=1)
"""So long it stands while nothing was changed: opens and holds end, keys retire, countries become known."""

KNOWN_FRESH: Final = timedelta(hours=1)
MOST_LOOKED_AT: Final = 10_000
_OUT: Final = Direction.OUTBOUND.value
_PASSED: Final = (VerdictKind.ALLOW.value, VerdictKind.GUARD.value)

_kept_known: dict[int, tuple[datetime, frozenset[str]]] = {}
_kept: dict[int, tuple[int, datetime, Exposure]] = {}


def of_workspace(workspace_id: int, now: datetime) -> Exposure:
    """The most money that could be burnt within an hour. Reckoned once for each state of the workspace."""
    version = Workspace.objects.values_list("snapshot_version", flat=True).get(pk=workspace_id)
    kept = _kept.get(workspace_id)
    if kept is not None and kept[0] == version and now - kept[1] < FRESH:
        return kept[2]
    found = as_written(workspace_id, now)
    _kept[workspace_id] = (version, now, found)
    return found


def kept(workspace_id: int) -> Exposure | None:
    """What this process reckoned last, however long ago, for pages that do not wait. No query."""
    found = _kept.get(workspace_id)
    return found[2] if found is not None else None


def as_written(workspace_id: int, now: datetime) -> Exposure:
    """Of the rows as this transaction sees them."""
    loaded = loading.load(workspace_id)
    valid = [token for token in loaded.tokens.values() if token.expires_at is None or token.expires_at > now]
    return exposure(
        loaded.engine,
        tokens=len(valid),
        known_countries=_known(workspace_id, now),
        at_ms=int(now.timestamp() * 1000),
    )


def _known(workspace_id: int, now: datetime) -> frozenset[str]:
    """Where it called long enough ago for the gate to know a prefix there, as far as the newest of these tell."""
    kept = _kept_known.get(workspace_id)
    if kept is not None and now - kept[0] < KNOWN_FRESH:
        return kept[1]
    with scoped(workspace_id):
        rows = Decision.objects.filter(at__lt=now - timedelta(seconds=KNOWN_AFTER_SECONDS)).order_by("-at", "-pk")
        newest = rows.values_list("direction", "verdict", "country")[:MOST_LOOKED_AT]
        found = frozenset(country for way, verdict, country in newest if way == _OUT and verdict in _PASSED)
    _kept_known[workspace_id] = (now, found - {""})
    return found - {""}


def forget() -> None:
    """Drops what this process has reckoned."""
    _kept.clear()
    _kept_known.clear()
