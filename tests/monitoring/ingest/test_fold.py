"""One event and what is known of its call: what is known then."""

import itertools
from datetime import UTC, datetime
from decimal import Decimal
from uuid import uuid4

import pytest

from monitoring.ingest import fold
from tests.monitoring.ingest.events import (
    BRITON,
    CANADIAN,
    ENDED_MS,
    OUR_NUMBER,
    STARTED_MS,
    call_event,
    chat_event,
)

RECEIVED_AT = datetime(2026, 1, 1, tzinfo=UTC)


def told(event):
    details = event.get("call") or event.get("chat")
    return fold.read(event["event"], details, received_at=RECEIVED_AT)


def test_reads_back_what_it_wrote_down():
    for event in (call_event("call_ended", metadata={"decision_id": str(uuid4())}), call_event("call_started", a=1)):
        assert fold.read_back(event["event"], fold.write_down(told(event)), received_at=RECEIVED_AT) == told(event)
    assert fold.read_back("call_ended", "[0]", received_at=RECEIVED_AT) is None


def folded(*events):
    row = None
    for event in events:
        row = fold.fold(row, told(event))
    return row


def test_takes_over_what_a_call_was():
    row = folded(call_event("call_ended"))

    assert row == {
        "channel": "phone_call",
        "direction": "outbound",
        "phone_number": OUR_NUMBER,
        "peer": BRITON,
        "country": "GB",
        "number_class": "mobile",
        "agent": "agent_reminders",
        "status": "ended",
        "disconnection_reason": "user_hangup",
        "started_at": datetime.fromtimestamp(STARTED_MS / 1000, UTC),
        "ended_at": datetime.fromtimestamp(ENDED_MS / 1000, UTC),
        "duration_ms": 62_000,
        "cost_cents": Decimal("9.3"),
        "rank": 2,
        "older_facts": {},
        "decision_id": None,
    }


@pytest.mark.parametrize("changes", [{}, {"start_timestamp": None}, {"duration_ms": None}, {"call_status": None}])
def test_comes_to_the_same_in_any_order_and_number(changes):
    # Each event tells something else, and not everything.
    started = call_event("call_started", agent_id="agent_first", **changes)
    ended = call_event("call_ended", agent_id="agent_second", call_cost={"combined_cost": 5}, **changes)
    analysed = call_event("call_analyzed", agent_id=None, call_cost={"combined_cost": 6.25}, to_number=BRITON)
    once = folded(started, ended, analysed)

    for order in itertools.permutations([started, ended, analysed] * 2):
        assert folded(*order) == once
    assert (once["agent"], once["cost_cents"]) == ("agent_second", Decimal("6.25"))


def test_never_goes_back_to_an_earlier_state():
    row = folded(call_event("call_ended"), call_event("call_started"))

    assert (row["status"], row["duration_ms"]) == ("ended", 62_000)


def test_believes_no_late_event_that_says_a_call_goes_on():
    events = [call_event("call_ended"), call_event("call_analyzed", call_status="ongoing")]

    assert folded(*events)["status"] == folded(*reversed(events))["status"] == "ended"


@pytest.mark.parametrize("status", ["not_connected", "error", "of_tomorrow"])
def test_keeps_states_and_reasons_as_they_are(status):
    row = folded(call_event("call_ended", call_status=status, disconnection_reason="reason_of_tomorrow"))

    assert (row["status"], row["disconnection_reason"]) == (status, "reason_of_tomorrow")


def test_lets_a_call_that_nobody_picked_up_begin_when_it_ended():
    row = folded(
        call_event("call_ended", start_timestamp=None, duration_ms=None, call_cost=None, call_status="not_connected")
    )

    assert row["started_at"] == row["ended_at"] == datetime.fromtimestamp(ENDED_MS / 1000, UTC)
    assert (row["duration_ms"], row["cost_cents"]) == (0, 0)


def test_measures_a_length_that_was_not_told():
    assert folded(call_event("call_ended", duration_ms=None))["duration_ms"] == 62_000


def test_knows_no_negative_length():
    row = folded(call_event("call_ended", duration_ms=-5, end_timestamp=STARTED_MS - 1000))

    assert row["duration_ms"] == 0


@pytest.mark.parametrize(
    "strange",
    [
        {"start_timestamp": "yesterday", "end_timestamp": 10**20, "duration_ms": True},
        {"call_cost": {"combined_cost": -1}},
        {"call_cost": {"combined_cost": 1e30}},
        {"call_cost": [1], "call_status": 7, "direction": "sideways", "agent_id": ["x"], "from_number": 5},
        {"call_type": None, "call_status": "x" * 300, "disconnection_reason": "\x00" * 300},
    ],
)
def test_is_not_upset_by_strange_values(strange):
    row = folded(call_event("call_ended", **strange))

    assert row["duration_ms"] >= 0
    assert row["direction"] == "outbound"  # which needs the gate
    assert 0 <= row["cost_cents"] < 10**8
    assert all("\x00" not in value for value in row.values() if isinstance(value, str))
    assert (len(row["status"]), len(row["disconnection_reason"])) <= (20, 60)


@pytest.mark.parametrize(
    ("caller", "peer", "country", "number_class"),
    [
        (CANADIAN, CANADIAN, "CA", "fixed_or_mobile"),
        ("anonymous", "anonymous", "", "unknown"),
        ("+79161234567", "+79161234567", "RU", "mobile"),
    ],
)
def test_takes_the_caller_for_the_other_side_of_an_inbound_call(caller, peer, country, number_class):
    row = folded(call_event("call_ended", direction="inbound", from_number=caller, to_number=OUR_NUMBER))

    assert (row["phone_number"], row["peer"]) == (OUR_NUMBER, peer)
    assert (row["country"], row["number_class"]) == (country, number_class)


@pytest.mark.parametrize(
    ("chat_type", "channel", "direction"), [("api_chat", "chat", "inbound"), ("sms_chat", "sms", "outbound")]
)
def test_takes_over_what_a_chat_was(chat_type, channel, direction):
    row = folded(chat_event("chat_started", chat_type=chat_type), chat_event("chat_ended", chat_type=chat_type))

    assert (row["channel"], row["direction"], row["status"]) == (channel, direction, "ended")
    assert (row["duration_ms"], row["cost_cents"]) == (62_000, Decimal("0.4"))


def test_learns_the_numbers_of_an_sms_from_its_decision():
    row = folded(chat_event("chat_ended", chat_type="sms_chat"))
    decision = {
        "decision_id": "the id",
        "direction": "inbound",
        "phone_number": OUR_NUMBER,
        "peer": CANADIAN,
        "peer_text": CANADIAN,
        "country": "CA",
        "number_class": "fixed_or_mobile",
    }

    linked = fold.link(row, decision)

    assert (linked["decision_id"], linked["direction"], linked["peer"]) == ("the id", "inbound", CANADIAN)
    assert (linked["country"], linked["phone_number"]) == ("CA", OUR_NUMBER)


def test_carries_neither_transcripts_nor_tokens():
    row = folded(
        call_event("call_ended", call_type="web_call", access_token="token_secret", metadata={"name": "secret"})
    )

    assert "secret" not in str(row)
    assert "4242" not in str(row)
