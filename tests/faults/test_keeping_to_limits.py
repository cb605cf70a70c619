"""Rate limits and refused keys: of one workspace alone, and kept to the second."""

from __future__ import annotations

import time

import pytest

from tests.faults.judging import most_at_once, too_early
from tests.faults.rig import NIGHTLY, Rig, once_is_enough, say, until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(3600 if NIGHTLY else 240), once_is_enough]

SYNCED_SECONDS = 60
RETRY_AFTER = 4
STORM_SECONDS = 9
NUMBERS, RATE = (10_000, 100) if NIGHTLY else (100, 25)
LEAST_USED = 0.95 if NIGHTLY else 0.4
"""A run of ordinary size shares its processors with other tests, which a rate feels."""
CATCHING_UP_SECONDS = 0.25
"""So much of a moment's delay is made up for."""
MOST_AT_ONCE = 16


def test_a_storm_of_429_is_waited_out_and_delays_nobody_else(rig: Rig) -> None:
    """S7."""
    stormy, calm = rig.found("stormy", numbers=10), rig.found("calm", numbers=10)
    calm.do("edit", e164=calm.e164s[0], inbound=["IT"], outbound=["IT"])
    usual = calm.until_equal(seconds=SYNCED_SECONDS, what="an edit in good weather arrives")
    rig.post("faults", rate=1, kinds=["429"], retry_after=RETRY_AFTER, keys=[stormy.key])
    for e164 in stormy.e164s:
        stormy.do("edit", e164=e164, inbound=["DE"], outbound=["FR"])
    until(lambda: stormy.requests()[-1]["status"] == 429, seconds=SYNCED_SECONDS, what="the first 429")
    ends_at, delays = time.monotonic() + STORM_SECONDS, []
    for countries in (["GB"], ["DE"], ["ES"], ["FR"]):
        calm.do("edit", e164=calm.e164s[0], inbound=countries, outbound=countries)
        delays.append(calm.until_equal(seconds=SYNCED_SECONDS, what="the other workspace's edit arrives"))
    time.sleep(max(0.0, ends_at - time.monotonic()))
    refused = sum(entry["status"] == 429 for entry in stormy.requests())
    early = too_early(stormy, RETRY_AFTER)
    rig.post("faults", rate=0)

    took = stormy.until_equal(seconds=SYNCED_SECONDS, what="all arrives after the storm")
    say(
        f"S7: {refused} times refused in {STORM_SECONDS} s, {len(early)} requests earlier than told; the other "
        f"workspace's edits took {max(delays):.1f} s at most (before: {usual:.1f} s); all applied {took:.1f} s after it"
    )
    assert early == []


def test_a_refused_key_stops_its_workspace_until_there_is_another(rig: Rig) -> None:
    """S8."""
    account, other = rig.found("revoked", numbers=10), rig.found("beside", numbers=1)
    rig.admit_keys(account.key)
    before = len(account.requests())
    for e164 in account.e164s:
        account.do("edit", e164=e164, inbound=["DE"], outbound=["FR"])
    until(lambda: account.requests()[-1]["status"] == 401, seconds=SYNCED_SECONDS, what="the key is refused")
    other.do("edit", e164=other.e164s[0], inbound=["DE"], outbound=["FR"])
    other.until_equal(seconds=SYNCED_SECONDS, what="the other workspace goes on")
    tried = len(account.requests()) - before
    rig.rename_key(account)

    took = account.until_equal(seconds=SYNCED_SECONDS, what="all arrives with the new key")
    say(f"S8: {tried} requests with the refused key for 10 edits; all 10 applied {took:.1f} s after the new key")
    assert tried <= len(account.e164s)


def test_one_edit_for_many_numbers_uses_the_rate_and_keeps_to_it(rig: Rig) -> None:
    account = rig.found("rate", numbers=NUMBERS, requests_per_second=500)
    account.do("share", name="For all", e164s=account.e164s)
    account.until_equal(seconds=SYNCED_SECONDS + 5 * NUMBERS / RATE, what="all follow one policy")
    rig.editor.ask("set_budget", account.workspace, requests_per_second=RATE)
    rig.post("settings", rps=RATE)
    last = account.requests()[-1]["n"]
    try:
        account.do("edit_policy", name="For all", inbound=["DE", "AT"], outbound=["DE"])
        took = account.until_equal(seconds=60 + 5 * NUMBERS / RATE, what="the edit has arrived everywhere")
    finally:
        rig.post("settings", rps=0)
    entries = account.requests(last)
    seconds = (entries[-1]["at"] - entries[0]["at"]) / 1000
    rate = (len(entries) - 1) / seconds
    refused, at_once = sum(entry["status"] == 429 for entry in entries), most_at_once(entries)
    say(
        f"Rate: one edit for {NUMBERS} numbers at {RATE} requests/s: {len(entries)} requests in {took:.1f} s, "
        f"{rate:.2f}/s = {rate / RATE:.1%} of the limit, {refused} refused, {at_once} at once at most"
    )
    assert refused <= len(entries) * 0.02
    assert len(entries) - 1 <= 1.02 * RATE * (seconds + CATCHING_UP_SECONDS)
    assert rate >= LEAST_USED * RATE
    assert at_once <= MOST_AT_ONCE
