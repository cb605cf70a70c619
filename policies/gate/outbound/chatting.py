"""What is said in a chat that the gate started: by the same credential, as long as it may, and not without end."""

from __future__ import annotations

import logging
import uuid
from dataclasses import replace
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from redis.exceptions import RedisError

from accounts.scoping import scoped
from policies.engine.decide import decide
from policies.engine.limits import DAY, MINUTE, Charge, Limit, LimitName, Measure
from policies.engine.settling import LOST
from policies.engine.types import (
    Attempt,
    Channel,
    Check,
    CheckResult,
    Counts,
    Direction,
    Reason,
    TraceOutcome,
    VerdictKind,
)
from policies.gate import judge, rebuild
from policies.gate.outbound import bodies, credentials, refusals
from policies.gate.outbound.credentials import Caller
from policies.gate.outbound.refusals import Refused
from policies.gate.store import Outcome
from policies.models import Dial
from policies.uponai import client
from policies.uponai.client import UponaiTrouble

logger = logging.getLogger(__name__)

MESSAGES: Final = (Limit(20, MINUTE), Limit(200, DAY))
"""Of one chat. Each message costs money, and a chat that was let through would otherwise be a way around the limits."""

NO_SUCH_CHAT: Final = "The gate did not start such a chat, or so long ago that it is forgotten. Start a new one."

_DECIDED_AT_START: Final = frozenset({Check.CAPTCHA, Check.LIMITS, Check.CAPS})


def say(request: HttpRequest, caller: Caller) -> HttpResponse:
    """Passes a message on and UponAI's answer back. Raises Refused."""
    message = bodies.message(bodies.read(request), request)
    row = _chat(caller, message["chat_id"])
    caller = _admitted(caller, row)
    key = caller.loaded.uponai_key
    if key is None:
        raise refusals.unavailable("This workspace has no UponAI key yet.", decision_id=row.decision_id)
    try:
        answer = client.shared(key).create_chat_completion(dict(message))
    except UponaiTrouble as trouble:
        logger.warning("A message of the chat of decision %s has no answer: %s", row.decision_id, trouble)
        said = "UponAI did not answer this message." if trouble.ambiguous else str(trouble)
        raise refusals.unavailable(said, decision_id=row.decision_id) from None
    if answer.status == refusals.UNAUTHORISED:
        raise refusals.unavailable("UponAI refuses this workspace's key.", decision_id=row.decision_id)
    return refusals.answer(
        answer.body, status=answer.status, decision_id=row.decision_id, retry_after=answer.retry_after
    )


def _chat(caller: Caller, chat_id: str) -> Dial:
    """Another credential's chat and one that the gate did not start are the same: none."""
    with scoped(caller.loaded.workspace_id):
        row: Dial | None = Dial.objects.filter(
            call_id=chat_id,
            credential=caller.reference,
            channel__in=(Channel.CHAT.value, Channel.SMS.value),
            subject=caller.subject or "",
        ).first()
    if row is None:
        raise Refused(403, "chat_not_started_here", NO_SUCH_CHAT, tells_page=True)
    return row


def _admitted(caller: Caller, row: Dial) -> Caller:
    """The caller by a snapshot that the live store calls the newest. Raises Refused."""
    for tries_left in reversed(range(judge.FRESH_ENOUGH)):
        _refuse_unless_still_allowed(caller, row)
        if _spend(caller, row, whatever_version=not tries_left):
            break
        caller = credentials.renewed(caller)
    return caller


def _refuse_unless_still_allowed(caller: Caller, row: Dial) -> None:
    """Judges the chat anew, without what was paid at its start: a brake or a lost approval ends running chats too."""
    key = caller.credential.key
    attempt = Attempt(
        Direction.OUTBOUND,
        Channel(row.channel),
        from_number=row.from_number or None,
        to_number=row.to_number or None,
        ip=caller.ip,
        public_key=key.key if key else None,
        origin=caller.origin or None,
        subject=caller.subject,
        call_reference=row.call_id,
    )
    at_ms = int(timezone.now().timestamp() * 1000)
    verdict = decide(attempt, caller.loaded.engine, Counts(at_door=True), at_ms=at_ms)
    failed = [
        line for line in verdict.trace if line.outcome == TraceOutcome.FAIL and not line.observed and _ends_a_chat(line)
    ]
    if failed:
        worst = min(failed, key=lambda line: line.effect != VerdictKind.BLOCK)
        raise Refused.by_verdict(replace(verdict, verdict=worst.effect, reason=worst.reason), row.decision_id)


def _ends_a_chat(line: CheckResult) -> bool:
    """A guard lets it go on, and what a captcha was asked for was met, or not yet asked, at the start."""
    return line.effect in LOST and line.check not in _DECIDED_AT_START and line.reason != Reason.CAPTCHA_REQUIRED


def _spend(caller: Caller, row: Dial, *, whatever_version: bool) -> bool:
    """False when the snapshot is old. Raises Refused."""
    charges = [
        Charge(LimitName.SUBJECT, Measure.ATTEMPTS, f"chat:{row.pk}:{limit.window_seconds:g}", limit)
        for limit in MESSAGES
    ]
    try:
        spent = rebuild.spend(
            caller.loaded.workspace_id,
            now=timezone.now(),
            version=None if whatever_version else caller.loaded.version,
            key=None,
            decision_id=str(uuid.uuid4()),
            decision=b"",
            answer=b"",
            guarded_answer=b"",
            limited_answer=b"",
            charges=charges,
            record=False,
        )
    except RedisError as trouble:
        logger.warning("The live store does not answer (%s); a chat has to wait.", trouble)
        raise refusals.unavailable("Messages cannot be counted now.", decision_id=row.decision_id) from None
    if spent.outcome is Outcome.LIMITED:
        wait_ms = max((usage.wait_ms for usage in spent.usages), default=0)
        raise Refused(
            429,
            "rate_limited",
            "This chat has had too many messages.",
            retry_after=max(1, -(-wait_ms // 1000)),
            decision_id=row.decision_id,
        )
    return spent.outcome is not Outcome.STALE
