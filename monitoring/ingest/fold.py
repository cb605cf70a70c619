"""One event and what is known of its call → what is known now. In any order and number: the same in the end.

Pure: dicts in, dicts out, named as the columns of Call. Transcripts and tokens are never looked at, and of metadata
only the id of our own decision.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import orjson

from policies.engine.numbers import understand
from policies.engine.types import Channel, Direction, NumberClass

RANKS: Final = {
    "call_started": 1,
    "call_ended": 2,
    "call_analyzed": 3,
    "chat_started": 1,
    "chat_ended": 2,
    "chat_analyzed": 3,
}
"""How far the call was when UponAI sent the event. Rank 0 is what no event told: guesses and imported rows."""

ENDED: Final = 2

READ_AS: Final = 1
"""Goes up when `read` tells more or otherwise: what an older console wrote down is then read from the body again."""

_STATUS_RANKS: Final = {"": -1, "registered": 0, "ongoing": 1}
_OVER: Final = 2  # ended, error, not_connected, and every status that UponAI may add
_CHANNELS: Final = {
    "phone_call": Channel.PHONE_CALL,
    "web_call": Channel.WEB_CALL,
    "api_chat": Channel.CHAT,
    "sms_chat": Channel.SMS,
}
# When UponAI names no direction: visitors open browser calls and chats; SMS that came in have a decision of ours; and a
# call that nobody says came in must not pass for one that needs no gate.
_LIKELY_DIRECTIONS: Final = {
    Channel.PHONE_CALL: Direction.OUTBOUND,
    Channel.WEB_CALL: Direction.INBOUND,
    Channel.CHAT: Direction.INBOUND,
    Channel.SMS: Direction.OUTBOUND,
}
_LENGTHS: Final = {
    "channel": 10,
    "direction": 10,
    "phone_number": 64,
    "peer": 64,
    "agent": 80,
    "status": 20,
    "disconnection_reason": 60,
    "batch_reference": 120,
}
_EARLIEST_MS: Final = 946_684_800_000  # the year 2000
_LATEST_MS: Final = 4_102_444_800_000  # the year 2100
_LONGEST_MS: Final = 2**31 - 1
_MOST_CENTS: Final = Decimal("99999999")
_CENT: Final = Decimal("0.0001")

_BLANK: Final[Mapping[str, Any]] = {
    "channel": "",
    "direction": "",
    "phone_number": "",
    "peer": "",
    "country": "",
    "number_class": NumberClass.UNKNOWN.value,
    "agent": "",
    "status": "",
    "disconnection_reason": "",
    "started_at": None,
    "ended_at": None,
    "duration_ms": 0,
    "cost_cents": Decimal(0),
}
FACTS: Final = tuple(_BLANK)
COLUMNS: Final = (*FACTS, "rank", "older_facts", "decision_id")
_UNTOLD: Final[Mapping[str, Any]] = {**_BLANK, "rank": 0, "older_facts": {}, "decision_id": None}


@dataclass(frozen=True, slots=True)
class Event:
    """What an event tells of a call: only the columns that it does tell."""

    rank: int
    received_at: datetime
    facts: Mapping[str, Any] = field(default_factory=dict)
    decision_id: UUID | None = None
    batch_reference: str = ""
    has_carrier: bool = False


def read(name: str, details: Mapping[str, Any], *, received_at: datetime) -> Event:
    """An event of RANKS with its call or chat object. What is absent or makes no sense is not told."""
    is_chat = name.startswith("chat_")
    kind = details.get("chat_type" if is_chat else "call_type", "api_chat" if is_chat else None)
    status = details.get("chat_status" if is_chat else "call_status")
    facts = {
        "channel": _text("channel", _CHANNELS.get(kind, kind) if isinstance(kind, str) else None),
        "direction": _direction(details.get("direction")),
        "agent": _text("agent", details.get("agent_id")),
        "status": _text("status", status) or ("ongoing" if RANKS[name] == 1 else "ended"),
        "disconnection_reason": _text("disconnection_reason", details.get("disconnection_reason")),
        "started_at": _moment(details.get("start_timestamp")),
        "ended_at": _moment(details.get("end_timestamp")),
        "duration_ms": _milliseconds(details.get("duration_ms")),
        "cost_cents": _cents(details.get("chat_cost" if is_chat else "call_cost")),
    }
    told = {column: value for column, value in facts.items() if value is not None}
    return Event(
        RANKS[name],
        received_at,
        told | _numbers(details, facts["direction"]),
        _decision_id(details),
        batch_reference=_text("batch_reference", details.get("batch_call_id")) or "",
        has_carrier=bool(details.get("telephony_identifier")),
    )


def write_down(event: Event) -> str:
    """What was read of an event, so that nobody need open and read its body again."""
    told = [READ_AS, event.facts, event.decision_id, event.batch_reference, event.has_carrier]
    return orjson.dumps(told, default=str).decode()


def read_back(name: str, text: str, *, received_at: datetime) -> Event | None:
    """The event of this name that `write_down` wrote; None where it was read otherwise than now."""
    read_as, *told = orjson.loads(text)
    if read_as != READ_AS:
        return None
    facts, decision_id, batch_reference, has_carrier = told
    for column in ("started_at", "ended_at"):
        if column in facts:
            facts[column] = datetime.fromisoformat(facts[column])
    if "cost_cents" in facts:
        facts["cost_cents"] = Decimal(facts["cost_cents"])
    return Event(
        RANKS[name], received_at, facts, UUID(decision_id) if decision_id else None, batch_reference, has_carrier
    )


def fold(row: Mapping[str, Any] | None, *events: Event) -> dict[str, Any]:
    """The values of COLUMNS after events. Each fact is the one told by the event of the highest rank."""
    values = dict(row or _UNTOLD)
    rank = values["rank"]
    ranks = dict.fromkeys(FACTS, rank) | values["older_facts"]
    for event in events:
        _take(event, values, ranks)
        rank = max(rank, event.rank)
    values["rank"] = rank
    values["older_facts"] = {column: known for column, known in ranks.items() if known != rank}
    return values


def link(row: Mapping[str, Any], decision: Mapping[str, Any]) -> dict[str, Any]:
    """The values with the decision that let the call in; it knows numbers that UponAI does not tell of an SMS."""
    values = dict(row)
    ranks = {column: values["older_facts"].get(column, values["rank"]) for column in FACTS}
    values["decision_id"] = decision["decision_id"]
    known = {**decision, "peer": decision["peer"] or decision["peer_text"]}
    for columns in (("direction",), ("phone_number",), ("peer", "country", "number_class")):
        if ranks[columns[0]] == 0:
            values |= {column: known[column] for column in columns}
    return values


def _take(event: Event, values: dict[str, Any], ranks: dict[str, int]) -> None:
    rank = event.rank
    for column, told in event.facts.items():
        if rank >= ranks[column] if column != "status" else _moves_on(told, rank, values[column], ranks[column]):
            values[column], ranks[column] = told, rank
    _fill_gaps(values, ranks, event)


def _moves_on(told: str, rank: int, known: str, known_rank: int) -> bool:
    """A call that is over stays over, even if an event sent later says otherwise."""
    return (_status_rank(told), rank) >= (_status_rank(known), known_rank)


def _status_rank(status: str) -> int:
    return _STATUS_RANKS.get(status, _OVER)


def _fill_gaps(values: dict[str, Any], ranks: Mapping[str, int], event: Event) -> None:
    """Guesses where nothing was told, from which neither order nor repetition can be seen."""
    if ranks["direction"] == 0 and not values["direction"]:
        values["direction"] = str(_LIKELY_DIRECTIONS.get(values["channel"], ""))
    if ranks["started_at"] == 0:
        # A call that nobody picked up has no start.
        guesses = [values["started_at"], event.facts.get("ended_at") or event.received_at]
        values["started_at"] = min(guess for guess in guesses if guess is not None)
    elif ranks["duration_ms"] == 0 and values["ended_at"] is not None:
        length = (values["ended_at"] - values["started_at"]) // timedelta(milliseconds=1)
        values["duration_ms"] = min(max(0, length), _LONGEST_MS)


def is_told(values: Mapping[str, Any], column: str) -> bool:
    """Whether any event told of it, or it is only what it is when nobody knows."""
    return int(values["older_facts"].get(column, values["rank"])) > 0


def is_over(values: Mapping[str, Any]) -> bool:
    return _status_rank(values["status"]) == _OVER


def _decision_id(details: Mapping[str, Any]) -> UUID | None:
    """The decision of ours that let the attempt through, as whoever dialled put it into the metadata."""
    metadata = details.get("metadata")
    text = metadata.get("decision_id") if isinstance(metadata, Mapping) else None
    try:
        return UUID(text) if isinstance(text, str) else None
    except ValueError:
        return None


def _numbers(details: Mapping[str, Any], direction: str | None) -> dict[str, Any]:
    """Our side and the other side, with country and class of the latter."""
    if "user_number" in details or "agent_number" in details:
        ours, theirs = details.get("agent_number"), details.get("user_number")
    elif "from_number" not in details and "to_number" not in details:
        return {}
    elif direction == Direction.INBOUND:
        ours, theirs = details.get("to_number"), details.get("from_number")
    else:
        ours, theirs = details.get("from_number"), details.get("to_number")
    peer = understand(theirs, role="caller" if direction == Direction.INBOUND else "destination")
    return {
        "phone_number": _text("phone_number", ours) or "",
        "peer": peer.e164 or _text("peer", theirs) or "",
        "country": peer.country or "",
        "number_class": peer.number_class.value,
    }


def _text(column: str, value: Any) -> str | None:
    return value[: _LENGTHS[column]].replace("\x00", "�") if isinstance(value, str) else None


def _direction(value: Any) -> str | None:
    return value if isinstance(value, str) and value in tuple(Direction) else None


def _moment(value: Any) -> datetime | None:
    if not _is_number(value) or not _EARLIEST_MS <= value <= _LATEST_MS:
        return None
    return datetime.fromtimestamp(int(value) / 1000, UTC)


def _milliseconds(value: Any) -> int | None:
    return min(int(value), _LONGEST_MS) if _is_number(value) and value >= 0 else None


def _cents(cost: Any) -> Decimal | None:
    value = cost.get("combined_cost") if isinstance(cost, Mapping) else None
    if not _is_number(value) or not 0 <= value <= _MOST_CENTS:
        return None
    return Decimal(str(value)).quantize(_CENT)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
