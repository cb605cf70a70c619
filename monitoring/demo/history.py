"""Writes the demo's history: the plan of traffic.py, judged by the real engine under the policies of the time.

A day is one short transaction of decisions, calls and counts. What is there already is left alone, so a seeding
that was killed goes on where it stopped, and a later one adds the days since.
"""

from __future__ import annotations

import dataclasses
import uuid
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from django.db import transaction

from accounts.countries import price_per_minute
from accounts.models import Workspace
from accounts.scoping import scoped
from monitoring.demo import traffic
from monitoring.demo.traffic import Business, Planned
from monitoring.ingest import agents, blocked_calls, parties, rollups
from monitoring.ingest.gating import concerns
from monitoring.models import Call
from policies.engine.decide import decide
from policies.engine.types import NO_HOLDS, Channel, Direction, PolicySnapshot, Snapshot, Verdict, VerdictKind
from policies.gate import recorder, snapshots
from policies.models import Decision, PolicyRevision

# Allowed attempts leave a call; their decisions are kept as long as people ask "why was this let in?".
ALLOWED_KEPT = timedelta(hours=24)
BATCH = 500
NAMESPACE = uuid.UUID("6f1c4ad2-4a1e-5b7e-9d55-1f1f0c2a7a10")
SMS_PRICE = {"US": Decimal("0.008"), "CA": Decimal("0.008"), "GB": Decimal("0.04"), "MX": Decimal("0.05")}
OTHER_SMS_PRICE = Decimal("0.10")
CARRIER_MINUTE_INBOUND = Decimal("0.015")
CENT = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class Written:
    """Rows that were added."""

    calls: int = 0
    decisions: int = 0

    def __add__(self, other: Written) -> Written:
        return Written(self.calls + other.calls, self.decisions + other.decisions)


@dataclass(frozen=True, slots=True)
class Past:
    """The workspace's snapshot as it was at any time, from the revisions that were in force then."""

    since: list[datetime]
    snapshots: list[Snapshot]

    def at(self, moment: datetime) -> Snapshot:
        return self.snapshots[max(0, bisect_right(self.since, moment) - 1)]


def load_past(workspace_id: int) -> Past:
    """Numbers as they are today, policies as they were. Needs the scope of the workspace."""
    # Today's holds say nothing about the past.
    today = dataclasses.replace(snapshots.load(workspace_id).engine, holds=NO_HOLDS)
    revisions = list(PolicyRevision.objects.order_by("created_at", "pk"))
    in_force: dict[int, PolicySnapshot] = {}
    # Before its first revision a policy did not exist; its first one stands for that time.
    for revision in reversed(revisions):
        in_force[revision.policy_id] = _policy(revision)
    past = Past([], [])
    for revision in revisions:
        in_force = {**in_force, revision.policy_id: _policy(revision)}
        past.since.append(revision.created_at)
        past.snapshots.append(dataclasses.replace(today, policies=in_force))
    return past if revisions else Past([datetime.min.replace(tzinfo=UTC)], [today])


def _policy(revision: PolicyRevision) -> PolicySnapshot:
    return PolicySnapshot.from_dict(
        {
            "id": revision.policy_id,
            "revision": revision.number,
            "inbound": revision.inbound,
            "outbound": revision.outbound,
        }
    )


def write_history(
    *,
    workspace: Workspace,
    business: Business,
    start: datetime,
    until: datetime,
    now: datetime,
    advance: Callable[[int], None] = lambda days: None,
) -> Written:
    """Fills in what is missing between `start` and `until`, newest day first. `advance` hears of finished days."""
    written = Written()
    with scoped(workspace.pk):
        rollups.begin(workspace_id=workspace.pk, calls_until=now)
        past = load_past(workspace.pk)
        for day in days_of(business, start, until):
            planned = [
                item for item in traffic.attempts_of_day(business, day) if start <= item.at and item.ends_at < until
            ]
            written += _write_day(workspace, past, _missing(planned), now=now)
            advance(1)
    return written


def days_of(business: Business, start: datetime, until: datetime) -> list[date]:
    """The local days from `start` to `until`, newest first: they are looked at first."""
    first, last = (moment.astimezone(business.time_zone).date() for moment in (start, until))
    return [last - timedelta(days=number) for number in range((last - first).days + 1)]


