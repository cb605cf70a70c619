"""A POST that comes again with its `Idempotency-Key` gets the answer that the first one got, for a day.

A claim is a row, so of two requests at the same moment one is carried out. What was begun and never answered, since
its process died, is not begun again by itself: nobody knows how far it came.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import orjson
from django.db import DatabaseError, IntegrityError, transaction
from django.http import HttpResponse
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import encryption
from accounts.api.problems import FieldError, Unprocessable
from accounts.models import KeptAnswer
from accounts.scoping import unscoped

logger = logging.getLogger(__name__)

HEADER: Final = "Idempotency-Key"
KEPT_FOR: Final = timedelta(hours=24)
LONGEST_KEY: Final = 255
NOT_KEPT: Final = frozenset({409, 503})
"""Nothing was done, and the same request is meant to come again."""
HEADERS: Final = ("Content-Type", "Location", "ETag")
ANOTHER: Final = f"This {HEADER} was used for another request. Use a new one for each."
UNANSWERED: Final = (
    f"A request with this {HEADER} is under way. Where that lasts for minutes, it ended without an answer: look "
    "whether it was carried out, and use another key."
)
UPLOAD: Final = f"An upload takes no {HEADER}: the same file twice is kept once."


class Again(Exception):
    """The answer was given before."""

    def __init__(self, answer: HttpResponse) -> None:
        super().__init__()
        self.answer = answer


class _Unanswered(APIException):
    status_code = 409

    def __init__(self) -> None:
        super().__init__(UNANSWERED)
        self.errors = [FieldError(HEADER, "running", UNANSWERED)]


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to answer a request."""

    row: KeptAnswer

    def settle(self, answer: HttpResponse) -> None:
        """Keeps the answer, or lets the next one with this key be the first. It is given in any case."""
        try:
            self._settle(answer)
        except DatabaseError as trouble:
            logger.warning("An answer is not kept, so whoever asks again is told to look: %s", trouble)

    def _settle(self, answer: HttpResponse) -> None:
        mine = KeptAnswer.objects.filter(pk=self.row.pk)
        if answer.status_code in NOT_KEPT or answer.streaming:
            mine.delete()
            return
        if isinstance(answer, Response):
            answer.render()
        headers = {name: answer[name] for name in HEADERS if name in answer}
        said = orjson.dumps({"body": answer.content.decode(), "headers": headers}).decode()
        mine.update(status=answer.status_code, answer=encryption.seal(**_place(self.row), secret=said))


def claim(request: Request, *, reads_json: bool, now: datetime) -> Claim | None:
    """The right to answer; None where nobody asks again. Raises Again, Unprocessable and what is answered 409."""
    if request.method != "POST" or HEADER not in request.headers:
        return None
    key = request.headers[HEADER].strip()
    if not 0 < len(key) <= LONGEST_KEY or not key.isprintable():
        raise Unprocessable.one(HEADER, "invalid", f"{HEADER} is a text of 1 to {LONGEST_KEY} characters.")
    if not reads_json:
        raise Unprocessable.one(HEADER, "unsupported", UPLOAD)
    mine = KeptAnswer.objects.filter(token=request.auth, idempotency_key=key)
    mine.filter(at__lt=now - KEPT_FOR).delete()
    digest = _digest(request)
    try:
        with transaction.atomic():
            row = KeptAnswer.objects.create(token=request.auth, idempotency_key=key, request_sha256=digest, at=now)
            return Claim(row)
    except IntegrityError:
        found = mine.first()
    if found is None:  # it was let go at this moment
        raise _Unanswered
    if found.request_sha256 != digest:
        raise Unprocessable.one(HEADER, "used", ANOTHER)
    raise Again(_answer_of(found))


def forget_old(*, now: datetime) -> int:
    with unscoped(reason="answers of every workspace are kept for a day only"):
        return int(KeptAnswer.objects.filter(at__lt=now - KEPT_FOR).delete()[0])


def _answer_of(row: KeptAnswer) -> HttpResponse:
    if row.status is None:
        raise _Unanswered
    try:
        kept = orjson.loads(encryption.unseal(**_place(row), sealed=row.answer))
    except encryption.CannotOpen:
        raise _Unanswered from None
    return HttpResponse(kept["body"], status=row.status, headers=kept["headers"])


def _digest(request: Request) -> str:
    asked = [request.method, request.get_full_path(), request.headers.get("If-Match", "")]
    return hashlib.sha256(orjson.dumps(asked) + request._request.body).hexdigest()


def _place(row: KeptAnswer) -> dict[str, Any]:
    return {"workspace_id": row.workspace_id, "model": "keptanswer", "row": row.pk, "field": "answer"}
