"""The hot door of UponAI's inbound webhook. What may come in at all is `door`'s to say, the verdict is `judge`'s."""

from __future__ import annotations

import logging
import time
from http import HTTPStatus

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from policies.gate import chaining, door, inbound_judge, patience, snapshots
from policies.uponai import payloads

logger = logging.getLogger(__name__)

DATABASE_SECONDS = 1.2
"""Of the two that our own answer may take. The live store, asked at most three times, has the rest."""
LARGEST_BODY_BYTES = 64 * 1024  # a real one has some hundred; custom SIP headers may add a few thousand

REJECT_ALL = b'{"call_inbound":{"reject":true},"chat_inbound":{"reject":true}}'
"""For a genuine webhook that cannot be understood: an error would be retried, and then the agent would answer."""


@csrf_exempt
def inbound(request: HttpRequest, endpoint: str) -> HttpResponse:
    """Answers whether a call or message may reach the agent, within two seconds and the chained webhook's time."""
    with patience.at_most(DATABASE_SECONDS):
        return _inbound(request, endpoint)


def _inbound(request: HttpRequest, endpoint: str) -> HttpResponse:
    started = time.perf_counter()
    try:
        admitted = door.admit(request, endpoint, largest_body_bytes=LARGEST_BODY_BYTES)
    except door.TurnedAway as refusal:
        if refusal.response.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
            # Nothing is known of the number. Told so, UponAI would ask again, and in the end let the agent answer.
            return door.answer(REJECT_ALL)
        return refusal.response
    except Exception:
        logger.exception("It cannot be told whether an inbound webhook is genuine; rejected.")
        return door.answer(REJECT_ALL)
    try:
        attempt = payloads.read_inbound(admitted.body)
    except payloads.PayloadError as unusable:
        logger.error("A genuine inbound webhook cannot be understood (%s); rejected.", unusable)
        return door.answer(REJECT_ALL)
    try:
        answered = inbound_judge.judge_inbound(endpoint, attempt, now=timezone.now(), started=started)
        answer = answered.answer
        loaded = snapshots.for_endpoint(endpoint)  # the judgement may have found a newer one
        if chaining.webhook_of(loaded, attempt):
            headers = chaining.headers_of(request)
            answer = chaining.answer_with_chain(loaded, attempt, admitted.body, headers, answer, answered.verdict)
        return door.answer(answer)
    except Exception:
        # An error would let the agent answer as well. Whatever it is, it must not open the number.
        logger.exception("A genuine inbound webhook could not be judged; rejected.")
        return door.answer(REJECT_ALL)
