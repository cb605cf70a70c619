"""UponAI's own paths for starting something, served to backends and web pages: who asks, for what, may it be, do it."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable
from datetime import datetime
from functools import partial

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from policies.engine.numbers import understand
from policies.engine.types import Attempt, CaptchaAnswer, Channel, Direction, Reason
from policies.gate import captcha, outbound_judge, snapshots
from policies.gate.outbound import bodies, chatting, credentials, dialling, dials, origins, refusals
from policies.gate.outbound.bodies import Wanted
from policies.gate.outbound.credentials import Caller
from policies.gate.outbound.refusals import Refused

logger = logging.getLogger(__name__)

Work = Callable[[HttpRequest, Caller], HttpResponse]
Verify = Callable[[], CaptchaAnswer]


@csrf_exempt
def create_phone_call(request: HttpRequest) -> HttpResponse:
    return serve(request, partial(_start, channel=Channel.PHONE_CALL))


@csrf_exempt
def create_sms_chat(request: HttpRequest) -> HttpResponse:
    return serve(request, partial(_start, channel=Channel.SMS))


@csrf_exempt
def create_web_call(request: HttpRequest) -> HttpResponse:
    return serve(request, partial(_start, channel=Channel.WEB_CALL))


@csrf_exempt
def create_chat(request: HttpRequest) -> HttpResponse:
    return serve(request, partial(_start, channel=Channel.CHAT))


@csrf_exempt
def create_chat_completion(request: HttpRequest) -> HttpResponse:
    return serve(request, chatting.say)


def serve(request: HttpRequest, work: Work, *, method: str = "POST") -> HttpResponse:
    """Finds out who asks, lets `work` answer, and says every no in the agreed form. Never raises."""
    if request.method == "OPTIONS":
        return origins.preflight(request)
    caller = None
    try:
        if request.method != method:
            raise Refused(405, "method_not_allowed", f"This is asked for with {method}.", tells_page=True)
        caller = credentials.identify(request, now=timezone.now())
        response = work(request, caller)
    except Refused as refusal:
        response = _say_no(request, refusal)
    except outbound_judge.Unavailable as trouble:
        response = _say_no(request, refusals.unavailable(str(trouble)))
    except (snapshots.UnknownCredential, snapshots.NoSuchEndpoint):
        response = _say_no(request, Refused(401, Reason.UNKNOWN_KEY.value, "This credential has ended."))
    except DatabaseError as trouble:
        logger.error("The database does not answer (%s); an outbound request is refused.", trouble)
        response = _say_no(request, refusals.unavailable("The console cannot look this up now."))
    except Exception:
        logger.exception("An outbound request could not be served; refused.")
        response = _say_no(request, refusals.unavailable("The console failed at this."))
    key = caller.credential.key if caller else None
    origins.let_read(response, origin=caller.origin if caller else "", key=key)
    return response


def _say_no(request: HttpRequest, refusal: Refused) -> HttpResponse:
    return refusals.as_response(refusal, to_page=credentials.is_page(request))


def _start(request: HttpRequest, caller: Caller, *, channel: Channel) -> HttpResponse:
    started, now = time.perf_counter(), timezone.now()
    wanted = bodies.understand(bodies.read(request), request, caller, channel)
    _refuse_other_destination(caller, wanted)
    if _may_ask_again(caller, wanted) and (row := dials.find(caller, wanted)) is not None:
        return dialling.repeat(caller, wanted, row)
    attempt = _attempt(caller, wanted)
    verify, said = _remembering(_verifier(caller, wanted, now=now))
    try:
        outbound = outbound_judge.judge_outbound(
            caller.loaded,
            attempt,
            credential=caller.credential,
            decision_id=uuid.uuid4(),
            now=now,
            started=started,
            verify=verify,
            write=lambda outbound: dials.write_dial(caller, wanted, outbound, now=now),
            origin=caller.origin,
        )
    except dials.AlreadyDialled:
        row = dials.find(caller, wanted)
        if row is None:
            raise refusals.unavailable("The console cannot note this down now.") from None
        return dialling.repeat(caller, wanted, row)
    if not outbound.passes:
        raise Refused.by_verdict(outbound.verdict, outbound.decision_id)
    return dialling.dial(caller, wanted, attempt, outbound, captcha=said[-1] if said else None, now=now)


def _verifier(caller: Caller, wanted: Wanted, *, now: datetime) -> Verify | None:
    key = caller.credential.key
    if key is None:
        return None
    return captcha.verifier(caller.loaded, key, token=wanted.captcha, channel=wanted.channel, ip=caller.ip, now=now)


def _remembering(verifier: Verify | None) -> tuple[Verify | None, list[CaptchaAnswer]]:
    """The verifier, and where to find what it said: a token can be asked about only once."""
    said: list[CaptchaAnswer] = []
    if verifier is None:
        return None, said

    def verify() -> CaptchaAnswer:
        said.append(verifier())
        return said[-1]

    return verify, said


def _attempt(caller: Caller, wanted: Wanted) -> Attempt:
    key = caller.credential.key
    return Attempt(
        Direction.OUTBOUND,
        wanted.channel,
        from_number=wanted.from_number,
        to_number=wanted.to_number,
        ip=caller.ip,
        public_key=key.key if key else None,
        origin=caller.origin or None,
        subject=caller.subject,
        captcha=wanted.captcha,
    )


def _refuse_other_destination(caller: Caller, wanted: Wanted) -> None:
    """An end user's token may be for one number only, which is the one they proved to be theirs."""
    if caller.destination is None:
        return
    if understand(wanted.to_number, role="destination").e164 != caller.destination:
        message = f"The {credentials.USER_TOKEN} is for another number."
        raise Refused(403, Reason.KYC_REQUIRED.value, message, tells_page=True)


def _may_ask_again(caller: Caller, wanted: Wanted) -> bool:
    """An answer that was given is given once more only to whom the door would let in now; others are judged."""
    key = caller.credential.key
    if not wanted.idempotency_key:
        return False
    at_ms = int(timezone.now().timestamp() * 1000)
    return key is None or (key.works_at(at_ms) and origins.is_allowed(caller.origin, key))
