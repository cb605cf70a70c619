"""What events told, into the rows of Call. The only writer of Call; what an event means is `fold`'s."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import connection

from accounts.scoping import current_workspace_id
from monitoring.ingest import bulk, fold, gating, parties, rollups
from monitoring.models import Call
from policies.engine.types import Attempt, Channel, Direction
from policies.gate import inbound_judge, settlement
from policies.models import Decision

NEWS: Final = timedelta(hours=1)
"""What ended longer ago tells nothing about who calls now."""
FOLDED: Final = (*fold.COLUMNS, "public_key")
"""What events change, by `fold` or by the decision that let the call in."""
CHANGED: Final = (*FOLDED, *gating.COLUMNS, "changed_at")
_WRITTEN: Final = tuple(field.attname for field in Call._meta.concrete_fields if not field.primary_key)
_BLANK: Final[Mapping[str, Any]] = {
    field.attname: field.get_default() for field in Call._meta.concrete_fields if field.has_default() or field.blank
}
_TURNS: Final = 0x63616C6C
"""Of PostgreSQL's advisory locks, the one of those who write calls; the second number is the workspace."""
_DECIDED: Final = (
    *("decision_id", "direction", "phone_number", "peer", "peer_text", "country", "number_class"),
    "public_key",
)


@dataclass(frozen=True, slots=True)
class Change:
    """A call before and after what is told of it now. `before` None: nobody knew of it."""

    reference: str
    before: Mapping[str, Any] | None
    after: dict[str, Any]
    events: Sequence[fold.Event]

    @property
    def is_one(self) -> bool:
        return self.before is None or any(self.before[column] != self.after[column] for column in FOLDED)


def write(
    of_call: Mapping[str, Sequence[fold.Event]], *, now: datetime, told_by: Call.ToldBy = Call.ToldBy.WEBHOOK
) -> list[Change]:
    """Folds events into their calls, in the transaction and scope of the caller. Answers what became of each call."""
    _take_turns()
    changes = _changes(of_call, told_by=told_by)
    settlement.settle(current_workspace_id(), [_conversation(change, now) for change in changes], now=now)
    marks = gating.marks(changes, now=now)
    new, later = [], []
    for change in changes:
        mark = marks.get(change.reference)
        if change.before is None:
            new.append(_row({**change.after, **(mark or {})}, change.reference, now))
        elif change.is_one or mark:
            changed_at = now if change.is_one else change.before["changed_at"]
            later.append(_row({**change.before, **change.after, **(mark or {})}, change.reference, changed_at))
    bulk.insert(Call, _WRITTEN, new)
    bulk.replace(Call, _WRITTEN, unique=("workspace_id", "call_reference"), changed=CHANGED, rows=later)
    gating.recognise_ungated(marks, now=now)
    _leave_hours(changes, now=now)
    return changes


def _take_turns() -> None:
    """Until the end of the transaction nobody else writes calls of this workspace: what is not there stays so."""
    if connection.vendor == "postgresql":  # whoever writes on SQLite writes alone anyway
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [_TURNS, current_workspace_id() % 2**31])


def _changes(of_call: Mapping[str, Sequence[fold.Event]], *, told_by: Call.ToldBy) -> list[Change]:
    decisions = _decisions(of_call)
    known = _locked(of_call)
    first = {"told_by": told_by}
    changes = []
    for one in sorted(of_call):
        before = known.get(one)
        after = _folded(before, of_call[one], decisions.get(one))
        changes.append(Change(one, before, after if before else first | after, of_call[one]))
    return changes


def _locked(references: Iterable[str]) -> dict[str, dict[str, Any]]:
    rows = Call.objects.filter(call_reference__among=list(references)).select_for_update().order_by("call_reference")
    return {row["call_reference"]: row for row in rows.values(*_WRITTEN)}


def _row(values: Mapping[str, Any], reference: str, changed_at: datetime) -> tuple[Any, ...]:
    known = {
        **_BLANK,
        **values,
        "workspace_id": current_workspace_id(),
        "call_reference": reference,
        "changed_at": changed_at,
    }
    return tuple([known[column] for column in _WRITTEN])


def _folded(
    row: Mapping[str, Any] | None, events: Sequence[fold.Event], decision: Mapping[str, Any] | None
) -> dict[str, Any]:
    values = fold.fold({column: row[column] for column in FOLDED} if row else None, *events)
    values.setdefault("public_key", "")
    if decision and values["decision_id"] is None:
        values = fold.link(values, decision) | {"public_key": decision["public_key"] or values["public_key"]}
    return values


def _leave_hours(changes: Sequence[Change], *, now: datetime) -> None:
    """The counts follow rows to their new hour by themselves, and would leave them in the old one too."""
    left = {
        rollups.hour_of(change.before["started_at"])
        for change in changes
        if change.before and rollups.hour_of(change.before["started_at"]) != rollups.hour_of(change.after["started_at"])
    }
    for hour in sorted(left):
        span = {"workspace_id": current_workspace_id(), "start": hour, "end": hour + rollups.HOUR}
        rollups.rebuild(**span, now=now)
        parties.rebuild(**span)


def _conversation(change: Change, now: datetime) -> settlement.Conversation:
    values = change.after
    return settlement.Conversation(
        call_id=change.reference,
        is_over=fold.is_over(values),
        decision_id=next((event.decision_id for event in change.events if event.decision_id), None),
        seconds=values["duration_ms"] / 1000,
        cost_cents=values["cost_cents"] if fold.is_told(values, "cost_cents") else None,
        has_just_ended=_has_just_ended(change, now),
        channel=values["channel"],
        direction=values["direction"],
        peer=values["peer"],
        status=values["status"],
        disconnection_reason=values["disconnection_reason"],
        ended_at=values["ended_at"],
    )


def _has_just_ended(change: Change, now: datetime) -> bool:
    """Once, whichever event told first that it is over; never of what ended long ago and is told only now."""
    was_over = change.before is not None and fold.is_over(change.before)
    ended_at = change.after["ended_at"] or change.after["started_at"]
    return not was_over and fold.is_over(change.after) and now - ended_at < NEWS


# --- Which decision let it in ---------------------------------------------------------------------


def _decisions(of_call: Mapping[str, Sequence[fold.Event]]) -> dict[str, Mapping[str, Any]]:
    """What was decided about these calls and messages: at the inbound door, or where they were dialled, as their
    metadata tells.
    """
    workspace_id = current_workspace_id()
    asked: dict[Any, set[str]] = defaultdict(set)  # several calls may name one decision, though it let in only one
    for reference, events in of_call.items():
        for event in events:
            if event.decision_id is not None:
                asked[event.decision_id].add(reference)
        for channel in _channels_of_door(events):
            attempt = Attempt(direction=Direction.INBOUND, channel=channel, call_reference=reference)
            asked[inbound_judge.id_of_decision(workspace_id, inbound_judge.attempt_key(attempt))].add(reference)
    if not asked:
        return {}
    rows = Decision.objects.filter(decision_id__in=list(asked)).values(*_DECIDED)
    return {reference: row for row in rows for reference in asked[row["decision_id"]]}


def _channels_of_door(events: Sequence[fold.Event]) -> list[Channel]:
    """As what the inbound door may have known it. UponAI names no direction for an SMS."""
    told = [event.facts for event in events]
    if any(facts.get("direction") == Direction.OUTBOUND for facts in told):
        return []
    channels = {facts["channel"] for facts in told if "channel" in facts} or {Channel.PHONE_CALL, Channel.SMS}
    return [channel for channel in (Channel.PHONE_CALL, Channel.SMS) if channel in channels]
