"""The judgement as a whole: total, ordered, traced, and honest about what would have made an attempt pass."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from policies.engine import counterfactuals
from policies.engine.decide import decide
from policies.engine.types import (
    Attempt,
    Channel,
    Check,
    Direction,
    DirectionRules,
    PolicySnapshot,
    Snapshot,
    Verdict,
    VerdictKind,
)
from tests.engine.worlds import LISTING, OPEN, OURS, judge, make_attempt, make_rules, make_snapshot, outcome

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=80),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=8,
)
NUMBERS = st.sampled_from(
    [OURS, "+5351234567", "+18765551234", "+14155552671", "+979123456789", "anonymous", "sip:a@b", "911"]
)
ATTEMPTS = st.fixed_dictionaries(
    {},
    optional={
        "direction": st.sampled_from(["inbound", "outbound"]) | ANY_JSON,
        "channel": st.sampled_from([channel.value for channel in Channel]) | ANY_JSON,
        "from_number": NUMBERS | ANY_JSON,
        "to_number": NUMBERS | ANY_JSON,
        "ip": ANY_JSON,
        "public_key": ANY_JSON,
        "origin": ANY_JSON,
        "subject": ANY_JSON,
        "captcha": ANY_JSON,
        "call_reference": ANY_JSON,
    },
)


@settings(max_examples=800, deadline=None)
@given(ATTEMPTS | ANY_JSON, st.sampled_from([LISTING, OPEN]))
@example({"direction": [], "channel": {}}, OPEN)
@example({"to_number": "\ud800+7"}, OPEN)
@example(float("nan"), OPEN)
def test_judges_any_json_value_without_needing_its_safety_net(value: Any, snapshot: Snapshot) -> None:
    attempt = Attempt.from_json(value)

    verdict = decide(attempt, snapshot)

    assert not verdict.degraded
    checks = [result.check.value for result in verdict.trace]
    assert checks == [check.value for check in Check]
    assert (verdict.reason is None) == (verdict.verdict == VerdictKind.ALLOW)
    assert verdict == decide(attempt, snapshot)
    assert verdict.verdict != VerdictKind.CHALLENGE or attempt.direction == Direction.OUTBOUND
    if verdict.reasons:
        assert verdict.reason == verdict.reasons[0]


def test_answers_in_the_published_shape() -> None:
    verdict = judge("outbound", "+5351234567")

    assert verdict.as_dict() == {
        "verdict": "block",
        "reason": "sanctioned_country",
        "reasons": ["sanctioned_country", "country_not_allowed"],
        "peer": {"e164": "+5351234567", "country": "CU", "number_class": "mobile", "flags": []},
        "trace": [
            {"check": "door", "outcome": "skipped", "value": None, "threshold": "not given"},
            {
                "check": "number",
                "outcome": "pass",
                "value": "+5351234567",
                "threshold": "a complete number",
            },
            {"check": "sanctions", "outcome": "fail", "value": "CU", "threshold": "CU IR KP SY RU BY VE"},
            {"check": "holds", "outcome": "pass", "value": None, "threshold": None},
            {"check": "number_class", "outcome": "pass", "value": "mobile", "threshold": "mobile: allow"},
            {"check": "country", "outcome": "fail", "value": "CU", "threshold": "CA US"},
            {"check": "captcha", "outcome": "skipped", "value": None, "threshold": "none is asked for"},
            {"check": "kyc", "outcome": "skipped", "value": None, "threshold": "no level is asked for"},
            {"check": "limits", "outcome": "not_evaluated", "value": None, "threshold": None},
            {"check": "caps", "outcome": "not_evaluated", "value": None, "threshold": None},
        ],
        "counterfactuals": [],
        "policy": {"id": 3, "revision": 7},
        "degraded": False,
    }


def test_allows_what_nothing_speaks_against() -> None:
    for direction in ("inbound", "outbound"):
        verdict = judge(direction, "+14155552671")

        assert (verdict.verdict, verdict.reason, verdict.reasons) == ("allow", None, ())
        assert verdict.counterfactuals == ()


def test_lets_the_first_failed_check_decide_and_names_the_others() -> None:
    verdict = judge("outbound", "+449012345678")

    assert verdict.reasons == ("number_class_blocked", "country_not_allowed")


def test_lets_a_block_decide_before_an_earlier_challenge() -> None:
    snapshot = make_snapshot(outbound=make_rules(class_rules={"mobile": "challenge"}))

    verdict = judge("outbound", "+447400123456", snapshot)

    assert (verdict.verdict, verdict.reasons) == ("block", ("country_not_allowed", "captcha_required"))


def test_asks_outbound_and_guards_inbound_where_a_rule_challenges() -> None:
    rules = make_rules(mode="unrestricted", class_rules={"mobile": "challenge"})
    snapshot = make_snapshot(inbound=rules, outbound=rules)

    outbound = judge("outbound", "+447400123456", snapshot)
    inbound = judge("inbound", "+447400123456", snapshot)

    assert (outbound.verdict, outbound.reason) == ("challenge", "captcha_required")
    assert (inbound.verdict, inbound.reason) == ("guard", "number_class_blocked")


def test_judges_each_direction_by_its_own_rules() -> None:
    snapshot = make_snapshot(inbound=make_rules(countries=["GB"]), outbound=make_rules(countries=["US"]))

    assert judge("inbound", "+447400123456", snapshot).verdict == "allow"
    assert judge("outbound", "+447400123456", snapshot).reason == "country_not_allowed"
    assert judge("inbound", "+14155552671", snapshot).reason == "country_not_allowed"
    assert judge("outbound", "+14155552671", snapshot).verdict == "allow"


@pytest.mark.parametrize("own", ["+14155550199", None, "", 5, [], "+53", {"a": 1}])
@pytest.mark.parametrize("direction", ["inbound", "outbound"])
def test_blocks_when_our_side_is_no_number_of_this_workspace(direction: str, own: Any) -> None:
    side = "to_number" if direction == "inbound" else "from_number"
    attempt = replace(make_attempt(direction, "+14155552671"), **{side: own})

    verdict = decide(attempt, OPEN)

    assert (verdict.verdict, verdict.reason, verdict.policy) == ("block", "unknown_number", None)


def test_finds_our_number_in_another_spelling() -> None:
    attempt = replace(make_attempt("inbound", "+14155552671"), to_number=" 1 (415) 555-0100")

    assert decide(attempt, LISTING).verdict == "allow"


@pytest.mark.parametrize("policy_id", [None, 99])
def test_blocks_when_our_number_follows_no_policy(policy_id: int | None) -> None:
    assert judge("inbound", "+14155552671", make_snapshot(policy_id=policy_id)).reason == "no_policy"


def test_an_empty_list_allows_nothing() -> None:
    snapshot = make_snapshot(outbound=DirectionRules())

    assert judge("outbound", "+14155552671", snapshot).reason == "country_not_allowed"


def test_dials_no_number_on_web_channels() -> None:
    verdict = judge("outbound", None, channel="web_call")

    assert verdict.verdict == "allow"
    assert [line.check.value for line in verdict.trace if line.outcome.value != "skipped"] == ["holds", "limits"]


def test_judges_a_number_that_a_web_channel_carries_nevertheless() -> None:
    assert judge("outbound", "+5351234567", OPEN, channel="chat").reason == "sanctioned_country"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"direction": "sideways", "to_number": "+14155552671", "from_number": OURS}, "invalid_number"),
        ({"channel": "fax", "to_number": "+14155552671", "from_number": OURS}, "channel_disabled"),
        ({"channel": 7, "direction": None}, "invalid_number"),
        ([1, 2], "invalid_number"),
        (None, "invalid_number"),
    ],
)
def test_blocks_attempts_it_cannot_read(value: Any, reason: str) -> None:
    verdict = decide(Attempt.from_json(value), OPEN)

    assert (verdict.verdict, verdict.reason) == ("block", reason)


def test_reads_an_attempt_without_direction_and_channel_as_an_outbound_call() -> None:
    attempt = Attempt.from_json({"from_number": OURS, "to_number": "+14155552671"})

    assert (attempt.direction, attempt.channel, attempt.unrecognised) == ("outbound", "phone_call", ())
    assert decide(attempt, LISTING).verdict == "allow"


def test_blocks_as_degraded_when_the_snapshot_is_broken() -> None:
    broken = replace(LISTING, numbers=None)  # type: ignore[arg-type]

    verdict = judge("outbound", "+14155552671", broken)

    assert (verdict.verdict, verdict.reason, verdict.degraded) == ("block", "degraded", True)
    assert len(verdict.trace) == 10
    assert verdict.as_dict()["degraded"] is True


def test_blocks_as_degraded_when_one_check_breaks_and_still_asks_the_others() -> None:
    rules = replace(make_rules(), class_rules=None)  # type: ignore[arg-type]
    broken = replace(LISTING, policies={3: PolicySnapshot(3, 7, rules, rules)})

    verdict = judge("outbound", "+447400123456", broken)

    assert (verdict.verdict, verdict.degraded) == ("block", True)
    assert verdict.reasons == ("degraded", "country_not_allowed")
    assert outcome(verdict, "number") == "pass"


COUNTERFACTUALS = [
    ("open_country", "outbound", "outbound", "+18765551234", {}),
    ("open_country", "inbound", "inbound", "+447400123456", {}),
    ("allow_number_class", "premium", "outbound", "+19002345678", {}),
    (
        "allow_number_class",
        "policy's own rule",
        "outbound",
        "+14155552671",
        {"class_rules": {"fixed_or_mobile": "block"}},
    ),
    ("allow_prefix", "platform rule", "outbound", "+380652123456", {"countries": ["UA"]}),
    ("allow_prefix", "challenge", "outbound", "+380621234567", {"countries": ["UA"]}),
    ("allow_prefix", "guard", "inbound", "+380621234567", {"countries": ["UA"]}),
    (
        "allow_prefix",
        "own rule",
        "outbound",
        "+14155552671",
        {"prefix_rules": [{"prefix": "+1415", "action": "block"}]},
    ),
    ("lift_country_list", "withheld", "inbound", "anonymous", {}),
    ("lift_country_list", "unassigned", "inbound", "+11234567890", {}),
    ("remove_extension", "extension", "outbound", "+14155552671x5", {}),
]


@pytest.mark.parametrize(
    ("change", "_why", "direction", "peer", "rules"), COUNTERFACTUALS, ids=[f"{c[0]}-{c[1]}" for c in COUNTERFACTUALS]
)
def test_offers_a_change_that_really_makes_the_check_pass(
    change: str, _why: str, direction: str, peer: str, rules: dict[str, Any]
) -> None:
    snapshot = make_snapshot(inbound=make_rules(**rules), outbound=make_rules(**rules))
    attempt = make_attempt(direction, peer)
    before = decide(attempt, snapshot)
    failed = [result for result in before.trace if result.outcome == "fail"]

    assert [offered["change"] for offered in before.counterfactuals] == [change]

    after = decide(*counterfactuals.apply(before.counterfactuals[0], attempt, snapshot, policy_id=3))

    assert outcome(after, failed[0].check) == "pass"
    assert after.verdict == "allow"


def test_offers_each_change_when_several_are_needed() -> None:
    attempt, snapshot = make_attempt("outbound", "+449012345678"), LISTING
    before = decide(attempt, snapshot)

    for change in before.counterfactuals:
        attempt, snapshot = counterfactuals.apply(change, attempt, snapshot, policy_id=3)

    assert [change["change"] for change in before.counterfactuals] == ["allow_number_class", "open_country"]
    assert before.counterfactuals[1]["sentence"] == "if United Kingdom were open on this policy"
    assert decide(attempt, snapshot).verdict == "allow"


@pytest.mark.parametrize("peer", ["+5351234567", "+5399123456", "911", "nonsense", "+999123456789", 5])
def test_offers_nothing_when_nothing_could_make_it_pass(peer: Any) -> None:
    assert judge("outbound", peer).counterfactuals == ()


def _blocks(verdict: Verdict) -> bool:
    return verdict.verdict == VerdictKind.BLOCK


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(["+14155552671", "+447400123456", "+18765551234", "+77012345678", "+5351234567", "+7"]),
    st.sets(st.sampled_from(["US", "GB", "JM", "KZ", "CU", "RU"])),
    st.sampled_from(["US", "GB", "JM", "KZ", "CU", "RU"]),
)
def test_never_blocks_more_when_a_country_is_added(peer: str, countries: set[str], added: str) -> None:
    fewer = make_snapshot(outbound=make_rules(countries=sorted(countries)))
    more = make_snapshot(outbound=make_rules(countries=sorted(countries | {added})))

    assert _blocks(judge("outbound", peer, fewer)) or not _blocks(judge("outbound", peer, more))
