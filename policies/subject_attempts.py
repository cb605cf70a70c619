"""The attempts of a subject, for the export of everything that is kept about them: one JSON object in each line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import orjson
from django.db.models import Q

from accounts.kyc import privacy
from accounts.models import Subject
from policies.models import Decision

FILE: Final = "attempts.jsonl"
LONGEST_SUBJECT: Final = 120
"""The column of attempts is shorter than what a subject may be called elsewhere."""
CHUNK: Final = 1_000
FIELDS: Final = (
    "decision_id",
    "at",
    "direction",
    "channel",
    "phone_number",
    "peer",
    "peer_text",
    "country",
    "verdict",
    "reason",
    "subject",
    "ip",
    "origin",
    "call_reference",
    "call_seconds",
)


def lines(subject: Subject) -> Iterator[bytes]:
    """Under all that the subject was ever called, and none of who else was or is called so; oldest first."""
    theirs = Q(pk=None)
    for name in privacy.called(subject):
        under = Q(subject=name.reference[:LONGEST_SUBJECT])
        under &= Q(at__gt=name.since) if name.since else Q()
        theirs |= under & Q(at__lt=name.until) if name.until else under
    rows = Decision.objects.filter(theirs).order_by("at", "pk").values(*FIELDS)
    for row in rows.iterator(CHUNK):
        yield orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)
