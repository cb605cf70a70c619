"""One row about now: how far the counts are behind, what is running, and how much waits for somebody. One query."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.db.models import Aggregate, IntegerField, Min, OuterRef, QuerySet, Subquery, Sum, Value
from django.db.models.functions import Coalesce

from accounts import leaks
from accounts.kyc.states import WITH_US
from accounts.models import KycRecord, Workspace
from monitoring.models import Alert, Call, ConcurrencySample, RollupProgress
from policies import approvals
from policies.models import Decision, RefusedWebhook, SyncTarget, UponaiConnection

REFUSED_SINCE = timedelta(hours=24)
UNGATED_SINCE = timedelta(hours=24)
# Samples come every half minute; an older one says nothing about now.
SAMPLED_LATELY = timedelta(seconds=90)
# What is said of more is "1,000 or more": counting on would cost more than anybody gains by it.
MOST_COUNTED = 1000
_BEFORE_ALL_CALLS = datetime(1970, 1, 1, tzinfo=UTC)
_State = SyncTarget.State


@dataclass(frozen=True, slots=True)
class Running:
    """Calls running at the newest sample. `answered`: UponAI said so; otherwise it is what events told."""

    at: datetime
    calls: int
    limit: int | None
    answered: bool


@dataclass(frozen=True, slots=True)
class Pulse:
    """`behind`: how long the oldest row that the rollups have not counted waits."""

    behind: timedelta = timedelta(0)
    running: Running | None = None
    refused_webhooks: int = 0
    key_leaks: int = 0
    ungated: int = 0
    alerts: int = 0
    newest_alert: str = ""
    approvals: int = 0
    kyc_waiting: int = 0
    kyc_oldest: datetime | None = None
    numbers: int = 0
    with_webhook: int = 0
    pending: int = 0
    failed: int = 0
    drift: int = 0
    unknown: int = 0
    sync_checked: datetime | None = None
    key_refused_at: datetime | None = None
    not_asked_until: datetime | None = None
    trouble: str = ""

    @property
    def wrong(self) -> int:
        return self.failed + self.drift


def pulse(*, workspace_id: int, now: datetime) -> Pulse:
    progress = RollupProgress.objects.filter(**_MINE)
    row = Workspace.objects.filter(pk=workspace_id).annotate(
        decisions_until=Coalesce(Subquery(progress.values("decisions_until")[:1]), 0),
        calls_until=Coalesce(Subquery(progress.values("calls_until")[:1]), Value(_BEFORE_ALL_CALLS)),
    )
    found: dict[str, Any] = row.values(**_sampled(now), **_waiting(now), **_uncounted()).get()
    since = [moment for moment in (found.pop("first_decision"), found.pop("first_call")) if moment]
    at, said, ours, limit = (found.pop(f"sample_{name}") for name in _SAMPLE)
    return Pulse(
        behind=now - min(since) if since else timedelta(0),
        running=Running(at, ours if said is None else said, limit, said is not None) if at else None,
        **{name: value for name, value in found.items() if value is not None},
    )


_MINE: Final = {"workspace_id": OuterRef("pk")}
_SAMPLE: Final = ("at", "running", "ours", "limit")


def _uncounted() -> dict[str, Subquery]:
    decisions = Decision.objects.filter(**_MINE, id__gt=OuterRef("decisions_until")).order_by("id")
    calls = Call.objects.filter(**_MINE, changed_at__gt=OuterRef("calls_until")).order_by("changed_at")
    return {
        "first_decision": Subquery(decisions.values("recorded_at")[:1]),
        "first_call": Subquery(calls.values("changed_at")[:1]),
    }


def _sampled(now: datetime) -> dict[str, Subquery]:
    newest = ConcurrencySample.objects.filter(**_MINE, at__gt=now - SAMPLED_LATELY).order_by("-at")
    return {f"sample_{name}": Subquery(newest.values(name)[:1]) for name in _SAMPLE}


def _waiting(now: datetime) -> dict[str, Subquery]:
    refused = RefusedWebhook.objects.filter(**_MINE, hour__gt=now - REFUSED_SINCE)
    ungated = Call.objects.filter(**_MINE, gating=Call.Gating.UNGATED, started_at__gt=now - UNGATED_SINCE)
    alerts = Alert.objects.filter(**_MINE, resolved_at=None, seen_at=None)
    cases = KycRecord.objects.filter(**_MINE, state__in=WITH_US)
    targets = SyncTarget.objects.filter(**_MINE)
    connection = UponaiConnection.objects.filter(**_MINE)
    states = {state.value: targets.filter(state=state) for state in _State if state != _State.SYNCED}
    return {
        "refused_webhooks": _one(refused, Sum("requests")),
        "key_leaks": _count(leaks.open_leaks().filter(**_MINE)),
        "ungated": _count(ungated),
        "alerts": _count(alerts),
        "newest_alert": Subquery(alerts.order_by("-raised_at").values("sentence")[:1]),
        "approvals": _count(approvals.awaiting().filter(**_MINE)),
        "kyc_waiting": _count(cases),
        "kyc_oldest": _one(cases, Min("submitted_at")),
        "numbers": _count(targets),
        "with_webhook": _count(targets.exclude(phone_number__inbound_webhook_url="")),
        **{state: _count(rows) for state, rows in states.items()},
        "sync_checked": Subquery(connection.values("drift_checked_at")[:1]),
        "key_refused_at": Subquery(connection.values("key_refused_at")[:1]),
        "not_asked_until": Subquery(connection.filter(blocked_until__gt=now).values("blocked_until")[:1]),
        "trouble": Subquery(connection.values("last_trouble")[:1]),
    }


def _one(rows: QuerySet[Any], what: Aggregate) -> Subquery:
    return Subquery(rows.order_by().values("workspace").annotate(one=what).values("one"))


def _count(rows: QuerySet[Any]) -> Subquery:
    """Up to MOST_COUNTED, whatever there is."""
    some = rows.order_by().values("pk")[:MOST_COUNTED]
    return _Counted(some)


class _Counted(Subquery):
    """How many rows a subquery has: `count` over a slice, for which Django has no word."""

    template = "(SELECT COUNT(*) FROM (%(subquery)s) _counted)"
    output_field = IntegerField()
