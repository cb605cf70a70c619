"""One attempt, from its snapshot to its recorded verdict. Whatever store is away, there is an answer.

One store command for a warm decision, and no SQL. `inbound_judge` and `outbound_judge` say what is told to whom.
"""

from __future__ import annotations

import dataclasses
import logging
import time
import uuid
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

import orjson
from django.db import DatabaseError
from redis.exceptions import RedisError

from policies.engine.decide import decide
from policies.engine.limits import BEFORE_CAPTCHA, Charge, Usage
from policies.engine.types import Attempt, CaptchaAnswer, Counts, Direction, Verdict, VerdictKind
from policies.gate import patience, rebuild, recorder, snapshots, store
from policies.gate.loading import LoadedSnapshot
from policies.gate.store import AttemptKey, Outcome, Spent

logger = logging.getLogger(__name__)

FRESH_ENOUGH: Final = 3
"""Times a decision is made anew when the policy changes meanwhile; the last one stands."""
PASSING: Final = frozenset({VerdictKind.ALLOW, VerdictKind.GUARD})


@dataclasses.dataclass(frozen=True, slots=True)
class Asked:
    """An attempt with all that the judgement and its record need to know of how it came."""

    attempt: Attempt
    decision_id: uuid.UUID
    now: datetime
    started: float  # the perf_counter reading when the request came in
    credential: str = ""
    origin: str = ""

    @property
    def at_ms(self) -> int:
        return int(self.now.timestamp() * 1000)

    def facts(self, verdict: Verdict, charges: Sequence[Charge] = ()) -> dict[str, object]:
        return recorder.facts(
            self.attempt,
            verdict,
            decision_id=self.decision_id,
            at=self.now,
            latency_us=int((time.perf_counter() - self.started) * 1_000_000),
            credential=self.credential,
            origin=self.origin,
            charges=charges,
        )


@dataclasses.dataclass(frozen=True, slots=True)
class Answers:
    """What is to be told when it passes as decided, when only guarded, and when a limit is reached."""

    passed: bytes = b""
    guarded: bytes = b""
    limited: bytes = b""


def decide_and_spend(
    loaded: LoadedSnapshot,
    asked: Asked,
    *,
    key: AttemptKey | None,
    counts: Counts,
    answers: Callable[[Verdict], Answers],
    spent_already: Sequence[Charge] = (),
    whatever_version: bool = False,
    marked: Callable[[LoadedSnapshot, Verdict], Verdict] | None = None,
) -> tuple[Verdict, Spent]:
    """Decides by this snapshot and does everything else in one store command. `marked` has a word in what it is told.

    Raises RedisError when the store does not answer. The outcome may be that the snapshot is old.
    """
    verdict = decide(asked.attempt, loaded.engine, counts, at_ms=asked.at_ms)
    if marked is not None:
        verdict = marked(loaded, verdict)
    charges = [charge for charge in verdict.charges if charge not in spent_already] if _passes(verdict) else []
    told = answers(verdict)
    prefix, is_known = destination_of(verdict, loaded)
    spent = store.spend(
        loaded.workspace_id,
        version=None if whatever_version else loaded.version,
        key=key,
        decision_id=str(asked.decision_id),
        decision=orjson.dumps(asked.facts(verdict, charges)),
        answer=told.passed,
        guarded_answer=told.guarded,
        limited_answer=told.limited,
        charges=charges,
        prefix=prefix,
        is_known=is_known,
        lease_seconds=float(verdict.call_seconds or 0),
    )
    if spent.is_backlogged:
        recorder.relieve(loaded.workspace_id)
    return _final(verdict, charges, spent, loaded, asked, counts), spent


def look(loaded: LoadedSnapshot, attempt: Attempt, *, now: datetime) -> Verdict:
    """What the verdict would be. Counters are read, not spent; where the store is away it is marked degraded."""
    return look_closely(loaded, attempt, now=now)[0]


