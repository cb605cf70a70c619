"""Outbound attempts: judged in two phases around the captcha, and never let through by a store that is away."""

from __future__ import annotations

import dataclasses
import logging
import uuid
from collections.abc import Callable, Sequence
from datetime import datetime

from django.db import DatabaseError
from redis.exceptions import RedisError

from policies.engine.decide import decide
from policies.engine.limits import Charge
from policies.engine.types import Attempt, CaptchaAnswer, Verdict
from policies.gate import fallback, judge, rebuild, recorder, snapshots, store
from policies.gate.judge import Answers, Asked
from policies.gate.loading import Credential, LoadedSnapshot
from policies.gate.store import Outcome

logger = logging.getLogger(__name__)

OLDEST_SNAPSHOT_SECONDS = 15 * 60
LOST_AGAIN = "the counters of this workspace were lost again and again"


class Unavailable(Exception):
    """It cannot be judged now as it has to be, so it is refused. The sentence is for people."""


@dataclasses.dataclass(frozen=True, slots=True)
class Outbound:
    """A judged attempt. `counted_by_database`: the live store is yet to be told of it."""

    decision_id: uuid.UUID
    verdict: Verdict
    loaded: LoadedSnapshot
    counted_by_database: bool = False

    @property
    def passes(self) -> bool:
        return self.verdict.verdict in judge.PASSING


Write = Callable[[Outbound], None]
"""Writes the row of an attempt that was let through. What it raises undoes the attempt and is passed on."""


def judge_outbound(
    loaded: LoadedSnapshot,
    attempt: Attempt,
    *,
    credential: Credential,
    decision_id: uuid.UUID,
    now: datetime,
    started: float,
    verify: Callable[[], CaptchaAnswer] | None = None,
    write: Write | None = None,
    origin: str = "",
) -> Outbound:
    """Decides an outbound attempt, records the decision and, when it passes, has its row written.

    Raises Unavailable, and UnknownCredential when the credential ended meanwhile.
    """
    if verify is None:
        attempt = dataclasses.replace(attempt, captcha=None)  # what nobody verifies does not count
    asked = Asked(attempt, decision_id, now, started, credential.reference, origin)
    run = _Run(loaded, asked, credential, verify)
    try:
        outbound = run.through()
    except RedisError as trouble:
        logger.warning("The live store does not answer (%s); counting in the database.", trouble)
        try:
            return _without_store(run, write)
        except fallback.StoreIsBack:
            return _once_more(run, write)
    except DatabaseError as trouble:
        logger.error("The emptied store cannot be filled (%s); an outbound attempt is refused.", trouble)
        raise Unavailable("The console cannot count attempts now; try again in a moment.") from None
    if outbound.passes and write is not None:
        _write(outbound, write)
    return outbound


def _once_more(run: _Run, write: Write | None) -> Outbound:
    """The store came back in the middle of it."""
    try:
        outbound = run.through()
    except RedisError:
        raise Unavailable("The console cannot count attempts now; try again in a moment.") from None
    if outbound.passes and write is not None:
        _write(outbound, write)
    return outbound


