"""Whether what was started at UponAI passed this console's gate, and if not, which way around it probably took.

The gate writes a Dial before UponAI is asked, and `settlement` gives it the call that carries its decision's id: one
call each. So a call passed if a Dial of this workspace is its own; an id that is copied, borrowed or made up is none.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import models

from accounts.models import PublicKey, Workspace
from accounts.scoping import current_workspace_id, scoped
from monitoring.ingest import fold
from monitoring.models import Call, KnownSender
from policies.engine.types import Attempt, Channel, Direction, VerdictKind
from policies.gate import inbound_judge
from policies.models import Decision, Dial, PhoneNumber

Gating, Way = Call.Gating, Call.WayAround

DIRECTION_WAITS: Final = timedelta(seconds=45)
"""UponAI's events do not say which way an SMS went; its list does, and is read every half minute. Who is not told by
then counts as having gone out: unknown is never allowed."""
LOOKED_BACK: Final = timedelta(days=1)
AT_ONCE: Final = 500
ASKED_BEFORE: Final = timedelta(minutes=3)
"""So far from a call's start its inbound webhook may have come, where that did not name the call."""
PASSING: Final = (VerdictKind.ALLOW, VerdictKind.GUARD)
OWN_TELEPHONY: Final = "custom"

_CARRIED: Final = (Channel.PHONE_CALL, Channel.SMS)

COLUMNS: Final = ("gating", "way_around", "batch_reference")
Mark = dict[str, str]
"""The values of COLUMNS."""


@dataclass(frozen=True, slots=True)
class Started:
    """What is known of a conversation that somebody started. `has_carrier`: or nobody could tell."""

    reference: str
    channel: str
    direction: str
    phone_number: str
    peer: str
    agent: str
    started_at: datetime
    decision_id: uuid.UUID | None = None
    batch_reference: str = ""
    has_carrier: bool = False
    is_direction_told: bool = True


def concerns(channel: str, direction: str) -> bool:
    """Whether it is the gate's to let it happen: what goes out, and what visitors of a web page open."""
    return channel in (Channel.WEB_CALL, Channel.CHAT) or direction == Direction.OUTBOUND


def marks(changes: Iterable[Any], *, now: datetime) -> dict[str, Mark]:
    """Of each call that nobody said it of yet, whether it passed. In the transaction and scope of `calls.write`."""
    return _marks([_started(change) for change in changes if not (change.before or {}).get("gating")], now=now)


def recognise_ungated(found: Mapping[str, Mark], *, now: datetime) -> None:
    """Marks those that a declared sender started, when they are written."""
    ungated = [reference for reference, mark in found.items() if mark["gating"] == Gating.UNGATED]
    if ungated:
        recognise(Call.objects.filter(call_reference__among=ungated), now=now)


def settle_waiting(workspace_id: int, *, now: datetime) -> None:
    """The same for calls of the last day that had to wait; and which calls that came in nobody was asked about."""
    with scoped(workspace_id):
        since = max(now - LOOKED_BACK, watched_since())
        recent = Call.objects.filter(started_at__gte=since, started_at__lt=now - DIRECTION_WAITS)
        out = models.Q(channel__in=(Channel.WEB_CALL, Channel.CHAT)) | models.Q(direction=Direction.OUTBOUND)
        waiting = recent.filter(out, gating="").order_by("-started_at")[:AT_ONCE]
        columns = ("channel", "direction", "phone_number", "peer", "agent", "started_at", "batch_reference")
        started = [Started(row.pop("call_reference"), **row) for row in waiting.values("call_reference", *columns)]
        _write(_marks(started, now=now), now=now)
        _note_undecided(recent)


def note_batches(references: Collection[str], *, now: datetime) -> None:
    """These calls are known to belong to batches, which their own record does not tell."""
    rows = Call.objects.filter(call_reference__in=list(references), gating=Gating.UNGATED).exclude(way_around=Way.BATCH)
    pks = list(rows.values_list("pk", flat=True))
    if pks:
        Call.objects.filter(pk__in=pks).update(way_around=Way.BATCH)
        recognise(Call.objects.filter(pk__in=pks), now=now)


