"""How calls and chats move on by themselves: steps, their due times, costs, and the events they cause."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable

from . import conversations, countries, webhooks
from .bodies import Body
from .conversations import Conversation
from .provider import Provider

CONNECT_MS = 1_000
REFUSED_MS = 200  # how soon a dial fails that found no free line
ANALYSIS_MS = 300
JOIN_MS = 30_000
REGISTERED_MS = 300_000
DEFAULT_CAP_MS = 3_600_000

NOT_CONNECTED_REASONS = frozenset(
    {
        "dial_busy",
        "dial_failed",
        "dial_no_answer",
        "invalid_destination",
        "marked_as_spam",
        "network_blocked",
        "sip_routing_error",
        "telephony_provider_permission_denied",
        "telephony_provider_unavailable",
        "user_declined",
    }
)
ERROR_REASONS = frozenset(
    {
        "budget_reached",
        "concurrency_limit_reached",
        "credit_exhausted",
        "error_asr",
        "error_llm_websocket_corrupt_payload",
        "error_llm_websocket_lost_connection",
        "error_llm_websocket_open",
        "error_llm_websocket_runtime",
        "error_no_audio_received",
        "error_retell",
        "error_unknown",
        "error_user_not_joined",
        "no_valid_payment",
        "registered_call_timeout",
        "scam_detected",
    }
)
ENDED_REASONS = frozenset(
    {
        "agent_hangup",
        "call_take_over",
        "call_transfer",
        "inactivity",
        "ivr_reached",
        "manual_stopped",
        "max_duration_reached",
        "no_concurrency_fallback",
        "transfer_bridged",
        "transfer_cancelled",
        "user_hangup",
        "user_requested_callback",
        "user_requested_dnc",
        "voicemail_reached",
    }
)
REASONS = ENDED_REASONS | ERROR_REASONS | NOT_CONNECTED_REASONS
OVER = ("ended", "error", "not_connected")


def status_of(reason: str) -> str:
    if reason in NOT_CONNECTED_REASONS:
        return "not_connected"
    return "error" if reason in ERROR_REASONS else "ended"


def connect(provider: Provider, call: Conversation, *, at: int) -> None:
    """The call is picked up (or the browser has joined); it will end at its length or its cap."""
    length = _natural_length_ms(provider, call)
    cap = call.hidden.get("cap_ms") or DEFAULT_CAP_MS
    call.body.update(call_status="ongoing", start_timestamp=at)
    call.sort_at = at
    call.holds_slot = True
    limit = conversations.concurrency(provider)
    call.hidden["is_burst"] = limit["current_concurrency"] > limit["concurrency_limit"]
    call.hidden["ends_as"] = "max_duration_reached" if cap < length else "user_hangup"
    call.schedule("finish", at + min(length, cap))
    conversations.save(provider, call)
    webhooks.announce(provider, "call_started", call)


def _natural_length_ms(provider: Provider, call: Conversation) -> int:
    """How long the two would talk. The other side's number chooses, so that it is the same whenever it is called."""
    seconds = provider.settings["call_seconds"]
    peer = str(call.body.get("from_number" if call.body.get("direction") == "inbound" else "to_number", ""))
    prefixes = [prefix for prefix in provider.settings["call_seconds_by_prefix"] if peer.startswith(prefix)]
    if prefixes:
        choices = provider.settings["call_seconds_by_prefix"][max(prefixes, key=len)]
        seconds = choices[zlib.crc32(peer.encode()) % len(choices)]
    return int(seconds * 1000)


def finish(provider: Provider, call: Conversation, *, reason: str, at: int) -> None:
    """The call is over. One that was never picked up has neither start nor duration."""
    started_at = call.body.get("start_timestamp")
    call.body.update(call_status=status_of(reason), disconnection_reason=reason, end_timestamp=at)
    if started_at is not None:
        call.body["duration_ms"] = at - started_at
        call.body["call_cost"] = _call_cost(call, at - started_at)
        call.body["latency"] = {"e2e": {"p50": 800.0, "p90": 1100.0, "num": 4.0}}
        call.body["transcript"] = "Agent: Hello, how can I help?\nUser: Thank you, goodbye.\n"
    call.holds_slot = False
    call.schedule("analyse", at + ANALYSIS_MS)
    conversations.save(provider, call)
    webhooks.announce(provider, "call_ended", call)


def _call_cost(call: Conversation, duration_ms: int) -> Body:
    phone = call.body["call_type"] == "phone_call"
    seconds = math.ceil(duration_ms / 1000)
    prices = {"telephony" if phone else "voice_engine": countries.cents_per_second(call.body.get("to_number"))}
    if call.hidden.get("is_burst"):
        prices["burst_concurrency"] = countries.BURST_CENTS_PER_MINUTE / 60
    products = [
        {"product": product, "unit_price": round(price, 6), "cost": round(price * seconds, 4)}
        for product, price in prices.items()
    ]
    return {
        "combined_cost": round(sum(prices.values()) * seconds, 4),
        "product_costs": products,
        "total_duration_seconds": seconds,
        "total_duration_unit_price": round(sum(prices.values()), 6),
    }


def analyse(provider: Provider, call: Conversation) -> None:
    reason = call.body["disconnection_reason"]
    call.body["call_analysis"] = {
        "call_summary": f"The call was over because of {reason}.",
        "user_sentiment": "Neutral" if "start_timestamp" in call.body else "Unknown",
        "call_successful": reason in ("user_hangup", "agent_hangup", "call_transfer"),
        "in_voicemail": reason == "voicemail_reached",
        "custom_analysis_data": {},
    }
    call.schedule(None, None)
    conversations.save(provider, call)
    webhooks.announce(provider, "call_analyzed", call)


def finish_chat(provider: Provider, chat: Conversation, *, at: int) -> None:
    chat.body.update(chat_status="ended", end_timestamp=at)
    chat.hidden["duration_ms"] = at - chat.body["start_timestamp"]
    chat.schedule("analyse_chat", at + ANALYSIS_MS)
    conversations.save(provider, chat)
    webhooks.announce(provider, "chat_ended", chat)


def analyse_chat(provider: Provider, chat: Conversation) -> None:
    messages = chat.body.get("message_with_tool_calls", [])
    chat.body["chat_analysis"] = {
        "chat_summary": f"A chat of {len(messages)} messages.",
        "user_sentiment": "Neutral",
        "chat_successful": len(messages) > 1,
        "custom_analysis_data": {},
    }
    chat.schedule(None, None)
    conversations.save(provider, chat)
    webhooks.announce(provider, "chat_analyzed", chat)


STEPS: dict[str, Callable[[Provider, Conversation, int], None]] = {
    "connect": lambda provider, call, at: connect(provider, call, at=at),
    "finish": lambda provider, call, at: finish(provider, call, reason=call.hidden["ends_as"], at=at),
    "analyse": lambda provider, call, at: analyse(provider, call),
    "finish_chat": lambda provider, chat, at: finish_chat(provider, chat, at=at),
    "analyse_chat": lambda provider, chat, at: analyse_chat(provider, chat),
}


def run_due(provider: Provider) -> None:
    """Take every step whose time has come, at the time it was due: also what was missed while not running."""
    while True:
        row = provider.store.row(
            "SELECT * FROM conversations WHERE due_at <= ? ORDER BY due_at, seq LIMIT 1", provider.now()
        )
        if row is None:
            return
        one = conversations.from_row(row)
        with provider.store.transaction():
            STEPS[one.next_step or ""](provider, one, row["due_at"])
