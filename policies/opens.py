"""Opens: temporary exceptions that let through what a class or country rule would not. They end by themselves.

An open ends at its `expires_at` by comparison of times, not by a job. `settle_expired` only carries the end through:
the audit entry, and UponAI's lists.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from django.db import models

from accounts import audit
from accounts.audit import Acting
from accounts.countries import name_of
from accounts.scoping import current_workspace_id
from accounts.workspaces import taking_turns
from policies import widening
from policies.changes import make_lists_due, tell
from policies.ending import settle_each
from policies.engine.names import Direction
from policies.engine.numbers import understand
from policies.engine.prefixes import countries_of
from policies.engine.widenings import EVERY_COUNTRY
from policies.exception_input import Wanted
from policies.held import opens_lists
from policies.models import Hold, Open
from policies.open_input import wanted_open
from policies.widening import Wish

__all__ = ["close", "ending_soon", "ends_soon", "open_temporarily", "settle_expired"]

WARNED_BEFORE: Final = timedelta(hours=1)
"""So long before its end an open counts as ending soon."""


def open_temporarily(
    *,
    workspace_id: int,
    scope: str,
    value: Any,
    reason: str,
    expires_at: datetime,
    acting_user: Acting,
    now: datetime,
    direction: str | None = None,
    channel: str | None = None,
) -> Open:
    """Lets something through until `expires_at`. What is open already stays open longer, never shorter.

    Raises Refused naming each field.
    """
    with taking_turns(workspace_id):
        wanted = wanted_open(
            scope=scope,
            value=value,
            direction=direction,
            channel=channel,
            reason=reason,
            expires_at=expires_at,
            now=now,
        )
        present = Open.objects.select_for_update().filter(settled_at=None, **wanted.same_thing).first()
        if present is not None and not present.is_in_force(now):
            _settle(present, now=now)
            present = None
        if present is None:
            open_, longer = _begin(wanted, acting_user=acting_user, now=now), True
        else:
            longer = wanted.expires_at > present.expires_at
            open_ = _extend(present, wanted, acting_user=acting_user, now=now)
        if longer:
            _ask(open_, wanted, acting_user=acting_user, now=now)
        return open_


def close(*, open_: Open, acting_user: Acting, now: datetime) -> Open:
    """Ends an open at once. One that has ended stays as it is."""
    with taking_turns(open_.workspace_id):
        locked: Open = Open.objects.select_for_update().get(pk=open_.pk)
        if locked.settled_at is not None:
            return locked
        if not locked.is_in_force(now):
            return _settle(locked, now=now)
        locked.closed_at, locked.closed_by = now, audit.label_of(acting_user)
        _end(locked, now=now)
        _tell(locked, "close", acting_user=acting_user, now=now, before=_facts(locked), after={"closed_at": now})
    return locked


def settle_expired(*, now: datetime) -> int:
    """Carries the end of every open through that has run out. Answers how many."""
    return settle_each(lambda: Open.objects.filter(settled_at=None), _settle, now=now)


def ending_soon(now: datetime) -> models.QuerySet[Open]:
    """The opens of the current workspace that end within the time in which somebody should be told."""
    return Open.objects.filter(settled_at=None, expires_at__gt=now, expires_at__lte=now + WARNED_BEFORE)


def ends_soon(open_: Open, now: datetime) -> bool:
    return open_.is_in_force(now) and open_.expires_at <= now + WARNED_BEFORE


def countries_let_through(open_: Open | Wanted) -> frozenset[str]:
    """Where the other side may be. A key, an address, an end user or a number of ours reaches everywhere."""
    if open_.scope == Hold.Scope.COUNTRY:
        return frozenset({open_.value})
    if open_.scope == Hold.Scope.PEER:
        country = understand(open_.value, role="destination").country
        return frozenset({country} if country else ())
    if open_.scope == Hold.Scope.PREFIX:
        return countries_of(open_.value)
    return EVERY_COUNTRY


def _ask(open_: Open, wanted: Wanted, *, acting_user: Acting, now: datetime) -> None:
    """Whether it needs a second person. Raises NeedsApproval."""
    is_country = open_.scope == Hold.Scope.COUNTRY
    what = name_of(open_.value) if is_country else f"{open_.get_scope_display()} {open_.value}".strip()
    wish = Wish(
        "open_temporarily",
        about=f"An open until {open_.expires_at:%Y-%m-%d %H:%M} UTC: {what}",
        arguments={**wanted.same_thing, "expires_at": open_.expires_at.isoformat(), "reason": wanted.reason},
        reason=wanted.reason,
    )
    directions = (open_.direction,) if open_.direction else tuple(name.value for name in Direction)
    prefix = open_.value if open_.scope in (Hold.Scope.PREFIX, Hold.Scope.PEER) else ""
    found = widening.of_countries(countries_let_through(open_), about=what, directions=directions, prefix=prefix)
    widening.require(wish, found, acting_user=acting_user, now=now)


def _begin(wanted: Wanted, *, acting_user: Acting, now: datetime) -> Open:
    open_ = Open(
        workspace_id=current_workspace_id(),
        **wanted.same_thing,
        reason=wanted.reason,
        opened_by=audit.label_of(acting_user),
        opened_at=now,
        expires_at=wanted.expires_at,
    )
    open_.save(force_insert=True)
    _make_lists_due(open_, now=now, closes=False)
    _tell(open_, "begin", acting_user=acting_user, now=now, after=_facts(open_), reason=open_.reason)
    return open_


def _extend(open_: Open, wanted: Wanted, *, acting_user: Acting, now: datetime) -> Open:
    before = _facts(open_)
    open_.expires_at = max(open_.expires_at, wanted.expires_at)
    open_.reason = wanted.reason
    open_.save()
    _tell(open_, "extend", acting_user=acting_user, now=now, before=before, after=_facts(open_), reason=open_.reason)
    return open_


def _settle(open_: Open, *, now: datetime) -> Open:
    _end(open_, now=now)
    _tell(open_, "expire", acting_user=None, now=now, before=_facts(open_), after={"expired_at": open_.expires_at})
    return open_


def _end(open_: Open, *, now: datetime) -> None:
    open_.settled_at = now
    open_.save()
    _make_lists_due(open_, now=now, closes=True)


def _make_lists_due(open_: Open, *, now: datetime, closes: bool) -> None:
    if opens_lists(open_):
        make_lists_due(open_.scope, open_.value, now=now, urgent=closes)


def _tell(open_: Open, action: str, *, acting_user: Acting, now: datetime, **entry: Any) -> None:
    tell(open_.workspace_id, action=f"open.{action}", subject=open_, acting_user=acting_user, now=now, **entry)


def _facts(open_: Open) -> dict[str, Any]:
    return {
        "scope": open_.scope,
        "value": open_.value,
        "direction": open_.direction or None,
        "channel": open_.channel or None,
        "expires_at": open_.expires_at,
        "reason": open_.reason,
    }
