"""Waiting for the database no longer than an inbound webhook may take.

A driver's own timeouts begin at seconds and do not cover a server that is there and says nothing. So what asks the
database on a webhook's behalf does it in a thread of its own, which is left behind when time is up.
"""

from __future__ import annotations

import contextvars
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, TypeVar

from django.conf import settings
from django.db import OperationalError, connection, connections

logger = logging.getLogger(__name__)

SILENT_SECONDS: Final = 1.0

T = TypeVar("T")


class OutOfTime(OperationalError):
    """The database did not answer in the time there was; what was asked may still be carried out."""


_ends_at: ContextVar[float | None] = ContextVar("patience", default=None)
_places = threading.BoundedSemaphore(settings.WEB_THREADS)
_silent_until = 0.0


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """All that is asked `in_time` within shares these seconds."""
    token = _ends_at.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _ends_at.reset(token)


def in_time(work: Callable[[], T]) -> T:
    """What `work` answers. Raises OutOfTime where somebody waits who cannot wait that long, and what `work` raises.

    While the database hangs, one caller a second finds out how it is; the others do not wait for it.
    """
    ends_at = _ends_at.get()
    # Inside somebody's transaction another thread would not see what it has written.
    if ends_at is None or connection.in_atomic_block:
        return work()
    left = ends_at - time.monotonic()
    if left <= 0 or time.monotonic() < _silent_until:
        raise OutOfTime("the database did not answer a moment ago")
    if not _places.acquire(blocking=False):
        raise OutOfTime("as many as may wait for the database do so already")
    box: queue.SimpleQueue[tuple[bool, Any]] = queue.SimpleQueue()
    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(_work, work, box), name="patience", daemon=True).start()
    try:
        has_answered, found = box.get(timeout=left)
    except queue.Empty:
        _fall_silent()
        raise OutOfTime("the database did not answer in time") from None
    if not has_answered:
        raise found
    return found  # type: ignore[no-any-return]


def _work(work: Callable[[], Any], box: queue.SimpleQueue[tuple[bool, Any]]) -> None:
    _ends_at.set(None)  # here is nobody who could not wait
    try:
        box.put((True, work()))
    except Exception as trouble:
        box.put((False, trouble))
    finally:
        connections.close_all()
        _places.release()


def _fall_silent() -> None:
    global _silent_until
    _silent_until = time.monotonic() + SILENT_SECONDS
    logger.error("The database does not answer; webhooks are answered without it.")


def ask_again() -> None:
    """Forgets that the database did not answer."""
    global _silent_until
    _silent_until = 0.0
