"""The JSON shapes that policies, snapshots and attempts are stored and replayed in."""

from __future__ import annotations

import json
from typing import Any

import pytest

from policies.engine.types import Attempt, DirectionRules, MalformedRules, NumberClass, RuleAction, Snapshot
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


def test_keeps_an_attempt_through_json() -> None:
    attempt = make_attempt("inbound", "+447400123456", ip="203.0.113.7", call_reference="call_1", channel="sms")

    assert Attempt.from_json(json.loads(json.dumps(attempt.as_dict()))) == attempt
    assert (attempt.peer_number, attempt.own_number) == ("+447400123456", OURS)
