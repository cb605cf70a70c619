"""Rings that make due rows prompt. A bell that nobody hears loses nothing: a sweep finds the rows.

A thread rings, and another tells the gate: nobody who edits waits for a broker or a store that hangs.
"""

from __future__ import annotations

import atexit
import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Sequence

from celery import current_app
from kombu import Connection, pools
from kombu.exceptions import LimitExceeded, OperationalError
from redis.exceptions import RedisError

from policies.gate import store

logger = logging.getLogger(__name__)

SINGLE_RINGS = 50
"""Up to so many rows are rung one by one; more are left to one ring of the sweep."""

RING_SECONDS = 0.1
"""The thread waits no longer for a broker that hangs: others want to be rung for, too."""

TELLING_SECONDS = 0.05
"""An edit waits so long for the gate to be told, which takes a store that is well a fiftieth of it: who has the answer
of an edit may rely on it at the gate."""

AT_MOST = 1000
"""So many rings wait for the thread; more are left to the sweep."""

LAST_SECONDS = 0.5
"""A process that ends, as a command does, waits so long for what it has not rung yet."""

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
    told = threading.Event()
    if _teller.go(lambda: _tell(workspace_id, version, told)):
        told.wait(TELLING_SECONDS)


def ring(task: str, **arguments: object) -> bool:
    """Has a worker woken for `task`; False when nobody would hear it. Never raises and never waits."""
    if time.monotonic() < max(_deaf_until, _hangs_until):
        return False
    return _ringer.go(lambda: _ring(task, arguments))


def wait_until_rung(seconds: float = LAST_SECONDS) -> bool:
    """Whether all that was to be rung and told has been, or nobody heard it. Waits so long at most."""
    ends_at = time.monotonic() + seconds
    return all(thread.wait(ends_at - time.monotonic()) for thread in (_ringer, _teller))


class _Errands:
    """A thread of this process that does one short thing after the other; begun with the first."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.forget()

    def forget(self) -> None:
        """In a process that was forked there is no thread, and what waited is the other process's affair."""
        self.waiting: queue.Queue[Callable[[], None]] = queue.Queue(AT_MOST)
        self.thread: threading.Thread | None = None
        self.beginning = threading.Lock()

    def go(self, errand: Callable[[], None]) -> bool:
        try:
            self.waiting.put_nowait(errand)
        except queue.Full:
            return False
        with self.beginning:
            if self.thread is None:
                self.thread = threading.Thread(target=self._work, name=self.name, daemon=True)
                self.thread.start()
        return True

    def wait(self, seconds: float) -> bool:
        with self.waiting.all_tasks_done:
            return self.waiting.all_tasks_done.wait_for(lambda: not self.waiting.unfinished_tasks, max(0.0, seconds))

    def _work(self) -> None:
        while True:
            errand = self.waiting.get()
            try:
                errand()
            except Exception:
                logger.exception("%s broke off.", self.name)
            finally:
                self.waiting.task_done()


def _tell(workspace_id: int, version: int, told: threading.Event) -> None:
    started = time.monotonic()
    try:
        if started >= _hangs_until:
            store.publish_version(workspace_id, version)
    except RedisError as trouble:
        _note_hanging(started)
        logger.warning("The gate was not told of snapshot %s: %s. The sweep will tell it.", version, trouble)
    finally:
        told.set()


def _ring(task: str, arguments: dict[str, object]) -> None:
    global _deaf_until
    started = time.monotonic()
    if started < max(_deaf_until, _hangs_until):
        return
    try:
        with pools.producers[_connection()].acquire(block=True, timeout=RING_SECONDS) as producer:
            current_app.send_task(task, kwargs=arguments, producer=producer, retry=False, ignore_result=True)
    except (OperationalError, RedisError, OSError, LimitExceeded) as trouble:
        _deaf_until = time.monotonic() + DEAF_SECONDS
        _note_hanging(started)
        logger.warning("The worker was not rung for %s: %s. The sweep will find the row.", task, trouble)


def _connection() -> Connection:
    each = RING_SECONDS / 2  # kombu tries twice
    patience = {"socket_timeout": each, "socket_connect_timeout": each}
    connection: Connection = current_app.connection_for_write(transport_options=patience)
    return connection


def _note_hanging(started: float) -> None:
    """Whoever waited in vain tells the others, so that it is waited once and not once for each bell."""
    global _hangs_until
    if time.monotonic() - started > RING_SECONDS * 0.8:
        _hangs_until = time.monotonic() + DEAF_SECONDS


def listen_again() -> None:
    """Forgets that nobody heard the last ring."""
    global _deaf_until, _hangs_until
    _deaf_until = _hangs_until = 0.0


_ringer, _teller = _Errands("bells"), _Errands("telling the gate")
for _thread in (_ringer, _teller):
    os.register_at_fork(after_in_child=_thread.forget)
atexit.register(wait_until_rung)
