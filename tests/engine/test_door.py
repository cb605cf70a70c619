"""The door: keys, their web sites, their channels and their number."""

from __future__ import annotations

from typing import Any

import pytest

from policies.engine.door import host_of
from policies.engine.types import Channel, Counts, Verdict
from tests.engine.worlds import KEY, OPEN, OURS, SITE, judge, outcome, with_key

DOOR = Counts(at_door=True)
NOW = 1_780_000_000_000
CALLED = "+14155552671"


def knock(*, origin: Any = SITE, counts: Counts = DOOR, public_key: Any = KEY, **values: Any) -> Verdict:
    facts = {name: values.pop(name) for name in ("channel", "at_ms", "ip") if name in values}
    return judge(
        "outbound", CALLED, with_key(OPEN, **values), public_key=public_key, origin=origin, counts=counts, **facts
    )


def test_lets_a_key_in_from_its_own_web_site() -> None:
    verdict = knock()

    assert (verdict.verdict, outcome(verdict, "door")) == ("allow", "pass")


@pytest.mark.parametrize("public_key", ["pk_other", "", 5, [], {}, True])
def test_refuses_a_key_that_it_does_not_know(public_key: Any) -> None:
    assert knock(public_key=public_key).reason == "unknown_key"


def test_refuses_a_key_that_was_revoked_or_retired_to_the_millisecond() -> None:
    assert knock(active=False).reason == "key_disabled"
    assert knock(retires_at_ms=NOW, at_ms=NOW - 1).verdict == "allow"
    assert knock(retires_at_ms=NOW, at_ms=NOW).reason == "key_disabled"


@pytest.mark.parametrize(
    "origin",
    [
        "https://www.example.com.evil.com",
        "https://evilwww.example.com",
        "https://sub.www.example.com",
        "https://example.com",
        "https://www.example.com@evil.com",
        "https://evil.com/www.example.com",
        "https://www.example.com/",
        "https://www.example.com.",
        "https://www.example.com:99999999",
        "https://www.example.com\n",
        "ftp://www.example.com",
        "//www.example.com",
        "www.example.com",
        "null",
        "",
        "https://",
        None,
        5,
        ["https://www.example.com"],
        "https://www.example.com" + "a" * 5000,
    ],
)
def test_refuses_every_other_web_site_at_the_door(origin: Any) -> None:
    verdict = knock(origin=origin)

    assert (verdict.verdict, verdict.reason, verdict.degraded) == ("block", "origin_not_allowed", False)


@pytest.mark.parametrize(
    "origin",
    ["https://www.example.com", "http://www.example.com", "https://www.example.com:8443", "HTTPS://WWW.EXAMPLE.COM"],
)
def test_knows_a_web_site_by_its_host(origin: str) -> None:
    assert knock(origin=origin).verdict == "allow"


def test_lets_a_page_on_ones_own_machine_in_only_where_it_is_listed() -> None:
    assert knock(origin="http://localhost:3000").reason == "origin_not_allowed"
    assert knock(origin="http://localhost:3000", domains=frozenset({"localhost"})).verdict == "allow"
    assert host_of("http://[::1]:8000") == "[::1]"


def test_judges_the_web_site_in_a_question_only_where_it_is_told() -> None:
    assert knock(origin=None, counts=Counts()).verdict == "allow"
    assert knock(origin="https://evil.com", counts=Counts()).reason == "origin_not_allowed"


@pytest.mark.parametrize("channel", list(Channel))
def test_opens_only_the_channels_of_the_key(channel: Channel) -> None:
    assert knock(channel=channel).verdict == "allow"
    assert knock(channel=channel, channels=frozenset(Channel) - {channel}).reason == "channel_disabled"


def test_calls_from_the_number_of_the_key_and_from_no_other() -> None:
    assert knock(phone_number=OURS).verdict == "allow"
    assert knock(phone_number="+14155550199").reason == "unknown_number"

    unsaid = with_key(OPEN, phone_number=OURS)
    verdict = judge("outbound", CALLED, unsaid, public_key=KEY, from_number=None)
    assert verdict.verdict == "allow"
    assert verdict.number is not None
    assert verdict.number.e164 == OURS


def test_takes_the_policy_of_the_keys_number_for_web_channels() -> None:
    keyed = with_key(OPEN, phone_number=OURS)
    verdict = judge("outbound", None, keyed, public_key=KEY, channel="chat", from_number=None)

    assert (verdict.verdict, verdict.number) == ("allow", None)
    assert verdict.policy is not None


def test_says_what_came_without_a_key() -> None:
    for counts, direction, value in (
        (DOOR, "outbound", "a token"),
        (DOOR, "inbound", "a signed webhook"),
        (Counts(), "outbound", None),
        (Counts(), "inbound", None),
    ):
        line = judge(direction, CALLED, OPEN, counts=counts).trace[0]
        assert (line.value, line.outcome) == (value, "skipped" if value is None else "pass")


def test_is_never_merely_observed() -> None:
    assert knock(observing=True, active=False).verdict == "block"
