"""The use that a KYC record was approved for, as a limit of its subject: where, by which channel, and how often."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from policies.engine import counterfactuals
from policies.engine.declared import DAY_MS, Approval
from policies.engine.limits import DAY
from policies.engine.sentences import sentence
from policies.engine.types import Counts, Snapshot, Verdict
from tests.engine.worlds import KEY, OPEN, SITE, judge, make_attempt, outcome, with_key

NOW = 1_780_000_000_000
AT_HOME, ABROAD = "+14155552671", "+447400123456"
DECLARED = Approval(1, NOW + 365 * DAY_MS, NOW, frozenset({"US"}), frozenset({"phone_call", "chat"}))


def of_subject(*approvals: Approval, snapshot: Snapshot = OPEN) -> Snapshot:
    return replace(with_key(snapshot), subjects={"patient-7": approvals})


def ask(snapshot: Snapshot, peer: str | None = AT_HOME, direction: str = "outbound", **values: Any) -> Verdict:
    facts = {"public_key": KEY, "origin": SITE, "ip": "203.0.113.7", "subject": "patient-7", "at_ms": NOW}
    return judge(direction, peer, snapshot, **facts | {"counts": Counts(at_door=True)} | values)


def daily(snapshot: Snapshot, at_ms: int | None = NOW, **values: Any) -> float | None:
    """The limit on the subject's attempts per day that the attempt is charged to."""
    found = [
        charge.limit.limit
        for charge in ask(snapshot, at_ms=at_ms, **values).charges
        if (charge.name, charge.limit.window_seconds) == ("subject", DAY)
    ]
    assert len(found) <= 1
    return found[0] if found else None


@pytest.mark.parametrize(
    ("peer", "channel", "is_let"),
    [
        (AT_HOME, "phone_call", True),
        (ABROAD, "phone_call", False),
        (AT_HOME, "sms", False),
        (None, "chat", True),
        (None, "web_call", False),
        ("+88213300003", "phone_call", False),  # of no country: nobody can have declared it
    ],
)
def test_holds_a_subject_to_what_was_declared_though_no_level_is_asked_for(
    peer: str | None, channel: str, *, is_let: bool
) -> None:
    verdict = ask(of_subject(DECLARED), peer, channel=channel)

    assert (outcome(verdict, "kyc"), "kyc_required" in verdict.reasons) == (
        ("pass", False) if is_let else ("fail", True)
    )


def test_says_that_it_was_not_declared_and_what_would_let_it_through() -> None:
    snapshot = of_subject(DECLARED)
    verdict = ask(snapshot, ABROAD)
    (line,) = [result for result in verdict.trace if result.check == "kyc"]
    (change,) = verdict.counterfactuals

    assert (verdict.verdict, verdict.reason) == ("challenge", "kyc_required")
    assert (line.value, line.threshold) == (
        "not declared: phone calls to United Kingdom",
        "the use that was declared",
    )
    what = "if phone calls to United Kingdom were declared in the subject's KYC record, and approved"
    assert change["sentence"] == what
    assert sentence(verdict) == "Challenged: phone calls to United Kingdom were not declared for this end user."
    _attempt, after = counterfactuals.apply(change, make_attempt("outbound", ABROAD), snapshot, policy_id=3)
    assert ask(after, ABROAD).verdict == "allow"


def test_takes_the_level_from_what_was_declared_for_it() -> None:
    """A low level for everywhere and a high one for home are not a high one for everywhere."""
    both = of_subject(Approval(1), replace(DECLARED, level=3))
    asking = replace(both, keys={KEY: replace(both.keys[KEY], kyc_level=2)})

    assert outcome(ask(asking), "kyc") == "pass"
    assert outcome(ask(asking, ABROAD), "kyc") == "fail"
    assert outcome(ask(both, ABROAD), "kyc") == "pass"


@pytest.mark.parametrize("ended", [replace(DECLARED, expires_at_ms=NOW), Approval(1, NOW, suspended=True)])
def test_whose_approval_ended_is_no_stranger_who_may_do_anything(ended: Approval) -> None:
    verdict = ask(of_subject(ended))

    assert (verdict.verdict, verdict.reason) == ("challenge", "kyc_expired")
    assert outcome(ask(of_subject(replace(ended, suspended=False)), at_ms=NOW - 1), "kyc") == "pass"


def test_whose_approval_ended_and_promised_nothing_is_asked_for_nothing() -> None:
    assert outcome(ask(of_subject(Approval(1, NOW)), ABROAD), "kyc") == "skipped"


def test_asks_callers_nothing() -> None:
    verdict = ask(of_subject(replace(DECLARED, calls_per_day=1)), ABROAD, direction="inbound")

    assert outcome(verdict, "kyc") == "skipped"


@pytest.mark.parametrize(
    ("hours", "calls"), [(0, 20), (23.9, 20), (24, 50), (47.9, 50), (48, 100), (9999, 100), (-1, 20)]
)
def test_lets_a_fresh_approval_ramp_up(hours: float, calls: int) -> None:
    at_ms = NOW + int(hours * 3_600_000)
    approval = replace(DECLARED, calls_per_day=100, expires_at_ms=None)

    assert daily(of_subject(approval), at_ms) == calls
    assert daily(of_subject(replace(approval, calls_per_day=3)), at_ms) == {20: 1, 50: 2, 100: 3}[calls]


def test_leaves_who_was_approved_before_what_they_had() -> None:
    wider = replace(DECLARED, calls_per_day=100, established_calls=60)

    assert daily(of_subject(wider)) == 60
    assert daily(of_subject(replace(wider, established_calls=1000))) == 100


def test_counts_by_the_widest_of_what_covers_the_attempt() -> None:
    home, abroad = replace(DECLARED, calls_per_day=10, approved_at_ms=None), Approval(1, calls_per_day=4)
    snapshot = of_subject(home, abroad)

    assert (daily(snapshot), daily(snapshot, peer=ABROAD)) == (10, 4)
    assert daily(of_subject(DECLARED)) is None
    assert daily(of_subject(replace(home, expires_at_ms=NOW), DECLARED)) is None


def test_no_setting_lifts_what_was_declared() -> None:
    unlimited = replace(OPEN, limits={"subject": None})  # type: ignore[dict-item]

    assert daily(of_subject(replace(DECLARED, calls_per_day=100), snapshot=unlimited)) == 20


def test_is_the_same_after_json() -> None:
    snapshot = of_subject(Approval(2, NOW), replace(DECLARED, calls_per_day=7, established_calls=5), Approval(1))

    assert Snapshot.from_dict(snapshot.as_dict()).subjects == snapshot.subjects
    assert snapshot.as_dict()["subjects"]["patient-7"][0] == [2, NOW]
