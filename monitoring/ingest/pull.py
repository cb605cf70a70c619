"""Reads UponAI's lists of calls and chats, and so finds what no webhook told of. PullProgress is the schedule.

A listed call takes the same way as an event, see `fold`: it is told with the rank of how far the call is, so what a
later event told stays. Each read looks back over what may have appeared late; ids make reading twice harmless.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import models, transaction

from accounts.jobs import slot_of
from accounts.models import UponaiKey
from accounts.scoping import scoped, unscoped
from monitoring.ingest import agents, calls, fold, gating
from monitoring.models import Call, PullProgress
from policies import bells
from policies.engine.types import Channel, Direction
from policies.sync import connection
from policies.sync.connection import Waiting
from policies.uponai.client import UponaiClient, UponaiTrouble

logger = logging.getLogger(__name__)

TASK: Final = "monitoring.tasks.pull_conversations"
EVERY: Final = timedelta(seconds=30)
"""What passes neither our gate nor our webhooks is to be seen within a minute."""
OVERLAP: Final = timedelta(minutes=3)
DEEP_EVERY: Final = timedelta(minutes=10)
DEEP_OVERLAP: Final = timedelta(hours=1)
"""Once in ten minutes: costs and ends come late, and so may UponAI's list itself."""
FIRST_LOOK: Final = timedelta(hours=1)
LEASE: Final = timedelta(minutes=2)
"""Taken anew with every page, which takes seconds."""
AFTER_TROUBLE: Final = timedelta(seconds=30)
LONGEST_AFTER_TROUBLE: Final = timedelta(minutes=5)
LONGEST_OPEN: Final = timedelta(days=2)
PAGE: Final = 500
"""Calls bring their metadata, of up to 50 kB each: a page must stay readable."""
AT_ONCE: Final = 250
"""Short transactions: on SQLite nobody else writes meanwhile."""
BATCH_IDS_BEGIN: Final = "batch"
"""UponAI filters by the id of a batch but does not show it, and has no word for "any": its ids begin like this."""

Kind = PullProgress.Kind
Clock = Callable[[], datetime]
Event = fold.Event


class Busy(Exception):
    """The list is being read already."""


@dataclass(slots=True)
class Report:
    """What reading brought. `listed`: as often as they were listed; `new`: nobody had told of them."""

    listed: int = 0
    new: int = 0
    changed: int = 0


@dataclass(frozen=True, slots=True)
class _List:
    """One of UponAI's two lists, and the names in its objects."""

    path: str
    reference: str
    status: str
    analysis: str
    prefix: str
    has_end: bool


LISTS: Final[Mapping[str, _List]] = {
    Kind.CALLS: _List("/v3/list-calls", "call_id", "call_status", "call_analysis", "call", has_end=True),
    Kind.CHATS: _List("/v3/list-chats", "chat_id", "chat_status", "chat_analysis", "chat", has_end=False),
}
_NOT_OVER: Final = ("registered", "ongoing")


# --- Whose turn it is -----------------------------------------------------------------------------


def sweep(*, now: datetime) -> None:
    """Rings for each list that is due. Calls that wait for a word of UponAI do so no longer than they should."""
    for workspace_id in _connected(now):
        with scoped(workspace_id):
            rows = [PullProgress(kind=kind) for kind in Kind.values]
            if PullProgress.objects.count() < len(rows):
                PullProgress.objects.bulk_create(rows, ignore_conflicts=True)
        gating.settle_waiting(workspace_id, now=now)
    for workspace_id, kind in due(now=now):
        bells.ring(TASK, workspace_id=workspace_id, kind=kind)


def due(*, now: datetime) -> list[tuple[int, str]]:
    with unscoped(reason="the sweep serves every workspace"):
        rows = _free(PullProgress.objects.all(), now).filter(workspace__in=_connected(now))
        rows = rows.exclude(workspace__in=connection.silent(now))
        return list(rows.order_by("due_at", "pk").values_list("workspace_id", "kind"))


def _connected(now: datetime) -> list[int]:
    with unscoped(reason="the sweep serves every workspace"):
        rows = UponaiKey.objects.filter(verifies_until=None).order_by("workspace_id")
        return list(rows.values_list("workspace_id", flat=True).distinct())


