"""The end by time of what holds for a time: by comparison of times for everybody, carried through by a sweep."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from django.db import models

from accounts.scoping import unscoped
from accounts.workspaces import taking_turns

AT_MOST: Final = 500


def settle_each(rows: Callable[[], models.QuerySet[Any]], settle: Callable[..., object], *, now: datetime) -> int:
    """Runs `settle(row, now=now)` for each of `rows()` that has run out, one transaction each. Answers how many."""

    def expired() -> models.QuerySet[Any]:
        return rows().filter(expires_at__lte=now)

    with unscoped(reason="the sweep serves every workspace"):
        due = list(expired().order_by("expires_at", "pk").values_list("workspace_id", "pk")[:AT_MOST])
    settled = 0
    for workspace_id, pk in due:
        with taking_turns(workspace_id):
            # It may have been extended or settled since.
            row = expired().select_for_update().filter(pk=pk).first()
            if row is not None:
                settle(row, now=now)
                settled += 1
    return settled
