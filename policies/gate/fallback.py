"""The limits while the live store is away: counted from the rows of dials, at a part of each, one at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime, timedelta

from django.db import OperationalError, connection, transaction
from redis.exceptions import RedisError

from accounts.workspaces import taking_turns
from policies.engine.limits import Charge, Limit, Measure, Usage
from policies.engine.types import WEB_CHANNELS, Channel
from policies.engine.windows import Counter, Distinct, Money, Running, counter_of
from policies.gate import store
from policies.gate.dialled import Dialled, Known, dialled, milliseconds
from policies.gate.store import LONGEST_LEASE_SECONDS
from policies.models import Dial

PATIENCE_MS = 200
SHARE, SHARE_OF_WEB_CHANNELS = 0.5, 0.25
"""Of each limit: what another process spent in the store just before it went away may not have its row yet."""


class TooSlow(Exception):
    """The database counts too slowly to be asked for every attempt. Nothing was written."""


class StoreIsBack(TooSlow):
    """The live store counts again, and knows nothing of what would be let through here. Asking again will pass."""


def admit(
    workspace_id: int,
    charges: Sequence[Charge],
    *,
    now: datetime,
    channel: Channel | str,
    write: Callable[[], object],
    prefix: str = "",
    is_known: bool = False,
) -> tuple[Usage, ...]:
    """Counts an attempt by the rows. Where every charge that may refuse it has room, `write` makes its row, with
    `counted_by_database` set, in the same transaction; look at the usages for whether it did.

    Raises TooSlow, DatabaseError, and what `write` raises; then nothing is written.
    """
    deadline = time.monotonic() + PATIENCE_MS / 1000
    share = SHARE_OF_WEB_CHANNELS if channel in WEB_CHANNELS else SHARE
    try:
        with _impatient(), transaction.atomic(), _hurried(), taking_turns(workspace_id):
            _refuse_if_store_is_back(workspace_id)
            known = Known.load(workspace_id)
            now_ms = milliseconds(now)
            is_known = is_known or known.has(prefix, now_ms)
            usages = _Counters(charges, share, is_known, now_ms).count(_rows(charges, known, now), deadline)
            if admits(charges, usages):
                write()
            _refuse_if_late(deadline)
    except OperationalError:
        _refuse_if_late(deadline)
        raise
    return usages


def admits(charges: Sequence[Charge], usages: Sequence[Usage]) -> bool:
    """Whether an attempt with these usages is let through."""
    return all(
        usage.has_room or not charge.enforced or charge.guards for charge, usage in zip(charges, usages, strict=True)
    )


def _rows(charges: Sequence[Charge], known: Known, now: datetime) -> Generator[Dialled, None, None]:
    longest = max((_reaches_back(charge) for charge in charges), default=0)
    return dialled(Dial.objects.filter(at__gt=now - timedelta(seconds=longest)), known)


def _reaches_back(charge: Charge) -> float:
    return LONGEST_LEASE_SECONDS if charge.measure is Measure.RUNNING else charge.limit.window_seconds


class _Counters:
    """The counters of one attempt, filled from the rows in the order of time."""

    def __init__(self, charges: Sequence[Charge], share: float, is_known: bool, now_ms: int) -> None:
        self._charges, self._is_known, self._now_ms = charges, is_known, now_ms
        self._counters = {_place(charge): counter_of(_lowered(charge, share)) for charge in charges}

    def count(self, rows: Generator[Dialled, None, None], deadline: float) -> tuple[Usage, ...]:
        with closing(rows):  # PostgreSQL's cursor ends within the transaction, also where time is up
            for number, row in enumerate(rows):
                if number % 100 == 0:
                    _refuse_if_late(deadline)
                self._count(row)
        return tuple(self._usage(charge) for charge in self._charges)

    def _count(self, row: Dialled) -> None:
        for name, key, _limit, _window, amount, member, flags in row.charged():
            counter = self._counters.get((name, key, "n" in flags))
            if counter is not None:
                self._spend(counter, row, amount, member)

    def _spend(self, counter: Counter, row: Dialled, amount: int, member: str) -> None:
        if isinstance(counter, Running):
            if row.ends_at_ms > self._now_ms:
                counter.spend(row.at_ms, row.decision_id, row.ends_at_ms - row.at_ms)
        elif isinstance(counter, Distinct):
            counter.spend(row.at_ms, member)
        else:
            counter.spend(row.at_ms, amount)

    def _usage(self, charge: Charge) -> Usage:
        if charge.only_new and self._is_known:
            return Usage(0, counted=False)
        counter, now_ms = self._counters[_place(charge)], self._now_ms
        if isinstance(counter, Distinct):
            return Usage(counter.used(now_ms), counter.wait_ms(now_ms, charge.member))
        if isinstance(counter, Money) and charge.amount > counter.limit:
            return Usage(counter.used(now_ms), counter.window_ms)
        return Usage(counter.used(now_ms), counter.wait_ms(now_ms, charge.amount))


def _place(charge: Charge) -> tuple[str, str, bool]:
    """Whatever window it was counted in: a limit that was edited meanwhile counts what there is."""
    return charge.name, charge.key, charge.only_new


def _lowered(charge: Charge, share: float) -> Charge:
    limit = Limit(charge.limit.limit * share, charge.limit.window_seconds)
    return Charge(charge.name, charge.measure, charge.key, limit)


def _refuse_if_store_is_back(workspace_id: int) -> None:
    """Asked while nobody else is let through: who caught up with the rows before has not seen ours."""
    try:
        is_back = store.counts(workspace_id)
    except RedisError:
        return
    if is_back:
        raise StoreIsBack("the live store counts again")


def _refuse_if_late(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise TooSlow("the database takes too long to count")


@contextmanager
def _impatient() -> Iterator[None]:
    """SQLite gives up waiting for its lock when we would, which is to be told before a transaction begins."""
    if connection.vendor != "sqlite" or connection.in_atomic_block:
        yield
        return
    usual = int(connection.settings_dict["OPTIONS"].get("timeout", 5) * 1000)
    _tell(f"PRAGMA busy_timeout = {PATIENCE_MS}")
    try:
        yield
    finally:
        _tell(f"PRAGMA busy_timeout = {usual}")


@contextmanager
def _hurried() -> Iterator[None]:
    """PostgreSQL gives up waiting, and working, when we would; told within the transaction."""
    if connection.vendor != "postgresql":
        yield
        return
    _tell(f"SET LOCAL statement_timeout = {PATIENCE_MS}")
    yield
    _tell("SET LOCAL statement_timeout = DEFAULT")


def _tell(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)
