"""What became of calls and chats that were let through: how long they lasted, what they cost.

Told of by UponAI's events, in any order and number. The Dial rows keep it in the transaction of the event; the live
store is told after it, and may miss it: leases run out by themselves, and a store that is rebuilt is rebuilt from rows.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from django.db import models, transaction
from redis.exceptions import RedisError

from policies.engine.types import Channel, Direction
from policies.gate import store
from policies.models import Dial

logger = logging.getLogger(__name__)

MICRO_PER_CENT: Final = 10_000
SHORT_SECONDS: Final = 10.0
BY_CALLER: Final = "user_hangup"
NEVER_CONNECTED: Final = "not_connected"


@dataclass(frozen=True, slots=True)
class Conversation:
    """All that is known of a call or chat, after an event. `decision_id`: the one that its metadata names.

    `cost_cents` None: nobody told yet. `has_just_ended`: this event is the one that tells of its end, once.
    """

    call_id: str
    channel: str
    direction: str
    peer: str
    status: str
    is_over: bool
    decision_id: uuid.UUID | None = None
    ended_at: datetime | None = None
    seconds: float = 0.0
    cost_cents: Decimal | None = None
    disconnection_reason: str = ""
    has_just_ended: bool = False

    @property
    def cost_micro(self) -> int | None:
        if self.cost_cents is None:
            return 0 if self.status == NEVER_CONNECTED else None
        return int(self.cost_cents * MICRO_PER_CENT)

    @property
    def is_short_call(self) -> bool:
        """One that a caller made and soon ended: a robot's, when there are many."""
        return (
            (self.channel, self.direction) == (Channel.PHONE_CALL, Direction.INBOUND)
            and self.disconnection_reason == BY_CALLER
            and self.seconds < SHORT_SECONDS
            and self.peer.startswith("+")
        )


def settle(workspace_id: int, conversations: Sequence[Conversation], *, now: datetime) -> None:
    """Brings the dials up to what is known of their conversations. In the transaction and scope of the caller."""
    told: list[Callable[[], Any]] = []
    dials = _dials(conversations)
    for one in conversations:
        dial, decision_id = dials.get(one.decision_id) or dials.get(one.call_id), one.decision_id
        if dial is not None and dial.call_id not in ("", one.call_id):
            dial, decision_id = None, None  # metadata that names somebody else's dial
        if dial is not None:
            _update(dial, one, now=now)
            decision_id = dial.decision_id
        if one.is_over and decision_id is not None:
            told.append(_giving_back(workspace_id, decision_id, one.cost_micro))
        if one.has_just_ended and one.is_short_call:
            told.append(_noting_short(workspace_id, one.peer))
    if told:
        transaction.on_commit(lambda: _tell_store(told))


def _dials(conversations: Collection[Conversation]) -> dict[object, Dial]:
    """By decision id and by call id, locked in the order of their rows."""
    decision_ids = [one.decision_id for one in conversations if one.decision_id is not None]
    rows = Dial.objects.filter(
        models.Q(decision_id__in=decision_ids) | models.Q(call_id__in=[one.call_id for one in conversations])
    )
    found: dict[object, Dial] = {}
    for row in rows.select_for_update().order_by("pk"):
        found[row.decision_id] = row
        if row.call_id:
            found[row.call_id] = row
    return found


def _update(dial: Dial, one: Conversation, *, now: datetime) -> None:
    facts: dict[str, Any] = {"call_id": one.call_id}
    if one.is_over:
        facts |= {
            "ended_at": one.ended_at or dial.ended_at or now,
            "seconds": max(0, round(one.seconds)),
            "cost_micro": one.cost_micro if one.cost_micro is not None else dial.cost_micro,
        }
    changed = [name for name, value in facts.items() if getattr(dial, name) != value]
    for name in changed:
        setattr(dial, name, facts[name])
    if changed:
        dial.save(update_fields=changed)


def _giving_back(workspace_id: int, decision_id: uuid.UUID, cost_micro: int | None) -> Callable[[], Any]:
    return lambda: store.give_back(workspace_id, str(decision_id), cost_micro=cost_micro)


def _noting_short(workspace_id: int, caller: str) -> Callable[[], Any]:
    return lambda: store.note_short_call(workspace_id, caller)


def _tell_store(told: Sequence[Callable[[], Any]]) -> None:
    try:
        for tell in told:
            tell()
    except RedisError as trouble:
        logger.warning("The live store was not told of calls that are over (%s); what they hold runs out.", trouble)
