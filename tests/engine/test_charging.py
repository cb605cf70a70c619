"""What an attempt is held against: whose counters, which limits are in force, how long it may last, what it costs."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from policies.engine import charging
from policies.engine.limits import KEY_DEFAULTS, MICRO, Charge, Limit, LimitName
from policies.engine.question import Question
from policies.engine.types import NO_COUNTS, Channel, Counts, Snapshot
from tests.engine.worlds import KEY, OPEN, OURS, SITE, judge, make_attempt, make_rules, make_snapshot, with_key

HOME = "+14155552671"
ABROAD = "+447400123456"
KEYED = with_key(OPEN)
ADDRESS = "203.0.113.7"
DOOR = Counts(at_door=True)


def charged(
    peer: Any, snapshot: Snapshot = KEYED, direction: str = "outbound", **values: Any
) -> dict[str, list[Charge]]:
    facts = {"public_key": KEY, "ip": ADDRESS} if direction == "outbound" else {}
    found: dict[str, list[Charge]] = {}
    for charge in judge(direction, peer, snapshot, **(facts | values)).charges:
        found.setdefault(charge.name, []).append(charge)
    return found


def keys_of(charges: dict[str, list[Charge]]) -> dict[str, list[str]]:
    return {name: [charge.key for charge in group] for name, group in charges.items()}


def test_holds_a_call_abroad_against_every_counter() -> None:
    assert keys_of(charged(ABROAD, subject="patient-7")) == {
        "ip_destination": [f"k5|{ADDRESS}|{ABROAD}"],
        "ip_destination_day": [f"k5|{ADDRESS}|{ABROAD}"],
        "ip": [ADDRESS],
        "destination": [ABROAD],
        "destination_prefix": ["k:+44740012"],
        "destinations_per_ip": [ADDRESS],
        "countries_per_ip": [ADDRESS],
        "subject": ["patient-7"],
        "key": ["5"],
        "phone_number": [OURS],
        "workspace": [""],
        "running_key": ["5", "5:new"],
        "running_new_prefix": ["+44740012"],
        "spend_key": ["5", "5:new"],
        "spend_new_destinations": ["key"],
        "spend_new_country": ["key:GB"],
    }


def test_a_backend_does_not_use_up_the_prefix_of_the_pages() -> None:
    assert keys_of(charged(ABROAD, public_key=None))["destination_prefix"] == ["t:+44740012"]


def test_knows_every_destination_at_home() -> None:
    charges = charged(HOME)

    assert not any(charge.only_new for group in charges.values() for charge in group)
    assert not charges.keys() & {"running_new_prefix", "spend_new_destinations", "spend_new_country"}
    assert keys_of(charges)["running_key"] == ["5"]


def test_keeps_half_of_each_shared_cap_for_what_is_known() -> None:
    charges = charged(ABROAD)

    assert [(charge.limit.limit, charge.only_new) for charge in charges["running_key"]] == [(5, False), (2, True)]
    assert [charge.limit for charge in charges["spend_key"]] == [Limit(25, 86_400), Limit(12.5, 86_400)]
    one = charged(ABROAD, with_key(OPEN, limits={LimitName.RUNNING_KEY: Limit(1)}))
    assert [charge.limit.limit for charge in one["running_key"]] == [1, 1]


def test_holds_a_backend_against_its_own_defaults_and_no_key() -> None:
    charges = charged(ABROAD, public_key=None)

    assert keys_of(charges)["ip_destination"] == [f"t|{ADDRESS}|{ABROAD}"]
    assert not charges.keys() & {"key", "running_key", "spend_key"}
    assert charges["spend_new_destinations"][0].limit == Limit(50, 86_400)
    assert keys_of(charges)["spend_new_country"] == ["token:GB"]


def test_takes_the_narrowest_limit_that_is_set() -> None:
    name = LimitName.DESTINATION
    workspace = replace(make_snapshot(), limits={name: Limit(4, 60), LimitName.WORKSPACE: None})
    rules = make_rules(limits={"destination": {"limit": 3, "window": 60}})
    policy = replace(workspace, policies=make_snapshot(outbound=rules).policies)
    key = with_key(policy, limits={name: Limit(2, 60)})
    off = with_key(policy, limits={name: None})

    found = [
        charged(HOME, snapshot).get("destination") for snapshot in (with_key(workspace), with_key(policy), key, off)
    ]

    assert [group and group[0].limit for group in found] == [Limit(4, 60), Limit(3, 60), Limit(2, 60), None]
    assert "workspace" not in charged(HOME, key)
    assert charged(HOME)["destination"][0].limit == KEY_DEFAULTS[name]
    question = Question.of(make_attempt("outbound", HOME, public_key=KEY), off, NO_COUNTS)
    assert charging.effective_limits(question)[name] is None


def test_limits_pairs_only_where_the_key_is_protected() -> None:
    unprotected = with_key(OPEN, fraud_protection=False)

    assert "ip_destination" not in charged(HOME, unprotected)
    assert {"ip", "destination"} <= charged(HOME, unprotected).keys()
    assert "ip_destination" in charged(HOME, unprotected, public_key=None)


NETWORKS = [
    ("203.0.113.7", ["203.0.113.7"]),
    ("::ffff:203.0.113.7", ["203.0.113.7"]),
    ("2001:db8:1:2:3:4:5:6", ["2001:db8:1:2::/64", "2001:db8:1::/56", "2001:db8:1::/48"]),
    ("2001:DB8:1:2ff::9%eth0", ["2001:db8:1:2ff::/64", "2001:db8:1:200::/56", "2001:db8:1::/48"]),
    ("nonsense", ["unknown"]),
    ("10.0.0.1, 10.0.0.2", ["unknown"]),
    ("1" * 5000, ["unknown"]),
    (5, ["unknown"]),
    ({}, ["unknown"]),
]


@pytest.mark.parametrize(("ip", "networks"), NETWORKS, ids=lambda part: str(part)[:30])
def test_counts_an_address_by_its_network(ip: Any, networks: list[str]) -> None:
    charges = keys_of(charged(HOME, ip=ip))

    assert [charges[name][0] for name in ("ip", "ip_56", "ip_48") if name in charges] == networks
    assert charges["destinations_per_ip"] == networks[:1]


def test_gives_all_unknown_addresses_at_a_keys_door_one_bucket_and_skips_them_for_backends() -> None:
    at_key = charged(HOME, ip=None, counts=DOOR, origin=SITE)
    backend = judge("outbound", HOME, OPEN, counts=DOOR)
    asked = judge("outbound", HOME, KEYED, public_key=KEY)

    assert keys_of(at_key)["ip"] == ["unknown"]
    for verdict in (backend, asked):
        assert not {"ip", "ip_destination", "countries_per_ip"} & {charge.name for charge in verdict.charges}
        assert verdict.trace[8].value == "no IP address was told, so IP limits are skipped"
    assert judge("outbound", HOME, OPEN, counts=DOOR, ip=ADDRESS).trace[8].value is None


@pytest.mark.parametrize("channel", [Channel.WEB_CALL, Channel.CHAT])
def test_holds_web_channels_against_no_destination(channel: Channel) -> None:
    charges = charged(None, channel=channel, subject="patient-7", from_number=None)

    expected = {"ip", "subject", "key", "workspace", "spend_key"}
    assert charges.keys() == (expected | {"running_key"} if channel == Channel.WEB_CALL else expected)
    assert not any(charge.only_new for group in charges.values() for charge in group)


def test_counts_messages_as_attempts_that_do_not_run() -> None:
    charges = charged(ABROAD, channel="sms")

    assert {"ip_destination", "destination", "spend_key", "spend_new_country"} <= charges.keys()
    assert not {name for name in charges if name.startswith("running")}


def test_holds_callers_against_their_own_counters() -> None:
    charges = charged(HOME, direction="inbound")

    assert keys_of(charges) == {
        "caller": [HOME],
        "caller_flood": [HOME],
        "called_number": [OURS],
        "short_calls": [HOME],
    }
    guards = {name: group[0].guards for name, group in charges.items()}
    assert guards == {"caller": True, "caller_flood": False, "called_number": True, "short_calls": True}
    assert charges["short_calls"][0].amount == 0
    assert keys_of(charged(HOME, direction="inbound", channel="sms"))["caller"] == [f"sms:{HOME}"]


def test_only_guards_callers_who_show_no_number_and_counts_them_together() -> None:
    assert keys_of(charged("anonymous", direction="inbound")) == {
        "caller": [f"withheld:{OURS}"],
        "called_number": [OURS],
    }


PRICES = [
    (HOME, "phone_call", {}, (0.10 + 0.015) * 3),
    (ABROAD, "phone_call", {}, (0.10 + 0.10) * 3),
    (ABROAD, "phone_call", {"carrier_prices": {"GB": Decimal("0.05")}}, (0.10 + 0.05) * 3),
    (ABROAD, "phone_call", {"agent_minute_price": Decimal("0.07")}, (0.07 + 0.10) * 3),
    (HOME, "sms", {}, 0.008),
    (ABROAD, "sms", {}, 0.04),
    ("+33612345678", "sms", {}, 0.13),
    (None, "web_call", {}, 0.10 * 3),
    (None, "chat", {}, 0.10),
]


@pytest.mark.parametrize(("peer", "channel", "prices", "dollars"), PRICES)
def test_reserves_what_an_attempt_may_cost_at_most(peer: Any, channel: str, prices: Any, dollars: float) -> None:
    verdict = judge("outbound", peer, replace(KEYED, **prices), public_key=KEY, channel=channel)

    assert verdict.reserved_micro == round(dollars * MICRO)
    money = {charge.amount for charge in verdict.charges if charge.measure == "money"}
    assert money == {verdict.reserved_micro}


def test_never_reckons_a_costly_class_at_the_price_of_its_country() -> None:
    rules = make_rules(mode="unrestricted", countries=[], class_rules={"premium_rate": "allow"})
    snapshot = replace(with_key(make_snapshot(outbound=rules)), carrier_prices={"US": Decimal("0.01")})

    assert judge("outbound", "+19002345678", snapshot, public_key=KEY).reserved_micro == round(
        (3.60 + 0.10) * 3 * MICRO
    )


def test_reserves_an_hour_where_nothing_caps_a_call() -> None:
    uncapped = with_key(OPEN, limits={LimitName.CALL_SECONDS: None})
    verdict = judge("outbound", HOME, uncapped, public_key=KEY)

    assert (verdict.call_seconds, verdict.reserved_micro) == (None, round(0.115 * 60 * MICRO))


@pytest.mark.parametrize(
    ("channel", "public_key", "seconds"),
    [
        ("phone_call", KEY, 180),
        ("web_call", KEY, 180),
        ("phone_call", None, 900),
        ("sms", KEY, None),
        ("chat", KEY, None),
    ],
)
def test_caps_the_length_of_what_lasts(channel: str, public_key: str | None, seconds: int | None) -> None:
    assert judge("outbound", HOME, KEYED, public_key=public_key, channel=channel).call_seconds == seconds
    assert judge("inbound", HOME, KEYED, channel="phone_call").call_seconds is None


def test_charges_nothing_to_what_does_not_pass() -> None:
    for peer in ("+5351234567", "911", "+19002345678"):
        verdict = judge("outbound", peer, KEYED, public_key=KEY, ip=ADDRESS)
        assert (verdict.charges, verdict.call_seconds, verdict.reserved_micro) == ((), None, 0)


def test_has_one_counter_for_each_charge() -> None:
    for peer in (HOME, ABROAD):
        charges = judge("outbound", peer, KEYED, public_key=KEY, ip="2001:db8::1", subject="x").charges
        assert len({(charge.name, charge.key) for charge in charges}) == len(charges)
        assert [Charge.from_list(charge.as_list()) for charge in charges] == list(charges)


def test_works_limits_out_once_for_each_combination() -> None:
    first, second = (judge("outbound", HOME, KEYED, public_key=KEY).charges for _ in range(2))

    assert first == second
    other = replace(KEYED, limits={LimitName.KEY: None})
    assert "key" not in charged(HOME, other)
    assert "key" in charged(HOME)
