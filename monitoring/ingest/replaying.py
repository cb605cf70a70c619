"""An operator has events processed once more: one, or all of a range. What they did right stays as it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.db import models, transaction

from accounts import audit
from accounts.audit import Acting
from accounts.models import Workspace
from accounts.scoping import scoped
from monitoring.ingest import inbox
from monitoring.models import WebhookEvent

AT_ONCE: Final = 5000
"""Little enough that nobody who wants to write has to wait for it, on SQLite too."""

State = WebhookEvent.State


@dataclass(frozen=True, slots=True)
class Which:
    """Which events: all that is said must fit. `until` is not part of the range."""

    ids: Sequence[int] = ()
    since: datetime | None = None
    until: datetime | None = None
    state: str = ""
    event: str = ""
    call_reference: str = ""

    def rows(self) -> models.QuerySet[WebhookEvent]:
        conditions: dict[str, Any] = {
            "pk__in": list(self.ids),
            "received_at__gte": self.since,
            "received_at__lt": self.until,
            "state": self.state,
            "event": self.event,
            "call_reference": self.call_reference,
        }
        rows = WebhookEvent.objects.filter(**{name: value for name, value in conditions.items() if value})
        # Nothing is taken from a worker that is at it.
        return rows.exclude(state=State.PROCESSING)

    def told(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if value}


@dataclass(frozen=True, slots=True)
class Replay:
    """How many events are due again, up to which; `is_all` False: the range has more, after `last_id`."""

    events: int
    last_id: int
    is_all: bool


def replay(*, workspace_id: int, which: Which, acting_user: Acting, now: datetime, after_id: int = 0) -> Replay:
    """Makes events due again, the oldest of the range first. Raises ValidationError naming the field."""
    _check(which)
    with scoped(workspace_id), transaction.atomic():
        rows = which.rows().filter(pk__gt=after_id).order_by("pk")
        ids = list(rows.values_list("pk", flat=True)[: AT_ONCE + 1])
        some = ids[:AT_ONCE]
        if not some:
            return Replay(0, after_id, True)
        # Again the whole condition: a worker may have taken some since. And without what was written down of it, which
        # may be what has to be put right: the body is read again.
        count = rows.filter(pk__lte=some[-1]).update(
            state=State.RECEIVED, due_at=now, attempts=0, error="", lease_token=None, told=None
        )
        audit.record(
            workspace_id=workspace_id,
            action="webhook_event.replay",
            subject=WebhookEvent.objects.get(pk=some[0]) if len(some) == 1 else Workspace.objects.get(pk=workspace_id),
            acting_user=acting_user,
            now=now,
            after={**which.told(), "events": count, "first_id": some[0], "last_id": some[-1]},
        )
        transaction.on_commit(lambda: inbox.ring(workspace_id))
    return Replay(count, some[-1], len(ids) <= AT_ONCE)


def _check(which: Which) -> None:
    if which.state and (which.state not in State.values or which.state == State.PROCESSING):
        known = ", ".join(state for state in State.values if state != State.PROCESSING)
        raise ValidationError({"state": f"{which.state!r} is no state that can be replayed: {known}."})
    if which.since and which.until and which.since >= which.until:
        raise ValidationError({"until": "The end lies before the beginning."})
    if not which.told():
        raise ValidationError({"since": "Say which: a range of time, a state, an event, or a call."})
