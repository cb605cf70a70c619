"""Which countries the numbers that begin with a prefix may belong to. Rather one too many than one too few.

Pure: the library's data and nothing else.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final

import phonenumbers
from phonenumbers import PhoneMetadata

from accounts.countries import CODES

_LONGEST_CALLING_CODE: Final = 3
# An area code of the North American plan belongs to one country alone; elsewhere ranges within a code are mixed.
_NORTH_AMERICA: Final = 1
_AREA_CODE_LENGTH: Final = 3
# Whatever the library does not place in Kazakhstan is Russian, whether or not it is a number: see numbers.understand.
_RUSSIA_AND_KAZAKHSTAN: Final = 7
_KAZAKH_BEGINNINGS: Final = ("6", "7")


def calling_code(prefix: str) -> int | None:
    """The calling code that an E.164 prefix begins with; None where it does not say a whole one."""
    digits = prefix.removeprefix("+")
    for length in range(1, _LONGEST_CALLING_CODE + 1):
        head = digits[:length]
        if head.isdecimal() and len(head) == length and int(head) in phonenumbers.COUNTRY_CODE_TO_REGION_CODE:
            return int(head)
    return None


@lru_cache(maxsize=512)
def countries_of(prefix: str) -> frozenset[str]:
    """ISO codes; none for ranges that no country has, and where the prefix does not say a whole calling code."""
    code = calling_code(prefix)
    if code is None:
        return frozenset()
    national = prefix.removeprefix(f"+{code}")
    if code == _RUSSIA_AND_KAZAKHSTAN:
        return frozenset({"KZ", "RU"}) if not national or national[0] in _KAZAKH_BEGINNINGS else frozenset({"RU"})
    regions = [region for region in phonenumbers.COUNTRY_CODE_TO_REGION_CODE[code] if region in CODES]
    if len(national) < _AREA_CODE_LENGTH:
        return frozenset(regions)
    patterns = {region: _leading_digits(code, region) for region in regions}
    marked = {region for region, pattern in patterns.items() if pattern and re.match(pattern, national)}
    if marked and code == _NORTH_AMERICA:
        return frozenset(marked)
    return frozenset(marked | {region for region, pattern in patterns.items() if not pattern}) or frozenset(regions)


def _leading_digits(code: int, region: str) -> str | None:
    metadata: Any = PhoneMetadata.metadata_for_region_or_calling_code(code, region)
    pattern: str | None = metadata.leading_digits
    return pattern