def recognise(rows: models.QuerySet[Call], *, now: datetime, senders: Iterable[KnownSender] | None = None) -> int:
    """Marks those of these ungated calls that a declared sender started. Answers how many."""
    total = 0
    for sender in in_force(now) if senders is None else senders:
        total += rows.filter(_by(sender), gating=Gating.UNGATED).update(gating=Gating.KNOWN)
    return total


def disown(sender: KnownSender, *, now: datetime) -> int:
    """Marks what was known for this sender's sake alone as ungated again. Answers how many."""
    rows = Call.objects.filter(_by(sender), gating=Gating.KNOWN)
    others = [_by(other) for other in in_force(now) if other.pk != sender.pk]
    for other in others:
        rows = rows.exclude(other)
    return int(rows.update(gating=Gating.UNGATED))


def in_force(now: datetime) -> list[KnownSender]:
    ends_later = models.Q(expires_at=None) | models.Q(expires_at__gt=now)
    return list(KnownSender.objects.filter(ends_later, removed_at=None).order_by("pk"))


def watched_since() -> datetime:
    """What was started before the workspace was here could not pass its gate."""
    since: datetime = Workspace.objects.values_list("created_at", flat=True).get(pk=current_workspace_id())
    return since


# --- What became of one call ----------------------------------------------------------------------


def _started(change: Any) -> Started:
    values: Mapping[str, Any] = {**(change.before or {}), **change.after}
    events: Sequence[fold.Event] = change.events
    return Started(
        change.reference,
        values["channel"],
        values["direction"],
        values["phone_number"],
        values["peer"],
        values["agent"],
        values["started_at"],
        values["decision_id"],
        batch_reference=next((event.batch_reference for event in events if event.batch_reference), ""),
        has_carrier=any(event.has_carrier for event in events),
        is_direction_told=fold.is_told(values, "direction"),
    )


def _marks(all_started: Iterable[Started], *, now: datetime) -> dict[str, Mark]:
    mine = [one for one in all_started if concerns(one.channel, one.direction) and not _waits(one, now)]
    if not mine:
        return {}
    since = watched_since()
    mine = [one for one in mine if one.started_at >= since]
    passed = _passed(mine)
    found = {reference: _mark(Gating.GATED) for reference in passed}
    others = [one for one in mine if one.reference not in passed]
    if others:
        guess = _Guesses(others)
        found |= {one.reference: _mark(Gating.UNGATED, guess.way(one), one.batch_reference) for one in others}
    return found


def _mark(gating: Gating, way: str = "", batch: str = "") -> Mark:
    return dict(zip(COLUMNS, (gating.value, str(way), batch), strict=True))


def _write(found: Mapping[str, Mark], *, now: datetime) -> None:
    alike: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for reference, mark in found.items():
        alike[tuple(mark.values())].append(reference)
    for values, references in alike.items():
        Call.objects.filter(call_reference__among=references).update(**dict(zip(COLUMNS, values, strict=True)))
    recognise_ungated(found, now=now)


def _waits(one: Started, now: datetime) -> bool:
    return one.channel == Channel.SMS and not one.is_direction_told and one.started_at > now - DIRECTION_WAITS


def _passed(started: Collection[Started]) -> set[str]:
    """Those that a Dial has for its own, and that went where its decision let them go."""
    dials = {dial.call_id: dial for dial in Dial.objects.filter(call_id__among=[one.reference for one in started])}
    passed = {one.reference for one in started if (dial := dials.get(one.reference)) and _fits(one, dial)}
    return passed | _passed_long_ago([one for one in started if one.decision_id and one.reference not in dials])


def _passed_long_ago(started: Collection[Started]) -> set[str]:
    """Dials are forgotten in time. Then the decision itself must name the call."""
    ids = {one.decision_id for one in started}
    if not ids:
        return set()
    rows = Decision.objects.filter(decision_id__in=ids, verdict__in=PASSING, direction=Direction.OUTBOUND)
    dialled = Dial.objects.filter(decision_id__in=ids).values("decision_id")
    decisions = {row.decision_id: row for row in rows.exclude(decision_id__in=dialled)}
    return {
        one.reference
        for one in started
        if (row := decisions.get(one.decision_id)) and row.call_reference == one.reference
    }