def look_closely(
    loaded: LoadedSnapshot, attempt: Attempt, *, now: datetime
) -> tuple[Verdict, tuple[tuple[Charge, Usage], ...]]:
    """As `look`, with all that was counted so far; nothing where the counters were not looked at."""
    at_ms = int(now.timestamp() * 1000)
    verdict = decide(attempt, loaded.engine, at_ms=at_ms)
    if not verdict.charges or not _passes(verdict):
        return verdict, ()
    prefix, is_known = destination_of(verdict, loaded)
    try:
        usages = store.look(loaded.workspace_id, verdict.charges, prefix=prefix, is_known=is_known)
    except RedisError as trouble:
        logger.warning("The live store does not answer (%s); the limits are not looked at.", trouble)
        return dataclasses.replace(verdict, degraded=True), ()
    counted = decide(attempt, loaded.engine, Counts(usages=usages), at_ms=at_ms)
    return counted, tuple(zip(verdict.charges, usages, strict=True))


def spend_before_captcha(
    loaded: LoadedSnapshot, asked: Asked, verdict: Verdict, *, whatever_version: bool = False
) -> tuple[list[Charge], Spent]:
    """The counters that are spent before a verifier is asked. Raises RedisError."""
    charges = [charge for charge in verdict.charges if charge.name in BEFORE_CAPTCHA]
    spent = store.spend(
        loaded.workspace_id,
        version=None if whatever_version else loaded.version,
        key=None,
        decision_id=str(asked.decision_id),
        decision=b"",
        answer=b"",
        guarded_answer=b"",
        limited_answer=b"",
        charges=charges,
        record=False,
    )
    return charges, spent


def record(workspace_id: int, asked: Asked, verdict: Verdict) -> None:
    """Records what was decided without the counters of its last phase. Raises RedisError."""
    store.spend(
        workspace_id,
        version=None,
        key=None,
        decision_id=str(asked.decision_id),
        decision=orjson.dumps(asked.facts(verdict)),
        answer=b"",
        guarded_answer=b"",
        limited_answer=b"",
        charges=(),
    )


def renewed(loaded: LoadedSnapshot, outcome: Outcome, *, now: datetime, or_old: bool) -> LoadedSnapshot:
    """The newest snapshot, after the store said that this one is old or that it was emptied itself.

    `or_old`: go on with the old one while the database is away; else raises DatabaseError. Raises RedisError.
    """
    try:
        loaded = snapshots.reload(loaded.endpoint)
        if outcome is Outcome.UNKNOWN:
            patience.in_time(lambda: rebuild.rebuild(loaded.workspace_id, now=now))
    except DatabaseError as trouble:
        if not or_old:
            raise
        logger.warning("The database does not answer (%s); deciding from version %s.", trouble, loaded.version)
    return loaded


def with_usages(
    verdict: Verdict,
    charges: Sequence[Charge],
    usages: Sequence[Usage],
    loaded: LoadedSnapshot,
    asked: Asked,
    counts: Counts,
) -> Verdict:
    """The verdict with what the counters said of some of its charges; the others had room."""
    found = dict(zip(charges, usages, strict=True))
    every = tuple(found.get(charge, Usage(0)) for charge in verdict.charges)
    return decide(asked.attempt, loaded.engine, dataclasses.replace(counts, usages=every), at_ms=asked.at_ms)


def destination_of(verdict: Verdict, loaded: LoadedSnapshot) -> tuple[str, bool]:
    """The prefix that a destination is known by, and whether it is known without asking, as at home."""
    e164 = verdict.peer.e164 or ""
    return e164[:-4], verdict.peer.country == loaded.engine.home_country


def at_door(captcha: CaptchaAnswer | None = None) -> Counts:
    return Counts(at_door=True, captcha=captcha)


def _final(
    verdict: Verdict, charges: Sequence[Charge], spent: Spent, loaded: LoadedSnapshot, asked: Asked, counts: Counts
) -> Verdict:
    """Who asks for an outbound attempt is told what was counted; of a webhook only what it changes is worth it."""
    told = not spent.has_room or asked.attempt.direction is Direction.OUTBOUND
    if spent.outcome not in (Outcome.RECORDED, Outcome.LIMITED) or not charges or not told:
        return verdict
    return with_usages(verdict, charges, spent.usages, loaded, asked, counts)


def _passes(verdict: Verdict) -> bool:
    return verdict.verdict in PASSING
