"""The library's own answer about valid international numbers, with its patterns compiled once.

The library compiles the patterns of a region anew whenever other regions pushed them out of a small cache, and walks
them twice. Here is only its short way: digits in which nothing has to be dropped, and which are valid. For
everything else `look_up` has no answer, and the library is asked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any, Final

import phonenumbers
from phonenumbers import PhoneMetadata, PhoneNumberType

_LONGEST_CALLING_CODE: Final = 3
_SHORTEST_NATIONAL: Final = 2
_LONGEST_NATIONAL: Final = 17
# What Russia and Kazakhstan share decides about sanctions: nothing but the library speaks on it.
_LEFT_TO_LIBRARY: Final = frozenset({7})

# In the order in which the library asks; the first that fits is the type.
_BEFORE_FIXED_LINE: Final[Mapping[str, int]] = MappingProxyType(
    {
        "premium_rate": PhoneNumberType.PREMIUM_RATE,
        "toll_free": PhoneNumberType.TOLL_FREE,
        "shared_cost": PhoneNumberType.SHARED_COST,
        "voip": PhoneNumberType.VOIP,
        "personal_number": PhoneNumberType.PERSONAL_NUMBER,
        "pager": PhoneNumberType.PAGER,
        "uan": PhoneNumberType.UAN,
        "voicemail": PhoneNumberType.VOICEMAIL,
    }
)


@dataclass(frozen=True, slots=True)
class Found:
    """A valid number; its E.164 form is the digits as they were given."""

    region: str
    number_type: int


@dataclass(frozen=True, slots=True)
class _Description:
    """The form of one kind of number in a region."""

    pattern: re.Pattern[str]
    lengths: frozenset[int]

    def fits(self, national: str) -> bool:
        return (not self.lengths or len(national) in self.lengths) and self.pattern.fullmatch(national) is not None


@dataclass(frozen=True, slots=True)
class _Region:
    code: str
    leading_digits: re.Pattern[str] | None
    national_prefix: re.Pattern[str] | None
    general: _Description | None
    before_fixed_line: tuple[tuple[_Description, int], ...]
    fixed_line: _Description | None
    mobile: _Description | None
    mobile_is_fixed_line: bool

    def type_of(self, national: str) -> int:
        if self.general is None or not self.general.fits(national):
            return PhoneNumberType.UNKNOWN
        for description, number_type in self.before_fixed_line:
            if description.fits(national):
                return number_type
        is_mobile = self.mobile is not None and self.mobile.fits(national)
        if self.fixed_line is not None and self.fixed_line.fits(national):
            both = self.mobile_is_fixed_line or is_mobile
            return PhoneNumberType.FIXED_LINE_OR_MOBILE if both else PhoneNumberType.FIXED_LINE
        return PhoneNumberType.MOBILE if is_mobile and not self.mobile_is_fixed_line else PhoneNumberType.UNKNOWN


def look_up(digits: str) -> Found | None:
    """Where complete international digits belong. None: not valid as they stand, or for the library to say."""
    calling_code = _calling_code(digits)
    if calling_code is None or calling_code in _LEFT_TO_LIBRARY:
        return None
    national = digits[len(str(calling_code)) :]
    if not _SHORTEST_NATIONAL <= len(national) <= _LONGEST_NATIONAL:
        return None
    codes = phonenumbers.COUNTRY_CODE_TO_REGION_CODE[calling_code]
    if _may_lose_prefix(national, _region(calling_code, codes[0])):
        return None
    for code in codes:
        region = _region(calling_code, code)
        if len(codes) > 1 and region.leading_digits is not None and not region.leading_digits.match(national):
            continue
        number_type = region.type_of(national)
        if number_type != PhoneNumberType.UNKNOWN:
            return Found(code, number_type)
        if len(codes) == 1 or region.leading_digits is not None:
            return None
    return None


def _calling_code(digits: str) -> int | None:
    """No calling code is the beginning of another one."""
    for length in range(1, _LONGEST_CALLING_CODE + 1):
        if digits[:length] in _CALLING_CODES:
            return int(digits[:length])
    return None


_CALLING_CODES: Final = frozenset(str(code) for code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE)


def _may_lose_prefix(national: str, main: _Region) -> bool:
    """Whether the library might take the first digits for a trunk prefix and drop or rewrite them."""
    match = main.national_prefix.match(national) if main.national_prefix is not None else None
    return match is not None and (match.end() > 0 or any(match.groups()))


@cache
def _region(calling_code: int, code: str) -> _Region:
    metadata: Any = PhoneMetadata.metadata_for_region_or_calling_code(calling_code, code)
    kinds = ((_description(getattr(metadata, name)), number_type) for name, number_type in _BEFORE_FIXED_LINE.items())
    return _Region(
        code=code,
        leading_digits=_compiled(metadata.leading_digits),
        national_prefix=_compiled(metadata.national_prefix_for_parsing),
        general=_description(metadata.general_desc),
        before_fixed_line=tuple((description, number_type) for description, number_type in kinds if description),
        fixed_line=_description(metadata.fixed_line),
        mobile=_description(metadata.mobile),
        mobile_is_fixed_line=metadata.same_mobile_and_fixed_line_pattern,
    )


def _description(description: Any) -> _Description | None:
    if description is None or not description.national_number_pattern:
        return None
    return _Description(re.compile(description.national_number_pattern), frozenset(description.possible_length))


def _compiled(pattern: str | None) -> re.Pattern[str] | None:
    return re.compile(pattern) if pattern else None
