"""The exposure, checked by hand: a minute to the US costs 0.10 + 0.015, to Nigeria 0.30, to Somalia 0.85."""

from __future__ import annotations

import pytest

from policies.engine.exposure import exposure
from policies.engine.holds import Holds, HoldSnapshot
from policies.engine.limits import DAY, HOUR, Limit, LimitName
from policies.engine.names import HoldScope
from policies.engine.rules import DirectionRules
from policies.engine.snapshot import KeySnapshot, NumberSnapshot, PolicySnapshot, Snapshot

NUMBER = "+14155550100"


def a_key(name="pk_1", channels=("phone_call",), **facts):
    known = {"phone_number": NUMBER} | facts
    return KeySnapshot(1, name, True, frozenset(), frozenset(channels), **known)


def a_world(*countries, keys=(), limits=None, rules=None, observing=False, **lists):
    outbound = rules or {"mode": "list", "countries": list(countries)}
    policy = PolicySnapshot(1, 1, DirectionRules(), DirectionRules.from_dict(outbound))
    return Snapshot(
        1,
        1,
        "US",
        numbers={NUMBER: NumberSnapshot(1, NUMBER, 1, observing=observing)},
        policies={1: policy},
        keys={key.key: key for key in keys},
        limits=limits or {},
        **lists,
    )


def test_a_key_at_home_is_bound_by_its_money():
    found = exposure(a_world("US", keys=[a_key()]), tokens=0)

    # 5 at once x 60 minutes x 0.115 = 34.50, of which the key may spend 25.
    assert (found.usd_per_hour, found.bound) == (25.0, "$25 a day per key")
    assert [(line.name, line.usd_per_hour) for line in found.numbers] == [(NUMBER, 25.0)]
    assert exposure(a_world("US", keys=[a_key("a"), a_key("b")]), tokens=0).bound == "$25 a day per key × 2 keys"


@pytest.mark.parametrize(
    ("limits", "usd", "bound"),
    [
        ({LimitName.SPEND_KEY: None}, 34.5, "5 calls at once"),
        ({LimitName.SPEND_KEY: None, LimitName.RUNNING_KEY: Limit(2)}, 13.8, "2 calls at once"),
        # Without a cap on what runs UponAI's own 20 hold: 20 x 60 x 0.115.
        ({LimitName.SPEND_KEY: None, LimitName.RUNNING_KEY: None}, 138.0, "20 calls at once"),
        # 10 attempts an hour of 180 seconds: 30 minutes x 0.115.
        ({LimitName.SPEND_KEY: None, LimitName.KEY: Limit(10, HOUR)}, 3.45, "5 calls at once"),
        ({LimitName.SPEND_KEY: Limit(6, HOUR / 2)}, 12.0, "$6 in 1800 seconds per key"),
    ],
)
def test_the_narrowest_limit_of_the_key_binds(limits, usd, bound):
    found = exposure(a_world("US", keys=[a_key(limits=limits)]), tokens=0)

    assert (found.usd_per_hour, found.bound) == (usd, bound)


def test_what_is_not_known_yet_has_its_own_smaller_caps():
    only_abroad = a_world("NG", "SO", keys=[a_key()])

    # 1.50 for each of the two countries, and 3.00 for all together.
    found = exposure(only_abroad, tokens=0)
    assert found.usd_per_hour == 3.0
    assert [(line.name, line.usd_per_hour, line.also) for line in found.countries] == [
        ("NG", 1.5, "T2"),
        ("SO", 1.5, "T1"),
    ]
    assert {line.name: line.usd_per_hour for line in found.tiers} == {"T1": 1.5, "T2": 1.5}
    # Two keys share what may be spent on the unknown. Known, it is 5 x 60 x 0.85, of which the key may spend 25.
    assert exposure(a_world("NG", "SO", keys=[a_key("a"), a_key("b")]), tokens=0).usd_per_hour == 3.0
    assert exposure(only_abroad, tokens=0, known_countries=frozenset({"SO"})).usd_per_hour == 25.0


