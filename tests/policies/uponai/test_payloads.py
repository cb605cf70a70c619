"""UponAI's JSON to our nouns and back."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.engine.decide import decide
from policies.engine.types import Channel, VerdictKind
from policies.uponai.payloads import (
    PayloadError,
    answer_inbound,
    read_country_list,
    read_inbound,
    read_number,
    same_lists,
    update_body,
)
from tests.engine.worlds import LISTING, OURS, judge, make_rules, make_snapshot

CALL = {
    "event": "call_inbound",
    "call_inbound": {
        "call_id": "call_in9",
        "agent_id": "agent_front",
        "agent_version": 3,
        "from_number": "+14155550123",
        "to_number": OURS,
    },
}
NUMBER = {
    "phone_number": OURS,
    "phone_number_type": "retell-twilio",
    "phone_number_pretty": "+1 (415) 555-0100",
    "nickname": "Front desk",
    "last_modification_timestamp": 1767225600000,
    "inbound_agents": [{"agent_id": "agent_front", "weight": 1, "agent_version": 3}],
    "outbound_agents": [{"agent_id": "agent_out", "weight": 0.5}, {"agent_id": "agent_b", "weight": 0.5}],
    "inbound_webhook_url": "https://console.example.com/hooks/inbound",
    "inbound_sms_webhook_url": None,
    "allowed_inbound_country_list": ["US", "CA"],
    "allowed_outbound_country_list": ["US"],
    "fallback_number": None,
}


def test_reads_an_inbound_call() -> None:
    attempt = read_inbound(json.dumps(CALL | {"event_timestamp": 1}).encode())

    assert (attempt.direction, attempt.channel) == ("inbound", "phone_call")
    assert (attempt.from_number, attempt.to_number) == ("+14155550123", OURS)
    assert attempt.call_reference == "call_in9"
    assert decide(attempt, LISTING).verdict == "allow"


def test_reads_an_inbound_sms() -> None:
    details = {"chat_id": "chat_7", "from_number": "+14155550123", "to_number": OURS, "call_id": "no"}

    attempt = read_inbound(json.dumps({"event": "chat_inbound", "chat_inbound": details}).encode())

    assert (attempt.channel, attempt.call_reference) == ("sms", "chat_7")


@pytest.mark.parametrize("number", [None, 5, [], {"a": 1}, "", "anonymous"])
def test_leaves_a_strange_number_to_the_engine_which_refuses_it(number: Any) -> None:
    body = json.dumps(CALL | {"call_inbound": {"from_number": number, "to_number": OURS}}).encode()

    attempt = read_inbound(body)

    assert attempt.from_number == number
    assert decide(attempt, LISTING).verdict == "block"


def test_rejects_a_call_that_names_no_number_at_all() -> None:
    verdict = decide(read_inbound(b'{"event":"call_inbound","call_inbound":{}}'), LISTING)

    assert answer_inbound(verdict.verdict, channel=Channel.PHONE_CALL) == {"call_inbound": {"reject": True}}


@pytest.mark.parametrize("reference", [None, "", 5, [], "x" * 201])
def test_takes_no_reference_that_is_not_one(reference: Any) -> None:
    details = {"call_id": reference, "from_number": "+14155550123", "to_number": OURS}

    assert read_inbound(json.dumps(CALL | {"call_inbound": details}).encode()).call_reference is None


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "not_json"),
        (b"{", "not_json"),
        (b"\xff{}", "not_json"),
        (b"[" * 100_000, "not_json"),
        (b'{"a":NaN}', "not_json"),
        (b"[]", "not_an_object"),
        (b"null", "not_an_object"),
        (b'"call_inbound"', "not_an_object"),
        (b"{}", "unknown_event"),
        (b'{"event":"call_started","call":{}}', "unknown_event"),
        (b'{"event":["call_inbound"]}', "unknown_event"),
        (b'{"event":"call_inbound"}', "no_details"),
        (b'{"event":"call_inbound","chat_inbound":{}}', "no_details"),
        (b'{"event":"call_inbound","call_inbound":[]}', "no_details"),
    ],
    ids=lambda part: str(part)[:40],
)
def test_names_what_is_wrong_with_a_body(body: bytes, code: str) -> None:
    with pytest.raises(PayloadError) as raised:
        read_inbound(body)

    assert raised.value.code == code
    assert raised.value.detail.endswith(".")


@given(st.binary(max_size=300))
def test_reads_any_bytes_or_raises_its_own_error(body: bytes) -> None:
    with suppress(PayloadError):
        assert read_inbound(body).direction == "inbound"


def test_answers_allow_with_nothing_and_block_with_a_json_true() -> None:
    allowed, blocked = judge("inbound", "+14155552671"), judge("inbound", "+5351234567")

    assert answer_inbound(allowed.verdict, channel=Channel.PHONE_CALL) == {"call_inbound": {}}
    assert answer_inbound(blocked.verdict, channel=Channel.PHONE_CALL) == {"call_inbound": {"reject": True}}
    assert answer_inbound(blocked.verdict, channel=Channel.SMS) == {"chat_inbound": {"reject": True}}


def test_answers_guard_with_a_capped_call_and_the_guarded_agent() -> None:
    rules = make_rules(mode="unrestricted", class_rules={"mobile": "guard"})
    guarded = judge("inbound", "+447400123456", make_snapshot(inbound=rules))

    assert guarded.verdict == VerdictKind.GUARD
    assert answer_inbound(guarded.verdict, channel=Channel.PHONE_CALL, guarded_agent="agent_guarded") == {
        "call_inbound": {
            "override_agent_id": "agent_guarded",
            "metadata": {"gate": "guard"},
            "agent_override": {"agent": {"max_call_duration_ms": 60_000}},
        }
    }
    assert "override_agent_id" not in answer_inbound(guarded.verdict, channel=Channel.PHONE_CALL)["call_inbound"]
    assert "agent_override" not in answer_inbound(guarded.verdict, channel=Channel.SMS)["chat_inbound"]


def test_rejects_on_every_verdict_that_is_neither_allow_nor_guard() -> None:
    challenged = judge("outbound", "+380621234567", make_snapshot(outbound=make_rules(countries=["UA"])))

    assert challenged.verdict == VerdictKind.CHALLENGE
    assert answer_inbound(challenged.verdict, channel=Channel.PHONE_CALL) == {"call_inbound": {"reject": True}}


def test_reads_a_phone_number() -> None:
    number = read_number(NUMBER | {"something_new": 1})

    assert (number.phone_number, number.nickname, number.modified_ms) == (OURS, "Front desk", 1767225600000)
    assert (number.inbound_countries, number.outbound_countries) == ({"US", "CA"}, {"US"})
    assert (number.inbound_agents, number.outbound_agents) == (("agent_front",), ("agent_out", "agent_b"))
    assert (number.inbound_sms_agents, number.inbound_sms_webhook_url) == ((), None)


def test_reads_the_smallest_phone_number() -> None:
    number = read_number({"phone_number": OURS, "phone_number_type": "custom"})

    assert (number.nickname, number.modified_ms, number.inbound_countries) == ("", None, None)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"phone_number": None}, "phone_number"),
        ({"phone_number": "14155550100"}, "phone_number"),
        ({"phone_number": 14155550100}, "phone_number"),
        ({"nickname": 5}, "nickname"),
        ({"allowed_inbound_country_list": "US"}, "allowed_inbound_country_list"),
        ({"allowed_outbound_country_list": ["US", None]}, "allowed_outbound_country_list"),
        ({"allowed_outbound_country_list": [""]}, "allowed_outbound_country_list"),
        ({"allowed_outbound_country_list": {}}, "allowed_outbound_country_list"),
        ({"inbound_agents": {"agent_id": "a"}}, "inbound_agents"),
        ({"outbound_agents": [{}]}, "outbound_agents"),
    ],
)
def test_names_the_field_of_a_phone_number_that_is_not_as_it_should_be(change: dict[str, Any], code: str) -> None:
    with pytest.raises(PayloadError) as raised:
        read_number(NUMBER | change)

    assert raised.value.code == code


@pytest.mark.parametrize("value", [None, [], "x", 5])
def test_refuses_a_phone_number_that_is_no_object(value: Any) -> None:
    with pytest.raises(PayloadError):
        read_number(value)


@pytest.mark.parametrize("shown", [{}, {"countries": None}, {"countries": []}])
def test_reads_null_empty_and_absent_as_no_restriction(shown: dict[str, Any]) -> None:
    assert read_country_list(shown, "countries") is None


def test_writes_both_lists_whole_and_never_an_empty_one() -> None:
    assert update_body(inbound=["US", "CA", "us"], outbound=None) == {
        "allowed_inbound_country_list": ["CA", "US"],
        "allowed_outbound_country_list": None,
    }
    assert update_body(inbound=None, outbound=[])["allowed_outbound_country_list"] == ["BV"]


@given(st.none() | st.sets(st.sampled_from(["US", "CA", "GB", "JM"])), st.none() | st.sets(st.just("DE")))
def test_reads_back_what_it_wrote(inbound: set[str] | None, outbound: set[str] | None) -> None:
    body = update_body(inbound=inbound, outbound=outbound)
    again = read_number(NUMBER | body)

    assert update_body(inbound=again.inbound_countries, outbound=again.outbound_countries) == body
    assert (again.inbound_countries is None) == (inbound is None)
    assert [] not in body.values()


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        (["US", "CA"], ["ca", "US", "US"], True),
        (None, [], True),
        (None, None, True),
        (frozenset(), None, True),
        (["US"], None, False),
        (["US"], ["US", "CA"], False),
    ],
)
def test_compares_lists_as_uponai_means_them(left: Any, right: Any, same: bool) -> None:
    assert same_lists(left, right) is same
    assert same_lists(right, left) is same
