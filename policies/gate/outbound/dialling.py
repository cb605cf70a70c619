"""From an attempt that passed to UponAI's answer: once, whatever happens on the way."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

import orjson
from django.db import DatabaseError
from django.http import HttpResponse
from django.utils import timezone

from accounts.models import Workspace
from policies.engine.decide import decide
from policies.engine.types import Attempt, CaptchaAnswer, Channel, Counts, Verdict, VerdictKind
from policies.gate.loading import LoadedSnapshot
from policies.gate.outbound import credentials, dials, refusals, unresolved
from policies.gate.outbound.bodies import Wanted
from policies.gate.outbound.credentials import Caller
from policies.gate.outbound.refusals import Refused
from policies.gate.outbound_judge import Outbound
from policies.models import Dial
from policies.uponai import client, payloads
from policies.uponai.client import Answer, UponaiClient, UponaiTrouble

logger = logging.getLogger(__name__)

LATEST: Final = dials.RUNNING_FOR / 2
"""What was held up so long between its row and UponAI is not dialled any more: others take it for dead soon."""

LONGEST_NOTE: Final = 500

_PASSING: Final = frozenset({VerdictKind.ALLOW, VerdictKind.GUARD})

_NOT_FINAL: Final = frozenset({402, 429})  # the same request may be carried out later
_START: Final[Mapping[Channel, Callable[[UponaiClient, dict[str, object]], Answer]]] = MappingProxyType(
    {
        Channel.PHONE_CALL: UponaiClient.create_phone_call,
        Channel.SMS: UponaiClient.create_sms_chat,
        Channel.WEB_CALL: UponaiClient.create_web_call,
        Channel.CHAT: UponaiClient.create_chat,
    }
)


def dial(
    caller: Caller,
    wanted: Wanted,
    attempt: Attempt,
    outbound: Outbound,
    *,
    captcha: CaptchaAnswer | None,
    now: datetime,
) -> HttpResponse:
    """Starts at UponAI what was judged and has its row, and answers as UponAI does. Raises Refused."""
    row = dials.by_decision(outbound.loaded.workspace_id, outbound.decision_id)
    try:
        loaded, verdict = _read_again(caller, attempt, outbound, captcha, now=now)
        key = loaded.uponai_key
        if key is None:
            raise refusals.unavailable("This workspace has no UponAI key yet.", decision_id=outbound.decision_id)
        body = _body(wanted, verdict, row)
    except Exception as problem:
        _release(row, str(problem))
        raise
    try:
        answer = _START[wanted.channel](client.shared(key), body)
    except UponaiTrouble as trouble:
        if trouble.ambiguous:
            return _after_trouble(row, key, trouble)
        logger.error("Decision %s was not carried out: %s", row.decision_id, trouble)
        _release(row, str(trouble))
        raise refusals.unavailable(str(trouble), decision_id=row.decision_id) from None
    return _after_answer(row, answer)


def _read_again(
    caller: Caller, attempt: Attempt, outbound: Outbound, captcha: CaptchaAnswer | None, *, now: datetime
) -> tuple[LoadedSnapshot, Verdict]:
    """Judges once more at the last moment: a policy may have been tightened, an approval may have ended meanwhile."""
    this_moment = timezone.now()
    if this_moment - now > LATEST:
        raise refusals.unavailable("The console took too long to start this.", decision_id=outbound.decision_id)
    loaded = outbound.loaded
    version = Workspace.objects.values_list("snapshot_version", flat=True).get(pk=loaded.workspace_id)
    if version != loaded.version:
        loaded = credentials.renewed(caller).loaded
    if captcha is None:
        attempt = dataclasses.replace(attempt, captcha=None)  # what nobody verified does not count
    counts = Counts(at_door=True, captcha=captcha)
    verdict = decide(attempt, loaded.engine, counts, at_ms=int(this_moment.timestamp() * 1000))
    if verdict.verdict not in _PASSING:
        raise Refused.by_verdict(verdict, outbound.decision_id)
    return loaded, _stricter(outbound.verdict, verdict)


def _stricter(first: Verdict, second: Verdict) -> Verdict:
    kinds = {first.verdict, second.verdict}
    seconds = [verdict.call_seconds for verdict in (first, second) if verdict.call_seconds is not None]
    return dataclasses.replace(
        second,
        verdict=VerdictKind.GUARD if VerdictKind.GUARD in kinds else VerdictKind.ALLOW,
        call_seconds=min(seconds, default=None),
    )


def _body(wanted: Wanted, verdict: Verdict, row: Dial) -> dict[str, object]:
    is_guarded = verdict.verdict is VerdictKind.GUARD and verdict.number is not None
    return payloads.start_body(
        wanted.fields,
        channel=wanted.channel,
        decision_id=str(row.decision_id),
        from_number=row.from_number or None,
        to_number=row.to_number or None,
        call_seconds=verdict.call_seconds,
        guarded_agent=verdict.number.guarded_agent if is_guarded and verdict.number else None,
    )


def _after_answer(row: Dial, answer: Answer) -> HttpResponse:
    now = timezone.now()
    if answer.is_refusal:
        return _after_refusal(row, answer, now=now)
    try:
        kept = dials.kept(row, answer.status, answer.body) if dials.may_come_again(row) else {}
        call_id = payloads.named_in(orjson.loads(answer.body), Channel(row.channel))
        dials.finish(row, state=Dial.State.DONE, now=now, call_id=call_id, **kept)
    except DatabaseError as trouble:
        # The row stays as it is, and is found by UponAI's list: whoever asked gets the answer all the same.
        logger.error("UponAI's answer to decision %s could not be noted: %s", row.decision_id, trouble)
    return refusals.answer(answer.body, status=answer.status, decision_id=row.decision_id)


def _after_refusal(row: Dial, answer: Answer, *, now: datetime) -> HttpResponse:
    """Passed on as it is, but for what only the workspace may know: its key, its account, its settings."""
    said = f"UponAI answered {answer.status}: {answer.body[:LONGEST_NOTE].decode(errors='replace')}".replace("\x00", "")
    if answer.status == refusals.UNAUTHORISED:
        logger.error("UponAI refuses the key of workspace %s.", row.workspace_id)
        _release(row, said)
        raise refusals.unavailable("UponAI refuses this workspace's key.", decision_id=row.decision_id)
    body = orjson.dumps(refusals.by_uponai(answer.status, row.decision_id)) if row.public_key else answer.body
    if answer.status in _NOT_FINAL:
        _release(row, said, answer_status=answer.status)
    else:
        try:
            kept = dials.kept(row, answer.status, body)
            dials.finish(row, state=Dial.State.DONE, now=now, nothing_runs=True, error=said, **kept)
        except DatabaseError as trouble:
            logger.error("UponAI's refusal of decision %s could not be noted: %s", row.decision_id, trouble)
    return refusals.answer(body, status=answer.status, decision_id=row.decision_id, retry_after=answer.retry_after)


def _release(row: Dial, error: str, **facts: Any) -> None:
    try:
        dials.release(row, now=timezone.now(), error=error, **facts)
    except DatabaseError as trouble:
        logger.error("Decision %s is left for the sweep: %s", row.decision_id, trouble)


def _after_trouble(row: Dial, key: str, trouble: UponaiTrouble) -> HttpResponse:
    """It may have been carried out. One quick look; if that does not tell, the row is due for further ones."""
    logger.warning("What became of decision %s is not known: %s", row.decision_id, trouble)
    now = timezone.now()
    try:
        dials.finish(
            row, state=Dial.State.UNKNOWN, now=now, error=str(trouble), due_at=now + unresolved.wait_before_look(0)
        )
        found = unresolved.look(row, client.shared_and_quick(key), now=now)
    except DatabaseError as problem:
        logger.error("Decision %s is left for the sweep: %s", row.decision_id, problem)
        found = None
    if found is None:
        raise unresolved.not_known_yet(row)
    return _again(row, found)


def repeat(caller: Caller, wanted: Wanted, row: Dial) -> HttpResponse:
    """Answers a request that came before with the same idempotency key. Raises Refused."""
    if row.body_sha256 != wanted.sha256:
        raise refusals.unprocessable("Idempotency-Key", "was used for another request.")
    if row.state == Dial.State.RUNNING and row.due_at is not None and row.due_at > timezone.now():
        raise running(row)
    given = dials.answer_of(row)
    if given is not None and row.state in (Dial.State.DONE, Dial.State.NEVER):
        return _again(row, given)
    key = caller.loaded.uponai_key
    found = unresolved.look(row, client.shared_and_quick(key), now=timezone.now()) if key else None
    if found is None:
        raise unresolved.not_known_yet(row)
    return _again(row, found)


def running(row: Dial) -> Refused:
    message = "A request with the same idempotency key is under way."
    return Refused(409, "idempotency_key_running", message, tells_page=True, retry_after=1, decision_id=row.decision_id)


def _again(row: Dial, given: dials.Kept) -> HttpResponse:
    return refusals.answer(given.body, status=given.status, decision_id=row.decision_id)