def _free(rows: models.QuerySet[PullProgress], now: datetime) -> models.QuerySet[PullProgress]:
    free = models.Q(lease_until=None) | models.Q(lease_until__lte=now) | models.Q(lease_until__gt=now + 2 * LEASE)
    found: models.QuerySet[PullProgress] = rows.filter(
        free, models.Q(due_at=None) | models.Q(due_at__lte=now) | models.Q(due_at__gt=now + timedelta(hours=1))
    )
    return found


def pull_if_due(workspace_id: int, kind: str, *, clock: Clock) -> Report | None:
    """Reads a list for a worker: None where it is not due, is being read, or UponAI gave trouble."""
    now = clock()
    with scoped(workspace_id):
        token = uuid.uuid4()
        rows = _free(PullProgress.objects.filter(kind=kind), now)
        if not rows.update(lease_until=now + LEASE, lease_token=token):
            return None
        row = PullProgress.objects.get(kind=kind)
        try:
            with connection.client(workspace_id, clock=clock) as uponai:
                report = _read(row, uponai, clock=clock)
        except UponaiTrouble as trouble:
            _failed(row, trouble, now=clock())
            return None
        _done(row, until=now, new=report.new, now=clock())
        return report


def _done(row: PullProgress, *, until: datetime, new: int, now: datetime) -> None:
    facts = {"read_until": until, "due_at": until + EVERY, "attempts": 0, "error": ""}
    _ours(row).update(**facts, lease_until=None, lease_token=None, found=models.F("found") + new)


def _failed(row: PullProgress, trouble: UponaiTrouble, *, now: datetime) -> None:
    wait = min(AFTER_TROUBLE * 2 ** min(row.attempts, 5), LONGEST_AFTER_TROUBLE)
    due_at = (trouble.until if isinstance(trouble, Waiting) else None) or now + wait
    attempts = row.attempts if isinstance(trouble, Waiting) else row.attempts + 1
    _ours(row).update(due_at=due_at, attempts=attempts, error=str(trouble), lease_until=None, lease_token=None)


def _ours(row: PullProgress) -> models.QuerySet[PullProgress]:
    rows: models.QuerySet[PullProgress] = PullProgress.objects.filter(pk=row.pk, lease_token=row.lease_token)
    return rows


def _keep(row: PullProgress, *, now: datetime) -> None:
    """Takes the lease anew. Raises Waiting where somebody else has it."""
    if not _ours(row).update(lease_until=now + LEASE):
        raise Waiting("Somebody else reads this list now.")


# --- Reading --------------------------------------------------------------------------------------


def _read(row: PullProgress, uponai: UponaiClient, *, clock: Clock) -> Report:
    now, which, report = clock(), LISTS[row.kind], Report()
    start = _start(row, now)
    for criteria in _criteria(row.kind, start, now):
        for page in uponai.pages(which.path, criteria, limit=PAGE):
            _keep(row, now=clock())
            take(row.kind, page, report, now=clock())
    if row.kind == Kind.CALLS:
        _ask_for_batches(uponai, start, now)
    else:
        _ask_for_directions(uponai, start, now, report)
    agents.count_missed(since=gating.watched_since(), now=now)
    return report


def _start(row: PullProgress, now: datetime) -> datetime:
    if row.read_until is None:
        return now - FIRST_LOOK
    is_deep = slot_of(DEEP_EVERY, row.read_until) != slot_of(DEEP_EVERY, now)
    return row.read_until - (DEEP_OVERLAP if is_deep else OVERLAP)


def _criteria(kind: str, start: datetime, end: datetime) -> Iterator[dict[str, Any]]:
    """What began meanwhile; what ended meanwhile, since a call that nobody picked up never began; and what is still
    open here though it began long ago.
    """
    which = LISTS[kind]
    yield within("start_timestamp", start, end)
    if which.has_end:
        yield within("end_timestamp", start, end)
    if still_open := _open_before(kind, start, end):
        yield {which.reference: {"type": "enum", "op": "in", "value": still_open}}


