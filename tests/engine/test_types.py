"""The JSON shapes that policies, snapshots and attempts are stored and replayed in."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from policies.engine.limits import Limit, LimitName
from policies.engine.types import (
    Approval,
    Attempt,
    Channel,
    DirectionRules,
    Holds,
    HoldScope,
    HoldSnapshot,
    KeySnapshot,
    KycRules,
    MalformedRules,
    NumberClass,
    NumberSnapshot,
    RuleAction,
    Snapshot,
)
from tests.engine.worlds import OURS, make_attempt, make_rules, make_snapshot

RULES = {
    "mode": "list",
    "countries": ["CA", "US"],
    "class_rules": {"premium_rate": "block", "satellite": "challenge"},
    "prefix_rules": [{"prefix": "+4474", "action": "guard"}, {"prefix": "+1900", "action": "block"}],
}


def test_keeps_rules_through_their_json_shape() -> None:
    rules = DirectionRules.from_dict(json.loads(json.dumps(RULES)))

    assert rules.as_dict() == RULES
    assert rules.class_rules[NumberClass.SATELLITE] == RuleAction.CHALLENGE
    assert rules.country_list == ("CA", "US")


LATER = {
    "observing": True,
    "observed_classes": ["premium_rate", "satellite"],
    "captcha": True,
    "kyc_rules": {"channels": {"sms": 1}, "exposure_tiers": {"T2": 2}},
    "limits": {"destination": {"limit": 3, "window": 600}, "caller": None},
    "withheld": "guard",
}


def test_keeps_what_came_later_and_writes_it_only_where_it_is_set() -> None:
    rule = {"prefix": "+4474", "action": "block", "observing": True}
    full = RULES | LATER | {"prefix_rules": [rule]}

    assert DirectionRules.from_dict(json.loads(json.dumps(full))).as_dict() == full
    assert DirectionRules.from_dict(full | NOTHING).as_dict() == RULES | {"prefix_rules": [rule]}


NOTHING = {
    "observing": False,
    "observed_classes": [],
    "captcha": False,
    "kyc_rules": {},
    "limits": {},
    "withheld": None,
}


def test_reads_missing_parts_as_the_closed_reading() -> None:
    rules = DirectionRules.from_dict({})

    assert rules.country_list == ()
    assert not rules.is_unrestricted


def test_tells_no_restriction_from_an_empty_list() -> None:
    assert DirectionRules.from_dict({"mode": "unrestricted"}).country_list is None


@pytest.mark.parametrize(
    ("shape", "names"),
    [
        ([], "object"),
        (None, "object"),
        ({"mode": "open"}, "mode"),
        ({"mode": None}, "mode"),
        ({"mode": []}, "mode"),
        ({"countries": "US"}, "countries"),
        ({"countries": ["us"]}, "countries"),
        ({"countries": ["USA"]}, "countries"),
        ({"countries": [1]}, "countries"),
        ({"countries": [["US"]]}, "countries"),
        ({"class_rules": ["mobile"]}, "class_rules"),
        ({"class_rules": {"cheap": "block"}}, "class_rules"),
        ({"class_rules": {"mobile": "deny"}}, "class_rules.mobile"),
        ({"class_rules": {"mobile": []}}, "class_rules.mobile"),
        ({"prefix_rules": {"+1": "block"}}, "prefix_rules"),
        ({"prefix_rules": ["+1"]}, "prefix_rules"),
        ({"prefix_rules": [{"prefix": "1", "action": "block"}]}, "prefix_rules"),
        ({"prefix_rules": [{"prefix": "+1"}]}, "prefix_rules"),
        ({"prefix_rules": [{"prefix": "+1", "action": "block"}] * 2}, "twice"),
        ({"prefix_rules": [{"prefix": "+1", "action": "block", "observing": 1}]}, "prefix_rules .*observing"),
        ({"observing": "yes"}, "observing"),
        ({"observed_classes": "mobile"}, "observed_classes"),
        ({"observed_classes": ["cheap"]}, "observed_classes"),
        ({"observed_classes": [[]]}, "observed_classes"),
        ({"captcha": 1}, "captcha"),
        ({"kyc_rules": None}, "kyc_rules"),
        ({"limits": {"ip": {}}}, "limits.ip"),
        ({"withheld": "deny"}, "withheld"),
        ({"withheld": []}, "withheld"),
    ],
)
def test_refuses_malformed_rules_and_names_the_field(shape: Any, names: str) -> None:
    with pytest.raises(MalformedRules, match=names):
        DirectionRules.from_dict(shape)


def test_keeps_a_snapshot_through_json() -> None:
    snapshot = make_snapshot(inbound=make_rules(**RULES), outbound=make_rules(mode="unrestricted"))

    again = Snapshot.from_dict(json.loads(json.dumps(snapshot.as_dict())))

    assert again == snapshot
    assert again.numbers[OURS].policy_id == 3


def test_keeps_keys_lists_subjects_and_prices_through_json() -> None:
    held = HoldSnapshot(4, HoldScope.IP, "203.0.113.0/24", None, channel=Channel.SMS)
    key = KeySnapshot(
        id=5,
        key="pk_example",
        active=True,
        domains=frozenset({"example.com"}),
        channels=frozenset({"chat"}),
        retires_at_ms=1_780_000_000_000,
        phone_number=OURS,
        agent="agent_1",
        agent_version="3",
        allowed_fields=frozenset({"metadata"}),
        fraud_protection=False,
        captcha="turnstile",
        captcha_threshold=0.7,
        kyc_level=2,
        kyc_rules=KycRules({"sms": 1}, {"T2": 2}),
        limits={LimitName.IP: Limit(5, 60), LimitName.KEY: None},
        observing=True,
    )
    plain = make_snapshot()
    number = NumberSnapshot(1, OURS, 3, "agent_2", observing=True)
    full = replace(
        plain,
        numbers={OURS: number},
        **{name: Holds.of([held]) for name in ("holds", "opens", "trusted", "blocked")},
        keys={key.key: key},
        subjects={"patient-7": (Approval(2, 1_780_000_000_000), Approval(1))},
        limits={LimitName.WORKSPACE: Limit(10, 60)},
        agent_minute_price=Decimal("0.07"),
        carrier_prices={"GB": Decimal("0.05")},
    )

    assert Snapshot.from_dict(json.loads(json.dumps(full.as_dict()))) == full
    early = {name: part for name, part in plain.as_dict().items() if name in EARLIER_PARTS}
    assert Snapshot.from_dict(early) == plain


EARLIER_PARTS = ("workspace_id", "version", "home_country", "numbers", "policies", "holds")


def test_keeps_an_attempt_through_json() -> None:
    attempt = make_attempt("inbound", "+447400123456", ip="203.0.113.7", call_reference="call_1", channel="sms")

    assert Attempt.from_json(json.loads(json.dumps(attempt.as_dict()))) == attempt
    assert (attempt.peer_number, attempt.own_number) == ("+447400123456", OURS)
