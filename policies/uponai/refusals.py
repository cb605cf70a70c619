"""What of UponAI's answers and endings means that somebody blocked the attempt, and how that is said to people.

Pure. The codes are UponAI's side of the vocabulary of blocked calls; `SAME_AS` says which reason of our own verdicts
means the same.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

import orjson

from policies.engine.names import Reason

COUNTRY_REFUSED: Final = "uponai_country_refused"
REFUSED: Final = "uponai_refused"

WORDS: Final = MappingProxyType(
    {
        COUNTRY_REFUSED: "Country closed at UponAI",
        REFUSED: "Refused by UponAI",
        "uponai_no_valid_payment": "UponAI account without payment",
        "uponai_credit_exhausted": "UponAI credit used up",
        "uponai_budget_reached": "UponAI budget reached",
        "uponai_agent_refused": "Agent refused by UponAI",
        "uponai_number_or_agent_refused": "Number or agent unknown to UponAI",
        "uponai_throttled": "Too many requests for UponAI",
        "uponai_concurrency_limit_reached": "Too many calls at once for UponAI",
        "uponai_scam_detected": "Agent judged a scam by UponAI",
        "uponai_marked_as_spam": "Blocked as spam",
        "uponai_network_blocked": "Blocked by a telephone network",
        "uponai_permission_denied": "Refused by the telephone provider",
        "uponai_invalid_destination": "Number that cannot be reached",
    }
)

SAME_AS: Final = MappingProxyType(
    {
        COUNTRY_REFUSED: Reason.COUNTRY_NOT_ALLOWED.value,
        "uponai_no_valid_payment": Reason.SPEND_CAP_REACHED.value,
        "uponai_credit_exhausted": Reason.SPEND_CAP_REACHED.value,
        "uponai_budget_reached": Reason.SPEND_CAP_REACHED.value,
        "uponai_throttled": Reason.RATE_LIMITED.value,
        "uponai_concurrency_limit_reached": Reason.CONCURRENCY_CAP_REACHED.value,
        "uponai_marked_as_spam": Reason.LISTED.value,
        "uponai_invalid_destination": Reason.INVALID_NUMBER.value,
    }
)
"""The others say what no verdict of ours does."""

BY_STATUS: Final = MappingProxyType(
    {
        400: REFUSED,
        402: "uponai_no_valid_payment",
        403: "uponai_agent_refused",
        422: "uponai_number_or_agent_refused",
        429: "uponai_throttled",
    }
)
"""Answers to a request to start something. Others are faults: of the key, of the way there, of UponAI."""

BY_DISCONNECTION_REASON: Final = MappingProxyType(
    {
        "scam_detected": "uponai_scam_detected",
        "marked_as_spam": "uponai_marked_as_spam",
        "network_blocked": "uponai_network_blocked",
        "telephony_provider_permission_denied": "uponai_permission_denied",
        "invalid_destination": "uponai_invalid_destination",
        "concurrency_limit_reached": "uponai_concurrency_limit_reached",
        "no_valid_payment": "uponai_no_valid_payment",
        "credit_exhausted": "uponai_credit_exhausted",
        "budget_reached": "uponai_budget_reached",
    }
)
"""Not `dial_failed`, which is any fault of a carrier, nor `no_concurrency_fallback`, after which somebody answered, nor
what the called person did."""

# Its wording when a number's list or the sanctions say no. It says the same of a number that is none; the gate never
# sends one.
_ABOUT_COUNTRIES: Final = ("country is not in the allowed", "country is not supported")


def of_answer(status: int | None, said: str) -> str:
    """The code of an answer to a request to start something; empty when it is no block."""
    code = BY_STATUS.get(status or 0, "")
    if code == REFUSED and any(part in said.lower() for part in _ABOUT_COUNTRIES):
        return COUNTRY_REFUSED
    return code


def message_in(note: str) -> str:
    """What UponAI said, out of a note such as `UponAI answered 400: {"message": …}`."""
    body = note.partition(": ")[2] or note
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        return body
    message = parsed.get("message") if isinstance(parsed, dict) else None
    return message if isinstance(message, str) else body


def codes_that_mean(reason: str) -> list[str]:
    """The reason itself, and UponAI's codes for the same."""
    return [reason, *(code for code, same in SAME_AS.items() if same == reason)]
