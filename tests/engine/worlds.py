"""Attempts and snapshots for tests of the engine: explicit, plain, no database."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from policies.engine.decide import decide
from policies.engine.types import (
    Attempt,
    Channel,
    Counts,
    Direction,
    DirectionRules,
    KeySnapshot,
    NumberSnapshot,
    PolicySnapshot,
    RulesMode,
    Snapshot,
    Verdict,
)

OURS = "+14155550100"
LISTED = {"mode": "list", "countries": ["US", "CA"]}
UNRESTRICTED = {"mode": "unrestricted", "countries": []}


def make_rules(**shape: Any) -> DirectionRules:
    return DirectionRules.from_dict(LISTED | shape)


def make_snapshot(
    *,
    inbound: DirectionRules | None = None,
    outbound: DirectionRules | None = None,
    policy_id: int | None = 3,
) -> Snapshot:
    policy = PolicySnapshot(3, 7, inbound or make_rules(), outbound or make_rules())
    number = NumberSnapshot(id=1, e164=OURS, policy_id=policy_id)
    return Snapshot(1, 12, "US", numbers={OURS: number}, policies={3: policy})


KEY = "pk_example"
SITE = "https://www.example.com"


def make_key(**values: Any) -> KeySnapshot:
    facts = {
        "id": 5,
        "key": KEY,
        "active": True,
        "domains": frozenset({"www.example.com"}),
        "channels": frozenset(Channel),
    }
    return KeySnapshot(**(facts | values))


def with_key(snapshot: Snapshot, **values: Any) -> Snapshot:
    key = make_key(**values)
    return replace(snapshot, keys={**snapshot.keys, key.key: key})


OPEN_RULES = DirectionRules(mode=RulesMode.UNRESTRICTED)
LISTING = make_snapshot()
OPEN = make_snapshot(inbound=OPEN_RULES, outbound=OPEN_RULES)


def make_attempt(direction: str, peer: Any, **values: Any) -> Attempt:
    channel = Channel(values.pop("channel", "phone_call"))
    if direction == "inbound":
        return Attempt(Direction.INBOUND, channel, **({"from_number": peer, "to_number": OURS} | values))
    return Attempt(Direction.OUTBOUND, channel, **({"from_number": OURS, "to_number": peer} | values))


def judge(direction: str, peer: Any, snapshot: Snapshot = LISTING, **values: Any) -> Verdict:
    counts, at_ms = values.pop("counts", Counts()), values.pop("at_ms", None)
    return decide(make_attempt(direction, peer, **values), snapshot, counts, at_ms=at_ms)


def outcome(verdict: Verdict, check: str) -> str:
    return next(result.outcome.value for result in verdict.trace if result.check == check)
