"""The live store: earlier answers, decisions not yet in SQL, the newest snapshot's version. One command each."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings
from redis import Redis
from redis.backoff import NoBackoff
from redis.commands.core import Script
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

TIMEOUT_SECONDS = 0.25
"""Longer than any healthy answer; a webhook that waits for a sick store would make UponAI answer the call."""

SILENT_SECONDS = 1.0

# UponAI retries an unanswered webhook up to three times. One that names its call may come back later still.
ANSWER_BY_ID_SECONDS = 3600
ANSWER_BY_PAIR_SECONDS = 60
MOST_RETRIES = 3
LEAST_WAIT_MS = 5000

DRAIN_AT_ONCE = 500
REFUSED_SECONDS = 3 * 3600
"""Longer than the drain can be late; the rows keep the counts."""


class Outcome(StrEnum):
    RECORDED = "recorded"
    REPEATED = "repeated"
    STALE = "stale"
    UNKNOWN = "unknown"  # the store was emptied or replaced: it knows no version


@dataclass(frozen=True, slots=True)
class AttemptKey:
    """What tells one attempt from another: UponAI's id of it, or only the pair of numbers."""

    text: str
    is_id: bool


@dataclass(frozen=True, slots=True)
class Remembered:
    """What became of a decision. `answer` is the earlier one when it was repeated."""

    outcome: Outcome
    answer: bytes = b""


@cache
def connection() -> Redis:
    """This process's connections to the store; made on first use, so after gunicorn has forked."""
    return Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=TIMEOUT_SECONDS,
        socket_connect_timeout=TIMEOUT_SECONDS,
        # A connection that the store closed is worth another try; one that does not answer is not.
        retry=Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
    )


class Silent(RedisError):
    """The store did not answer a moment ago and is not asked again so soon."""


_silent_until = 0.0


@contextmanager
def _asking() -> Iterator[None]:
    """While the store hangs, one caller a second finds out how it is; the others do not wait for it."""
    global _silent_until
    if time.monotonic() < _silent_until:
        raise Silent("the live store did not answer a moment ago")
    try:
        yield
    except RedisTimeoutError:
        _silent_until = time.monotonic() + SILENT_SECONDS
        raise


@cache
def _remember_script() -> Script:
    return connection().register_script((Path(__file__).parent / "remember.lua").read_text())


def ask_again() -> None:
    """Forgets that the store did not answer."""
    global _silent_until
    _silent_until = 0.0


def _key(workspace_id: int, name: str) -> str:
    return f"fraudconsole:{{{workspace_id}}}:{name}"


def remember(workspace_id: int, *, version: int | None, key: AttemptKey, decision: bytes, answer: bytes) -> Remembered:
    """Records a decision once, or tells why not. `version` None records it whatever the newest snapshot is.

    Raises RedisError when the store does not answer.
    """
    keys = [
        _key(workspace_id, "snapshot-version"),
        _key(workspace_id, f"answer:{key.text}"),
        _key(workspace_id, "decisions"),
    ]
    arguments = [
        "" if version is None else version,
        decision,
        answer,
        "id" if key.is_id else "pair",
        ANSWER_BY_ID_SECONDS if key.is_id else ANSWER_BY_PAIR_SECONDS,
        MOST_RETRIES,
        LEAST_WAIT_MS,
    ]
    with _asking():
        outcome, *value = _remember_script()(keys=keys, args=arguments)
    return Remembered(Outcome(outcome.decode()), value[0] if value else b"")


def publish_version(workspace_id: int, version: int) -> None:
    """Makes every process load the snapshot anew before its next decision. Raises RedisError."""
    with _asking():
        connection().set(_key(workspace_id, "snapshot-version"), version)


def undrained(workspace_id: int) -> list[tuple[bytes, bytes]]:
    """The oldest decisions not yet in SQL, as (entry id, encoded decision). Raises RedisError."""
    entries: Any = connection().xrange(_key(workspace_id, "decisions"), count=DRAIN_AT_ONCE)
    return [(entry_id, fields[b"decision"]) for entry_id, fields in entries]


def drained(workspace_id: int, entry_ids: list[bytes]) -> None:
    """Forgets decisions that are in SQL now. Raises RedisError."""
    connection().xdel(_key(workspace_id, "decisions"), *entry_ids)


def count_refused(workspace_id: int, *, hour: str, problem: str) -> None:
    """Counts a request that was turned away unread. Raises RedisError."""
    key = _key(workspace_id, f"refused:{hour}")
    pipeline = connection().pipeline(transaction=False)
    pipeline.hincrby(key, problem, 1)
    pipeline.expire(key, REFUSED_SECONDS)
    with _asking():
        pipeline.execute()


def refused(workspace_id: int, *, hour: str) -> dict[str, int]:
    """How many requests were turned away in an hour, by problem. Raises RedisError."""
    counts: Any = connection().hgetall(_key(workspace_id, f"refused:{hour}"))
    return {problem.decode(): int(count) for problem, count in counts.items()}
