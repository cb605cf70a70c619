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
_USUAL_TYPES = (PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE)
_DIGITS_VARIED = 4


def valid_numbers(count: int, chance: random.Random, regions: Sequence[str] = ()) -> list[str]:
    """Different valid numbers: mobiles and fixed lines of these regions, or all classes of the whole world.

    They are the library's examples with other last digits.
    """
    examples = _examples(regions)
    found: dict[str, None] = {}
    while len(found) < count:
        number = chance.choice(examples)[:-_DIGITS_VARIED] + f"{chance.randrange(10**_DIGITS_VARIED):04}"
        if phonenumbers.is_valid_number(phonenumbers.parse(number, None)):
            found[number] = None
    return list(found)


def _examples(regions: Sequence[str]) -> list[str]:
    found = [
        phonenumbers.example_number_for_type(region, number_type)
        for region in regions or sorted(phonenumbers.SUPPORTED_REGIONS)
        for number_type in (_USUAL_TYPES if regions else _TYPES)
    ]
    if not regions:
        codes = sorted(phonenumbers.COUNTRY_CODES_FOR_NON_GEO_REGIONS)
        found += [phonenumbers.example_number_for_non_geo_entity(code) for code in codes]
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
    """Signature and body. Everybody calls equally often, and so nobody often enough for a limit to speak."""
    now_ms = time.time_ns() // 1_000_000
    for caller in chance.choices(callers, k=count):
        body = webhook_body(caller, chance.choice(own))
        yield signature.sign(body=body, secret=secret, now_ms=now_ms), body