@dataclasses.dataclass(slots=True)
class _Run:
    """One attempt on its way, with what is behind it already: a captcha is verified once, a counter spent once."""

    loaded: LoadedSnapshot
    asked: Asked
    credential: Credential
    verify: Callable[[], CaptchaAnswer] | None
    captcha: CaptchaAnswer | None = None
    spent: Sequence[Charge] = ()

    def through(self) -> Outbound:
        """Raises RedisError when the store does not answer."""
        for tries_left in reversed(range(judge.FRESH_ENOUGH)):
            refused = self._before_captcha()
            if refused is not None:
                return refused
            verdict, spent = judge.decide_and_spend(
                self.loaded,
                self.asked,
                key=None,
                counts=judge.at_door(self.captcha),
                answers=lambda verdict: Answers(),
                spent_already=self.spent,
                whatever_version=not tries_left,
            )
            if spent.outcome in (Outcome.RECORDED, Outcome.LIMITED):
                return Outbound(self.asked.decision_id, verdict, self.loaded)
            self.renew(spent.outcome)
        raise rebuild.Rebuilding(LOST_AGAIN)

    def _before_captcha(self) -> Outbound | None:
        """Verifies the captcha if all else passes. An Outbound when the attempt is lost before that."""
        if self.verify is None or self.captcha is not None:
            return None
        for tries_left in reversed(range(judge.FRESH_ENOUGH)):
            verdict = self.decide()
            if not verdict.needs_captcha:
                return None
            charges, spent = judge.spend_before_captcha(
                self.loaded, self.asked, verdict, whatever_version=not tries_left
            )
            if spent.outcome is Outcome.LIMITED:
                counts = judge.at_door()
                final = judge.with_usages(verdict, charges, spent.usages, self.loaded, self.asked, counts)
                self._record(final)
                return Outbound(self.asked.decision_id, final, self.loaded)
            if spent.outcome is Outcome.RECORDED:
                self.captcha, self.spent = self.verify(), charges
                return None
            self.renew(spent.outcome)
        raise rebuild.Rebuilding(LOST_AGAIN)

    def decide(self) -> Verdict:
        counts = judge.at_door(self.captcha)
        return decide(self.asked.attempt, self.loaded.engine, counts, at_ms=self.asked.at_ms)

    def renew(self, outcome: Outcome) -> None:
        self.loaded = judge.renewed(self.loaded, outcome, now=self.asked.now, or_old=outcome is Outcome.STALE)
        self._refuse_ended_token()

    def recheck(self) -> None:
        """For the time without a live store."""
        self.loaded = snapshots.recheck(self.loaded.endpoint, self.loaded)
        self._refuse_ended_token()

    def _refuse_ended_token(self) -> None:
        """Of a key the judgement says what became of it."""
        if self.credential.key is None and self.credential.row_id not in self.loaded.token_ids:
            raise snapshots.UnknownCredential

    def _record(self, verdict: Verdict) -> None:
        judge.record(self.loaded.workspace_id, self.asked, verdict)


def _without_store(run: _Run, write: Write | None) -> Outbound:
    """Counted from the rows, at less than the limits. Refused where even that is not possible in time."""
    try:
        run.recheck()
        if run.loaded.age_seconds() > OLDEST_SNAPSHOT_SECONDS:
            raise Unavailable("The console has not seen its database for too long to judge this.")
        verdict = run.decide()
        if verdict.needs_captcha and run.verify is not None:
            run.captcha = run.verify()
            verdict = run.decide()
        outbound = _counted_by_database(run, dataclasses.replace(verdict, degraded=True), write)
        recorder.write(run.loaded.workspace_id, [run.asked.facts(outbound.verdict)], now=run.asked.now)
    except fallback.StoreIsBack:
        raise
    except fallback.TooSlow:
        raise Unavailable("The console cannot count this attempt in time; try again in a moment.") from None
    except DatabaseError as trouble:
        logger.error("Neither store nor database answers (%s); an outbound attempt is refused.", trouble)
        raise Unavailable("The console cannot judge this attempt now; try again in a moment.") from None
    return outbound


def _counted_by_database(run: _Run, verdict: Verdict, write: Write | None) -> Outbound:
    outbound = Outbound(run.asked.decision_id, verdict, run.loaded, counted_by_database=True)
    if not outbound.passes:
        return outbound

    def write_row() -> None:
        if write is not None:
            write(outbound)

    prefix, is_known = judge.destination_of(verdict, run.loaded)
    usages = fallback.admit(
        run.loaded.workspace_id,
        verdict.charges,
        now=run.asked.now,
        channel=run.asked.attempt.channel,
        write=write_row,
        prefix=prefix,
        is_known=is_known,
    )
    if all(usage.has_room for usage in usages):
        return outbound
    # What guards or is only observed refuses nobody; the verdict says so.
    counts = judge.at_door(run.captcha)
    limited = judge.with_usages(verdict, verdict.charges, usages, run.loaded, run.asked, counts)
    return dataclasses.replace(outbound, verdict=dataclasses.replace(limited, degraded=True))


def _write(outbound: Outbound, write: Write) -> None:
    """Row first: what cannot be written is not dialled, and what it reserved is given back."""
    try:
        write(outbound)
    except Exception as trouble:
        try:
            store.give_back(outbound.loaded.workspace_id, str(outbound.decision_id), cost_micro=0)
        except RedisError:
            logger.warning("The reservation of decision %s is left to run out.", outbound.decision_id)
        if isinstance(trouble, DatabaseError):
            logger.error("The database does not answer (%s); an outbound attempt is refused.", trouble)
            raise Unavailable("The console cannot note this attempt down now; try again in a moment.") from None
        raise