def _missing(planned: list[Planned]) -> list[Planned]:
    if not planned:
        return []
    range_ = (planned[0].at, planned[-1].at)
    calls = set(Call.objects.filter(started_at__range=range_).values_list("call_reference", flat=True))
    decisions = set(Decision.objects.filter(at__range=range_).values_list("decision_id", flat=True))
    return [item for item in planned if item.reference not in calls and decision_id(item) not in decisions]


def decision_id(planned: Planned) -> uuid.UUID:
    return uuid.uuid5(NAMESPACE, planned.reference)


def _write_day(workspace: Workspace, past: Past, planned: list[Planned], *, now: datetime) -> Written:
    decisions: list[Decision] = []
    calls: list[Call] = []
    for item in planned:
        verdict = decide(item.attempt, past.at(item.at))
        is_let_in = verdict.verdict in (VerdictKind.ALLOW, VerdictKind.GUARD)
        has_decision = verdict.verdict != VerdictKind.ALLOW or item.at > now - ALLOWED_KEPT
        if has_decision:
            decisions.append(_decision(workspace.pk, item, verdict, is_let_in))
        if is_let_in:
            calls.append(_call(workspace, item, verdict, has_decision))
    if not planned:
        return Written()
    with transaction.atomic():
        Decision.objects.bulk_create(decisions, batch_size=BATCH, ignore_conflicts=True)
        Call.objects.bulk_create(calls, batch_size=BATCH, ignore_conflicts=True)
        agents.note_heard({call.agent: call.started_at for call in sorted(calls, key=_started_at) if call.agent})
        span = {"start": planned[0].at, "end": _next_hour(planned[-1].at)}
        blocked_calls.rebuild(workspace_id=workspace.pk, now=now, is_counted=True, **span)
        rollups.rebuild(workspace_id=workspace.pk, now=now, **span)
        parties.rebuild(workspace_id=workspace.pk, **span)
    return Written(len(calls), len(decisions))


def _started_at(call: Call) -> datetime:
    return call.started_at


def _next_hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0) + rollups.HOUR


def _decision(workspace_id: int, item: Planned, verdict: Verdict, is_let_in: bool) -> Decision:
    attempt = item.attempt
    is_incoming_call = attempt.direction == Direction.INBOUND and attempt.public_key is None
    # A refused dial and a refused chat never get a call of their own at UponAI.
    if is_let_in or is_incoming_call:
        attempt = dataclasses.replace(attempt, call_reference=item.reference)
    facts = recorder.facts(attempt, verdict, decision_id=decision_id(item), at=item.at)
    return recorder.as_row(workspace_id, facts, now=item.at)


def _call(workspace: Workspace, item: Planned, verdict: Verdict, has_decision: bool) -> Call:
    attempt, outcome = item.attempt, item.outcome
    peer = verdict.peer
    shown = attempt.peer_number if isinstance(attempt.peer_number, str) else ""
    return Call(
        workspace_id=workspace.pk,
        call_reference=item.reference,
        channel=attempt.channel.value,
        direction=attempt.direction.value,
        phone_number=attempt.own_number or "",
        peer=peer.e164 or shown,
        country=peer.country or "",
        number_class=peer.number_class.value,
        agent=item.agent,
        public_key=attempt.public_key or "",
        status=outcome.status,
        disconnection_reason=outcome.disconnection_reason,
        started_at=item.at,
        ended_at=item.ends_at,
        duration_ms=round(outcome.seconds * 1000),
        cost_cents=_cost(workspace, item, verdict),
        decision_id=decision_id(item) if has_decision else None,
        gating=Call.Gating.GATED if concerns(attempt.channel, attempt.direction) else "",
        changed_at=item.ends_at,
    )


def _cost(workspace: Workspace, item: Planned, verdict: Verdict) -> Decimal:
    """In cents, as UponAI says it: the agent's minutes, and the carrier's where there is one."""
    attempt, peer = item.attempt, verdict.peer
    if attempt.channel == Channel.SMS:
        return (SMS_PRICE.get(peer.country or "", OTHER_SMS_PRICE) * 100).quantize(CENT)
    minute = workspace.agent_minute_price
    if attempt.channel == Channel.PHONE_CALL and attempt.direction == Direction.OUTBOUND:
        own_price = workspace.carrier_prices.get(peer.country or "")
        listed = price_per_minute(peer.country, peer.number_class.value)
        minute += listed if own_price is None else Decimal(str(own_price))
    elif attempt.channel == Channel.PHONE_CALL:
        minute += CARRIER_MINUTE_INBOUND
    return (minute * Decimal(str(item.outcome.seconds)) / 60 * 100).quantize(CENT)
