"""Which kinds of numbers begin with a prefix. By example: the library knows patterns, and one number of each kind.

Pure: the library's data and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Final

import phonenumbers
from phonenumbers import PhoneNumberType

from policies.engine.numbers import understand
from policies.engine.prefixes import calling_code
from policies.engine.types import NumberClass

_FILLINGS: Final = "02579"
_KINDS: Final = tuple(PhoneNumberType.values())
_LONGEST: Final = 15
"""Digits of an E.164 number (ITU-T E.164, 6.2.1)."""


@lru_cache(maxsize=512)
def classes_of(prefix: str) -> frozenset[NumberClass]:
    """None where the prefix does not say a whole calling code."""
    code = calling_code(prefix)
    if code is None:
        return frozenset()
    numbers = (understand(f"+{code}{national}", role="destination") for national in set(_examples(code, prefix)))
    return frozenset(peer.number_class for peer in numbers if peer.problem is None)


def _examples(code: int, prefix: str) -> Iterator[str]:
    """National numbers that begin as the prefix does: as it is, filled up, and with the end of each known example."""
    beginning = prefix.removeprefix(f"+{code}")
    yield beginning
    for length in range(len(beginning) + 1, _LONGEST):
        yield from (beginning.ljust(length, digit) for digit in _FILLINGS)
    for example in _known(code):
        if len(example) > len(beginning):
            yield beginning + example[len(beginning) :]


def _known(code: int) -> Iterator[str]:
    for region in phonenumbers.COUNTRY_CODE_TO_REGION_CODE[code]:
        for kind in _KINDS:
            example = phonenumbers.example_number_for_type(region, kind)
            if example is not None:
                yield phonenumbers.national_significant_number(example)
    elsewhere = phonenumbers.example_number_for_non_geo_entity(code)
    if elsewhere is not None:
        yield phonenumbers.national_significant_number(elsewhere)
