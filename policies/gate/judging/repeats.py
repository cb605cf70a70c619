"""A repeated request to judge gets the answer that the first one got, for a day."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import orjson
from django.db import DatabaseError, IntegrityError, transaction

from accounts.scoping import scoped
from policies.gate.outbound.credentials import Caller
from policies.gate.outbound.refusals import Refused, unprocessable
from policies.models import JudgedRequest

logger = logging.getLogger(__name__)

KEPT_FOR: Final = timedelta(hours=24)
RUNNING_FOR: Final = timedelta(minutes=2)
"""Longer than a thousand attempts take. A request that still runs then died with its process; whoever takes it over
finds the same decisions under the same ids, and what was counted already may count twice."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to answer a request; its row is to get the answer, or to go. Without a row, nobody asks again."""

    row: JudgedRequest | None = None

    def keep(self, answer: bytes) -> None:
        """Raises DatabaseError."""
        if self.row is not None:
            with scoped(self.row.workspace_id):
                JudgedRequest.objects.filter(pk=self.row.pk).update(answer=answer.decode())

    def drop(self) -> None:
        """Nothing was answered, so the next one with this key is the first."""
        if self.row is None:
            return
        try:
            with scoped(self.row.workspace_id):
                JudgedRequest.objects.filter(pk=self.row.pk, answer="").delete()
        except DatabaseError as trouble:
            logger.warning("A request that was not answered is left to be taken over: %s", trouble)


def claim(caller: Caller, key: str, body: Any, *, now: datetime) -> Claim | bytes:
    """The right to answer, or the answer that was given. Raises Refused, DatabaseError."""
    if not key:
        return Claim()
    digest = _digest([body, caller.ip, caller.subject])
    with scoped(caller.loaded.workspace_id):
        JudgedRequest.objects.filter(at__lt=now - KEPT_FOR).delete()
        try:
            with transaction.atomic():
                return Claim(
                    JudgedRequest.objects.create(
                        credential=caller.reference, idempotency_key=key, body_sha256=digest, at=now
                    )
                )
        except IntegrityError:
            row = JudgedRequest.objects.get(credential=caller.reference, idempotency_key=key)
    return _again(row, digest, now=now)


def _again(row: JudgedRequest, digest: str, *, now: datetime) -> Claim | bytes:
    if row.body_sha256 != digest:
        raise unprocessable("Idempotency-Key", "was used for another request.")
    if row.answer:
        return row.answer.encode()
    with scoped(row.workspace_id):
        is_ours = JudgedRequest.objects.filter(pk=row.pk, at=row.at, at__lt=now - RUNNING_FOR, answer="").update(at=now)
    if not is_ours:
        message = "A request with the same idempotency key is under way."
        raise Refused(409, "idempotency_key_running", message, tells_page=True, retry_after=1)
    return Claim(row)


def _digest(value: Any) -> str:
    try:
        return hashlib.sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).hexdigest()
    except TypeError:  # it can read deeper than it can write
        raise unprocessable("body", "is nested too deeply.") from None
