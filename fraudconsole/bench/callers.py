"""Numbers that could call, and the webhooks that announce them. Made from the library's own examples."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Iterator, Sequence

import orjson
import phonenumbers
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from policies.uponai import signature

_TYPES = (
    *(PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE, PhoneNumberType.TOLL_FREE, PhoneNumberType.VOIP),
    *(PhoneNumberType.PREMIUM_RATE, PhoneNumberType.SHARED_COST, PhoneNumberType.PERSONAL_NUMBER),
)
_DIGITS_VARIED = 4


def valid_numbers(count: int, chance: random.Random) -> list[str]:
    """Different valid numbers of all regions and classes: the library's examples with other last digits."""
    examples = _examples()
    found: dict[str, None] = {}
    while len(found) < count:
        number = chance.choice(examples)[:-_DIGITS_VARIED] + f"{chance.randrange(10**_DIGITS_VARIED):04}"
        if phonenumbers.is_valid_number(phonenumbers.parse(number, None)):
            found[number] = None
    return list(found)


def _examples() -> list[str]:
    found = [
        phonenumbers.example_number_for_type(region, number_type)
        for region in sorted(phonenumbers.SUPPORTED_REGIONS)
        for number_type in _TYPES
    ]
    found += [
        phonenumbers.example_number_for_non_geo_entity(code)
        for code in sorted(phonenumbers.COUNTRY_CODES_FOR_NON_GEO_REGIONS)
    ]
    return [phonenumbers.format_number(number, PhoneNumberFormat.E164) for number in found if number is not None]


def own_numbers(count: int) -> list[str]:
    return [f"+1415555{number:04}" for number in range(count)]


def webhook_body(from_number: str, to_number: str) -> bytes:
    """As UponAI sends it; no two are about the same call."""
    details = {
        "agent_id": "agent_0f8a2b6c4d1e",
        "agent_version": 3,
        "from_number": from_number,
        "to_number": to_number,
        "call_id": f"call_{uuid.uuid4().hex}",
    }
    return orjson.dumps({"event": "call_inbound", "call_inbound": details})


def signed_webhooks(
    count: int, *, callers: Sequence[str], own: Sequence[str], secret: str, chance: random.Random
) -> Iterator[tuple[str, bytes]]:
    """Signature and body. Few call often and many once: a caller's share falls with the rank in the list."""
    shares = [1 / rank for rank in range(1, len(callers) + 1)]
    now_ms = time.time_ns() // 1_000_000
    for caller in chance.choices(callers, shares, k=count):
        body = webhook_body(caller, chance.choice(own))
        yield signature.sign(body=body, secret=secret, now_ms=now_ms), body
