"""One list of all that was blocked, from decisions, refused dials and ended calls. The only writer of BlockedCall.

Each source is followed by its own progress, and an attempt that several of them tell of is listed once: by the first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import models, transaction
from django.db.models import Case, Exists, Max, OuterRef, When

from accounts.scoping import current_workspace_id, scoped
from monitoring.ingest import parties, rollups
from monitoring.models import BlockedCall, Call, RollupProgress
from policies.engine.names import Direction, VerdictKind
from policies.engine.numbers import understand
from policies.gate import transfers
from policies.models import Decision, Dial
from policies.uponai import refusals

# Rows become visible when their transaction commits, not in the order of their numbers and times. What is younger
# than this is looked at again, and again found to be listed.
OVERLAP: Final = timedelta(seconds=30)
BATCH: Final = 500

_Source = BlockedCall.Source
_OF_VERDICTS: Final = (_Source.GATE, _Source.INBOUND, _Source.TRANSFER)
_OF_DIALS: Final = (_Source.REFUSED,)
_OF_CALLS: Final = (_Source.NOT_CONNECTED,)
_FACTS: Final = (
    *("at", "direction", "channel", "reason", "said", "phone_number", "peer", "country", "number_class"),
    *("public_key", "decision_id", "call_reference"),
)
_HEAVY: Final = ("trace", "counterfactuals", "reasons", "flags")
_COUNTED_UNTIL: Final = ("usage_blocked_until", "parties_blocked_until")
_LONGEST_SAID: Final = 200
_LONGEST_NUMBER: Final = 64
_MOMENT: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Step:
    """A batch of one source: what it lists, up to where it need not be read again, and where it goes on, if it does."""

    rows: list[BlockedCall]
    progress: dict[str, Any]
    goes_on_after: Any = None


_Read = Callable[[RollupProgress, Any, datetime], Step]


def follow(*, workspace_id: int, now: datetime) -> int:
    """Lists what was blocked since the last time; answers how many. One small query when nothing happened."""
    with scoped(workspace_id):
        if not _has_news():
            return 0
        RollupProgress.objects.get_or_create(workspace_id=workspace_id)
        return sum(_follow(workspace_id, read, now) for read in (_decisions, _dials, _calls))


def rebuild(*, workspace_id: int, start: datetime, end: datetime, now: datetime, is_counted: bool = False) -> int:
    """Lists what was blocked from `start` to before `end` and is not listed yet, of which progress knows nothing.

    `is_counted`: in the same transaction the caller counts these hours, so nobody else needs to.
    """
    with scoped(workspace_id):
        RollupProgress.objects.get_or_create(workspace_id=workspace_id)
        decisions = Decision.objects.filter(verdict=VerdictKind.BLOCK.value, at__gte=start, at__lt=end)
        dials = Dial.objects.filter(at__gte=start, at__lt=end).defer("charges", "answer")
        calls = Call.objects.filter(started_at__gte=start, started_at__lt=end)
        calls = calls.filter(disconnection_reason__in=refusals.BY_DISCONNECTION_REASON)
        found = (
            [_of_decision(row) for row in decisions.order_by("id").defer(*_HEAVY)],
            [listed for row in dials.order_by("id") if (listed := _of_dial(row))],
            [_of_call(row) for row in calls.order_by("id")],
        )
        return sum(_list_some(workspace_id, some, now, is_counted) for rows in found for some in _batches(rows))


def _batches(rows: list[BlockedCall]) -> Iterator[list[BlockedCall]]:
    for position in range(0, len(rows), BATCH):
        yield rows[position : position + BATCH]


def _list_some(workspace_id: int, rows: list[BlockedCall], now: datetime, is_counted: bool) -> int:
    with transaction.atomic():
        progress = RollupProgress.objects.select_for_update().get(workspace_id=workspace_id)
        before = _newest_listed()
        listed = _write(rows, now)
        if is_counted:
            # What others listed before and nobody has counted yet must not be passed over.
            until = {name: _newest_listed() for name in _COUNTED_UNTIL if getattr(progress, name) >= before}
            RollupProgress.objects.filter(pk=progress.pk).update(**until)
        return listed


def _newest_listed() -> int:
    return BlockedCall.objects.aggregate(id=Max("id"))["id"] or 0


def _has_news() -> bool:
    """Reads without a transaction: on SQLite even a reading one would keep writers out."""
    decisions = Decision.objects.filter(id__gt=OuterRef("blocked_until"))
    dials = Dial.objects.filter(id__gt=OuterRef("refused_until"))
    calls = Call.objects.filter(changed_at__gt=OuterRef("ended_until"))
    has_calls = Case(When(ended_until=None, then=Exists(Call.objects.all())), default=Exists(calls))
    news = RollupProgress.objects.values_list(Exists(decisions), Exists(dials), has_calls).first()
    return news is None or any(news)


def _follow(workspace_id: int, read: _Read, now: datetime) -> int:
    """Batch by batch, each in a transaction that nobody has to wait for, one worker at a time."""
    listed, after = 0, None
    while True:
        with transaction.atomic():
            progress = RollupProgress.objects.select_for_update().get(workspace_id=workspace_id)
            step = read(progress, after, now)
            listed += _write(step.rows, now)
            if any(getattr(progress, column) != value for column, value in step.progress.items()):
                RollupProgress.objects.filter(pk=progress.pk).update(**step.progress)
        if step.goes_on_after is None:
            return listed
        after = step.goes_on_after


# --- The three sources -----------------------------------------------------------------------------


def _decisions(progress: RollupProgress, after: int | None, now: datetime) -> Step:
    rows = Decision.objects.filter(id__gt=progress.blocked_until)
    # How far to go first, then the rows: one that arrives in between is new again next time.
    settled = rows.filter(recorded_at__lte=now - OVERLAP).aggregate(until=Max("id"))["until"] or progress.blocked_until
    blocked = rows.filter(verdict=VerdictKind.BLOCK.value, id__gt=after or 0).order_by("id")
    batch = list(blocked.defer(*_HEAVY)[:BATCH])
    goes_on = batch[-1].pk if len(batch) == BATCH else None
    until = min(settled, goes_on) if goes_on else settled
    return Step([_of_decision(row) for row in batch], {"blocked_until": max(until, progress.blocked_until)}, goes_on)


def _dials(progress: RollupProgress, after: tuple[int, bool] | None, now: datetime) -> Step:
    last, is_held = after or (progress.refused_until, False)
    batch = list(Dial.objects.filter(id__gt=last).order_by("id").defer("charges", "answer")[:BATCH])
    # One that UponAI is still being asked about, or that may have older neighbours to come, is looked at again.
    open_ = next((row for row in batch if row.state == Dial.State.RUNNING or row.at > now - OVERLAP), None)
    settled = progress.refused_until
    if batch and not is_held:
        settled = open_.pk - 1 if open_ else batch[-1].pk
    refused = [listed for row in batch if (listed := _of_dial(row))]
    goes_on = (batch[-1].pk, is_held or open_ is not None) if len(batch) == BATCH else None
    return Step(refused, {"refused_until": max(settled, progress.refused_until)}, goes_on)


def _calls(progress: RollupProgress, after: tuple[datetime, int] | None, now: datetime) -> Step:
    rows = Call.objects.all()
    if progress.ended_until is not None:
        rows = rows.filter(changed_at__gt=progress.ended_until)
    settled = rows.filter(changed_at__lte=now - OVERLAP).aggregate(until=Max("changed_at"))["until"]
    blocked = rows.filter(disconnection_reason__in=refusals.BY_DISCONNECTION_REASON)
    if after is not None:
        at, pk = after
        blocked = blocked.filter(changed_at__gte=at).exclude(changed_at=at, pk__lte=pk)
    batch = list(blocked.order_by("changed_at", "pk")[:BATCH])
    goes_on = (batch[-1].changed_at, batch[-1].pk) if len(batch) == BATCH else None
    if goes_on and settled:
        # Others of the same moment may be in the next batch.
        settled = min(settled, goes_on[0] - _MOMENT)
    known = [moment for moment in (settled, progress.ended_until) if moment is not None]
    return Step([_of_call(row) for row in batch], {"ended_until": max(known, default=None)}, goes_on)


# --- What is listed --------------------------------------------------------------------------------


def _of_decision(row: Decision) -> BlockedCall:
    return BlockedCall(
        source=_source_of(row),
        reference=str(row.decision_id),
        at=row.at,
        direction=row.direction,
        channel=row.channel,
        reason=row.reason,
        phone_number=row.phone_number,
        peer=row.peer or row.peer_text,
        country=row.country,
        number_class=row.number_class,
        public_key=row.public_key,
        decision_id=row.decision_id,
        call_reference=row.call_reference,
    )


def _source_of(row: Decision) -> BlockedCall.Source:
    if row.credential == transfers.CREDENTIAL:
        return _Source.TRANSFER
    by_uponai = row.direction == Direction.INBOUND and not row.credential
    return _Source.INBOUND if by_uponai else _Source.GATE


def _of_dial(row: Dial) -> BlockedCall | None:
    """None for all but what UponAI refused to start."""
    said = refusals.message_in(row.error)
    reason = "" if row.call_id else refusals.of_answer(row.answer_status, said)
    if not reason:
        return None
    return BlockedCall(
        source=_Source.REFUSED,
        reference=str(row.decision_id),
        at=row.at,
        direction=Direction.OUTBOUND.value,
        channel=row.channel,
        reason=reason,
        said=said[:_LONGEST_SAID],
        phone_number=row.from_number,
        peer=row.to_number,
        country=row.country,
        number_class=understand(row.to_number, role="destination").number_class.value if row.to_number else "",
        public_key=row.public_key,
        decision_id=row.decision_id,
    )


def _of_call(row: Call) -> BlockedCall:
    return BlockedCall(
        source=_Source.NOT_CONNECTED,
        reference=row.call_reference,
        at=row.started_at,
        direction=row.direction,
        channel=row.channel,
        reason=refusals.BY_DISCONNECTION_REASON[row.disconnection_reason],
        said=row.disconnection_reason,
        phone_number=row.phone_number,
        peer=row.peer[:_LONGEST_NUMBER],
        country=row.country,
        number_class=row.number_class,
        public_key=row.public_key,
        decision_id=row.decision_id,
        call_reference=row.call_reference,
    )


# --- Once each -------------------------------------------------------------------------------------


def _write(rows: Sequence[BlockedCall], now: datetime) -> int:
    """Inserts what is not listed yet; a call that UponAI told more of since is put right."""
    if not rows:
        return 0
    references, decisions = _listed(rows)
    fresh = [row for row in rows if row.reference not in references and row.decision_id not in decisions]
    BlockedCall.objects.bulk_create(fresh, ignore_conflicts=True)
    known = {row.reference: row for row in rows if row.source == _Source.NOT_CONNECTED and row.reference in references}
    _correct(known, now)
    return len(fresh)


def _listed(rows: Sequence[BlockedCall]) -> tuple[set[str], set[Any]]:
    """Of `rows`, all of one source: the references that are listed, and the decisions that another source listed."""
    of_calls = rows[0].source == _Source.NOT_CONNECTED
    of_dials = rows[0].source == _Source.REFUSED
    own = _OF_CALLS if of_calls else _OF_DIALS if of_dials else _OF_VERDICTS
    references = set(_references(own, [row.reference for row in rows]))
    decisions = {str(row.decision_id): row.decision_id for row in rows if row.decision_id}
    if of_calls:
        return references, {decisions[name] for name in _references((*_OF_VERDICTS, *_OF_DIALS), list(decisions))}
    calls = dict(Call.objects.filter(decision_id__in=decisions.values()).values_list("call_reference", "decision_id"))
    return references, {calls[name] for name in _references(_OF_CALLS, list(calls))}


def _references(sources: Sequence[str], references: Sequence[str]) -> models.QuerySet:
    rows = BlockedCall.objects.filter(source__in=sources, reference__in=references)
    return rows.values_list("reference", flat=True)


def _correct(told: dict[str, BlockedCall], now: datetime) -> None:
    listed = BlockedCall.objects.filter(source=_Source.NOT_CONNECTED, reference__in=list(told))
    changed, hours = [], set()
    for row in listed:
        facts = {column: getattr(told[row.reference], column) for column in _FACTS}
        if any(getattr(row, column) != value for column, value in facts.items()):
            hours |= {rollups.hour_of(row.at), rollups.hour_of(facts["at"])}
            for column, value in facts.items():
                setattr(row, column, value)
            changed.append(row)
    BlockedCall.objects.bulk_update(changed, _FACTS)
    # Both count along the ids of new rows, and would not see that one became another.
    for hour in sorted(hours):
        span = {"workspace_id": current_workspace_id(), "start": hour, "end": hour + rollups.HOUR}
        rollups.rebuild(**span, now=now)
        parties.rebuild(**span)
