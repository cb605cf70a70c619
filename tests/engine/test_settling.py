"""What was counted in the verdict: the tightest limit is told, and settling afterwards comes to the same."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.engine.decide import decide
from policies.engine.limits import Limit, LimitName, Usage
from policies.engine.settling import settle
from policies.engine.types import Attempt, Counts, Snapshot, Verdict
from policies.engine.windows import Counters
from tests.engine.worlds import KEY, LISTING, OPEN, OURS, judge, make_attempt, make_rules, make_snapshot, with_key

HOME = "+14155552671"
ABROAD = "+447400123456"
NOW = 1_780_000_000_000
KEYED = with_key(OPEN)
FACTS = {"public_key": KEY, "ip": "203.0.113.7"}


def counted(found: dict[str, Usage], peer: str = ABROAD, snapshot: Snapshot = KEYED, **values: Any) -> Verdict:
    """The verdict when some counters say this, and all others are empty."""
    direction = values.pop("direction", "outbound")
    facts = values if direction == "inbound" else FACTS | values
    charges = judge(direction, peer, snapshot, **facts).charges
    keys = {charge.name for charge in charges} | {f"{charge.name}:new" for charge in charges if charge.only_new}
    assert found.keys() <= keys
    usages = tuple(found.get(f"{charge.name}:new" if charge.only_new else charge.name, Usage(0)) for charge in charges)
    return judge(direction, peer, snapshot, **facts, counts=Counts(usages=usages))


FAILURES = [
    (
        {"ip_destination": Usage(3, 250_000)},
        ("block", "rate_limited", 250),
        ("limits", "ip_destination: 3 in 10 min", "3 in 10 min"),
        "in 4 min 10 s",
    ),
    (
        {"countries_per_ip": Usage(3, 3_599_001)},
        ("block", "rate_limited", 3600),
        ("limits", "countries_per_ip: 3 in 1 day", "3 in 1 day"),
        "in 1 h",
    ),
    (
        {"running_key": Usage(5, 60_000)},
        ("block", "concurrency_cap_reached", 60),
        ("caps", "running_key: 5 running", "5 running"),
        "when one of 5 running calls has ended",
    ),
    (
        {"running_key:new": Usage(2, 60_000)},
        ("block", "concurrency_cap_reached", 60),
        ("caps", "running_key: 2 running, new destinations", "2 running, new destinations"),
        "when one of 2 running calls has ended",
    ),
    (
        {"spend_key": Usage(24_800_000, 10_920_000)},
        ("block", "spend_cap_reached", 10_920),
        ("caps", "spend_key: $24.80 in 1 day and $0.60 for this one", "$25 in 1 day"),
        "in 3 h 2 min, when spending of the last day falls below $25",
    ),
    (
        {"spend_new_country:new": Usage(1_300_001, 3_600_000)},
        ("block", "spend_cap_reached", 3600),
        (
            "caps",
            "spend_new_country: $1.31 in 1 day, new destinations and $0.60 for this one",
            "$1.50 in 1 day, new destinations",
        ),
        "in 1 h, when spending of the last day falls below $1.50",
    ),
]


@pytest.mark.parametrize(("found", "verdict", "line", "sentence"), FAILURES, ids=[next(iter(f[0])) for f in FAILURES])
def test_says_which_limit_is_reached_and_when_there_is_room_again(
    found: dict[str, Usage], verdict: tuple[Any, ...], line: tuple[str, str, str], sentence: str
) -> None:
    judged = counted(found)
    check, value, threshold = line
    (failed,) = [entry for entry in judged.as_dict()["trace"] if entry["outcome"] == "fail"]

    assert (judged.verdict, judged.reason, judged.retry_after_seconds) == verdict
    assert failed == {"check": check, "outcome": "fail", "value": value, "threshold": threshold}
    assert [change["sentence"] for change in judged.counterfactuals] == [sentence]
    assert judged.counterfactuals[0]["seconds"] == judged.retry_after_seconds


def test_says_so_where_less_passes_than_the_limit_because_the_counters_cannot_be_relied_on() -> None:
    held_back = counted({"destination": Usage(0, 600_000)})
    reached = counted({"destination": Usage(5, 600_000)})

    assert held_back.trace[8].value == "destination: 0 in 15 min; held back while the live store is away or recovers"
    assert (held_back.reason, held_back.degraded, reached.degraded) == ("rate_limited", True, False)


def test_tells_the_tightest_limit_of_what_passes() -> None:
    verdict = counted({"ip": Usage(30), "destination": Usage(4), "spend_key": Usage(20_000_000)})

    assert verdict.verdict == "allow"
    assert [(line.outcome, line.value, line.threshold) for line in verdict.trace[8:]] == [
        ("pass", "destination: 4 in 15 min", "5 in 15 min"),
        ("pass", "spend_key: $20 in 1 day and $0.60 for this one", "$25 in 1 day"),
    ]


def test_names_limits_and_caps_and_the_longest_wait() -> None:
    verdict = counted({"ip": Usage(60, 9_000), "destination": Usage(5, 70_000), "running_key": Usage(5, 20_000)})

    assert verdict.reasons == ("rate_limited", "concurrency_cap_reached")
    assert (verdict.trace[8].value, verdict.retry_after_seconds) == ("destination: 5 in 15 min", 70)


def test_reserves_nothing_for_what_a_limit_stops() -> None:
    stopped = counted({"ip": Usage(60, 9_000)})

    assert (stopped.call_seconds, stopped.reserved_micro) == (None, 0)
    assert stopped.charges


def test_counts_nothing_that_did_not_apply() -> None:
    assert counted({"spend_new_country:new": Usage(9e9, 5_000, counted=False)}).verdict == "allow"


def test_guards_callers_who_call_often_and_turns_away_a_flood() -> None:
    often = counted({"caller": Usage(8, 30_000)}, HOME, direction="inbound")
    flood = counted({"caller": Usage(20, 30_000), "caller_flood": Usage(20, 10_000)}, HOME, direction="inbound")

    assert (often.verdict, often.reason, often.call_seconds, often.retry_after_seconds) == (
        "guard",
        "rate_limited",
        60,
        None,
    )
    assert (flood.verdict, flood.retry_after_seconds) == ("block", 10)
    assert flood.trace[8].value == "caller_flood: 20 in 10 min"


def test_offers_no_wait_for_what_there_will_never_be_room_for() -> None:
    nothing = with_key(OPEN, limits={LimitName.DESTINATION: Limit(0, 600), LimitName.SPEND_KEY: Limit(0.1, 86_400)})

    for found in ({"destination": Usage(0, 600_000)}, {"spend_key": Usage(0, 86_400_000)}):
        verdict = counted(found, HOME, nothing)
        assert (verdict.verdict, verdict.counterfactuals) == ("block", ())


def test_refuses_usages_that_do_not_belong_to_it() -> None:
    for usages in ((), (Usage(0),), (Usage(0),) * 99):
        verdict = judge("outbound", HOME, KEYED, **FACTS, counts=Counts(usages=usages))
        assert (verdict.verdict, verdict.degraded, len(verdict.trace)) == ("block", True, 10)
    allowed = judge("outbound", HOME, KEYED, **FACTS)
    with pytest.raises(ValueError, match="zip"):
        settle(allowed.as_dict(), allowed.charges, [])


def test_keeps_its_promise_of_when_there_is_room_again() -> None:
    attempt = make_attempt("outbound", ABROAD, **FACTS)
    counters, now, promises = Counters(), NOW, 0
    for step in range(60):
        charges = decide(attempt, KEYED).charges
        spent, usages = counters.spend(charges, now, lease=str(step), lease_ms=180_000)
        verdict = decide(attempt, KEYED, Counts(usages=usages))
        assert spent == (verdict.verdict == "allow")
        if verdict.retry_after_seconds is not None:
            later = now + verdict.retry_after_seconds * 1000
            again = decide(attempt, KEYED, Counts(usages=counters.look(charges, later)))
            assert (again.verdict, again.counterfactuals) == ("allow", ())
            assert max(change["seconds"] for change in verdict.counterfactuals) == verdict.retry_after_seconds
            promises += 1
        now += 40_000
    assert promises > 30


SNAPSHOTS = [
    KEYED,
    LISTING,
    with_key(LISTING, observing=True),
    with_key(make_snapshot(outbound=make_rules(mode="unrestricted", countries=[], observing=True))),
    with_key(make_snapshot(outbound=make_rules(mode="unrestricted", countries=[], class_rules={"mobile": "guard"}))),
    replace(KEYED, numbers={OURS: replace(KEYED.numbers[OURS], observing=True)}),
    with_key(
        make_snapshot(
            inbound=make_rules(mode="unrestricted", countries=[], withheld="guard"),
            outbound=make_rules(
                mode="unrestricted",
                countries=[],
                prefix_rules=[{"prefix": "+447", "action": "block", "observing": True}],
            ),
        )
    ),
    with_key(OPEN, limits={LimitName.DESTINATION: Limit(0, 600)}),
]
ATTEMPTS = st.builds(
    lambda direction, peer, values: make_attempt(direction, peer, **values),
    st.sampled_from(["inbound", "outbound"]),
    st.sampled_from([HOME, ABROAD, "+380621234567", "anonymous", "+5351234567", "+18765551234", None]),
    st.fixed_dictionaries(
        {
            "public_key": st.sampled_from([None, KEY]),
            "ip": st.sampled_from([None, "203.0.113.7", "2001:db8::1"]),
            "channel": st.sampled_from(["phone_call", "sms", "web_call", "chat"]),
            "subject": st.sampled_from([None, "patient-7"]),
        }
    ),
)
USAGES = st.builds(
    Usage,
    st.integers(0, 30_000_000),
    st.sampled_from([0, 0, 0, 0, 0, 1, 999, 1000, 250_000]),
    st.sampled_from([True, True, True, False]),
)


@settings(max_examples=1500, deadline=None)
@given(ATTEMPTS, st.sampled_from(SNAPSHOTS), st.lists(USAGES, min_size=30, max_size=30))
def test_settles_to_the_same_verdict_as_deciding_with_the_counts(
    attempt: Attempt, snapshot: Snapshot, usages: list[Usage]
) -> None:
    unsettled = decide(attempt, snapshot)
    found = tuple(usages[: len(unsettled.charges)])
    stored = json.loads(json.dumps(unsettled.as_dict()))

    decided = decide(attempt, snapshot, Counts(usages=found))

    assert settle(stored, unsettled.charges, found) == json.loads(json.dumps(decided.as_dict()))
    assert decided.charges == unsettled.charges
    assert decided.degraded == any(line.held_back for line in decided.trace)
