"""Class and prefix rules, the platform's and a policy's own."""

from __future__ import annotations

import pytest

from policies.engine import defaults
from policies.engine.types import Direction, NumberClass, RuleAction
from tests.engine.worlds import KEY, OPEN, judge, make_rules, make_snapshot, with_key


@pytest.mark.parametrize(
    "text",
    [
        "+19002345678",
        "+15002345678",
        "+16222345678",
        "+16002345678",
        "+447012345678",
        "+447640123456",
        "+449012345678",
        "+448451234567",
        "+80012345678",
        "+80812345678",
        "+979123456789",
        "+870773111632",
        "+8816123456789",
        "+881812345678",
        "+882161234567",
        "+883510012345",
        "+61147123456",
    ],
)
def test_blocks_costly_classes_outbound_by_default_and_not_inbound(text: str) -> None:
    outbound = judge("outbound", text, OPEN)

    assert outbound.verdict == "block"
    assert outbound.reason in ("number_class_blocked", "prefix_blocked")
    assert judge("inbound", text, OPEN).verdict == "allow"


@pytest.mark.parametrize("text", ["+443331234567", "+445612345678", "+447400123456", "+14155551234"])
def test_leaves_ordinary_classes_to_the_country_list(text: str) -> None:
    assert judge("outbound", text, OPEN).verdict == "allow"


@pytest.mark.parametrize("text", ["+18002345678", "+18882345678", "+448001234567"])
def test_dials_toll_free_numbers_for_backends_and_not_for_public_keys(text: str) -> None:
    assert judge("outbound", text, OPEN).verdict == "allow"
    assert judge("outbound", text, with_key(OPEN), public_key=KEY).reason == "number_class_blocked"


@pytest.mark.parametrize("text", ["+380652123456", "+380692123456", "+380711234567", "+380721234567"])
@pytest.mark.parametrize("direction", ["inbound", "outbound"])
def test_blocks_occupied_areas_behind_the_ukrainian_code_by_default(direction: str, text: str) -> None:
    assert judge(direction, text, OPEN).reason == "prefix_blocked"


@pytest.mark.parametrize("text", ["+380621234567", "+380642123456"])
def test_looks_twice_at_oblasts_that_are_partly_occupied(text: str) -> None:
    outbound, inbound = judge("outbound", text, OPEN), judge("inbound", text, OPEN)

    assert (outbound.verdict, outbound.reason) == ("challenge", "captcha_required")
    assert (inbound.verdict, inbound.reason) == ("guard", "prefix_blocked")


def test_lets_the_longest_prefix_win_and_the_policy_before_the_platform() -> None:
    rules = [
        {"prefix": "+44", "action": "block"},
        {"prefix": "+4474", "action": "allow"},
        {"prefix": "+447418", "action": "block"},
        {"prefix": "+979", "action": "allow"},
    ]
    snapshot = make_snapshot(outbound=make_rules(mode="unrestricted", prefix_rules=rules))

    verdicts = {
        text: judge("outbound", text, snapshot).verdict
        for text in ("+442083661177", "+447400123456", "+447418512345", "+979123456789")
    }

    assert list(verdicts.values()) == ["block", "allow", "block", "allow"]


def test_never_lets_a_prefix_or_class_rule_open_a_sanctioned_country() -> None:
    rules = make_rules(
        mode="unrestricted",
        class_rules={name.value: "allow" for name in NumberClass},
        prefix_rules=[{"prefix": "+7", "action": "allow"}, {"prefix": "+53", "action": "allow"}],
    )
    snapshot = make_snapshot(inbound=rules, outbound=rules)

    for direction in ("inbound", "outbound"):
        for text in ("+79161234567", "+5351234567"):
            assert judge(direction, text, snapshot).reason == "sanctioned_country"


def test_default_rules_never_allow() -> None:
    actions = [rule.action for direction in Direction for rule in defaults.PREFIX_RULES[direction]]
    actions += [action for direction in Direction for action in defaults.CLASS_RULES[direction].values()]

    assert RuleAction.ALLOW not in actions
    assert actions


def test_keeps_numbers_without_a_country_off_every_list() -> None:
    rules = make_rules(class_rules={"satellite": "allow", "international_network": "allow"})
    snapshot = make_snapshot(inbound=rules, outbound=rules)

    for direction in ("inbound", "outbound"):
        for text in ("+8816123456789", "+80012345678"):
            verdict = judge(direction, text, snapshot)

            assert (verdict.verdict, verdict.reason) == ("block", "country_not_allowed")
            assert verdict.counterfactuals == ()
