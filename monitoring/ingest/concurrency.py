"""How many calls run at once: UponAI keeps no history of it, so it is asked every half minute and kept as a series."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.db import models
from django.db.models.functions import Coalesce, TruncDay

from accounts.jobs import slot_of
from accounts.models import UponaiKey
from accounts.scoping import current_workspace_id, scoped, unscoped
from monitoring.ingest.rollups import Hour, Minute
from monitoring.models import Call, ConcurrencySample
from policies import bells
from policies.engine.types import Channel
from policies.sync import connection
from policies.uponai.client import UponaiTrouble

TASK: Final = "monitoring.tasks.sample_concurrency"
EVERY: Final = timedelta(seconds=30)
FRESH: Final = 3 * EVERY
KEPT: Final = timedelta(days=30)
LONGEST_CALL: Final = timedelta(hours=2, minutes=5)
"""UponAI ends every call after two hours at most; one that seems to run longer has lost its end."""
MOST: Final = 2**31 - 1
STEPS: Final = {"minute": Minute, "hour": Hour, "day": TruncDay}

Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Point:
    """The most of one step. `limit` None: UponAI never told. `is_measured`: UponAI told, else as events did."""

    at: datetime
    running: int
    limit: int | None
    is_measured: bool


@dataclass(frozen=True, slots=True)
class Running:
    """What runs now. `at` None: nothing was sampled lately, and it is what events told."""

    running: int
    limit: int | None
    reserved_inbound: int | None
    at: datetime | None
    is_measured: bool


def sweep(*, now: datetime) -> None:
    """Rings for every workspace that has a key, and whose sample of this half minute is not there."""
    slot = slot_of(EVERY, now)
    with unscoped(reason="the sweep serves every workspace"):
        sampled = ConcurrencySample.objects.filter(at=slot).values("workspace")
        keys = UponaiKey.objects.filter(verifies_until=None).exclude(workspace__in=sampled)
        waiting = list(keys.order_by("workspace_id").values_list("workspace_id", flat=True).distinct())
    for workspace_id in waiting:
        bells.ring(TASK, workspace_id=workspace_id)


def sample(workspace_id: int, *, clock: Clock) -> ConcurrencySample | None:
    """Asks UponAI, once in each half minute; where it does not answer, our own count stands alone."""
    now = clock()
    slot = slot_of(EVERY, now)
    with scoped(workspace_id):
        if ConcurrencySample.objects.filter(at=slot).exists():
            return None
        told: dict[str, Any] = {}
        try:
            with connection.client(workspace_id, clock=clock) as uponai:
                told = uponai.get_concurrency()
        except UponaiTrouble:
            pass
        row = ConcurrencySample(
            at=slot,
            running=_count(told, "current_concurrency"),
            limit=_count(told, "concurrency_limit"),
            reserved_inbound=_count(told, "reserved_inbound_concurrency"),
            ours=running_by_events(clock()),
        )
        ConcurrencySample.objects.bulk_create([row], ignore_conflicts=True)
        return row


def _count(told: dict[str, Any], name: str) -> int | None:
    value = told.get(name)
    return min(value, MOST) if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def running_by_events(now: datetime) -> int:
    """Calls that began and have not ended, as far as anybody told."""
    rows = Call.objects.filter(started_at__range=(now - LONGEST_CALL, now + EVERY), status="ongoing")
    return int(rows.filter(channel__in=(Channel.PHONE_CALL, Channel.WEB_CALL)).count())


def now(moment: datetime) -> Running:
    """What runs at this moment, as the newest sample tells. Needs the scope of the workspace."""
    newest = ConcurrencySample.objects.filter(at__range=(moment - FRESH, moment + EVERY)).order_by("-at").first()
    if newest is None:
        return Running(running_by_events(moment), None, None, None, is_measured=False)
    running = newest.ours if newest.running is None else newest.running
    return Running(running, newest.limit, newest.reserved_inbound, newest.at, is_measured=newest.running is not None)


def series(start: datetime, end: datetime, *, step: str = "hour", zone: ZoneInfo | None = None) -> list[Point]:
    """The most that ran at once in each step; steps without a sample are left out. Needs the workspace's scope.

    `zone`: whose days they are. Minutes and hours are those of UTC.
    """
    rows = ConcurrencySample.objects.filter(workspace_id=current_workspace_id(), at__gte=start, at__lt=end)
    found = (
        rows.annotate(step=STEPS[step]("at", tzinfo=zone if step == "day" else UTC))
        .order_by()
        .values("step")
        .annotate(
            most=models.Max(Coalesce("running", "ours")),
            highest_limit=models.Max("limit"),
            measured=models.Count("running"),
        )
    )
    return [
        Point(row["step"], row["most"], row["highest_limit"], is_measured=row["measured"] > 0)
        for row in found.order_by("step")
    ]


def forget_old(*, now: datetime) -> int:
    """Deletes a batch of samples older than KEPT. Answers how many."""
    with unscoped(reason="retention is the same for every workspace"):
        old = ConcurrencySample.objects.filter(at__lt=now - KEPT)
        ids = list(old.order_by("at").values_list("pk", flat=True)[:AT_ONCE])
        return int(ConcurrencySample.objects.filter(pk__in=ids).delete()[0])


AT_ONCE: Final = 5000
