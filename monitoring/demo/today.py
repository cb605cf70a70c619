"""What the demo shows beside its history: how many calls ran at once, some that went around the gate, an open that ends
soon, and a number that appeared at UponAI."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from accounts.models import User, Workspace
from accounts.scoping import scoped
from monitoring.demo import cast, traffic
from monitoring.ingest import parties, rollups
from monitoring.models import Call, ConcurrencySample
from policies import opens
from policies.models import Open

LATELY: Final = timedelta(days=1)
# As often as it is sampled while the console runs; before that, often enough for a chart.
EVERY, EVERY_BEFORE = timedelta(seconds=30), timedelta(minutes=5)
BATCH: Final = 1000
AROUND: Final = 6
OPEN_FOR: Final = timedelta(hours=3)
OPEN_REASON: Final = "A clinic in Lisbon calls back this afternoon."
_COUNTED: Final = ("phone_call", "web_call")


def show(workspace: Workspace, *, acting_user: User, days: int, now: datetime) -> None:
    """Adds what is not there. Needs the history."""
    with scoped(workspace.pk):
        _sample(workspace, start=now - timedelta(days=days), now=now)
        _go_around(workspace, now=now)
        if not Open.objects.exists():
            opens.open_temporarily(
                workspace_id=workspace.pk,
                scope="country",
                value="PT",
                direction="inbound",
                reason=OPEN_REASON,
                expires_at=now + OPEN_FOR,
                acting_user=acting_user,
                now=now,
            )


def _sample(workspace: Workspace, *, start: datetime, now: datetime) -> None:
    """How many ran at each moment, from when calls began and ended. What was sampled in earnest is left alone."""
    rows = Call.objects.filter(channel__in=_COUNTED, ended_at__gt=start, started_at__lt=now)
    spans = list(rows.values_list("started_at", "ended_at"))
    began, ended = sorted(span[0] for span in spans), sorted(span[1] for span in spans)
    limit = traffic.CONCURRENCY_LIMIT
    samples = []
    for moment in _moments(start, now):
        running = bisect_right(began, moment) - bisect_right(ended, moment)
        samples.append(
            ConcurrencySample(workspace=workspace, at=moment, running=min(running, limit), limit=limit, ours=running)
        )
    ConcurrencySample.objects.bulk_create(samples, batch_size=BATCH, ignore_conflicts=True)


def _moments(start: datetime, now: datetime) -> Iterator[datetime]:
    moment = start.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    while moment < now:
        yield moment
        moment += EVERY_BEFORE if moment < now - LATELY else EVERY


def _go_around(workspace: Workspace, *, now: datetime) -> None:
    """Calls that somebody started at UponAI with the private key, an hour and a half ago."""
    began = now.replace(minute=0, second=0, microsecond=0) - timedelta(minutes=90)
    if Call.objects.filter(gating=Call.Gating.UNGATED).exists():
        return
    Call.objects.bulk_create(
        Call(
            workspace=workspace,
            call_reference=f"call_demo_around_{number}",
            channel="phone_call",
            direction="outbound",
            phone_number=cast.LINES[0].e164,
            peer=f"+3706123{number:04}",
            country="LT",
            number_class="mobile",
            agent=cast.LINES[0].outbound_agent or cast.LINES[0].inbound_agent,
            status="ended",
            disconnection_reason="user_hangup",
            started_at=began + timedelta(seconds=40 * number),
            ended_at=began + timedelta(seconds=40 * number + 180),
            duration_ms=180_000,
            cost_cents=Decimal("171"),
            changed_at=began + timedelta(seconds=40 * number + 180),
            gating=Call.Gating.UNGATED,
            way_around=Call.WayAround.PRIVATE_KEY,
        )
        for number in range(AROUND)
    )
    span = {"start": began, "end": began + timedelta(hours=1)}
    rollups.rebuild(workspace_id=workspace.pk, now=now, **span)
    parties.rebuild(workspace_id=workspace.pk, **span)