def _fits(one: Started, dial: Dial) -> bool:
    goes_elsewhere = dial.to_number and one.peer and dial.to_number != one.peer
    return bool(one.channel == dial.channel and not goes_elsewhere)


class _Guesses:
    """Which way around the gate: UponAI does not say what a call was started with, so this is what fits best."""

    def __init__(self, started: Collection[Started]) -> None:
        numbers = {one.phone_number for one in started if one.channel == Channel.PHONE_CALL}
        rows = PhoneNumber.objects.filter(e164__in=numbers) if numbers else PhoneNumber.objects.none()
        self.number_types = dict(rows.values_list("e164", "number_type"))
        keys = PublicKey.objects.filter(kind=PublicKey.Kind.UPONAI, status=PublicKey.Status.ACTIVE)
        self.keys = list(keys.values_list("channels", "phone_number"))

    def way(self, one: Started) -> Way:
        if one.batch_reference:
            return Way.BATCH
        if self._is_registered(one):
            return Way.REGISTERED
        return Way.PUBLIC_KEY if self._fits_a_public_key(one) else Way.PRIVATE_KEY

    def _is_registered(self, one: Started) -> bool:
        """UponAI dials from the account's own numbers only, and names its carrier's call."""
        if one.channel != Channel.PHONE_CALL or one.has_carrier:
            return False
        return self.number_types.get(one.phone_number, OWN_TELEPHONY) != OWN_TELEPHONY or (
            one.phone_number not in self.number_types
        )

    def _fits_a_public_key(self, one: Started) -> bool:
        """A key of UponAI's own, as the register has it, may start this; calls and messages from its number alone."""
        return any(
            one.channel in channels and (one.channel not in _CARRIED or number == one.phone_number)
            for channels, number in self.keys
        )


def _by(sender: KnownSender) -> models.Q:
    if sender.kind == KnownSender.Kind.PHONE_NUMBER:
        return models.Q(phone_number=sender.value)
    if sender.kind == KnownSender.Kind.AGENT:
        return models.Q(agent=sender.value)
    way = Way.BATCH if sender.kind == KnownSender.Kind.BATCH else Way.REGISTERED
    return models.Q(way_around=way)


def _note_undecided(recent: models.QuerySet[Call]) -> None:
    """A decision may be written a moment after its call; so late it is not written any more."""
    came_in = recent.filter(direction=Direction.INBOUND, channel__in=_CARRIED, decision_id=None, undecided=False)
    waiting = list(came_in.order_by("-started_at")[:AT_ONCE])
    if not waiting:
        return
    first, last = min(call.started_at for call in waiting), max(call.started_at for call in waiting)
    ids = {call.call_reference: _door_id(call) for call in waiting}
    asked = models.Q(decision_id__in=list(ids.values())) | models.Q(
        direction=Direction.INBOUND,
        peer__in={call.peer for call in waiting},
        call_reference="",
        at__range=(first - ASKED_BEFORE, last + ASKED_BEFORE),
    )
    decided = list(Decision.objects.filter(asked).values("decision_id", "peer", "call_reference", "at"))
    known = {row["decision_id"] for row in decided}
    for call in waiting:  # its decision was written after its last event came
        if ids[call.call_reference] in known:
            Call.objects.filter(pk=call.pk).update(decision_id=ids[call.call_reference])
    unnamed = [(row["peer"], row["at"]) for row in decided if not row["call_reference"]]
    undecided = [
        call.pk
        for call in waiting
        if ids[call.call_reference] not in known
        and not any(peer == call.peer and abs(at - call.started_at) < ASKED_BEFORE for peer, at in unnamed)
    ]
    Call.objects.filter(pk__in=undecided).update(undecided=True)


def _door_id(call: Call) -> uuid.UUID:
    attempt = Attempt(direction=Direction.INBOUND, channel=Channel(call.channel), call_reference=call.call_reference)
    return inbound_judge.id_of_decision(current_workspace_id(), inbound_judge.attempt_key(attempt))
