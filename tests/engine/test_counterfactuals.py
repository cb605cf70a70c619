"""Every change that is offered really makes its check pass: proved by deciding again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from policies.engine import counterfactuals
from policies.engine.decide import decide
from policies.engine.types import (
    Approval,
    CaptchaAnswer,
    Counts,
    Holds,
    HoldScope,
    HoldSnapshot,
    NumberSnapshot,
    Snapshot,
)
from tests.engine.worlds import KEY, OPEN, OURS, SITE, make_attempt, make_rules, make_snapshot, outcome, with_key

NOW = 1_780_000_000_000
CALLED = "+14155552671"
GATE = {"public_key": KEY, "origin": SITE}
DOOR = Counts(at_door=True)
CHALLENGING = make_snapshot(outbound=make_rules(class_rules={"fixed_or_mobile": "challenge"}))
LISTED = replace(OPEN, blocked=Holds.of([HoldSnapshot(4, HoldScope.PEER, CALLED, None)]))
OTHER = "+14155550199"
TWO_NUMBERS = replace(OPEN, numbers={**OPEN.numbers, OTHER: NumberSnapshot(2, OTHER, 3)})
EXPIRED = replace(with_key(OPEN, kyc_level=2), subjects={"patient-7": (Approval(2, NOW),)})
FAILED = Counts(at_door=True, captcha=CaptchaAnswer("recaptcha_v3", score=0.1))
AWAY = Counts(at_door=True, captcha=CaptchaAnswer("recaptcha_v3", "unreachable"))
CAPTCHA = with_key(OPEN, captcha="recaptcha_v3")

OFFERED: list[tuple[str, str, Snapshot, dict[str, Any], Counts, str]] = [
    (
        "door",
        "allow_origin",
        with_key(OPEN),
        GATE | {"origin": "https://shop.example.org"},
        DOOR,
        "if shop.example.org were a web site of this key",
    ),
    (
        "door",
        "allow_channel",
        with_key(OPEN, channels=frozenset({"chat"})),
        GATE,
        DOOR,
        "if phone calls were allowed on this key",
    ),
    (
        "door",
        "call_from",
        with_key(TWO_NUMBERS, phone_number=OURS),
        GATE | {"from_number": OTHER},
        DOOR,
        f"if it came from {OURS}, as all does that is started with this key",
    ),
    ("holds", "lift_holds", LISTED, {}, DOOR, f"if the peer {CALLED} were taken off the block list"),
    (
        "number_class",
        "allow_number_class",
        CHALLENGING,
        {},
        DOOR,
        "if fixed-line or mobile numbers were allowed on this policy",
    ),
    ("captcha", "solve_captcha", CAPTCHA, GATE, DOOR, "if a captcha were solved"),
    (
        "captcha",
        "solve_captcha",
        CAPTCHA,
        GATE | {"captcha": "token"},
        FAILED,
        "if a captcha were solved with a score of 0.5",
    ),
    ("captcha", "solve_captcha", CAPTCHA, GATE | {"captcha": "token"}, AWAY, "if the captcha could be verified"),
    (
        "kyc",
        "approve_subject",
        with_key(OPEN, kyc_level=2),
        GATE | {"subject": "patient-7"},
        DOOR,
        "if the subject had level 2",
    ),
    (
        "kyc",
        "approve_subject",
        EXPIRED,
        GATE | {"subject": "patient-7"},
        DOOR,
        "if the subject's approval were renewed",
    ),
    ("kyc", "name_subject", with_key(OPEN, kyc_level=1), GATE, DOOR, "if it were for an end user who has level 1"),
]


@pytest.mark.parametrize(
    ("check", "kind", "snapshot", "values", "counts", "sentence"), OFFERED, ids=[f"{o[0]}-{o[5][:40]}" for o in OFFERED]
)
def test_offers_a_change_that_really_makes_the_check_pass(
    check: str, kind: str, snapshot: Snapshot, values: dict[str, Any], counts: Counts, sentence: str
) -> None:
    attempt = make_attempt("outbound", CALLED, **values)
    before = decide(attempt, snapshot, counts, at_ms=NOW)
    (change,) = before.counterfactuals

    assert (change["change"], change["sentence"], outcome(before, check)) == (kind, sentence, "fail")

    after = decide(*counterfactuals.apply(change, attempt, snapshot, policy_id=3), at_ms=NOW)

    assert (outcome(after, check), after.verdict) == ("pass", "allow")


@pytest.mark.parametrize(
    "values",
    [{"public_key": "pk_other"}, GATE | {"origin": "null"}, GATE | {"origin": None}],
    ids=["unknown key", "null", "no origin"],
)
def test_offers_nothing_where_no_setting_would_do(values: dict[str, Any]) -> None:
    verdict = decide(make_attempt("outbound", CALLED, **values), with_key(OPEN), DOOR)

    assert (verdict.verdict, verdict.counterfactuals) == ("block", ())


def test_waiting_changes_nothing_but_what_is_counted() -> None:
    attempt = make_attempt("outbound", CALLED)
    change = counterfactuals.wait(250_000)

    assert change == {"change": "wait", "seconds": 250, "sentence": "in 4 min 10 s"}
    assert counterfactuals.apply(change, attempt, OPEN, policy_id=3) == (attempt, OPEN)
