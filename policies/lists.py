"""Who is trusted, and which callers are blocked: for good, or until a day.

Trust spares the captcha, the limits and suspicion, and never stands above sanctions or holds. A blocked caller stays
blocked whoever trusts it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from accounts import audit
from accounts.audit import Acting
from accounts.scoping import current_workspace_id
from accounts.workspaces import taking_turns
from policies.changes import tell
from policies.ending import settle_each
from policies.engine.names import Direction
from policies.exception_input import Wanted
from policies.list_input import wanted_entry
from policies.models import ListEntry
from policies.rules_input import Refused

__all__ = ["block_caller", "remove", "settle_expired", "trust"]

_NAMES = {ListEntry.List.TRUSTED: "trusted", ListEntry.List.BLOCKED: "blocked_caller"}


def trust(
    *,
    workspace_id: int,
    scope: str,
    value: Any,
    reason: str,
    acting_user: Acting,
    now: datetime,
    expires_at: datetime | None = None,
    direction: str | None = None,
    channel: str | None = None,
) -> ListEntry:
    """Spares somebody captcha, limits and suspicion. Raises Refused naming each field."""
    given = {"scope": scope, "value": value, "direction": direction, "channel": channel}
    given |= {"reason": reason, "expires_at": expires_at}
    return _add(workspace_id, ListEntry.List.TRUSTED, given, acting_user=acting_user, now=now)


def block_caller(
    *,
    workspace_id: int,
    scope: str,
    value: Any,
    reason: str,
    acting_user: Acting,
    now: datetime,
    expires_at: datetime | None = None,
    direction: str | None = Direction.INBOUND,
    channel: str | None = None,
) -> ListEntry:
    """Blocks a number or prefix of the other side; inbound unless another direction, or None for both, is named.

    Raises Refused naming each field.
    """
    given = {"scope": scope, "value": value, "direction": direction, "channel": channel}
    given |= {"reason": reason, "expires_at": expires_at}
    return _add(workspace_id, ListEntry.List.BLOCKED, given, acting_user=acting_user, now=now)


def remove(*, entry: ListEntry, acting_user: Acting, now: datetime) -> None:
    """Takes an entry off its list. One that is gone already stays so."""
    with taking_turns(entry.workspace_id):
        locked: ListEntry | None = ListEntry.objects.select_for_update().filter(pk=entry.pk).first()
        if locked is not None:
            _take_off(locked, "remove", acting_user=acting_user, now=now)


def settle_expired(*, now: datetime) -> int:
    """Takes off what has run out. Answers how many."""
    return settle_each(ListEntry.objects.all, _expire, now=now)


def _add(workspace_id: int, which: str, given: dict[str, Any], *, acting_user: Acting, now: datetime) -> ListEntry:
    with taking_turns(workspace_id):
        wanted = wanted_entry(which, **given, now=now)
        if which == ListEntry.List.TRUSTED:
            _refuse_if_blocked(wanted, now=now)
        present = ListEntry.objects.select_for_update().filter(list=which, **wanted.same_thing).first()
        if present is not None and not present.is_in_force(now):
            _expire(present, now=now)
            present = None
        if present is not None:
            return _extend(present, wanted, acting_user=acting_user, now=now)
        entry = ListEntry(
            workspace_id=current_workspace_id(),
            list=which,
            **wanted.same_thing,
            reason=wanted.reason,
            added_by=audit.label_of(acting_user),
            added_at=now,
            expires_at=wanted.expires_at,
        )
        entry.save(force_insert=True)
        _tell(entry, "add", acting_user=acting_user, now=now, after=_facts(entry), reason=entry.reason)
    return entry


def _refuse_if_blocked(wanted: Wanted, *, now: datetime) -> None:
    rows = ListEntry.objects.filter(list=ListEntry.List.BLOCKED, scope=wanted.scope, value=wanted.value)
    if any(row.is_in_force(now) for row in rows):
        detail = "This number is among the blocked callers, which trust does not change. Remove it there first."
        raise Refused.one("value", "blocked", detail)


def _extend(entry: ListEntry, wanted: Wanted, *, acting_user: Acting, now: datetime) -> ListEntry:
    """Stays longer, never shorter; for good is the longest."""
    before = _facts(entry)
    for_good = entry.expires_at is None or wanted.expires_at is None
    entry.expires_at = None if for_good else max(entry.expires_at, wanted.expires_at)
    entry.reason = wanted.reason
    entry.save()
    _tell(entry, "extend", acting_user=acting_user, now=now, before=before, after=_facts(entry), reason=entry.reason)
    return entry


def _expire(entry: ListEntry, *, now: datetime) -> None:
    _take_off(entry, "expire", acting_user=None, now=now)


def _take_off(entry: ListEntry, action: str, *, acting_user: Acting, now: datetime) -> None:
    _tell(entry, action, acting_user=acting_user, now=now, before=_facts(entry))
    ListEntry.objects.filter(pk=entry.pk).delete()


def _tell(entry: ListEntry, action: str, *, acting_user: Acting, now: datetime, **more: Any) -> None:
    name = _NAMES[ListEntry.List(entry.list)]
    tell(entry.workspace_id, action=f"{name}.{action}", subject=entry, acting_user=acting_user, now=now, **more)


def _facts(entry: ListEntry) -> dict[str, Any]:
    return {
        "scope": entry.scope,
        "value": entry.value,
        "direction": entry.direction or None,
        "channel": entry.channel or None,
        "expires_at": entry.expires_at,
        "reason": entry.reason,
    }
