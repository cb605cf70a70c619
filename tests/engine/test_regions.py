"""The short way to a region against the library, on digits of every kind."""

from __future__ import annotations

import random

import phonenumbers
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from policies.engine import regions

SAMPLE = 6_000
TYPES = [value for name, value in vars(PhoneNumberType).items() if name.isupper()]
CALLING_CODES = [str(code) for code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE]
TRUNK_PREFIXES = ("0", "1", "8", "9", "00", "06", "15")


def _examples() -> list[str]:
    found = [
        phonenumbers.example_number_for_type(region, number_type)
        for region in sorted(phonenumbers.SUPPORTED_REGIONS)
        for number_type in TYPES
    ]
    found += [
        phonenumbers.example_number_for_non_geo_entity(code) for code in phonenumbers.COUNTRY_CODES_FOR_NON_GEO_REGIONS
    ]
    return [phonenumbers.format_number(number, PhoneNumberFormat.E164)[1:] for number in found if number]


def _random_digits(chance: random.Random, examples: list[str]) -> str:
    kind = chance.random()
    example = chance.choice(examples)
    if kind < 0.6:
        varied = chance.randint(1, 7)
        return example[:-varied] + _digits(chance, max(0, varied + chance.choice((0, 0, 0, 0, 1, -1))))
    if kind < 0.8:
        return chance.choice(CALLING_CODES) + _digits(chance, chance.randint(1, 15))
    if kind < 0.9:
        code = next(code for code in CALLING_CODES if example.startswith(code))
        return code + chance.choice(TRUNK_PREFIXES) + example[len(code) :]
    return _digits(chance, chance.randint(1, 18))


def _digits(chance: random.Random, count: int) -> str:
    return "".join(chance.choices("0123456789", k=count))


def _by_library(digits: str) -> regions.Found | None:
    """What the library says of digits that are a valid number exactly as they stand."""
    try:
        number = phonenumbers.parse(f"+{digits}", None)
    except phonenumbers.NumberParseException:
        return None
    as_given = phonenumbers.format_number(number, PhoneNumberFormat.E164) == f"+{digits}"
    region = phonenumbers.region_code_for_number(number)
    if region is None or not as_given or not phonenumbers.is_valid_number(number):
        return None
    return regions.Found(region, phonenumbers.number_type(number))


def test_never_says_anything_but_what_the_library_says() -> None:
    chance = random.Random(20_261_121)
    examples = _examples()
    differing = []
    answered = valid = 0

    for digits in (_random_digits(chance, examples) for _ in range(SAMPLE)):
        found, expected = regions.look_up(digits), _by_library(digits)
        answered += found is not None
        valid += expected is not None
        if found is not None and found != expected:
            differing.append((digits, found, expected))

    assert differing == []
    assert valid > SAMPLE / 4
    assert answered > 0.95 * valid


def test_knows_every_example_of_the_library_or_leaves_it_alone() -> None:
    differing = [
        (digits, found)
        for digits in _examples()
        if (found := regions.look_up(digits)) is not None and found != _by_library(digits)
    ]

    assert differing == []


def test_leaves_the_code_that_russia_and_kazakhstan_share_to_the_library() -> None:
    assert regions.look_up("77012345678") is None
    assert regions.look_up("74951234567") is None


def test_leaves_digits_with_a_trunk_prefix_to_the_library() -> None:
    assert regions.look_up("447400123456") == regions.Found("GB", PhoneNumberType.MOBILE)
    assert regions.look_up("4407400123456") is None
