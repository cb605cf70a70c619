"""Workers that end while they work, and clocks that ring twice."""

from __future__ import annotations

import pytest

from tests.faults.judging import arrivals, sent_twice
from tests.faults.rig import NIGHTLY, Rig, once_is_enough, say, until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(3600 if NIGHTLY else 240)]

SYNCED_SECONDS = 60
SHUTDOWN_SECONDS = 30
CYCLES = 100 if NIGHTLY else 1
BUSY_NUMBERS = 20
COUNTRIES = ["US", "CA", "GB", "DE", "FR", "ES", "IT", "NL", "BE", "AT", "CH", "SE", "NO", "DK", "FI"]


@once_is_enough
def test_a_worker_that_is_asked_to_end_loses_nothing(rig: Rig) -> None:
    """S11."""
    account = rig.found("ending", numbers=BUSY_NUMBERS, requests_per_second=20)
    account.do("share", name="For all", e164s=account.e164s)
    account.until_equal(seconds=SYNCED_SECONDS, what="all follow one policy")
    slowest = 0.0
    for cycle in range(CYCLES):
        last = account.requests()[-1]["n"]
        country = COUNTRIES[cycle % len(COUNTRIES)]
        account.do("edit_policy", name="For all", inbound=[country], outbound=[country, "US", "MX"])
        until(lambda last=last: account.requests(last), seconds=SYNCED_SECONDS, what="the workers are at it")
        ending = [rig.family.children[name] for name in rig.workers]
        for child in ending:
            child.signal(15)
        gone = until(
            lambda ending=ending: not any(child.is_alive() for child in ending),
            seconds=SHUTDOWN_SECONDS,
            what="the workers have ended",
        )
        slowest = max(slowest, gone)
        rig.ensure(workers=2)

    took = account.until_equal(seconds=SYNCED_SECONDS, what="nothing was lost")
    say(
        f"S11: {CYCLES} times asked to end during {BUSY_NUMBERS} updates: gone after {slowest:.1f} s at most; "
        f"all applied {took:.1f} s after the last start"
    )
    assert arrivals(account).stale == []


def test_two_beats_and_two_sweepers_do_everything_once(rig: Rig) -> None:
    """S6."""
    rig.ensure(workers=2, beats=2)
    account = rig.found("twice", numbers=BUSY_NUMBERS)
    account.do("share", name="For all", e164s=account.e164s)
    account.until_equal(seconds=SYNCED_SECONDS, what="all follow one policy")
    last = account.requests()[-1]["n"]
    account.do("edit_policy", name="For all", inbound=["DE"], outbound=["FR"])
    account.until_equal(seconds=SYNCED_SECONDS, what="the edit has arrived")
    twice = sent_twice(account, last)
    slots = rig.editor.ask("slots")
    rig.ensure(beats=1)
    say(f"S6: two beats, two workers: {len(twice)} of {BUSY_NUMBERS} numbers updated twice; {slots}")
    assert twice == {}
