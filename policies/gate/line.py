"""This process's lines to the live store: who may ask it, and scripts in as few bytes and steps as it takes."""

from __future__ import annotations

import hashlib
import itertools
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

TIMEOUT_SECONDS = 0.25
"""Longer than any healthy answer; a webhook that waits for a sick store would make UponAI answer the call."""

TELLING_SECONDS = 0.1
"""Who only tells the store something waits no longer: it will be told again."""

SILENT_SECONDS = 1.0


@cache
def connection() -> Redis:
    """This process's connections to the store; made on first use, so after gunicorn has forked."""
    return _connection(settings.REDIS_URL, TIMEOUT_SECONDS)


def for_telling() -> Redis:
    """The same for who does not wait for an answer."""
    return _for_telling(settings.REDIS_URL)


@cache
def _for_telling(url: str) -> Redis:
    return _connection(url, TELLING_SECONDS)


def _connection(url: str, seconds: float) -> Redis:
    return Redis.from_url(
        url,
        socket_timeout=seconds,
        socket_connect_timeout=seconds,
        # A connection that the store closed is worth another try; one that does not answer is not.
        retry=Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
    )


class Silent(RedisError):
    """The store did not answer a moment ago and is not asked again so soon."""


_silent_until = 0.0


@contextmanager
def asking() -> Iterator[None]:
    """While the store hangs, one caller a second finds out how it is; the others do not wait for it."""
    refuse_while_silent()
    try:
        yield
    except RedisTimeoutError:
        note_trouble()
        fall_silent()
        raise
    except RedisConnectionError:
        note_trouble()
        raise


def refuse_while_silent() -> None:
    if _silent_until and time.monotonic() < _silent_until:
        raise Silent("the live store did not answer a moment ago")


def fall_silent() -> None:
    global _silent_until
    _silent_until = time.monotonic() + SILENT_SECONDS


def ask_again() -> None:
    """Forgets that the store did not answer."""
    global _silent_until
    _silent_until = 0.0


class Script:
    """A Lua script, sent by its digest."""

    def __init__(self, *files: str) -> None:
        folder = Path(__file__).parent
        self.text = "\n".join((folder / file).read_text() for file in files)
        self.digest = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()


_turns = itertools.count(1)
_last_trouble = 0


def turn() -> int:
    """Larger every time: what this process did, opened or lost earlier has a smaller one."""
    return next(_turns)


def note_trouble() -> None:
    """What others did since, this process cannot know."""
    global _last_trouble
    _last_trouble = turn()


class _Line(threading.local):
    """A thread's own connection: nothing is borrowed, locked or returned for a command."""

    connection: Any = None
    redis: Redis | None = None
    pid = 0
    opened = 0


_line = _Line()


def run(script: Script, keys: Sequence[str | bytes], arguments: Sequence[str | bytes | int], *, since: int = -1) -> Any:
    """One EVALSHA on this thread's connection. Raises RedisError.

    With `since`, a turn, it is sent only if nothing was opened or lost after that; else None is answered.
    """
    refuse_while_silent()
    try:
        line = _opened()
        if since >= 0 and since < max(_line.opened, _last_trouble):
            return None
        return _evaluate(line, script, keys, arguments)
    except RedisTimeoutError:
        note_trouble()
        fall_silent()
        raise
    except RedisError:  # also one that answers and cannot write: it is done without meanwhile
        note_trouble()
        raise


def open_line() -> None:
    """Connects this thread, where it is not. Raises RedisError."""
    refuse_while_silent()
    try:
        _opened()
    except RedisTimeoutError:
        fall_silent()
        raise


def _evaluate(line: Any, script: Script, keys: Sequence[str | bytes], arguments: Sequence[str | bytes | int]) -> Any:
    try:
        return _ask(line, "EVALSHA", script.digest, len(keys), *keys, *arguments)
    except NoScriptError:
        _ask(line, "SCRIPT LOAD", script.text)
        return _ask(line, "EVALSHA", script.digest, len(keys), *keys, *arguments)


def _ask(line: Any, *words: str | bytes | int) -> Any:
    line.send_packed_command(line.pack_command(*words), check_health=False)
    return line.read_response()


def _opened() -> Any:
    """A connection of this thread, of this process and to the store that is configured now; opened where there is none.

    One that the store closed while it was idle is noticed before anything is sent on it, not after.
    """
    redis = connection()
    line = _line.connection
    if line is not None and _line.redis is redis and _line.pid == os.getpid() and not _is_closed(line):
        return line
    pool = redis.connection_pool
    line = pool.connection_class(**pool.connection_kwargs)
    _line.connection, _line.redis, _line.pid, _line.opened = line, redis, os.getpid(), turn()
    line.connect()
    return line


def _is_closed(line: Any) -> bool:
    try:
        return line._sock is None or bool(line.can_read(0))
    except (RedisError, OSError):
        return True
