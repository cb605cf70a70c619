"""The judge of the scenarios is right: it sees what was sent too late, and what was put right and what was not."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tests.faults.judging import LISTS, arrivals, most_at_once, too_early

NUMBER = "+12015550100"
FIRST, SECOND, THIRD = (frozenset({code}) for code in ("US", "DE", "FR"))


def _account(applied: list[str], *, late: tuple[int, ...] = ()) -> Any:
    """An account whose number had three generations of lists and got `applied`, a second apart."""
    log = [
        {"n": n, "time": n * 1000, "method": "PATCH", "path": f"/update-phone-number/{NUMBER}"}
        | {"body": {name: [country] for name in LISTS}}
        for n, country in enumerate(applied, start=1)
    ]
    requests = [{"change": entry["n"], "fault": "late_apply" if entry["n"] in late else None} for entry in log]
    history = {NUMBER: [(number, lists, lists) for number, lists in enumerate((FIRST, SECOND, THIRD), start=1)]}
    rig = SimpleNamespace(get=lambda path, after: log)
    return SimpleNamespace(e164s=[NUMBER], history=history, rig=rig, starts_after=0, requests=lambda after=0: requests)


@pytest.mark.parametrize(
    ("applied", "late", "stale", "repaired", "never"),
    [
        (["US", "DE", "DE", "FR"], (), 0, [], []),
        (["US", "FR"], (), 0, [], []),
        (["FR", "DE", "FR"], (), 1, [], []),
        (["FR", "DE", "US", "FR"], (2, 3), 0, [2.0], []),
        (["FR", "DE"], (2,), 0, [], [NUMBER]),
        (["US", "GB"], (), 1, [], []),
    ],
)
def test_sees_what_came_after_what_is_newer(
    applied: list[str], late: tuple[int, ...], stale: int, repaired: list[float], never: list[str]
) -> None:
    found = arrivals(_account(applied, late=late))

    assert (len(found.stale), found.late, found.never_repaired) == (stale, repaired, never)


def test_sees_requests_that_came_earlier_than_told_and_how_many_there_were_at_once() -> None:
    entries = [
        {"at": 0, "done_at": 100, "status": 429},
        {"at": 50, "done_at": 120, "status": 429},
        {"at": 2_000, "done_at": 2_100, "status": 200},
        {"at": 5_200, "done_at": 5_300, "status": 200},
    ]
    account = SimpleNamespace(requests=lambda: entries)

    assert too_early(account, 4) == [entries[2]]
    assert most_at_once(entries) == 2
