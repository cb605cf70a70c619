"""Holds in the judgement: what each scope covers, for how long, and that a hold only ever takes away."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.engine import counterfactuals
from policies.engine.counterfactuals import length_of
from policies.engine.decide import decide
from policies.engine.types import Attempt, Channel, Direction, Holds, HoldScope, HoldSnapshot, Snapshot, VerdictKind
from tests.engine.worlds import LISTING, OPEN, OURS, judge, make_attempt, outcome, with_key

END = 1_780_000_000_000
CALLER = "+14155552671"
FACTS = {"ip": "203.0.113.7", "public_key": "pk_site", "subject": "patient-7"}


def make_hold(scope: str, value: str = "", *, pk: int = 9, expires_at_ms: int = END, **narrowed: Any) -> HoldSnapshot:
    return HoldSnapshot(pk, HoldScope(scope), value, expires_at_ms, **narrowed)


def holding(*holds: HoldSnapshot, snapshot: Snapshot = OPEN) -> Snapshot:
    return with_key(replace(snapshot, holds=Holds.of(holds)), key="pk_site")


COVERING = [
    ("workspace", ""),
    ("phone_number", OURS),
    ("key", "pk_site"),
    ("peer", CALLER),
    ("prefix", "+1415"),
    ("prefix", CALLER),
    ("country", "US"),
    ("ip", "203.0.113.7"),
    ("ip", "203.0.113.0/24"),
    ("subject", "patient-7"),
]
NOT_COVERING = [
    ("phone_number", "+14155550101"),
    ("key", "pk_other"),
    ("peer", "+14155552672"),
    ("prefix", "+1416"),
    ("prefix", CALLER + "1"),
    ("country", "CA"),
    ("ip", "203.0.113.8"),
    ("ip", "2001:db8::/32"),
    ("subject", "patient-70"),
]


@pytest.mark.parametrize(("scope", "value"), COVERING)
@pytest.mark.parametrize("direction", ["inbound", "outbound"])
def test_blocks_what_a_hold_covers(direction: str, scope: str, value: str) -> None:
    verdict = judge(direction, CALLER, holding(make_hold(scope, value)), **FACTS)

    assert (verdict.verdict, verdict.reasons, verdict.hold_id) == ("block", ("held",), 9)
    (line,) = [line for line in verdict.as_dict()["trace"] if line["check"] == "holds"]
    assert line["value"] == f"{scope.replace('_', ' ')} {value}".strip() + " until 2026-05-28T20:26:40Z"
    assert line["threshold"] == "no hold"


@pytest.mark.parametrize(("scope", "value"), NOT_COVERING)
def test_leaves_alone_what_a_hold_does_not_cover(scope: str, value: str) -> None:
    verdict = judge("outbound", CALLER, holding(make_hold(scope, value)), **FACTS)

    assert (verdict.verdict, verdict.hold_id, outcome(verdict, "holds")) == ("allow", None, "pass")


def test_knows_an_address_in_every_spelling() -> None:
    held = holding(make_hold("ip", "2001:db8::/32"), make_hold("ip", "203.0.113.7", pk=10))

    for spelling in ("2001:DB8:0:0::1", "2001:db8::ffff", "::ffff:203.0.113.7", "203.0.113.7"):
        assert judge("outbound", CALLER, held, ip=spelling).reason == "held"
    for other in ("2001:db9::1", "203.0.113.70", "nonsense", 5, None):
        assert judge("outbound", CALLER, held, ip=other).verdict == "allow"


def test_covers_only_its_direction_and_channel() -> None:
    inbound = holding(make_hold("workspace", direction=Direction.INBOUND))
    sms = holding(make_hold("workspace", channel=Channel.SMS))

    assert judge("inbound", CALLER, inbound).reason == "held"
    assert judge("outbound", CALLER, inbound).verdict == "allow"
    assert judge("outbound", CALLER, sms, channel="sms").reason == "held"
    assert judge("outbound", CALLER, sms).verdict == "allow"


def test_stops_chats_and_web_calls_that_dial_nobody() -> None:
    chat = Attempt(Direction.OUTBOUND, Channel.CHAT, public_key="pk_site")

    assert decide(chat, holding(make_hold("key", "pk_site"))).reason == "held"
    assert decide(chat, holding(make_hold("workspace"))).reason == "held"


@pytest.mark.parametrize(
    ("at_ms", "verdict"), [(END - 1, "block"), (END, "allow"), (END + 1, "allow"), (None, "block")]
)
def test_ends_to_the_millisecond_and_is_in_force_where_no_time_is_told(at_ms: int | None, verdict: str) -> None:
    assert decide(make_attempt("inbound", CALLER), holding(make_hold("workspace")), at_ms=at_ms).verdict == verdict


def test_leaves_sanctions_first() -> None:
    verdict = judge("inbound", "+5351234567", holding(make_hold("workspace")))

    assert verdict.reasons == ("sanctioned_country", "held")
    assert verdict.counterfactuals == ()


def test_goes_before_the_country_list() -> None:
    verdict = judge("outbound", "+18765551234", holding(make_hold("country", "JM"), snapshot=LISTING))

    assert verdict.reasons == ("held", "country_not_allowed")


def test_says_when_it_ends_and_that_lifting_it_would_do() -> None:
    held, attempt = holding(make_hold("country", "US")), make_attempt("inbound", CALLER)

    (change,) = decide(attempt, held, at_ms=END - 250_000).counterfactuals

    assert change["sentence"] == "when the hold ends in 4 min 10 s, or if it were lifted"
    assert decide(*counterfactuals.apply(change, attempt, held, policy_id=3)).verdict == "allow"


def test_names_every_hold_that_would_have_to_go_and_the_brake_first() -> None:
    holds = make_hold("country", "US", pk=2, expires_at_ms=END - 200_000), make_hold("workspace", pk=5)
    attempt = make_attempt("inbound", CALLER)

    verdict = decide(attempt, holding(*holds), at_ms=END - 250_000)

    (change,) = verdict.counterfactuals
    assert verdict.hold_id == 5
    assert change["holds"] == [5, 2]
    assert change["sentence"] == "when the last of these holds ends in 4 min 10 s, or if all were lifted"
    assert decide(*counterfactuals.apply(change, attempt, holding(*holds), policy_id=3)).verdict == "allow"
    assert decide(attempt, holding(*holds), at_ms=END - 1).hold_id == 5
    assert decide(attempt, holding(holds[0]), at_ms=END - 200_000).verdict == "allow"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59, "59 s"), (60, "1 min"), (3725, "1 h 2 min"), (86_400, "1 day"), (180_061, "2 days 2 h")],
)
def test_says_a_length_in_its_two_largest_units(seconds: int, words: str) -> None:
    assert length_of(seconds) == words


def test_survives_being_written_down() -> None:
    held = holding(make_hold("ip", "203.0.113.0/24", direction=Direction.OUTBOUND, channel=Channel.CHAT))

    assert Snapshot.from_dict(held.as_dict()) == held


HOLDS = st.builds(
    lambda what, pk, end, direction, channel: make_hold(
        *what, pk=pk, expires_at_ms=end, direction=direction, channel=channel
    ),
    st.sampled_from(COVERING + NOT_COVERING + [("country", "CU"), ("prefix", "+5"), ("prefix", "+")]),
    st.integers(1, 50),
    st.integers(END - 2, END + 2),
    st.none() | st.sampled_from(Direction),
    st.none() | st.sampled_from(Channel),
)
ATTEMPTS = st.builds(
    Attempt,
    st.sampled_from(Direction),
    st.sampled_from(Channel),
    from_number=st.sampled_from([OURS, CALLER, "+5351234567", "anonymous", None, 5]),
    to_number=st.sampled_from([OURS, CALLER, "+18765551234", "911", None]),
    ip=st.sampled_from([None, "203.0.113.7", "2001:db8::1", "x", {}]),
    public_key=st.sampled_from([None, "pk_site", "", []]),
    subject=st.sampled_from([None, "patient-7", 7]),
)
_ORDER = [VerdictKind.ALLOW, VerdictKind.GUARD, VerdictKind.CHALLENGE, VerdictKind.BLOCK]


@settings(max_examples=500, deadline=None)
@given(ATTEMPTS, st.lists(HOLDS, max_size=4), HOLDS, st.none() | st.integers(END - 2, END + 2))
def test_never_allows_more_when_a_hold_is_added(
    attempt: Attempt, present: list[HoldSnapshot], added: HoldSnapshot, at_ms: int | None
) -> None:
    before = decide(attempt, holding(*present), at_ms=at_ms)
    after = decide(attempt, holding(*present, added), at_ms=at_ms)

    assert not after.degraded
    assert _ORDER.index(after.verdict) >= _ORDER.index(before.verdict)
    assert set(before.reasons) <= set(after.reasons)
