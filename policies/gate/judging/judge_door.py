"""The door for attempts that are dialled elsewhere: the same judgement, recorded and counted, one or many at once."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

import orjson
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from redis.exceptions import RedisError

from policies.engine.decide import decide
from policies.engine.types import Attempt, CaptchaAnswer, Reason, VerdictKind
from policies.gate import captcha, outbound_judge, store
from policies.gate.judging import attempts, repeats, rows
from policies.gate.outbound import bodies
from policies.gate.outbound.credentials import Caller
from policies.gate.outbound.refusals import answer, unavailable, unprocessable
from policies.gate.outbound_judge import Outbound, Unavailable
from policies.models import Dial

logger = logging.getLogger(__name__)

Verify = Callable[[], CaptchaAnswer]

LARGEST_BODY_BYTES: Final = 1024 * 1024
DECISIONS: Final = uuid.UUID("0f2d3a57-3a46-4c55-8a8e-0d5f1b8f3c52")
"""Namespace of the ids of what came with an idempotency key: the store spends nothing twice for one id."""


def judge(request: HttpRequest, caller: Caller) -> HttpResponse:
    """Judges and starts nothing. Raises Refused."""
    started, now = time.perf_counter(), timezone.now()
    read = bodies.read(request, largest_bytes=LARGEST_BODY_BYTES)
    given = {name: value for name, value in read.items() if value is not None}
    key = bodies.said_once(
        request, bodies.IDEMPOTENCY_HEADER, given, bodies.IDEMPOTENCY_FIELD, bodies.LONGEST_IDEMPOTENCY_KEY
    )
    token = bodies.said_once(request, bodies.CAPTCHA_HEADER, given, bodies.CAPTCHA_FIELD, bodies.LONGEST_CAPTCHA_TOKEN)
    wanted, is_batch = _wanted(given)
    try:
        claim = repeats.claim(caller, key, given, now=now)
        if isinstance(claim, bytes):
            return answer(claim, status=200)
        try:
            run = _Run(caller, key, now, started)
            body = run.batch(wanted) if is_batch else run.single(wanted[0], token)
            claim.keep(body)
        except BaseException:
            claim.drop()
            raise
    except DatabaseError as trouble:
        logger.error("The database does not answer (%s); nothing was judged.", trouble)
        raise unavailable("The console cannot note this down now; try again in a moment.") from None
    return answer(body, status=200)


def _wanted(given: dict[str, Any]) -> tuple[Sequence[Any], bool]:
    """What is to be judged, and whether it came as a list."""
    if "attempts" not in given:
        return [given], False
    wanted = given["attempts"]
    if not isinstance(wanted, list):
        raise unprocessable("attempts", "is not a list.")
    if len(wanted) > attempts.MOST_ATTEMPTS:
        raise unprocessable("attempts", f"has {len(wanted)} entries; {attempts.MOST_ATTEMPTS} are the most at once.")
    others = sorted(given.keys() - {"attempts"})
    if others:
        raise unprocessable(others[0][:120], "stands beside a list of attempts, where it would mean nothing.")
    return wanted, True


@dataclass(slots=True)
class _Run:
    """The attempts of one request. What passes is written to rows together, before anybody is told."""

    caller: Caller
    key: str
    now: datetime
    started: float
    passed: list[Dial] = field(default_factory=list)

    def single(self, value: Any, token: str) -> bytes:
        attempt = attempts.read(value, caller=self.caller, captcha=token or None)
        outbound = self._judged(attempt, 0, started=self.started, verify=self._verifier(attempt))
        self._write()
        return orjson.dumps(_shown(outbound))

    def batch(self, values: Sequence[Any]) -> bytes:
        judged = []
        for position, value in enumerate(values):
            attempt = attempts.read(value, caller=self.caller)
            started = time.perf_counter() if position else self.started
            try:
                judged.append(_shown(self._judged(attempt, position, started=started)))
            except Unavailable as trouble:
                logger.error("An attempt of a batch cannot be judged: %s", trouble)
                judged.append(self._not_judged(attempt))
        self._write()
        return orjson.dumps({"results": judged})

    def _judged(self, attempt: Attempt, position: int, *, started: float, verify: Verify | None = None) -> Outbound:
        return outbound_judge.judge_outbound(
            self.caller.loaded,
            attempt,
            credential=self.caller.credential,
            decision_id=self._decision_id(position),
            now=self.now,
            started=started,
            verify=verify,
            write=lambda outbound: self._passed(outbound, attempt),
            origin=attempt.origin if isinstance(attempt.origin, str) else "",
        )

    def _not_judged(self, attempt: Attempt) -> dict[str, Any]:
        """For one of a batch whose judgement has to be done without: refused, and neither recorded nor counted."""
        verdict = decide(attempt, self.caller.loaded.engine, at_ms=int(self.now.timestamp() * 1000))
        reasons = (Reason.DEGRADED, *verdict.reasons)
        shown = replace(verdict, verdict=VerdictKind.BLOCK, reason=reasons[0], reasons=reasons, degraded=True)
        return shown.as_dict() | {"decision_id": None, "call_seconds": None}

    def _decision_id(self, position: int) -> uuid.UUID:
        if not self.key:
            return uuid.uuid4()
        name = f"{self.caller.loaded.workspace_id}:{self.caller.reference}:{position}:{self.key}"
        return uuid.uuid5(DECISIONS, name)

    def _verifier(self, attempt: Attempt) -> Verify | None:
        key = self.caller.loaded.engine.keys.get(attempt.public_key) if isinstance(attempt.public_key, str) else None
        if key is None:
            return None
        ip = attempt.ip if isinstance(attempt.ip, str) else None
        return captcha.verifier(
            self.caller.loaded, key, token=attempt.captcha, channel=attempt.channel, ip=ip, now=self.now
        )

    def _passed(self, outbound: Outbound, attempt: Attempt) -> None:
        row = rows.row_of(outbound, attempt, credential=self.caller.reference, now=self.now)
        if row is None:
            return
        if outbound.counted_by_database:  # what is counted from rows needs them at once
            rows.write(outbound.loaded.workspace_id, [row])
        else:
            self.passed.append(row)

    def _write(self) -> None:
        try:
            rows.write(self.caller.loaded.workspace_id, self.passed)
        except DatabaseError:
            self._give_back()
            raise

    def _give_back(self) -> None:
        try:
            for row in self.passed:
                store.give_back(row.workspace_id, str(row.decision_id), cost_micro=0)
        except RedisError as trouble:
            logger.warning("What %s attempts reserved is left to run out: %s", len(self.passed), trouble)


def _shown(outbound: Outbound) -> dict[str, Any]:
    """A verdict as a preview shows it, with what is needed to dial elsewhere: the id, and how long it may last."""
    return outbound.verdict.as_dict() | {
        "decision_id": str(outbound.decision_id),
        "call_seconds": outbound.verdict.call_seconds if outbound.passes else None,
    }
