"""How the sync of a workspace is doing: how much waits, for how long, how fast it goes, what UponAI last said."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Min, Q, QuerySet

from accounts.models import Workspace
from policies.models import PhoneNumber, SyncTarget, UponaiConnection
from policies.sync.drift import GIVEN_UP
from policies.sync.push import LATE, SAID_YES

State = SyncTarget.State
MINUTE = timedelta(minutes=1)

NOT_SYNCED = ~Q(sync_target__state=State.SYNCED)
OUT_OF_ORDER = NOT_SYNCED | Q(missing_since__isnull=False) | Q(flagged_since__isnull=False)
"""Of phone numbers: what somebody should know of."""

# Ours, whatever it looks like at UponAI: an older request of ours was carried out late, or one was not at all.
_LATE = Q(state=State.DRIFT, due_at__isnull=False) & (Q(unsure_since__isnull=False) | Q(error=LATE))
_NOT_DONE = Q(state=State.DRIFT, due_at__isnull=False, unsure_since=None, error=SAID_YES)
FOREIGN = Q(state=State.DRIFT) & ~_LATE & ~_NOT_DONE
"""Changed at UponAI by somebody else."""
_WAITING = Q(state__in=[State.PENDING, State.UNKNOWN])
_COUNTS: dict[str, Any] = {state.value: Count("pk", filter=Q(state=state)) for state in State} | {
    "total": Count("pk"),
    "waiting": Count("pk", filter=_WAITING & Q(due_at__isnull=False)),
    "missing": Count("pk", filter=Q(phone_number__missing_since__isnull=False)),
    "flagged": Count("pk", filter=Q(phone_number__flagged_since__isnull=False)),
    "in_trouble": Count("pk", filter=Q(attempts__gt=0) & ~Q(state=State.SYNCED)),
    "being_sent": Count("pk", filter=Q(lease_until__isnull=False)),
    "oldest_unsynced_at": Min("desired_at", filter=~Q(state=State.SYNCED)),
    "next_due_at": Min("due_at", filter=_WAITING & Q(attempts__gt=0)),
    # What UponAI does not list any more is counted as missing alone.
    "refused": Count("pk", filter=Q(state=State.FAILED, phone_number__missing_since__isnull=True)),
    "given_up": Count("pk", filter=GIVEN_UP),
    "drift_since": Min("drift_since", filter=FOREIGN),
    "foreign": Count("pk", filter=FOREIGN),
    "late": Count("pk", filter=_LATE),
    "not_done": Count("pk", filter=_NOT_DONE),
}


@dataclass(frozen=True, slots=True)
class Breaker:
    """Closed: UponAI is asked. Open: it is not, until `until`. Half open: the next request will tell."""

    state: str
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Figures:
    """One moment. `states`: how many phone numbers are in each. Of those that drift, `foreign` were changed by somebody
    else, `late` by an older request of ours, and `not_done` were not changed though UponAI said so."""

    states: dict[str, int]
    total: int
    waiting: int  # the depth of the queue: what is to be brought to UponAI or looked at there
    missing: int
    flagged: int
    in_trouble: int
    being_sent: int
    applied_last_minute: int
    requests_per_second: int
    oldest_unsynced_at: datetime | None
    next_due_at: datetime | None
    foreign: int
    late: int
    not_done: int
    given_up: int
    refused: int
    drift_since: datetime | None
    last_error: str
    connection: UponaiConnection | None
    now: datetime

    @property
    def oldest_unsynced_seconds(self) -> float | None:
        return (self.now - self.oldest_unsynced_at).total_seconds() if self.oldest_unsynced_at else None

    @property
    def breaker(self) -> Breaker:
        until = self.connection.blocked_until if self.connection else None
        if until is None:
            return Breaker("closed", None)
        return Breaker("open", until) if until > self.now else Breaker("half_open", None)

    @property
    def key_refused_at(self) -> datetime | None:
        return self.connection.key_refused_at if self.connection else None

    @property
    def disconnected_at(self) -> datetime | None:
        return self.connection.disconnected_at if self.connection else None


def figures(*, workspace_id: int, now: datetime) -> Figures:
    """Four queries, however many numbers there are."""
    counts = _COUNTS | {"applied_last_minute": Count("pk", filter=Q(applied_at__gt=now - MINUTE))}
    counted = SyncTarget.objects.aggregate(**counts)
    states = {state.value: counted.pop(state.value) for state in State}
    budget = Workspace.objects.values_list("requests_per_second", flat=True).get(pk=workspace_id)
    connection = UponaiConnection.objects.first()
    troubled = SyncTarget.objects.filter(_WAITING, due_at__isnull=False).exclude(error="")
    last_error = troubled.order_by("due_at").values_list("error", flat=True).first() or ""
    return Figures(
        states=states,
        requests_per_second=budget,
        connection=connection,
        last_error=last_error,
        now=now,
        **counted,
    )


def out_of_order() -> QuerySet[PhoneNumber]:
    """The numbers that are not as wanted at UponAI, what needs a person first."""
    rows: QuerySet[PhoneNumber] = PhoneNumber.objects.filter(OUT_OF_ORDER)
    return rows.select_related("sync_target", "policy")
