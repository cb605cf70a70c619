"""Rings that make due rows prompt. A bell that nobody hears loses nothing: a sweep finds the rows."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

from celery import current_app
from kombu import Connection, pools
from kombu.exceptions import LimitExceeded, OperationalError
from redis.exceptions import RedisError

from policies.gate import store

logger = logging.getLogger(__name__)

SINGLE_RINGS = 50
"""Up to so many rows are rung one by one; more are left to one ring of the sweep."""

RING_SECONDS = 0.1
"""A request waits no longer for a broker that hangs. The worker itself may wait longer: it has nothing else to do."""

DEAF_SECONDS = 2.0
"""After a ring that failed nobody tries again for so long; the sweep comes round anyway."""

_deaf_until = 0.0
_hangs_until = 0.0


def ring_push(sync_target_ids: Sequence[int]) -> None:
    if len(sync_target_ids) <= SINGLE_RINGS:
        for sync_target_id in sync_target_ids:
            if not ring("policies.tasks.push_phone_number", sync_target_id=sync_target_id):
                return
    else:
        ring("policies.tasks.sweep_sync_targets")


def ring_end_calls(hold_id: int) -> None:
    ring("policies.tasks.end_running_calls", hold_id=hold_id)


def publish_snapshot(workspace_id: int, version: int) -> None:
    """Tells every process of the gate at once that its snapshot is old."""
    if time.monotonic() < _hangs_until:
        return  # the broker is the same server; the sweep tells the gate a second after it is well
    started = time.monotonic()
    try:
        store.publish_version(workspace_id, version)
    except RedisError as trouble:
        _note_hanging(started)
        logger.warning("The gate was not told of snapshot %s: %s. The sweep will tell it.", version, trouble)


def ring(task: str, **arguments: object) -> bool:
    """Wakes a worker for `task`; False when nobody heard it. Never raises and hardly waits."""
    global _deaf_until
    started = time.monotonic()
    if started < max(_deaf_until, _hangs_until):
        return False
    try:
        with pools.producers[_connection()].acquire(block=True, timeout=RING_SECONDS) as producer:
            current_app.send_task(task, kwargs=arguments, producer=producer, retry=False, ignore_result=True)
    except (OperationalError, RedisError, OSError, LimitExceeded) as trouble:
        _deaf_until = time.monotonic() + DEAF_SECONDS
        _note_hanging(started)
        logger.warning("The worker was not rung for %s: %s. The sweep will find the row.", task, trouble)
        return False
    return True


def _connection() -> Connection:
    each = RING_SECONDS / 2  # kombu tries twice
    patience = {"socket_timeout": each, "socket_connect_timeout": each}
    connection: Connection = current_app.connection_for_write(transport_options=patience)
    return connection


def _note_hanging(started: float) -> None:
    """Whoever waited in vain tells the others, so that a request waits once and not once for each bell."""
    global _hangs_until
    if time.monotonic() - started > RING_SECONDS * 0.8:
        _hangs_until = time.monotonic() + DEAF_SECONDS


def listen_again() -> None:
    """Forgets that nobody heard the last ring."""
    global _deaf_until, _hangs_until
    _deaf_until = _hangs_until = 0.0
