"""One row about now: how far the counts are behind, what is running, and how much waits for somebody. One query."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.db.models import Aggregate, IntegerField, Min, OuterRef, QuerySet, Subquery, Sum, Value
from django.db.models.functions import Coalesce

from accounts import leaks
from accounts.kyc.states import WITH_US
from accounts.models import KycRecord, Workspace
from monitoring import alerts
from monitoring.models import Alert, BlockedCall, Call, ConcurrencySample, RollupProgress
from policies import approvals
from policies.models import Decision, RefusedWebhook, SyncTarget, UponaiConnection
from policies.sync.figures import FOREIGN

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
class UnseenAlert:
    """The gravest alert that nobody has said they know of."""

    sentence: str
    kind: str
    about: str
    path: str
    details: Mapping[str, Any]

    @property
    def is_leak(self) -> bool:
        return {"kind": self.kind, "about": self.about} == alerts.LEAK

    @property
    def tone(self) -> str:
        return "danger" if self.kind in alerts.GRAVE else "notice" if self.kind in alerts.MINOR else "warning"


@dataclass(frozen=True, slots=True)
class Pulse:
    """`behind`: how long the oldest row that is not listed or counted waits. Of the numbers that `drift`, `foreign`
    were changed at UponAI by somebody else, and of these `widened` came to allow more than wanted.
    """

    behind: timedelta = timedelta(0)
    running: Running | None = None
    refused_webhooks: int = 0
    key_leaks: int = 0
    ungated: int = 0
    alerts: int = 0
    worst_alert: UnseenAlert | None = None
    approvals: int = 0
    kyc_waiting: int = 0
    kyc_oldest: datetime | None = None
    numbers: int = 0
    with_webhook: int = 0
    pending: int = 0
    failed: int = 0
    drift: int = 0
    foreign: int = 0
    widened: int = 0
    unknown: int = 0
    sync_checked: datetime | None = None
    key_refused_at: datetime | None = None
    not_asked_until: datetime | None = None
    trouble: str = ""

    @property
    def wrong(self) -> int:
        """Numbers that are not at UponAI as wanted, and will not be by themselves in a moment."""
        return self.failed + self.foreign


def pulse(*, workspace_id: int, now: datetime) -> Pulse:
    progress = RollupProgress.objects.filter(**_MINE)
    row = Workspace.objects.filter(pk=workspace_id).annotate(
        decisions_until=Coalesce(Subquery(progress.values("blocked_until")[:1]), 0),
        blocked_until=Coalesce(Subquery(progress.values("usage_blocked_until")[:1]), 0),
        calls_until=Coalesce(Subquery(progress.values("calls_until")[:1]), Value(_BEFORE_ALL_CALLS)),
    )
    found: dict[str, Any] = row.values(**_sampled(now), **_waiting(now), **_uncounted()).get()
    since = [moment for name in _UNCOUNTED if (moment := found.pop(name))]
    at, said, ours, limit = (found.pop(f"sample_{name}") for name in _SAMPLE)
    alert = {name: found.pop(f"alert_{name}") for name in _ALERT}
    return Pulse(
        worst_alert=UnseenAlert(**alert) if alert["kind"] else None,
        behind=now - min(since) if since else timedelta(0),
        running=Running(at, ours if said is None else said, limit, said is not None) if at else None,
        **{name: value for name, value in found.items() if value is not None},
    )


_MINE: Final = {"workspace_id": OuterRef("pk")}
_SAMPLE: Final = ("at", "running", "ours", "limit")
_ALERT: Final = ("sentence", "kind", "about", "path", "details")
_UNCOUNTED: Final = ("first_decision", "first_blocked", "first_call")
_DECIDED_HERE: Final = (BlockedCall.Source.GATE, BlockedCall.Source.INBOUND, BlockedCall.Source.TRANSFER)


def _uncounted() -> dict[str, Subquery]:
    decisions = Decision.objects.filter(**_MINE, id__gt=OuterRef("decisions_until")).order_by("id")
    calls = Call.objects.filter(**_MINE, changed_at__gt=OuterRef("calls_until")).order_by("changed_at")
    # What others tell of may be old already when it is listed; what was decided here is not.
    blocked = BlockedCall.objects.filter(**_MINE, id__gt=OuterRef("blocked_until"), source__in=_DECIDED_HERE)
    return {
        "first_decision": Subquery(decisions.values("recorded_at")[:1]),
        "first_blocked": Subquery(blocked.order_by("id").values("at")[:1]),
        "first_call": Subquery(calls.values("changed_at")[:1]),
    }


def _sampled(now: datetime) -> dict[str, Subquery]:
    newest = ConcurrencySample.objects.filter(**_MINE, at__gt=now - SAMPLED_LATELY).order_by("-at")
    return {f"sample_{name}": Subquery(newest.values(name)[:1]) for name in _SAMPLE}


def _waiting(now: datetime) -> dict[str, Subquery]:
    refused = RefusedWebhook.objects.filter(**_MINE, hour__gt=now - REFUSED_SINCE)
    ungated = Call.objects.filter(**_MINE, gating=Call.Gating.UNGATED, started_at__gt=now - UNGATED_SINCE)
    unseen = alerts.only_open(Alert.objects.filter(**_MINE))
    worst = unseen.order_by(alerts.by_gravity(), "-raised_at", "-pk")
    cases = KycRecord.objects.filter(**_MINE, state__in=WITH_US)
    targets = SyncTarget.objects.filter(**_MINE)
    connection = UponaiConnection.objects.filter(**_MINE)
    states = {state.value: targets.filter(state=state) for state in _State if state != _State.SYNCED}
    return {
        "refused_webhooks": _one(refused, Sum("requests")),
        "key_leaks": _count(leaks.open_leaks().filter(**_MINE)),
        "ungated": _count(ungated),
        "alerts": _count(unseen),
        **{f"alert_{name}": Subquery(worst.values(name)[:1]) for name in _ALERT},
        "approvals": _count(approvals.awaiting().filter(**_MINE)),
        "kyc_waiting": _count(cases),
        "kyc_oldest": _one(cases, Min("submitted_at")),
        "numbers": _count(targets),
        "with_webhook": _count(targets.exclude(phone_number__inbound_webhook_url="")),
        **{state: _count(rows) for state, rows in states.items()},
        "foreign": _count(targets.filter(FOREIGN)),
        # Only what allows more than wanted is put right at once.
        "widened": _count(targets.filter(FOREIGN, reasserted_at__0__isnull=False)),
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
