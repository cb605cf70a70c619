"""Which holds, opens and list entries are in force, and what that means for the engine and for UponAI's lists.

Reads rows, changes none.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final, NamedTuple

from django.db import models

from policies.engine.types import Channel, Direction, HoldScope, HoldSnapshot
from policies.models import Hold, ListEntry, Open

# UponAI's lists are per number and by country; what else is held, they cannot say.
_SCOPES_OF_LISTS: Final = (Hold.Scope.WORKSPACE, Hold.Scope.PHONE_NUMBER, Hold.Scope.COUNTRY)
# They stand for calls above all; what is held on another channel alone must not close them.
_CHANNELS_OF_LISTS: Final = ("", Hold.Channel.PHONE_CALL)
# Of an open the lists can say where the other side is; whose key, address or user it is, they cannot.
_SCOPES_OPENING_LISTS: Final = (Hold.Scope.PHONE_NUMBER, Hold.Scope.COUNTRY, Hold.Scope.PEER, Hold.Scope.PREFIX)
# An SMS that they leave out does not go out, whatever this console says.
_CHANNELS_OPENING_LISTS: Final = ("", Hold.Channel.PHONE_CALL, Hold.Channel.SMS)


class Lists(NamedTuple):
    trusted: tuple[HoldSnapshot, ...]
    blocked: tuple[HoldSnapshot, ...]


def in_force(now: datetime) -> models.QuerySet[Hold]:
    """Those of the current workspace that count at this second, whether or not a sweep has been there."""
    return Hold.objects.filter(settled_at=None, expires_at__gt=now)


def opens_now(now: datetime) -> models.QuerySet[Open]:
    """The opens of the current workspace that count at this second."""
    return Open.objects.filter(settled_at=None, expires_at__gt=now)


def listed_now(now: datetime) -> models.QuerySet[ListEntry]:
    """The trusted and blocked callers of the current workspace at this second."""
    return ListEntry.objects.filter(models.Q(expires_at=None) | models.Q(expires_at__gt=now))


def opens_in_force(now: datetime) -> tuple[HoldSnapshot, ...]:
    """As the gate's snapshot has them. One query."""
    return tuple(as_snapshot(row) for row in opens_now(now))


def lists_in_force(now: datetime) -> Lists:
    """As the gate's snapshot has them. One query."""
    found: dict[str, list[HoldSnapshot]] = {ListEntry.List.TRUSTED: [], ListEntry.List.BLOCKED: []}
    for row in listed_now(now):
        found[row.list].append(as_snapshot(row))
    return Lists(tuple(found[ListEntry.List.TRUSTED]), tuple(found[ListEntry.List.BLOCKED]))


def as_snapshot(row: Hold | Open | ListEntry) -> HoldSnapshot:
    return HoldSnapshot(
        id=row.pk,
        scope=HoldScope(row.scope),
        value=row.value,
        expires_at_ms=int(row.expires_at.timestamp() * 1000) if row.expires_at else None,
        direction=Direction(row.direction) if row.direction else None,
        channel=Channel(row.channel) if row.channel else None,
    )


def changes_lists(hold: Hold) -> bool:
    """Whether UponAI's country lists can say something of this hold."""
    return hold.scope in _SCOPES_OF_LISTS and hold.channel in _CHANNELS_OF_LISTS


def of_lists(now: datetime) -> tuple[HoldSnapshot, ...]:
    """The holds in force that UponAI's lists are to say, for all numbers of the current workspace. One query."""
    rows = in_force(now).filter(scope__in=_SCOPES_OF_LISTS, channel__in=_CHANNELS_OF_LISTS)
    return tuple(as_snapshot(hold) for hold in rows)


def opens_lists(row: Open) -> bool:
    """Whether UponAI's country lists can say something of this open."""
    return row.scope in _SCOPES_OPENING_LISTS and row.channel in _CHANNELS_OPENING_LISTS


def opens_of_lists(now: datetime) -> tuple[HoldSnapshot, ...]:
    """The opens in force that UponAI's lists are to say, for all numbers of the current workspace. One query."""
    rows = opens_now(now).filter(scope__in=_SCOPES_OPENING_LISTS, channel__in=_CHANNELS_OPENING_LISTS)
    return tuple(as_snapshot(row) for row in rows)