def within(field: str, start: datetime, end: datetime) -> dict[str, Any]:
    # A clock that is ahead of ours a little must not hide what has just begun.
    bounds = [_ms(start), _ms(end + timedelta(minutes=1))]
    return {field: {"type": "range", "op": "bt", "value": bounds}}


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def _open_before(kind: str, start: datetime, now: datetime) -> list[str]:
    channels = (Channel.CHAT, Channel.SMS) if kind == Kind.CHATS else (Channel.PHONE_CALL, Channel.WEB_CALL)
    rows = Call.objects.filter(
        started_at__range=(now - LONGEST_OPEN, start), status__in=_NOT_OVER, channel__in=channels
    )
    return list(rows.order_by("-started_at").values_list("call_reference", flat=True)[:PAGE])


def take(kind: str, items: Iterable[Any], report: Report, *, now: datetime) -> None:
    """Folds listed objects into their calls, in short transactions. What names nothing is left out."""
    told: dict[str, list[Event]] = {}
    started: dict[str, datetime] = {}
    for item in items:
        if (found := _told(LISTS[kind], item, now)) is not None:
            told[found[0]] = [found[1]]
            report.listed += 1
    references = list(told)
    for position in range(0, len(references), AT_ONCE):
        some = {one: told[one] for one in references[position : position + AT_ONCE]}
        news = _news(some)
        if not news:
            continue
        with transaction.atomic():
            changes = calls.write(news, now=now, told_by=Call.ToldBy.LIST)
        report.new += sum(change.before is None for change in changes)
        report.changed += sum(change.is_one for change in changes if change.before is not None)
        for change in changes:
            agent, at = change.after["agent"], change.after["started_at"]
            if agent:
                started[agent] = max(at, started.get(agent, at))
    agents.note_calls(started)


def _told(which: _List, item: Any, now: datetime) -> tuple[str, Event] | None:
    """The same as the event that UponAI would have sent last."""
    reference = item.get(which.reference) if isinstance(item, dict) else None
    if not isinstance(reference, str) or not reference or len(reference) > 120 or "\x00" in reference:
        return None
    is_over = item.get(which.status) not in (*_NOT_OVER, None)
    step = ("analyzed" if item.get(which.analysis) else "ended") if is_over else "started"
    return reference, fold.read(f"{which.prefix}_{step}", item, received_at=now)


def _news(told: Mapping[str, list[Event]]) -> dict[str, list[Event]]:
    """Without those that change nothing: most of what an overlap lists was told before."""
    rows = Call.objects.filter(call_reference__in=list(told)).values("call_reference", *fold.COLUMNS)
    known = {row.pop("call_reference"): row for row in rows}
    return {
        reference: events
        for reference, events in told.items()
        if reference not in known or fold.fold(known[reference], events[0]) != known[reference]
    }


def _ask_for_batches(uponai: UponaiClient, start: datetime, end: datetime) -> None:
    """Only where there are calls that may be of a batch: UponAI's answer costs a request."""
    rows = Call.objects.filter(started_at__range=(start, end), gating=Call.Gating.UNGATED, channel=Channel.PHONE_CALL)
    if not rows.exclude(way_around=Call.WayAround.BATCH).exists():
        return
    criteria = within("start_timestamp", start, end)
    criteria["batch_call_id"] = {"type": "string", "op": "sw", "value": BATCH_IDS_BEGIN}
    for page in uponai.pages("/v3/list-calls", criteria, limit=PAGE):
        gating.note_batches([item["call_id"] for item in page if isinstance(item, dict) and "call_id" in item], now=end)


def _ask_for_directions(uponai: UponaiClient, start: datetime, end: datetime, report: Report) -> None:
    """UponAI filters chats by their direction but does not show it."""
    rows = Call.objects.filter(started_at__range=(start, end), channel=Channel.SMS)
    if not any(not fold.is_told(row, "direction") for row in rows.values("rank", "older_facts")):
        return
    for direction in Direction:
        criteria = within("start_timestamp", start, end)
        criteria["direction"] = {"type": "enum", "op": "in", "value": [direction.value]}
        for page in uponai.pages("/v3/list-chats", criteria, limit=PAGE):
            told = [{**item, "direction": direction.value} for item in page if isinstance(item, dict)]
            take(Kind.CHATS, told, report, now=end)
