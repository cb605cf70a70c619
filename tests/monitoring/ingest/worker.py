"""A worker as a process of its own: `python -m tests.monitoring.ingest.worker WORKSPACE_ID [FILE]`.

Processes events until its input is closed, then counts, and prints all that came about as JSON in its last line. With
a file of bodies, one a line, it takes these in instead, each once and in order.
"""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path

import django

django.setup()

from django.utils import timezone  # noqa: E402

from accounts.scoping import scoped  # noqa: E402
from monitoring.ingest import fold, inbox, processing, rollups  # noqa: E402
from monitoring.models import Call, MinuteBucket, UsageBucket, WebhookEvent  # noqa: E402
from policies.models import CallToEnd, Decision  # noqa: E402

STEP = 25
BLOCKED = {"outcome": "blocked"}
"""Transfers are judged, and counted, when somebody comes to it."""
COUNTED = ("direction", "channel", "outcome", "reason", "calls", "seconds", "cost_cents")


def main(workspace_id: int, file: str = "") -> None:
    print("at it", flush=True)
    if file:
        for number, body in enumerate(Path(file).read_bytes().splitlines()):
            inbox.receive(workspace_id, body, now=timezone.now())
            if number % STEP == 0:
                processing.process(workspace_id, clock=timezone.now)
    else:
        _work_until_closed(workspace_id)
    processing.process(workspace_id, clock=timezone.now)
    rollups.roll_up(workspace_id=workspace_id, now=timezone.now())
    with scoped(workspace_id):
        tables = {
            "calls": Call.objects.order_by("call_reference").values("call_reference", *fold.COLUMNS),
            "hours": UsageBucket.objects.exclude(**BLOCKED)
            .order_by("hour", *COUNTED)
            .values("hour", "country", *COUNTED),
            "minutes": MinuteBucket.objects.exclude(**BLOCKED).order_by("minute", *COUNTED).values("minute", *COUNTED),
            "decisions": Decision.objects.order_by("call_reference").values("call_reference", "reason", "peer"),
            "ended": CallToEnd.objects.order_by("call_id").values("call_id"),
            "events": WebhookEvent.objects.order_by("event_key").values("event_key", "state", "error"),
        }
        print(json.dumps({name: list(rows) for name, rows in tables.items()}, default=str))


def _work_until_closed(workspace_id: int) -> None:
    closed = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), closed.set()), daemon=True).start()
    while not closed.wait(0.05):
        processing.process(workspace_id, clock=timezone.now)


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])
