"""What attempts keep of an erased subject: that there was somebody, and neither what they were called nor whence.

The numbers that were called stay, as facts of the account's bill, until calls are old enough to be forgotten.
Holds and lists that name a subject stay: whoever turned somebody away still means it.
"""

from __future__ import annotations

import logging
import re
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction

from accounts import encryption
from accounts.kyc import privacy
from accounts.models import Erasure
from accounts.scoping import scoped, unscoped
from policies.engine.limits import LimitName
from policies.engine.names import Check
from policies.models import Decision, Dial
from policies.subject_attempts import LONGEST_SUBJECT

logger = logging.getLogger(__name__)

STRAGGLERS: Final = timedelta(hours=1)
"""So long after an erasure attempts of before it may still become rows, the live store having been away."""
AT_ONCE: Final = 200


def forget_due(*, now: datetime) -> int:
    """Takes erased subjects out of attempts. Answers how many rows named one."""
    with unscoped(reason="subjects of every workspace were erased"):
        due = list(Erasure.objects.exclude(reference_sealed="").order_by("pk"))
    total = 0
    for erasure in due:
        try:
            references = privacy.former_references(erasure)
        except encryption.CannotOpen as problem:
            logger.error("What subject %s was called cannot be read (%s).", erasure.subject_id, problem)
            continue
        tombstone = privacy.tombstone(erasure.subject_id)
        total += sum(_forget(erasure.workspace_id, reference, tombstone) for reference in references)
        if erasure.erased_at <= now - STRAGGLERS:
            privacy.forget_references(erasure=erasure)
    return total


def _forget(workspace_id: int, reference: str, tombstone: str) -> int:
    """In small transactions: somebody may have tried a lot, and nobody is to wait for it."""
    until = privacy.called_so_since(workspace_id=workspace_id, reference=reference)
    earlier = {} if until is None else {"at__lt": until}
    count = 0
    for model, change in ((Decision, _without), (Dial, _uncharged)):
        while True:
            with scoped(workspace_id), transaction.atomic():
                rows = list(
                    model.objects.filter(subject=reference[:LONGEST_SUBJECT], **earlier).order_by("pk")[:AT_ONCE]
                )
                columns = [column for row in rows for column in change(row, reference, tombstone)]
                if rows:
                    model.objects.bulk_update(rows, ["subject", "ip", *dict.fromkeys(columns)])
            count += len(rows)
            if len(rows) < AT_ONCE:
                break
    return count


def _without(row: Decision, reference: str, tombstone: str) -> tuple[str, ...]:
    row.subject, row.ip = tombstone, None
    row.counterfactuals = _replaced(row.counterfactuals, reference, tombstone)
    in_words = re.compile(rf"(?<!\w){re.escape(reference)}(?!\w)")
    for line in row.trace if isinstance(row.trace, list) else ():
        if line.get("check") == Check.HOLDS and isinstance(line.get("value"), str):
            line["value"] = in_words.sub(tombstone, line["value"])
    return "counterfactuals", "trace"


def _uncharged(row: Dial, reference: str, tombstone: str) -> tuple[str, ...]:
    row.subject, row.ip = tombstone, None
    for charge in row.charges:
        if charge[0] == LimitName.SUBJECT:
            charge[1] = charge[1].replace(reference[:200], tombstone)
    return ("charges",)


def _replaced(value: Any, reference: str, tombstone: str) -> Any:
    if isinstance(value, dict):
        return {name: _replaced(each, reference, tombstone) for name, each in value.items()}
    if isinstance(value, list):
        return [_replaced(each, reference, tombstone) for each in value]
    return tombstone if value == reference else value
