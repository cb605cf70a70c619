"""One attempt, from its snapshot to its recorded verdict. Whatever store is away, there is an answer."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import time
import uuid
from datetime import datetime, timedelta

import orjson
from django.db import DatabaseError
from redis.exceptions import RedisError

from accounts.scoping import scoped
from policies.engine.decide import decide
from policies.engine.types import Attempt, Verdict, VerdictKind
from policies.gate import recorder, snapshots, store
from policies.gate.snapshots import LoadedSnapshot
from policies.gate.store import AttemptKey, Outcome
from policies.models import Decision
from policies.uponai import payloads

logger = logging.getLogger(__name__)

DECISIONS = uuid.UUID("5c1f6a38-2f0e-4f0c-9a0d-6f7f4b1f5d11")
"""Namespace of decision ids: the same call always gets the same one, so it can only be recorded once."""
FRESH_ENOUGH = 3
"""Times a decision is made anew when the policy changes meanwhile; the last one stands."""
OLDEST_SNAPSHOT_SECONDS = 15 * 60


@dataclasses.dataclass(frozen=True, slots=True)
class Judged:
    """A verdict with the answer UponAI gets and the facts that are recorded."""

    decision_id: uuid.UUID
    verdict: Verdict
    answer: bytes
    facts: dict[str, object]


def judge_inbound(endpoint: str, attempt: Attempt, *, now: datetime, started: float) -> bytes:
    """Decides an inbound call or message, records it once, and answers what UponAI is to be told.

    `started`: the perf_counter reading when the request came in. Raises NoSuchEndpoint.
    """
    loaded = snapshots.for_endpoint(endpoint)
    key = attempt_key(attempt)
    for tries_left in reversed(range(FRESH_ENOUGH)):
        judged = _judge(loaded, attempt, key, now=now, started=started)
        try:
            remembered = store.remember(
                loaded.workspace_id,
                version=loaded.version if tries_left else None,
                key=key,
                decision=orjson.dumps(judged.facts),
                answer=judged.answer,
            )
            if remembered.outcome is Outcome.REPEATED:
                return remembered.answer
            if remembered.outcome is Outcome.RECORDED:
                break
            loaded = _fresh(endpoint, loaded)
            if remembered.outcome is Outcome.UNKNOWN:
                store.publish_version(loaded.workspace_id, loaded.version)
        except RedisError as trouble:
            logger.warning("The live store does not answer (%s); deciding without it.", trouble)
            return _without_store(endpoint, loaded, attempt, key, now=now, started=started)
    return judged.answer


def attempt_key(attempt: Attempt) -> AttemptKey:
    """By UponAI's id of the call; without one by the pair of numbers."""
    if attempt.call_reference:
        return AttemptKey(f"id:{attempt.channel}:{attempt.call_reference}", is_id=True)
    pair = orjson.dumps([attempt.channel, attempt.to_number, attempt.from_number], default=str)
    return AttemptKey(f"pair:{hashlib.sha256(pair).hexdigest()}", is_id=False)


def id_of_decision(workspace_id: int, key: AttemptKey) -> uuid.UUID:
    """The id of the decision about an attempt that UponAI named."""
    return uuid.uuid5(DECISIONS, f"{workspace_id}:{key.text}")


def _judge(
    loaded: LoadedSnapshot,
    attempt: Attempt,
    key: AttemptKey,
    *,
    now: datetime,
    started: float,
    degraded: bool = False,
) -> Judged:
    verdict = decide(attempt, loaded.engine, at_ms=int(now.timestamp() * 1000))
    if degraded:
        verdict = dataclasses.replace(verdict, degraded=True)
        if verdict.verdict is VerdictKind.ALLOW and loaded.age_seconds() > OLDEST_SNAPSHOT_SECONDS:
            verdict = dataclasses.replace(verdict, verdict=VerdictKind.GUARD)
    decision_id = id_of_decision(loaded.workspace_id, key) if key.is_id else uuid.uuid4()
    latency_us = int((time.perf_counter() - started) * 1_000_000)
    return Judged(
        decision_id,
        verdict,
        _answer(verdict, attempt),
        recorder.facts(attempt, verdict, decision_id=decision_id, at=now, latency_us=latency_us),
    )


def _answer(verdict: Verdict, attempt: Attempt) -> bytes:
    guarded_agent = verdict.number.guarded_agent if verdict.number else None
    return orjson.dumps(payloads.answer_inbound(verdict, channel=attempt.channel, guarded_agent=guarded_agent))


def _fresh(endpoint: str, loaded: LoadedSnapshot) -> LoadedSnapshot:
    try:
        return snapshots.reload(endpoint)
    except DatabaseError as trouble:
        logger.warning("The database does not answer (%s); deciding from version %s.", trouble, loaded.version)
        return loaded


def _without_store(
    endpoint: str, loaded: LoadedSnapshot, attempt: Attempt, key: AttemptKey, *, now: datetime, started: float
) -> bytes:
    """The country decision never needs the store. Repeats are found among the rows, as far as those answer."""
    try:
        loaded = snapshots.recheck(endpoint, loaded)
        judged = _judge(loaded, attempt, key, now=now, started=started, degraded=True)
        earlier = _earlier(loaded.workspace_id, judged, attempt, key, now=now)
        if earlier is not None:
            return _answer(dataclasses.replace(judged.verdict, verdict=earlier), attempt)
        recorder.write(loaded.workspace_id, [judged.facts], now=now)
    except DatabaseError as trouble:
        logger.error("Neither store nor database answers (%s); this decision is not recorded.", trouble)
        judged = _judge(loaded, attempt, key, now=now, started=started, degraded=True)
    return judged.answer


def _earlier(
    workspace_id: int, judged: Judged, attempt: Attempt, key: AttemptKey, *, now: datetime
) -> VerdictKind | None:
    """What was decided when this attempt was delivered before."""
    with scoped(workspace_id):
        if key.is_id:
            rows = Decision.objects.filter(decision_id=judged.decision_id)
        else:
            rows = Decision.objects.filter(
                at__gt=now - timedelta(seconds=store.ANSWER_BY_PAIR_SECONDS),
                at__lte=now - timedelta(milliseconds=store.LEAST_WAIT_MS),
                direction=attempt.direction.value,
                channel=attempt.channel.value,
                phone_number=judged.facts["phone_number"],
                peer_text=judged.facts["peer_text"],
            )
        kind = rows.order_by("-at").values_list("verdict", flat=True).first()
    return None if kind is None else VerdictKind(kind)
