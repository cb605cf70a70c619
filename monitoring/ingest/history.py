"""Brings what happened before the console was connected, from UponAI's lists, day by day from the newest backwards.

How far it came stands in PullProgress, so that it can be broken off and goes on from there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from accounts.scoping import scoped
from monitoring.ingest import pull
from monitoring.ingest.pull import LISTS, Clock, Report
from monitoring.models import PullProgress
from policies.sync import connection
from policies.sync.connection import Waiting
from policies.uponai.client import UponaiTrouble

Kind = PullProgress.Kind
Tell = Callable[[str, float, int], None]
"""What is being read, how much of the time is done (0 to 1), and how many were listed."""

STRETCH: Final = timedelta(days=1)
PATIENCE_SECONDS: Final = 120.0
"""So long trouble of UponAI's is waited out."""
LOOK_AGAIN_SECONDS: Final = 2.0


def import_calls(workspace_id: int, *, since: datetime, clock: Clock, tell: Tell, again: bool = False) -> Report:
    """Reads both lists back to `since`. Raises UponaiTrouble; what was read until then is kept."""
    report = Report()
    with scoped(workspace_id):
        for kind in (Kind.CALLS, Kind.CHATS):
            row, _ = PullProgress.objects.get_or_create(kind=kind)
            for start, end, done in _stretches(row, since, clock(), again=again):
                _read(workspace_id, row, start, end, report, clock=clock)
                tell(str(kind.label), done, report.listed)
    return report


def _stretches(
    row: PullProgress, since: datetime, now: datetime, *, again: bool
) -> Iterator[tuple[datetime, datetime, float]]:
    """From the newest backwards: what people look at first is there first."""
    end = now if again or row.history_from is None else row.history_from
    first = end
    while end > since:
        start = max(since, end - STRETCH)
        yield start, end, (first - start) / (first - since)
        end = start


def _read(
    workspace_id: int, row: PullProgress, start: datetime, end: datetime, report: Report, *, clock: Clock
) -> None:
    which = LISTS[row.kind]
    fields = ("start_timestamp", "end_timestamp") if which.has_end else ("start_timestamp",)
    for field in fields:
        criteria = pull.within(field, start, end)
        for page in _patiently(workspace_id, which.path, criteria, clock=clock):
            pull.take(row.kind, page, report, now=clock())
    # A stretch that is read again in between moves it back only.
    rows = PullProgress.objects.filter(pk=row.pk)
    if row.history_from is None or start < row.history_from:
        rows.update(history_from=start)
        row.history_from = start


def _patiently(workspace_id: int, path: str, criteria: dict[str, Any], *, clock: Clock) -> Iterator[list[Any]]:
    """The pages; a stretch that broke off is begun again, which its ids make harmless."""
    gives_up_at = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            with connection.client(workspace_id, clock=clock) as uponai:
                yield from uponai.pages(path, criteria, limit=pull.PAGE)
            return
        except UponaiTrouble as trouble:
            will_pass = isinstance(trouble, Waiting) and trouble.until is not None
            if time.monotonic() > gives_up_at or not (will_pass or trouble.ambiguous):
                raise
            time.sleep(LOOK_AGAIN_SECONDS)
