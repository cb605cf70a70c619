"""What is opened, trusted, listed or withheld, against rules that would say otherwise."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from policies.engine import counterfactuals
from policies.engine.decide import decide
from policies.engine.types import Counts, Holds, HoldScope, HoldSnapshot, Snapshot
from tests.engine.worlds import KEY, LISTING, OPEN, judge, make_attempt, make_rules, make_snapshot, outcome, with_key

END = 1_780_000_000_000
JAMAICA = "+18765551234"
PREMIUM = "+19002345678"


def entry(scope: str, value: str, *, pk: int = 4, expires_at_ms: int | None = None) -> HoldSnapshot:
    return HoldSnapshot(pk, HoldScope(scope), value, expires_at_ms)


def having(snapshot: Snapshot = LISTING, **lists: HoldSnapshot) -> Snapshot:
    return replace(snapshot, **{name: Holds.of([one]) for name, one in lists.items()})


def test_opens_a_country_and_says_by_what() -> None:
    opened = having(opens=entry("country", "JM", expires_at_ms=END))

    verdict = judge("outbound", JAMAICA, opened, at_ms=END - 1)

    assert verdict.verdict == "allow"
    assert verdict.trace[5].value == "JM; open: country JM until 2026-05-28T20:26:40Z"
    assert judge("outbound", JAMAICA, opened, at_ms=END).reason == "country_not_allowed"


def test_opens_a_class_a_prefix_and_a_challenge() -> None:
    assert judge("outbound", PREMIUM, having(opens=entry("peer", PREMIUM))).verdict == "allow"
    assert judge("outbound", "+380652123456", having(OPEN, opens=entry("prefix", "+38065"))).verdict == "allow"
    assert judge("outbound", "+380621234567", having(OPEN, opens=entry("country", "UA"))).verdict == "allow"


@pytest.mark.parametrize(
    ("peer", "reason"),
    [("+5351234567", "sanctioned_country"), ("911", "emergency_number"), ("+14155552671x5", "extension_not_allowed")],
)
def test_opens_nothing_but_classes_and_countries(peer: str, reason: str) -> None:
    assert judge("outbound", peer, having(OPEN, opens=entry("workspace", ""))).reason == reason


def test_opens_nothing_that_is_held_listed_or_not_ours() -> None:
    opened = having(opens=entry("workspace", ""))

    assert judge("outbound", JAMAICA, having(opened, holds=entry("country", "JM", expires_at_ms=END))).reason == "held"
    assert judge("outbound", JAMAICA, having(opened, blocked=entry("peer", JAMAICA))).reason == "listed"
    assert judge("outbound", JAMAICA, opened, from_number="+14155550199").reason == "unknown_number"
    assert judge("outbound", JAMAICA, replace(opened, policies={})).reason == "no_policy"


def test_blocks_listed_callers_for_good_and_names_a_hold_first() -> None:
    caller = "+14155552671"
    listed = having(blocked=entry("peer", caller))

    verdict = judge("inbound", caller, listed, at_ms=END)
    assert (verdict.verdict, verdict.reasons, verdict.hold_id) == ("block", ("listed",), None)
    assert verdict.trace[3].value == f"block list: peer {caller}"

    both = judge(
        "inbound", caller, having(listed, holds=entry("workspace", "", pk=9, expires_at_ms=END)), at_ms=END - 1
    )
    assert (both.reasons, both.hold_id) == (("held",), 9)
    (change,) = both.counterfactuals
    assert change["listed"] == [4]
    assert change["sentence"] == (
        "when the hold ends in 1 s, or if it were lifted, and peer +14155552671 taken off the block list"
    )


def test_trusts_no_further_than_limits_captchas_and_suspicion() -> None:
    trusted = having(OPEN, trusted=entry("workspace", ""))

    assert judge("outbound", "+5351234567", trusted).reason == "sanctioned_country"
    assert judge("outbound", "+14155552671", having(trusted, holds=entry("workspace", ""))).reason == "held"
    assert judge("outbound", PREMIUM, trusted).reason == "number_class_blocked"
    assert judge("outbound", "+380621234567", trusted).verdict == "allow"
    assert judge("inbound", "+380621234567", trusted).verdict == "allow"
    verdict = judge("outbound", "+447400123456", with_key(trusted), public_key=KEY, ip="203.0.113.7")
    assert {charge.measure for charge in verdict.charges} == {"running", "money"}
    assert (outcome(verdict, "limits"), verdict.trace[8].value) == ("skipped", "trusted")


WITHHELD = [
    ("allow", "allow", None),
    ("guard", "guard", "withheld_number"),
    ("challenge", "guard", "withheld_number"),
    ("block", "block", "withheld_number"),
]


@pytest.mark.parametrize(("action", "verdict", "reason"), WITHHELD)
@pytest.mark.parametrize("mode", [{}, {"mode": "unrestricted", "countries": []}])
def test_does_with_withheld_callers_what_the_policy_says(
    mode: dict[str, Any], action: str, verdict: str, reason: str | None
) -> None:
    snapshot = make_snapshot(inbound=make_rules(withheld=action, **mode))

    for caller in (None, "anonymous", "+266696687"):
        judged = judge("inbound", caller, snapshot)
        assert (judged.verdict, judged.reason) == (verdict, reason)
    by_sip = judge("inbound", "sip:alice@example.com", snapshot)
    assert (by_sip.verdict, by_sip.reason) == (verdict, "sip_without_number" if reason else None)
    assert judge("inbound", "+11234567890", snapshot).reason == (None if mode else "unassigned_number")


def test_says_what_would_let_withheld_callers_in() -> None:
    snapshot, attempt = make_snapshot(inbound=make_rules(withheld="guard")), make_attempt("inbound", None)
    (change,) = decide(attempt, snapshot).counterfactuals

    assert change["sentence"] == "if callers who show no number were allowed on this policy"
    assert decide(*counterfactuals.apply(change, attempt, snapshot, policy_id=3)).verdict == "allow"


def test_guards_outbound_calls_where_a_rule_says_so() -> None:
    snapshot = make_snapshot(outbound=make_rules(class_rules={"fixed_or_mobile": "guard"}))
    verdict = judge("outbound", "+14155552671", snapshot, counts=Counts(at_door=True))

    assert (verdict.verdict, verdict.reason, verdict.call_seconds) == ("guard", "number_class_blocked", 60)
    assert verdict.reserved_micro == 115_000
    assert verdict.charges
