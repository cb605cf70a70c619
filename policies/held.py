"""Which holds are in force, and what that means for the engine and for UponAI's lists. Reads rows, changes none."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from django.db import models

from policies.engine.types import Channel, Direction, HoldScope, HoldSnapshot
from policies.models import Hold

# UponAI's lists are per number and by country; what else is held, they cannot say.
_SCOPES_OF_LISTS: Final = (Hold.Scope.WORKSPACE, Hold.Scope.PHONE_NUMBER, Hold.Scope.COUNTRY)
# They stand for calls above all; what is held on another channel alone must not close them.
_CHANNELS_OF_LISTS: Final = ("", Hold.Channel.PHONE_CALL)


def in_force(now: datetime) -> models.QuerySet[Hold]:
    """Those of the current workspace that count at this second, whether or not a sweep has been there."""
    return Hold.objects.filter(settled_at=None, expires_at__gt=now)


def as_snapshot(hold: Hold) -> HoldSnapshot:
    return HoldSnapshot(
        id=hold.pk,
        scope=HoldScope(hold.scope),
        value=hold.value,
        expires_at_ms=int(hold.expires_at.timestamp() * 1000),
        direction=Direction(hold.direction) if hold.direction else None,
        channel=Channel(hold.channel) if hold.channel else None,
    )


def changes_lists(hold: Hold) -> bool:
    """Whether UponAI's country lists can say something of this hold."""
    return hold.scope in _SCOPES_OF_LISTS and hold.channel in _CHANNELS_OF_LISTS


def of_lists(now: datetime) -> tuple[HoldSnapshot, ...]:
    """The holds in force that UponAI's lists are to say, for all numbers of the current workspace. One query."""
    rows = in_force(now).filter(scope__in=_SCOPES_OF_LISTS, channel__in=_CHANNELS_OF_LISTS)
    return tuple(as_snapshot(hold) for hold in rows)
