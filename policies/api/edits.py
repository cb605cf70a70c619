"""What the editing addresses of policies share: refusals as problems, versions, waiting for UponAI."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request

from accounts.api.inputs import Body, Flag, Text
from accounts.api.problems import FieldError, Stale, Unprocessable
from accounts.scoping import current_workspace_id
from policies import actions
from policies.models import SyncTarget
from policies.sync import connection

WAIT_SECONDS: Final = 30.0
MOST_WAITING = 3  # far fewer than the threads that pages and the REST interface have
POLL_SECONDS: Final = 0.1
LONGEST_REASON: Final = 500
MOST_COUNTRIES: Final = 1000

WAIT = OpenApiParameter(
    "wait",
    str,
    enum=["synced"],
    description="Hold the answer until UponAI has it, at most 30 seconds; `sync.state` says whether it has. "
    "Answers at once where nothing is sent to UponAI, such as with a refused key.",
)


@contextmanager
def refusals() -> Iterator[None]:
    """Turns what a verb refuses into problem details."""
    try:
        yield
    except actions.Refused as refused:
        raise Unprocessable(
            [FieldError(problem.field, problem.code, problem.detail) for problem in refused.problems]
        ) from None
    except actions.StaleEdit:
        raise Stale from None


@extend_schema_field(
    {
        "type": "array",
        "items": {"type": "string", "pattern": "^[A-Za-z]{2}$"},
        "minItems": 1,
        "nullable": True,
        "description": "ISO 3166-1 alpha-2 codes; null for no restriction, which needs "
        "confirm_unrestricted and reason.",
    }
)
class CountryList(serializers.Field):
    """As the client wrote it: which codes are acceptable is said by the verb."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(allow_null=True, **kwargs)

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, list) and len(data) > MOST_COUNTRIES:
            raise serializers.ValidationError(f"A list has at most {MOST_COUNTRIES} entries.", "too_long")
        return data

    def to_representation(self, value: Any) -> Any:
        return value


class Confirmed(Body):
    """The words that lifting a restriction needs."""

    confirm_unrestricted = Flag(required=False, help_text="Needed to lift a restriction altogether.")
    reason = Text(
        required=False,
        allow_blank=True,
        max_length=LONGEST_REASON,
        help_text="Why; kept in the audit log. Needed to lift a restriction altogether.",
    )


def wait_wanted(request: Request) -> bool:
    wait = request.query_params.get("wait")
    if wait not in (None, "synced"):
        raise Unprocessable.one("wait", "invalid", 'wait can only be "synced".')
    return wait == "synced"


_waiting_places = threading.BoundedSemaphore(MOST_WAITING)


def wait_until_synced(targets: QuerySet[SyncTarget]) -> str:
    """Returns when UponAI has the lists of all these numbers, when that has failed for good, or after 30 s.

    Returns at once, with a sentence that says why, when nothing is sent to UponAI; and when this process holds as many
    answers back as it can spare threads for: whoever waits must not keep a webhook waiting.
    """
    if not _waiting_places.acquire(blocking=False):
        return ""
    try:
        ends_at = time.monotonic() + WAIT_SECONDS
        under_way = targets.exclude(state__in=[SyncTarget.State.SYNCED, SyncTarget.State.FAILED])
        while under_way.exists() and time.monotonic() < ends_at:
            if stopped := connection.stopped(current_workspace_id(), now=timezone.now()):
                return f"It is kept here and not at UponAI yet. {stopped}"
            time.sleep(POLL_SECONDS)
        return ""
    finally:
        _waiting_places.release()
