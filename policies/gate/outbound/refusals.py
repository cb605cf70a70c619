"""How the gate says no outbound: in full to a backend; to a web page only what its visitor can do about it."""

from __future__ import annotations

import uuid
from http.client import responses
from types import MappingProxyType
from typing import Any, Final

import orjson
from django.http import HttpResponse

from policies.engine.sentences import sentence
from policies.engine.types import Reason, Verdict, VerdictKind

DECISION_HEADER: Final = "X-Decision-Id"
RETRY_HEADER: Final = "x-should-retry"
"""UponAI's client library obeys it; left alone, it would send each 409, 429 and 5xx twice more."""

RETRY_SECONDS: Final = 60
"""For a limit that cannot say when there is room again."""

_STATUS: Final = MappingProxyType(
    dict.fromkeys(
        (
            Reason.INVALID_NUMBER,
            Reason.UNASSIGNED_NUMBER,
            Reason.WITHHELD_NUMBER,
            Reason.SIP_WITHOUT_NUMBER,
            Reason.EXTENSION_NOT_ALLOWED,
        ),
        400,
    )
    | dict.fromkeys((Reason.UNKNOWN_KEY, Reason.KEY_DISABLED), 401)
    | dict.fromkeys((Reason.RATE_LIMITED, Reason.SPEND_CAP_REACHED, Reason.CONCURRENCY_CAP_REACHED), 429)
    | {Reason.DEGRADED: 503}
)
REQUEST_CODES: Final = MappingProxyType(
    {
        "invalid_request": 422,
        "body_too_large": 413,
        "method_not_allowed": 405,
        "idempotency_key_running": 409,
        "chat_not_started_here": 403,
        "token_required": 403,
        "gate_key_required": 403,
        "unknown_decision": 404,
    }
)
"""What a backend is told beside the reasons of a verdict, with its status: the request is not one to be judged."""
UNAUTHORISED: Final = 401
"""From UponAI it says that the workspace's own key is wrong: no fault of whoever asks."""
_FORBIDDEN: Final = 403

# What a web page is told: closed, since more would let an attacker ask his way through the rules.
_PAGE_CODES: Final = MappingProxyType(
    {
        Reason.CAPTCHA_REQUIRED.value: "challenge_captcha",
        Reason.CAPTCHA_FAILED.value: "challenge_captcha",
        Reason.KYC_REQUIRED.value: "challenge_kyc",
        Reason.KYC_EXPIRED.value: "challenge_kyc",
        Reason.INVALID_NUMBER.value: "invalid_number",
    }
)
_PAGE_CODES_BY_STATUS: Final = MappingProxyType(
    {400: "invalid_number", 409: "try_later", 429: "try_later", 503: "try_later"}
)
_PAGE_WORDS: Final = MappingProxyType(
    {
        "blocked": "This cannot be started from here.",
        "challenge_captcha": "Solve the captcha, then try again.",
        "challenge_kyc": "Verify your identity first, then try again.",
        "try_later": "This is not possible just now. Try again later.",
        "invalid_number": "This is not a phone number that can be called. Write it with its country: +14155550100.",
    }
)
PAGE_CODES: Final = tuple(_PAGE_WORDS)


def status_of(reason: Reason) -> int:
    return _STATUS.get(reason, _FORBIDDEN)


class Refused(Exception):
    """A request that is answered with no. `code` is stable, `message` for people.

    `page_code`: what a web page is told, where its reason alone does not say it.
    `tells_page`: the message says nothing of the rules, so that a web page may be told it as it is.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        tells_page: bool = False,
        retry_after: int | None = None,
        decision_id: uuid.UUID | None = None,
        page_code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.tells_page = tells_page
        self.retry_after = retry_after
        self.decision_id = decision_id
        self.page_code = page_code

    @classmethod
    def by_verdict(cls, verdict: Verdict, decision_id: uuid.UUID) -> Refused:
        reason = verdict.reason or Reason.DEGRADED
        status = status_of(reason)
        retry_after = max(1, verdict.retry_after_seconds or RETRY_SECONDS) if status == 429 else None
        # A verifier that is away: another captcha, which a challenge would ask for, would not be verified either.
        is_unverified = reason is Reason.CAPTCHA_FAILED and verdict.verdict is VerdictKind.BLOCK
        return cls(
            status,
            reason.value,
            sentence(verdict),
            retry_after=retry_after,
            decision_id=decision_id,
            page_code="try_later" if is_unverified else None,
        )

    def body(self, *, to_page: bool) -> dict[str, Any]:
        code, message = self.code, self.message
        if to_page:
            code = self.page_code or _PAGE_CODES.get(code) or _PAGE_CODES_BY_STATUS.get(self.status, "blocked")
            message = message if self.tells_page else _PAGE_WORDS[code]
        decision_id = str(self.decision_id) if self.decision_id else None
        return {"status": "error", "message": message, "code": code, "decision_id": decision_id}


def unprocessable(field: str, expectation: str, *, code: str = "invalid_request") -> Refused:
    """A body or header that is not as it has to be, by the name of what is wrong."""
    return Refused(422, code, f"{field}: {expectation}", tells_page=True)


def unavailable(message: str, *, decision_id: uuid.UUID | None = None, tells_page: bool = False) -> Refused:
    return Refused(503, Reason.DEGRADED.value, message, decision_id=decision_id, tells_page=tells_page)


def by_uponai(status: int, decision_id: uuid.UUID) -> dict[str, Any]:
    """What a web page is told of a refusal by UponAI, whose words speak of the workspace's account and settings."""
    code = "try_later" if status == 429 else "blocked"
    return {"status": "error", "message": _PAGE_WORDS[code], "code": code, "decision_id": str(decision_id)}


def as_response(refusal: Refused, *, to_page: bool) -> HttpResponse:
    retry_after = str(refusal.retry_after) if refusal.retry_after is not None else ""
    return answer(
        orjson.dumps(refusal.body(to_page=to_page)),
        status=refusal.status,
        decision_id=refusal.decision_id,
        retry_after=retry_after,
    )


def answer(body: bytes, *, status: int, decision_id: uuid.UUID | None = None, retry_after: str = "") -> HttpResponse:
    if status not in responses:  # UponAI's own, for which HTTP has no words
        status = 400 if status >= 400 else 200
    response = HttpResponse(body, status=status, content_type="application/json")
    if status >= 400:
        response[RETRY_HEADER] = "false"
    if decision_id is not None:
        response[DECISION_HEADER] = str(decision_id)
    if retry_after:
        response["Retry-After"] = retry_after
    return response
