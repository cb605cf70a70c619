"""Rows → the live store's counters: after the store was lost, and after it was away.

Every attempt that was let through has its row before anybody is called, so the rows know what the store forgot. As
long as an attempt from before may still be writing its row, every counter is full.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from redis.exceptions import RedisError

from accounts.models import Workspace
from accounts.scoping import scoped
from accounts.workspaces import taking_turns
from policies.engine.limits import DAY, REFILLED_FULL_SECONDS, Charge, Measure
from policies.gate import line, store
from policies.gate.store import LONGEST_LEASE_SECONDS, CountersState, Past
from policies.models import Decision, Dial, KnownPrefix

logger = logging.getLogger(__name__)

SETTLING_SECONDS = 5
"""Whoever spent in the store that was lost has written the row by then, or dials nobody."""
AT_ONCE = 500
_FACTS = ("pk", "decision_id", "at", "charges", "call_seconds", "cost_micro", "ended_at")


class Rebuilding(RedisError):
    """Another process is rebuilding the counters; until it has, the store is as good as away."""


def rebuild(workspace_id: int, *, now: datetime) -> None:
    """Makes the store fit to be asked, after `spend` answered UNKNOWN. Cheap where there is little to do.

    Any number of processes may do so at once. Raises RedisError, DatabaseError, Workspace.DoesNotExist.
    """
    last_break = line.last_break()
    version = Workspace.objects.values_list("snapshot_version", flat=True).get(pk=workspace_id)
    store.publish_version(workspace_id, version, only_if_unknown=True)
    state = store.counters_state(workspace_id)
    if state.are_lost or state.are_settled:
        with store.rebuilding(workspace_id) as is_ours:
            if not is_ours:
                raise Rebuilding("the counters of this workspace are being rebuilt")
            _load(workspace_id, state, now=now)
    catch_up(workspace_id, now=now)
    store.note_caught_up(workspace_id, last_break)


def catch_up(workspace_id: int, *, now: datetime) -> int:
    """Tells the store what the database let through while it was away. Answers how many.

    Waits for who is just being let through by the database. Raises RedisError, DatabaseError.
    """
    told = 0
    with taking_turns(workspace_id):
        untold = Dial.objects.filter(counted_by_database=True).order_by("at", "pk")
        for rows in _batches(untold.values(*_FACTS).iterator()):
            store.load(workspace_id, [_past(row) for row in rows])
            Dial.objects.filter(pk__in=[row["pk"] for row in rows]).update(counted_by_database=False)
            told += len(rows)
    return told


def _load(workspace_id: int, state: CountersState, *, now: datetime) -> None:
    with scoped(workspace_id):
        if state.are_lost and not Dial.objects.exists() and not Decision.objects.exists():
            store.counters_are_ready(workspace_id)
            return
        store.note_known(workspace_id, _known_prefixes())
        since = now - timedelta(seconds=_longest_window())
        for rows in _batches(Dial.objects.filter(at__gt=since).order_by("at", "pk").values(*_FACTS).iterator()):
            store.load(workspace_id, [_past(row) for row in rows])
    if state.are_lost:
        logger.warning("The live store had lost the counters of workspace %s; they are full for now.", workspace_id)
        store.counters_are_full(workspace_id, seconds=SETTLING_SECONDS, short_windows_seconds=REFILLED_FULL_SECONDS)
    else:
        store.counters_are_ready(workspace_id)


def _longest_window() -> float:
    """Of the limits in force, as the newest attempts were held against them."""
    newest = Dial.objects.order_by("-at").values_list("charges", flat=True)[:AT_ONCE]
    windows = (Charge.from_list(charge).limit.window_seconds for charges in newest for charge in charges)
    return max(windows, default=0) or DAY


def _known_prefixes() -> dict[str, int]:
    rows = KnownPrefix.objects.values_list("prefix", "first_at", "confirmed")
    return {prefix: 0 if confirmed else _milliseconds(first_at) for prefix, first_at, confirmed in rows}


def _past(row: dict[str, Any]) -> Past:
    """What the store must know of an attempt that was let through."""
    at_ms = _milliseconds(row["at"])
    is_over, cost = row["ended_at"] is not None, row["cost_micro"]
    lasts = row["call_seconds"] or LONGEST_LEASE_SECONDS
    charges = []
    for value in row["charges"]:
        charge = Charge.from_list(value)
        if charge.measure is Measure.MONEY and cost is not None:
            charge = Charge.from_list([*value[:4], cost, *value[5:]])
        charges.append(charge)
    return Past(str(row["decision_id"]), at_ms, 0 if is_over else at_ms + lasts * 1000, tuple(charges))


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def _batches(rows: Iterable[Any]) -> Iterator[list[Any]]:
    remaining = iter(rows)
    while batch := list(islice(remaining, AT_ONCE)):
        yield batch
