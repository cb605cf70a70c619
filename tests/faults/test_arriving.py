"""What arrives late, what nobody rang for, what UponAI only seems to have done."""

from __future__ import annotations

import contextlib
import signal

import pytest

from tests.faults.judging import REPAIRED_SECONDS, arrivals
from tests.faults.rig import NIGHTLY, Account, Died, Rig, once_is_enough, say, until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(900 if NIGHTLY else 240)]

SWEPT_SECONDS = 60
UNRUNG = 20 if NIGHTLY else 1
CASES = 4  # one more would open the breaker


def _met(account: Account) -> int:
    return sum(entry["fault"] is not None for entry in account.requests())


@once_is_enough
def test_an_update_that_uponai_applies_late_is_put_right(rig: Rig) -> None:
    """S2."""
    account = rig.found("late", numbers=CASES)
    rig.post("faults", rate=1, kinds=["late_apply"], methods=["PATCH"], keys=[account.key], late_seconds=[6, 8])
    for e164 in account.e164s:
        account.do("edit", e164=e164, inbound=["DE"], outbound=["FR"])
    until(lambda: _met(account) >= CASES, seconds=SWEPT_SECONDS, what="the updates meet the fault")
    rig.post("faults", rate=0)
    for e164 in account.e164s:
        account.do("edit", e164=e164, inbound=["GB"], outbound=["ES"])
    account.until_equal(seconds=SWEPT_SECONDS, what="the newer lists have arrived")

    until(lambda: not rig.get("faults")["late"], seconds=30, what="nothing is to come late any more")
    account.until_equal(seconds=REPAIRED_SECONDS, what="the newer lists are there again")
    found = arrivals(account)
    slowest = max(found.late, default=0)
    say(f"S2: {len(found.late)} applied late, after a newer one; repaired after {slowest:.1f} s at most")
    assert (found.stale, found.never_repaired) == ([], [])
    assert 0 < slowest <= REPAIRED_SECONDS


def test_an_edit_arrives_although_its_process_died_before_it_could_ring(rig: Rig) -> None:
    """S5."""
    account = rig.found("unrung", numbers=UNRUNG)
    for e164 in account.e164s:
        with contextlib.suppress(Died):
            account.do("edit", e164=e164, inbound=["DE"], outbound=["FR"], die=True)
        rig.editor.start()

    assert all(row["desired_generation"] > 1 and row["lists"]["inbound"] == ["DE"] for row in account.local())
    took = account.until_equal(seconds=SWEPT_SECONDS, what="the sweep found what nobody rang for")
    say(f"S5: {UNRUNG} of {UNRUNG} applied {took:.1f} s after the last process died between commit and bell")


@once_is_enough
def test_an_edit_does_not_wait_for_a_broker_that_hangs_or_is_gone(rig: Rig) -> None:
    """S14."""
    account = rig.found("broker", numbers=2)
    store = rig.family.children["valkey"]
    store.signal(signal.SIGSTOP)
    try:
        account.do("edit", e164=account.e164s[0], inbound=["DE"], outbound=["FR"])
        hung = rig.editor.seconds
    finally:
        store.signal(signal.SIGCONT)
    rig.kill_valkey()
    account.do("edit", e164=account.e164s[1], inbound=["DE"], outbound=["FR"])
    gone = rig.editor.seconds
    rig.start_valkey()

    took = account.until_equal(seconds=SWEPT_SECONDS, what="both edits have arrived")
    say(
        f"S14: an edit took {hung * 1000:.0f} ms with a broker that hangs, {gone * 1000:.0f} ms with none; "
        f"both applied {took:.1f} s after it was back"
    )
    assert max(hung, gone) < 2  # a wait for the broker would be one of its timeouts: 2, 6, 30 s


@once_is_enough
def test_lists_shown_in_another_order_and_case_are_no_drift(rig: Rig) -> None:
    """S9."""
    account = rig.found("spelling", numbers=3)
    rig.post("settings", shown_lists="reordered_lower_case")
    try:
        for e164 in account.e164s:
            account.do("edit", e164=e164, inbound=["DE", "AT", "CH"], outbound=["FR", "BE"])
        account.until_equal(seconds=SWEPT_SECONDS, what="synced although it is spelled otherwise")
    finally:
        rig.post("settings", shown_lists="as_sent")
    assert {row["error"] for row in account.local()} == {""}


@once_is_enough
def test_a_yes_after_which_nothing_changed_is_no_success(rig: Rig) -> None:
    """S9."""
    account = rig.found("seeming", numbers=1)
    rig.post("faults", rate=1, kinds=["noop_200"], methods=["PATCH"], keys=[account.key])
    account.do("edit", e164=account.e164s[0], inbound=["DE"], outbound=["FR"])
    until(lambda: account.local()[0]["error"], seconds=SWEPT_SECONDS, what="it is seen that UponAI did nothing")
    row = account.local()[0]
    assert row["applied_generation"] < row["desired_generation"]
    assert row["state"] != "synced"

    rig.post("faults", rate=0)
    took = account.until_equal(seconds=SWEPT_SECONDS, what="the lists have arrived")
    say(f"S9: a yes without effect was seen ({row['state']}: {row['error']}); applied {took:.1f} s after it ended")
