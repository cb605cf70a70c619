"""Inbound calls and messages: judged once, the same answer to every retry, an answer whatever is away."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import uuid
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final

import orjson
from django.db import DatabaseError
from redis.exceptions import RedisError

from accounts.scoping import scoped
from policies.engine.decide import decide
from policies.engine.types import Attempt, Channel, Verdict, VerdictKind
from policies.gate import judge, patience, recorder, snapshots, store
from policies.gate.judge import Answers, Asked
from policies.gate.loading import LoadedSnapshot
from policies.gate.store import AttemptKey, Outcome
from policies.models import Decision
from policies.uponai import payloads

logger = logging.getLogger(__name__)

DECISIONS: Final = uuid.UUID("5c1f6a38-2f0e-4f0c-9a0d-6f7f4b1f5d11")
"""Namespace of decision ids: the same call always gets the same one, so it can only be recorded once."""
OLDEST_SNAPSHOT_SECONDS: Final = 15 * 60


@dataclasses.dataclass(frozen=True, slots=True)
class Answered:
    """What UponAI is to be told. `verdict` is None for a retry, which gets what it was told before."""

    answer: bytes
    verdict: VerdictKind | None


def judge_inbound(endpoint: str, attempt: Attempt, *, now: datetime, started: float) -> Answered:
    """Decides an inbound call or message and records it once. Raises NoSuchEndpoint."""
    loaded = snapshots.for_endpoint(endpoint)
    key = attempt_key(attempt)
    asked = Asked(attempt, _decision_id(loaded.workspace_id, key), now, started)
    is_behind = False
    for tries_left in reversed(range(judge.FRESH_ENOUGH)):
        try:
            verdict, spent = judge.decide_and_spend(
                loaded,
                asked,
                key=key,
                counts=judge.at_door(),
                answers=lambda verdict, loaded=loaded: _answers(loaded, attempt, verdict),
                whatever_version=not tries_left,
                marked=_marked if is_behind else None,
            )
        except RedisError as trouble:
            logger.warning("The live store does not answer (%s); deciding without it.", trouble)
            return _without_store(loaded, asked, key)
        if spent.outcome is Outcome.REPEATED:
            return Answered(spent.answer, None)
        if spent.outcome in (Outcome.RECORDED, Outcome.LIMITED):
            return Answered(spent.answer, verdict.verdict)
        try:
            newest = judge.renewed(loaded, spent.outcome, now=now, or_old=True)
        except RedisError as trouble:
            logger.warning("The live store does not answer (%s); deciding without it.", trouble)
            return _without_store(loaded, asked, key)
        loaded, is_behind = newest, newest is loaded  # the database is away
    return _without_store(loaded, asked, key)


def attempt_key(attempt: Attempt) -> AttemptKey:
    """By UponAI's id of the call; without one by the pair of numbers."""
    if attempt.call_reference:
        return AttemptKey(f"id:{attempt.channel}:{attempt.call_reference}", is_id=True)
    pair = orjson.dumps([attempt.channel, attempt.to_number, attempt.from_number], default=str)
    return AttemptKey(f"pair:{hashlib.sha256(pair).hexdigest()}", is_id=False)


def id_of_decision(workspace_id: int, key: AttemptKey) -> uuid.UUID:
    """The id of the decision about an attempt that UponAI named."""
    return uuid.uuid5(DECISIONS, f"{workspace_id}:{key.text}")


def _decision_id(workspace_id: int, key: AttemptKey) -> uuid.UUID:
    return id_of_decision(workspace_id, key) if key.is_id else uuid.uuid4()


def _answers(loaded: LoadedSnapshot, attempt: Attempt, verdict: Verdict) -> Answers:
    return Answers(
        passed=_answer(loaded, attempt, verdict, verdict.verdict),
        guarded=_answer(loaded, attempt, verdict, VerdictKind.GUARD),
        limited=_answer(loaded, attempt, verdict, VerdictKind.BLOCK),
    )


def _answer(loaded: LoadedSnapshot, attempt: Attempt, verdict: Verdict, kind: VerdictKind) -> bytes:
    number = verdict.number
    answering = loaded.answering.get(number.e164) if number else None
    # Those for messages are never unbound.
    agents = answering.agents if answering and attempt.channel == Channel.PHONE_CALL else ()
    guarded_agent = number.guarded_agent if number else None
    if agents:
        return orjson.dumps(
            payloads.answer_inbound(kind, channel=attempt.channel, guarded_agent=guarded_agent, agents=agents)
        )
    return _usual_answer(kind, attempt.channel, guarded_agent)


@lru_cache(maxsize=1024)
def _usual_answer(kind: VerdictKind, channel: Channel, guarded_agent: str | None) -> bytes:
    return orjson.dumps(payloads.answer_inbound(kind, channel=channel, guarded_agent=guarded_agent))


def _without_store(loaded: LoadedSnapshot, asked: Asked, key: AttemptKey) -> Answered:
    """The country decision never needs the store, and in the end not the database either."""
    try:
        return patience.in_time(lambda: _with_rows(loaded, asked, key))
    except DatabaseError as trouble:
        logger.error("Neither store nor database answers (%s); perhaps this decision is not recorded.", trouble)
        verdict = _degraded(loaded, asked)
        return Answered(_answer(loaded, asked.attempt, verdict, verdict.verdict), verdict.verdict)


def _with_rows(loaded: LoadedSnapshot, asked: Asked, key: AttemptKey) -> Answered:
    """Repeats are found among the rows, and the decision is written at once."""
    loaded = snapshots.recheck(loaded.endpoint, loaded)
    verdict = _degraded(loaded, asked)
    facts = asked.facts(verdict)
    earlier = _earlier(loaded.workspace_id, facts, asked, key)
    if earlier is not None:
        return Answered(_answer(loaded, asked.attempt, verdict, earlier), None)
    recorder.write(loaded.workspace_id, [facts], now=asked.now)
    return Answered(_answer(loaded, asked.attempt, verdict, verdict.verdict), verdict.verdict)


def _degraded(loaded: LoadedSnapshot, asked: Asked) -> Verdict:
    return _marked(loaded, decide(asked.attempt, loaded.engine, judge.at_door(), at_ms=asked.at_ms))


def _marked(loaded: LoadedSnapshot, verdict: Verdict) -> Verdict:
    """A verdict by what may be old: told so, and guarded when it is too old."""
    verdict = dataclasses.replace(verdict, degraded=True)
    if verdict.verdict is VerdictKind.ALLOW and loaded.age_seconds() > OLDEST_SNAPSHOT_SECONDS:
        verdict = dataclasses.replace(verdict, verdict=VerdictKind.GUARD)
    return verdict


def _earlier(workspace_id: int, facts: dict[str, object], asked: Asked, key: AttemptKey) -> VerdictKind | None:
    """What was decided when this attempt was delivered before."""
    with scoped(workspace_id):
        if key.is_id:
            rows = Decision.objects.filter(decision_id=asked.decision_id)
        else:
            rows = Decision.objects.filter(
                at__gt=asked.now - timedelta(seconds=store.ANSWER_BY_PAIR_SECONDS),
                at__lte=asked.now - timedelta(milliseconds=store.LEAST_WAIT_MS),
                direction=asked.attempt.direction.value,
                channel=asked.attempt.channel.value,
                phone_number=facts["phone_number"],
                peer_text=facts["peer_text"],
            )
        kind = rows.order_by("-at").values_list("verdict", flat=True).first()
    return None if kind is None else VerdictKind(kind)
