"""Edits while workers and Valkey are killed and UponAI fails in every way it can. Nothing is lost."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field

import pytest

from tests.faults.judging import REPAIRED_SECONDS, arrivals, unlawful
from tests.faults.rig import NIGHTLY, Account, Rig, say, until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(7200 if NIGHTLY else 240)]

EDITS, NUMBERS, KILLS = (10_000, 500, 50) if NIGHTLY else (500, 25, 3)
EDITING_SECONDS, MOST_SECONDS = (540, 1800) if NIGHTLY else (10, 20)
"""How long the edits take on a machine that is free, and when there are to be no more of them on one that is not."""
KILLING = EDITING_SECONDS * (0.9 if NIGHTLY else 0.6)
"""What a killed worker had in its hand is free again when its lease ends; the last edits of a short run wait for it."""
SEED = 20261121
EQUAL_SECONDS = 60
COUNTRIES = ["US", "CA", "GB", "DE", "FR", "ES", "IT", "NL", "BE", "AT", "CH", "SE", "NO", "DK", "FI", "IE", "PT", "PL"]
SHARED = ["Shared one", "Shared two"]
# As long as they may be for the run to be short: the console's own patience is shorter in no case.
FAULTS = {"rate": 0.2, "seed": SEED, "hold_seconds": 1.5, "drip_seconds": 1.0, "late_seconds": [0.5, 8.0]}


@dataclass
class Chaos:
    """Which processes die when, in one order for one seed."""

    rig: Rig
    dice: random.Random
    started: float = field(default_factory=time.monotonic)
    struck: float = field(default_factory=time.monotonic)
    killed: int = 0
    flushed: int = 0
    stores_killed: int = 0

    def seconds(self) -> float:
        return time.monotonic() - self.started

    def strike(self) -> None:
        """The next blow, once its time has come."""
        if self.killed == KILLS or time.monotonic() < self.struck + KILLING / (KILLS + 1):
            return
        at_work = [name for name in self.rig.workers if self.rig.works(name)]
        if not at_work:
            return
        self.killed, self.struck = self.killed + 1, time.monotonic()
        self.rig.kill_worker(self.dice.choice(at_work))
        self.rig.flush_valkey()
        self.flushed += 1
        if self.killed % 3 == 0:
            self.rig.kill_valkey()
            self.rig.start_valkey()
            self.stores_killed += 1


def _one_edit(account: Account, dice: random.Random) -> None:
    e164 = dice.choice(account.e164s)
    lists = {name: sorted(dice.sample(COUNTRIES, dice.randint(1, 6))) for name in ("inbound", "outbound")}
    verb = dice.choices(("edit", "edit_policy", "assign", "revert", "hold", "lift"), weights=(80, 6, 5, 4, 3, 2))[0]
    if verb == "edit":
        account.do("edit", e164=e164, **lists)
    elif verb == "edit_policy":
        account.do("edit_policy", name=dice.choice(SHARED), **lists)
    elif verb == "assign":
        account.do("assign", e164=e164, name=dice.choice(SHARED))
    elif verb == "revert":
        account.do("revert", e164=e164)
    else:
        account.do(verb, scope="country", value=dice.choice(COUNTRIES[3:6]))


def test_nothing_is_lost_while_everything_fails(rig: Rig) -> None:
    account, dice = (
        rig.found("kills", numbers=NUMBERS, inbound=["US", "CU"], requests_per_second=100),
        random.Random(SEED),
    )
    for place, name in enumerate(SHARED):
        account.do("share", name=name, e164s=account.e164s[place::3])
    rig.post("faults", **FAULTS)
    chaos = Chaos(rig, dice)
    while (account.edits < EDITS or chaos.killed < KILLS) and (chaos.seconds() < MOST_SECONDS or not chaos.killed):
        _one_edit(account, dice)
        chaos.strike()
        ahead = account.edits / EDITS * EDITING_SECONDS - chaos.seconds()
        time.sleep(max(0.0, min(ahead, 1.0)))
    editing, injected = chaos.seconds(), rig.get("faults")["injected"]
    rig.post("faults", rate=0)

    equal = account.until_equal(seconds=EQUAL_SECONDS, what="remote equals local")
    until(lambda: not rig.get("faults")["late"], seconds=EQUAL_SECONDS, what="nothing is to come late any more")
    account.until_equal(seconds=REPAIRED_SECONDS, what="what was applied late is repaired")
    found = arrivals(account)
    say(
        f"S1: {account.edits} of {EDITS} edits on {NUMBERS} numbers in {editing:.0f} s, {chaos.killed} of {KILLS} "
        f"workers killed at work, Valkey flushed {chaos.flushed} and killed {chaos.stores_killed} times; seed {SEED}"
    )
    say(f"S1: {found.changes} changes at UponAI; faults {injected}")
    say(
        f"S1: remote equals local for {NUMBERS} of {NUMBERS} after {equal:.1f} s; lost: {len(account.lost())}; older "
        f"after newer: {len(found.stale)}; late ones {len(found.late)}, repaired after "
        f"{max(found.late, default=0):.1f} s at most (limits: {EQUAL_SECONDS} s, 0, 0, {REPAIRED_SECONDS} s)"
    )
    assert found.stale == []
    assert found.never_repaired == []
    assert max(found.late, default=0) <= REPAIRED_SECONDS
    assert unlawful(account) == []
    assert account.lost() == []
