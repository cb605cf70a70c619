"""Rows → the live store's counters: after the store was lost, and after it was away.

Every attempt that was let through has its row before anybody is called, so the rows know what the store forgot. As
long as an attempt from before may still be writing its row, every counter is full.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from redis.exceptions import RedisError

from accounts.models import Workspace
from accounts.scoping import scoped
from accounts.workspaces import taking_turns
from policies.engine.limits import DAY, REFILLED_FULL_SECONDS, Charge
from policies.engine.types import Direction
from policies.gate import line, store
from policies.gate.dialled import Dialled, Known, dialled
from policies.gate.store import CountersState, Outcome, Past, Spent
from policies.models import Decision, Dial

logger = logging.getLogger(__name__)

SETTLING_SECONDS = 5
"""Whoever spent in the store that was lost has written the row by then, or dials nobody."""
AT_ONCE = 500


class Rebuilding(RedisError):
    """Another process is rebuilding the counters; until it has, the store is as good as away."""


def rebuild(workspace_id: int, *, now: datetime) -> None:
    """Makes the store fit to be asked, after `spend` answered UNKNOWN. Cheap where there is little to do.

    Any number of processes may do so at once. Raises RedisError, DatabaseError, Workspace.DoesNotExist.
    """
    line.open_line()
    turn = line.turn()
    version = Workspace.objects.values_list("snapshot_version", flat=True).get(pk=workspace_id)
    store.publish_version(workspace_id, version, only_if_unknown=True)
    state = store.counters_state(workspace_id)
    if state.are_lost or state.are_settled:
        with store.rebuilding(workspace_id) as is_ours:
            if not is_ours:
                raise Rebuilding("the counters of this workspace are being rebuilt")
            _load(workspace_id, state, now=now)
    catch_up(workspace_id)
    store.note_caught_up(workspace_id, turn)


def spend(workspace_id: int, *, now: datetime, **how: Any) -> Spent:
    """`store.spend`, made fit to be asked where it is not. Raises RedisError, DatabaseError."""
    spent = store.spend(workspace_id, **how)
    if spent.outcome is Outcome.UNKNOWN:
        rebuild(workspace_id, now=now)
        spent = store.spend(workspace_id, **how)
        if spent.outcome is Outcome.UNKNOWN:
            raise Rebuilding("the counters of this workspace were lost once more")
    return spent


def catch_up(workspace_id: int) -> int:
    """Tells the store what the database let through while it was away. Answers how many.

    Waits for who is just being let through by the database. Raises RedisError, DatabaseError.
    """
    told = 0
    with taking_turns(workspace_id):
        untold = Dial.objects.filter(counted_by_database=True)
        while pks := list(untold.order_by("at", "pk").values_list("pk", flat=True)[:AT_ONCE]):
            rows, known = Dial.objects.filter(pk__in=pks), Known.load(workspace_id)
            store.load(workspace_id, [_past(one) for one in dialled(rows, known)])
            store.note_known(workspace_id, known.first_seen_ms)
            rows.update(counted_by_database=False)
            told += len(pks)
    return told


def _load(workspace_id: int, state: CountersState, *, now: datetime) -> None:
    with scoped(workspace_id):
        known = Known.load(workspace_id)
        store.note_known(workspace_id, known.first_seen_ms)
        rows = Dial.objects.filter(at__gt=now - timedelta(seconds=_longest_window()))
        for some in _batches(dialled(rows, known)):
            store.load(workspace_id, [_past(one) for one in some])
        has_lost_something = state.are_lost and _dialled_lately(now)
    if has_lost_something:
        logger.warning("The live store had lost the counters of workspace %s; they are full for now.", workspace_id)
        store.counters_are_full(workspace_id, seconds=SETTLING_SECONDS, short_windows_seconds=REFILLED_FULL_SECONDS)
    else:
        store.counters_are_ready(workspace_id)


def _dialled_lately(now: datetime) -> bool:
    """Whether the store can have counted anything: not on the first boot, nor before the first outbound attempt."""
    lately = now - timedelta(seconds=DAY)
    outbound = Decision.objects.filter(at__gt=lately, direction=Direction.OUTBOUND.value)
    return Dial.objects.filter(at__gt=lately).exists() or outbound.exists()


def _longest_window() -> float:
    """Of the limits in force, as the newest attempts were held against them."""
    newest = Dial.objects.order_by("-at").values_list("charges", flat=True)[:AT_ONCE]
    windows = (Charge.from_list(charge).limit.window_seconds for charges in newest for charge in charges)
    return max([DAY, *windows])


def _past(one: Dialled) -> Past:
    charges = tuple(Charge.from_list(charge) for charge in one.charged())
    return Past(one.decision_id, one.at_ms, one.ends_at_ms, charges)


def _batches(rows: Iterator[Dialled]) -> Iterator[list[Dialled]]:
    while batch := list(islice(rows, AT_ONCE)):
        yield batch
