"""Holds: temporary blocks, imposed and lifted by people, REST clients and detectors. The brake holds everything.

A hold ends at its `expires_at` by comparison of times, not by a job. `settle_expired` only carries the end through:
the audit entry, and UponAI's lists.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction

from accounts import audit
from accounts.audit import Acting
from accounts.scoping import current_workspace_id
from accounts.workspaces import taking_turns
from policies import bells
from policies.changes import make_lists_due, tell
from policies.ending import settle_each
from policies.held import changes_lists
from policies.hold_input import WantedHold, wanted_hold
from policies.models import Hold

__all__ = ["brake", "impose", "lift", "settle_expired"]


def impose(
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
    end_running_calls: bool = False,
) -> Hold:
    """Blocks something until `expires_at`. What is held already is held longer, never shorter.

    Raises Refused naming each field.
    """
    with taking_turns(workspace_id):
        wanted = wanted_hold(
            scope=scope,
            value=value,
            direction=direction,
            channel=channel,
            reason=reason,
            expires_at=expires_at,
            end_running_calls=end_running_calls,
            now=now,
        )
        present = _unsettled(wanted)
        if present is not None and not present.is_in_force(now):
            _settle(present, now=now)
            present = None
        if present is None:
            return _begin(wanted, acting_user=acting_user, now=now)
        return _extend(present, wanted, acting_user=acting_user, now=now)


def brake(
    *,
    workspace_id: int,
    reason: str,
    expires_at: datetime,
    acting_user: Acting,
    now: datetime,
    end_running_calls: bool = False,
) -> Hold:
    """Holds the whole workspace. Raises Refused naming each field."""
    return impose(
        workspace_id=workspace_id,
        scope=Hold.Scope.WORKSPACE,
        value="",
        reason=reason,
        expires_at=expires_at,
        acting_user=acting_user,
        now=now,
        end_running_calls=end_running_calls,
    )


def lift(*, hold: Hold, acting_user: Acting, now: datetime) -> Hold:
    """Ends a hold at once. One that has ended stays as it is."""
    with taking_turns(hold.workspace_id):
        locked: Hold = Hold.objects.select_for_update().get(pk=hold.pk)
        if locked.settled_at is not None:
            return locked
        if not locked.is_in_force(now):
            return _settle(locked, now=now)
        locked.lifted_at, locked.lifted_by = now, audit.label_of(acting_user)
        _end(locked, now=now)
        _tell(locked, "lift", acting_user=acting_user, now=now, before=_facts(locked), after={"lifted_at": now})
    return locked


def settle_expired(*, now: datetime) -> int:
    """Carries the end of every hold through that has run out. Answers how many."""
    return settle_each(lambda: Hold.objects.filter(settled_at=None), _settle, now=now)


def _unsettled(wanted: WantedHold) -> Hold | None:
    rows = Hold.objects.select_for_update().filter(settled_at=None, **wanted.same_thing)
    hold: Hold | None = rows.first()
    return hold


def _begin(wanted: WantedHold, *, acting_user: Acting, now: datetime) -> Hold:
    hold = Hold(
        workspace_id=current_workspace_id(),
        **wanted.same_thing,
        reason=wanted.reason,
        imposed_by=audit.label_of(acting_user),
        imposed_at=now,
        expires_at=wanted.expires_at,
        stop_calls_due_at=now if wanted.end_running_calls else None,
    )
    hold.save(force_insert=True)
    _make_lists_due(hold, now=now, closes=True)
    _ring_for_calls(hold)
    _tell(hold, "impose", acting_user=acting_user, now=now, after=_facts(hold), reason=hold.reason)
    return hold


def _extend(hold: Hold, wanted: WantedHold, *, acting_user: Acting, now: datetime) -> Hold:
    before = _facts(hold)
    hold.expires_at = max(hold.expires_at, wanted.expires_at)
    hold.reason = wanted.reason
    if wanted.end_running_calls:
        hold.stop_calls_due_at, hold.stop_calls_looks, hold.stop_calls_attempts = now, 0, 0
        _ring_for_calls(hold)
    hold.save()
    _tell(hold, "extend", acting_user=acting_user, now=now, before=before, after=_facts(hold), reason=hold.reason)
    return hold


def _settle(hold: Hold, *, now: datetime) -> Hold:
    _end(hold, now=now)
    _tell(hold, "expire", acting_user=None, now=now, before=_facts(hold), after={"expired_at": hold.expires_at})
    return hold


def _end(hold: Hold, *, now: datetime) -> None:
    hold.settled_at, hold.stop_calls_due_at = now, None
    hold.save()
    _make_lists_due(hold, now=now, closes=False)


def _make_lists_due(hold: Hold, *, now: datetime, closes: bool) -> None:
    if changes_lists(hold):
        make_lists_due(hold.scope, hold.value, now=now, urgent=closes)


def _ring_for_calls(hold: Hold) -> None:
    if hold.stop_calls_due_at is not None:
        transaction.on_commit(lambda: bells.ring_end_calls(hold.pk))


def _tell(hold: Hold, action: str, *, acting_user: Acting, now: datetime, **entry: Any) -> None:
    tell(hold.workspace_id, action=f"hold.{action}", subject=hold, acting_user=acting_user, now=now, **entry)


def _facts(hold: Hold) -> dict[str, Any]:
    return {
        "scope": hold.scope,
        "value": hold.value,
        "direction": hold.direction or None,
        "channel": hold.channel or None,
        "expires_at": hold.expires_at,
        "reason": hold.reason,
        "end_running_calls": hold.stop_calls_due_at is not None,
    }
