"""Captcha and KYC: when they are asked for, what is accepted, and to which moment an approval counts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from policies.engine.rules import KycRules
from policies.engine.types import Approval, CaptchaAnswer, Counts, Holds, HoldScope, HoldSnapshot, Snapshot, Verdict
from tests.engine.worlds import KEY, OPEN, OURS, SITE, judge, make_rules, make_snapshot, outcome, with_key

NOW = 1_780_000_000_000
CALLED = "+14155552671"
DOOR = Counts(at_door=True)
SOLVED = CaptchaAnswer("recaptcha_v3", score=0.9)
CAPTCHA = {"captcha": "recaptcha_v3"}


def with_subject(snapshot: Snapshot, *approvals: Approval) -> Snapshot:
    return replace(snapshot, subjects={"patient-7": approvals})


def ask(snapshot: Snapshot, **values: Any) -> Verdict:
    facts = {"public_key": KEY, "origin": SITE, "counts": DOOR, "peer": CALLED, "ip": "203.0.113.7"} | values
    return judge("outbound", facts.pop("peer"), snapshot, **facts)


ASKING = with_key(OPEN, **CAPTCHA)


@pytest.mark.parametrize("given", [None, ""])
def test_asks_for_a_captcha_at_the_door(given: Any) -> None:
    verdict = ask(ASKING, captcha=given)

    assert (verdict.verdict, verdict.reasons) == ("challenge", ("captcha_required",))
    assert not verdict.needs_captcha
    assert verdict.charges == ()


@pytest.mark.parametrize("given", [5, [], {"score": 1}, True])
def test_takes_only_text_for_a_token_at_the_door(given: Any) -> None:
    assert (ask(ASKING, captcha=given).reason, ask(ASKING, captcha=given).verdict) == ("captcha_failed", "challenge")


def test_has_a_token_verified_only_when_everything_else_passed() -> None:
    passing = ask(ASKING, captcha="token")
    lost = ask(ASKING, captcha="token", peer="+5351234567")

    assert (passing.verdict, passing.needs_captcha, outcome(passing, "captcha")) == ("allow", True, "not_evaluated")
    assert {charge.name for charge in passing.charges} >= {"ip", "destination", "spend_key"}
    assert (lost.needs_captcha, outcome(lost, "captcha"), lost.charges) == (False, "not_evaluated", ())


@pytest.mark.parametrize(
    ("problem", "score", "verdict"),
    [
        ("", 0.9, "allow"),
        ("", 0.5, "allow"),
        ("", None, "allow"),
        ("", 0.49, "challenge"),
        ("", float("nan"), "challenge"),
        ("", float("inf"), "challenge"),
        ("low_score", 0.1, "challenge"),
        ("replayed", None, "challenge"),
        ("expired", None, "challenge"),
        ("rejected", None, "challenge"),
        ("wrong_hostname", 0.9, "challenge"),
        ("wrong_action", 0.9, "challenge"),
        ("unreachable", None, "block"),
    ],
)
def test_believes_what_the_verifier_says(problem: str, score: float | None, verdict: str) -> None:
    answer = CaptchaAnswer("recaptcha_v3", problem, score)
    judged = ask(ASKING, captcha="token", counts=replace(DOOR, captcha=answer))

    assert judged.verdict == verdict
    assert judged.reason == (None if verdict == "allow" else "captcha_failed")
    assert not judged.needs_captcha
    assert outcome(judged, "captcha") == ("pass" if verdict == "allow" else "fail")


@pytest.mark.parametrize(
    ("channel", "approvals", "verdict"),
    [
        ("phone_call", (Approval(2),), "block"),
        ("sms", (Approval(2),), "block"),
        ("web_call", (Approval(1),), "allow"),
        ("chat", (Approval(1),), "allow"),
        ("chat", (Approval(1, NOW),), "block"),
        ("chat", (), "block"),
    ],
)
def test_dials_nobody_while_the_verifier_is_away(channel: str, approvals: tuple[Approval, ...], verdict: str) -> None:
    counts = replace(DOOR, captcha=CaptchaAnswer("recaptcha_v3", "unreachable"))
    snapshot = with_subject(ASKING, *approvals)
    judged = ask(snapshot, captcha="token", counts=counts, channel=channel, subject="patient-7", at_ms=NOW)

    assert (judged.verdict, judged.reason) == (verdict, None if verdict == "allow" else "captcha_failed")


@pytest.mark.parametrize(
    ("given", "outcome_said", "verdict"),
    [
        (None, "skipped", "allow"),
        ("", "skipped", "allow"),
        ("token", "not_evaluated", "allow"),
        ({"score": 0.9, "action": "call", "hostname": "www.example.com"}, "pass", "allow"),
        ({"score": 0.1}, "fail", "challenge"),
        ({"score": "high"}, "pass", "allow"),
        ({"problem": "replayed"}, "fail", "challenge"),
        ({"problem": "made up"}, "fail", "challenge"),
        ({"problem": ["x"]}, "fail", "challenge"),
        ([1], "fail", "challenge"),
    ],
)
def test_judges_a_captcha_in_a_question_only_as_far_as_it_is_told(given: Any, outcome_said: str, verdict: str) -> None:
    judged = ask(ASKING, captcha=given, counts=Counts())

    assert (outcome(judged, "captcha"), judged.verdict, judged.degraded) == (outcome_said, verdict, False)


def test_asks_for_what_the_policy_wants_and_takes_a_known_end_user_of_a_backend_for_it() -> None:
    asking = make_snapshot(outbound=make_rules(captcha=True))

    assert ask(asking, public_key=None).reason == "captcha_required"
    assert ask(asking, public_key=None, captcha="token").needs_captcha
    assert ask(with_subject(asking, Approval(1)), public_key=None, subject="patient-7").verdict == "allow"
    assert ask(with_subject(asking, Approval(0)), public_key=None, subject="patient-7").reason == "captcha_required"
    keyed = with_key(with_subject(asking, Approval(1)))
    assert ask(keyed, subject="patient-7").reason == "captcha_required"


def test_asks_no_captcha_of_those_it_trusts_and_none_of_callers() -> None:
    trusted = Holds.of([HoldSnapshot(1, HoldScope.IP, "203.0.113.0/24", None)])

    assert outcome(ask(replace(ASKING, trusted=trusted)), "captcha") == "skipped"
    assert ask(replace(ASKING, trusted=trusted)).verdict == "allow"
    inbound = judge("inbound", CALLED, make_snapshot(inbound=make_rules(captcha=True)), counts=DOOR)
    assert (inbound.verdict, outcome(inbound, "captcha")) == ("allow", "skipped")


CHALLENGING = with_key(make_snapshot(outbound=make_rules(class_rules={"fixed_or_mobile": "challenge"})))


def test_takes_a_solved_captcha_or_a_known_person_for_the_answer_to_a_challenge() -> None:
    assert ask(CHALLENGING).reasons == ("captcha_required",)
    assert ask(CHALLENGING, captcha="token").needs_captcha
    assert outcome(ask(CHALLENGING, captcha="token"), "number_class") == "not_evaluated"
    assert ask(CHALLENGING, captcha="token", counts=replace(DOOR, captcha=SOLVED)).verdict == "allow"
    failed = ask(CHALLENGING, captcha="t", counts=replace(DOOR, captcha=replace(SOLVED, score=0.1)))
    assert (failed.verdict, failed.reasons) == ("challenge", ("captcha_failed",))
    away = ask(CHALLENGING, captcha="t", counts=replace(DOOR, captcha=CaptchaAnswer("x", "unreachable")))
    assert (away.verdict, away.reasons) == ("block", ("captcha_failed",))
    known = with_subject(CHALLENGING, Approval(1, NOW + 1))
    assert ask(known, subject="patient-7", at_ms=NOW).verdict == "allow"
    assert ask(known, subject="patient-7", at_ms=NOW + 1).verdict == "challenge"


LEVELS = [
    ({"kyc_level": 2}, {}, CALLED, "phone_call", 2),
    ({"kyc_rules": KycRules(channels={"sms": 1})}, {}, CALLED, "sms", 1),
    ({"kyc_rules": KycRules(channels={"sms": 1})}, {}, CALLED, "phone_call", 0),
    ({"kyc_level": 1}, {"channels": {"phone_call": 3}}, CALLED, "phone_call", 3),
    ({}, {"exposure_tiers": {"T2": 2}}, "+234802345678" + "9", "phone_call", 2),
    ({}, {"exposure_tiers": {"T3": 1}}, "+447400123456", "phone_call", 1),
    ({}, {"exposure_tiers": {"T3": 1}}, None, "chat", 0),
    ({}, {"exposure_tiers": {"T1": 2}}, "+37167123456", "phone_call", 2),
    ({}, {"exposure_tiers": {"T1": 2}}, CALLED, "phone_call", 0),
]


@pytest.mark.parametrize(("key", "rules", "peer", "channel", "level"), LEVELS)
def test_asks_for_the_highest_level_that_anything_wants(
    key: dict[str, Any], rules: dict[str, Any], peer: str | None, channel: str, level: int
) -> None:
    policy = make_rules(mode="unrestricted", countries=[], kyc_rules=rules)
    snapshot = with_key(make_snapshot(outbound=policy), **key)
    for held in range(4):
        verdict = ask(with_subject(snapshot, Approval(held)), peer=peer, channel=channel, subject="patient-7")
        expected = ("allow", None) if held >= level else ("challenge", "kyc_required")
        assert (verdict.verdict, verdict.reason) == expected

    line = ask(snapshot, peer=peer, channel=channel).trace[7]
    assert line.threshold == (f"level {level}" if level else "no level is asked for")


def test_calls_home_without_more_ado_wherever_that_is() -> None:
    policy = make_rules(mode="unrestricted", countries=[], kyc_rules={"exposure_tiers": {"T1": 2}})
    latvian = replace(make_snapshot(outbound=policy), home_country="LV")

    assert judge("outbound", "+37167123456", latvian).verdict == "allow"


def test_closes_at_the_millisecond_at_which_an_approval_expires() -> None:
    snapshot = with_subject(with_key(OPEN, kyc_level=2), Approval(2, NOW), Approval(1))

    assert ask(snapshot, subject="patient-7", at_ms=NOW - 1).verdict == "allow"
    expired = ask(snapshot, subject="patient-7", at_ms=NOW)
    assert (expired.verdict, expired.reason) == ("challenge", "kyc_expired")
    assert expired.trace[7].value == "level 2 until 2026-05-28T20:26:40Z"
    assert ask(snapshot, subject="patient-8", at_ms=NOW).reason == "kyc_required"


@pytest.mark.parametrize("subject", [None, "", "unknown", 7, [], {}])
def test_asks_who_it_is_where_a_level_is_wanted(subject: Any) -> None:
    assert ask(with_key(OPEN, kyc_level=1), subject=subject).reason == "kyc_required"


def test_has_no_verifier_asked_while_the_end_user_is_not_known() -> None:
    verdict = ask(with_key(OPEN, kyc_level=1, **CAPTCHA), captcha="token")

    assert (verdict.reasons, verdict.needs_captcha) == (("kyc_required",), False)


def test_judges_ours_by_its_own_number() -> None:
    assert ask(OPEN, public_key=None).number.e164 == OURS  # type: ignore[union-attr]