def test_half_of_a_shared_cap_is_kept_for_the_known():
    limits = {LimitName.SPEND_NEW_DESTINATIONS: None, LimitName.SPEND_NEW_COUNTRY: None, LimitName.SPEND_KEY: None}

    # 2 of 5 at once to Somalia: 2 x 60 x 0.85 = 102, and the other 3 at home: 3 x 60 x 0.115 = 20.70.
    found = exposure(a_world("US", "SO", keys=[a_key(limits=limits)]), tokens=0)

    assert found.usd_per_hour == 122.7
    half = limits | {LimitName.SPEND_KEY: Limit(10, DAY)}
    assert exposure(a_world("SO", keys=[a_key(limits=half)]), tokens=0).usd_per_hour == 5.0


def test_messages_are_bound_by_attempts_and_money():
    texts = a_key(channels=("sms",), limits={LimitName.SPEND_KEY: None})

    # 120 in 10 minutes are 720 an hour, 0.008 each at home.
    found = exposure(a_world("US", keys=[texts]), tokens=0)

    assert (found.usd_per_hour, found.bound) == (5.76, "720 attempts an hour")


def test_the_workspace_binds_all_of_them_together():
    limits = {LimitName.SPEND_WORKSPACE: Limit(30, DAY)}
    found = exposure(a_world("US", keys=[a_key("a"), a_key("b")], limits=limits), tokens=1)

    assert (found.usd_per_hour, found.bound) == (30.0, "$30 a day of the workspace")
    free = {LimitName.SPEND_KEY: None, LimitName.RUNNING_KEY: None}
    crowded = a_world("US", keys=[a_key("a", limits=free), a_key("b", limits=free)])
    assert exposure(crowded, tokens=0).bound == "20 calls at once, of all keys and tokens"
    assert exposure(crowded, tokens=0).usd_per_hour == 138.0


def test_a_leaked_private_key_is_bound_by_the_lists_alone():
    found = exposure(a_world("US", "SO"), tokens=0)

    assert (found.usd_per_hour, found.bound) == (0.0, "nothing opens the gate: there is no gate key and no API token")
    # 20 at once x 60 minutes x (0.10 + 0.75)
    assert (found.without_gate.usd_per_hour, found.without_gate.also) == (1020.0, "SO")


def test_holds_take_away_and_opens_add():
    def entry(scope, value):
        return Holds.of([HoldSnapshot(1, scope, value, expires_at_ms=2_000)])

    brake = a_world("US", "SO", keys=[a_key()], holds=entry(HoldScope.WORKSPACE, ""))
    held = a_world("US", "SO", keys=[a_key()], holds=entry(HoldScope.COUNTRY, "SO"))
    opened = a_world("US", keys=[a_key()], opens=entry(HoldScope.COUNTRY, "SO"))

    assert (exposure(brake, tokens=1, at_ms=1_000).without_gate.usd_per_hour) == 0.0
    assert exposure(brake, tokens=0, at_ms=1_000).usd_per_hour == 0.0
    assert exposure(brake, tokens=0, at_ms=3_000).usd_per_hour == 25.0
    assert exposure(held, tokens=0, at_ms=1_000).without_gate.also == "US"
    assert {line.name for line in exposure(opened, tokens=0, at_ms=1_000).countries} == {"US", "SO"}
    assert {line.name for line in exposure(opened, tokens=0, at_ms=3_000).countries} == {"US"}


def test_what_is_only_observed_is_bound_by_uponai_alone():
    found = exposure(a_world("US", keys=[a_key()], observing=True), tokens=0)

    # No limit of the key holds, and premium-rate numbers (3.60) are let through: 20 x 60 x 3.70.
    assert found.usd_per_hour == 4440.0


def test_a_kind_of_number_that_is_let_through_costs_its_own_price():
    rules = {"mode": "list", "countries": ["US"], "class_rules": {"premium_rate": "allow"}}
    free = {LimitName.SPEND_KEY: None}

    # 5 x 60 x (0.10 + 3.60)
    assert exposure(a_world(rules=rules, keys=[a_key(limits=free)]), tokens=0).usd_per_hour == 1110.0


def test_a_retired_key_and_one_that_dials_from_nowhere_burn_nothing():
    retired = a_key("a", retires_at_ms=500)
    loose = a_key("b", phone_number="")

    found = exposure(a_world("US", keys=[retired, loose]), tokens=0, at_ms=1_000)

    assert [(line.name, line.usd_per_hour) for line in found.keys] == [("b", 0.0)]
