"""Observed instead of enforced: judged, told what it would have been, and let through."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from policies.engine.limits import Limit, LimitName, Usage
from policies.engine.types import Counts, Snapshot, Verdict
from tests.engine.worlds import KEY, LISTING, OPEN, OURS, SITE, judge, make_rules, make_snapshot, with_key

JAMAICA = "+18765551234"
PREMIUM = "+19002345678"


def observing_number(snapshot: Snapshot = LISTING) -> Snapshot:
    return replace(snapshot, numbers={OURS: replace(snapshot.numbers[OURS], observing=True)})


def would_be(verdict: Verdict) -> tuple[Any, Any, Any]:
    return verdict.verdict, verdict.would_be, verdict.would_be_reason


OBSERVED = [
    observing_number(),
    make_snapshot(outbound=make_rules(observing=True)),
    with_key(LISTING, observing=True),
]


@pytest.mark.parametrize("snapshot", OBSERVED, ids=["number", "direction", "key"])
def test_lets_through_what_it_would_have_blocked(snapshot: Snapshot) -> None:
    verdict = judge("outbound", JAMAICA, snapshot, public_key=KEY if snapshot.keys else None)
    shown = verdict.as_dict()

    assert would_be(verdict) == ("allow", "block", "country_not_allowed")
    assert (verdict.reason, verdict.reasons, verdict.counterfactuals) == (None, (), ())
    assert shown["would_be"] == {"verdict": "block", "reason": "country_not_allowed"}
    (line,) = [line for line in shown["trace"] if line.get("observed")]
    assert (line["check"], line["outcome"]) == ("country", "fail")
    assert verdict.charges
    assert not any(charge.enforced for charge in verdict.charges)


def test_enforces_what_can_not_be_observed() -> None:
    observed = observing_number(OPEN)

    for peer, reason in (("+5351234567", "sanctioned_country"), ("911", "emergency_number")):
        assert judge("outbound", peer, observed).reason == reason
    assert judge("outbound", JAMAICA, with_key(observed), public_key="pk_other").reason == "unknown_key"


def test_says_nothing_of_what_would_have_been_where_it_was_so_anyway() -> None:
    snapshot = with_key(observing_number(), active=False)
    verdict = judge("outbound", JAMAICA, snapshot, public_key=KEY)

    assert verdict.reasons == ("key_disabled",)
    assert would_be(verdict) == ("block", None, None)
    assert verdict.charges == ()


def test_observes_a_single_prefix_or_class_rule() -> None:
    prefix = {"prefix_rules": [{"prefix": "+1415", "action": "block", "observing": True}]}
    by_class = {"class_rules": {"fixed_or_mobile": "block"}, "observed_classes": ["fixed_or_mobile"]}
    for rules, reason in ((prefix, "prefix_blocked"), (by_class, "number_class_blocked")):
        snapshot = make_snapshot(outbound=make_rules(**rules))
        verdict = judge("outbound", "+14155552671", snapshot)
        assert would_be(verdict) == ("allow", "block", reason)
        assert all(charge.enforced for charge in verdict.charges)
        assert judge("outbound", JAMAICA, snapshot).verdict == "block"


def test_observes_no_other_rule_of_the_class() -> None:
    rules = make_rules(observed_classes=["premium_rate"])

    assert judge("outbound", PREMIUM, make_snapshot(outbound=rules)).reason == "number_class_blocked"


def test_observes_captchas_levels_and_counters() -> None:
    key = {"captcha": "recaptcha_v3", "kyc_level": 2, "observing": True}
    limits = {LimitName.DESTINATION: Limit(1, 600)}
    snapshot = with_key(OPEN, limits=limits, **key)
    facts = {"public_key": KEY, "origin": SITE, "counts": Counts(at_door=True)}
    verdict = judge("outbound", JAMAICA, snapshot, **facts)

    assert would_be(verdict) == ("allow", "challenge", "captcha_required")
    assert not verdict.needs_captcha
    usages = tuple(Usage(1, 5000) if charge.name == "destination" else Usage(0) for charge in verdict.charges)
    counted = judge("outbound", JAMAICA, snapshot, **facts | {"counts": Counts(at_door=True, usages=usages)})
    assert would_be(counted) == ("allow", "block", "rate_limited")
    assert counted.retry_after_seconds is None
    assert [line.check for line in counted.trace if line.observed] == ["captcha", "kyc", "limits"]
    token = judge("outbound", JAMAICA, snapshot, **facts, captcha="token")
    assert token.needs_captcha


def test_says_nothing_of_what_would_be_where_nothing_was_observed() -> None:
    for snapshot, peer in ((observing_number(), "+14155552671"), (LISTING, JAMAICA)):
        verdict = judge("outbound", peer, snapshot)
        assert verdict.would_be is None
        assert "would_be" not in verdict.as_dict()
