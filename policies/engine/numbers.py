"""From any caller or destination value to a Peer: canonical number, country, class, flags, problem.

Total: every JSON value gives a Peer, nothing raises. No default region is ever guessed, and the calling code
decides about sanctions before the library's opinion on validity is heard.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final, Literal

import phonenumbers
from phonenumbers import PhoneNumber, PhoneNumberType

from accounts.countries import SANCTIONED_SET
from policies.engine import regions
from policies.engine.text import MAX_LENGTH, Reading, read, sanctioned_calling_code
from policies.engine.types import NumberClass, NumberProblem, Peer

Role = Literal["caller", "destination"]

METADATA_VERSION: Final = f"phonenumbers {phonenumbers.__version__}"

_SHARED_RUSSIAN_CODE: Final = 7
_NON_GEOGRAPHIC: Final = "001"
# Regions the library knows by codes that are not ordinary ISO codes; both are part of Saint Helena's.
_REGION_TO_COUNTRY: Final = {"AC": "SH", "TA": "SH"}
# Ranges that several countries hold together; the library names the first of them.
_SHARED_RANGE_COUNTRIES: Final = frozenset({"GP", "FI"})
# Satellite networks by prefix (Inmarsat, Iridium, Globalstar, Thuraya, Australian satellite services): the
# library calls most of them mobile, which must never satisfy a rule about mobiles.
_SATELLITE_PREFIXES: Final = ("870", "8816", "8817", "8818", "8819", "88216", "6114")
_INTERNATIONAL_PREMIUM_PREFIX: Final = "979"
_EMERGENCY: Final = frozenset({"000", "110", "112", "119", "911", "988", "999"})
_SHORTEST_SUBSCRIBER: Final = 7  # digits without a plus below this are a short code, never a whole number

_CLASSES: Final = {
    PhoneNumberType.FIXED_LINE: NumberClass.FIXED_LINE,
    PhoneNumberType.MOBILE: NumberClass.MOBILE,
    PhoneNumberType.FIXED_LINE_OR_MOBILE: NumberClass.FIXED_OR_MOBILE,
    PhoneNumberType.TOLL_FREE: NumberClass.TOLL_FREE,
    PhoneNumberType.PREMIUM_RATE: NumberClass.PREMIUM_RATE,
    PhoneNumberType.SHARED_COST: NumberClass.SHARED_COST,
    PhoneNumberType.VOIP: NumberClass.VOIP,
    PhoneNumberType.PERSONAL_NUMBER: NumberClass.PERSONAL,
    PhoneNumberType.PAGER: NumberClass.PAGER,
    PhoneNumberType.UAN: NumberClass.UAN,
    PhoneNumberType.VOICEMAIL: NumberClass.VOICEMAIL,
}


def understand(value: Any, *, role: Role) -> Peer:
    """Say who a caller or destination value stands for, whatever JSON value it is."""
    if value is None and role == "caller":
        return _problem(NumberProblem.WITHHELD, "withheld")
    if not isinstance(value, str):
        return _problem(NumberProblem.NOT_TEXT)
    return _understand_text(value[: MAX_LENGTH + 1], role)


@lru_cache(maxsize=16_384)
def _understand_text(text: str, role: Role) -> Peer:
    reading = read(text)
    if reading.problem is not None:
        flags = reading.flags + (("calling_code_only",) if reading.sanctioned else ())
        return _problem(reading.problem, *flags, country=reading.sanctioned)
    if reading.has_plus:
        return _with_marks(_resolve(reading.digits), reading, role)
    if len(reading.digits) < _SHORTEST_SUBSCRIBER:
        return _short(reading)
    return _with_marks(_plus_lost(reading.digits, role), reading, role)


def forget() -> None:
    """Drops every number understood so far, as after a restart."""
    _understand_text.cache_clear()
    _resolve.cache_clear()


def sanctioned_country(value: Any) -> str | None:
    """The sanctioned country whose calling code this value starts with; a valid Kazakh number has none."""
    country = understand(value, role="caller").country
    return country if country in SANCTIONED_SET else None


def calling_prefix(e164: str | None) -> str:
    """What people recognise in front of a number: the calling code, and in +1 the area code too."""
    if not e164:
        return ""
    if e164.startswith("+1"):
        return f"+1 {e164[2:5]}"
    code = next((e164[1:end] for end in (2, 3, 4) if _is_calling_code(e164[1:end])), e164[1:4])
    return f"+{code}"


def _is_calling_code(digits: str) -> bool:
    return digits.isdecimal() and int(digits) in phonenumbers.COUNTRY_CODE_TO_REGION_CODE


def _problem(problem: NumberProblem, *flags: str, country: str | None = None) -> Peer:
    return Peer(None, country, NumberClass.UNKNOWN, flags, problem)


def _short(reading: Reading) -> Peer:
    if "sip" in reading.flags:
        return _problem(NumberProblem.SIP_WITHOUT_NUMBER, *reading.flags)
    if reading.digits in _EMERGENCY:
        return Peer(None, None, NumberClass.EMERGENCY, reading.flags, NumberProblem.EMERGENCY)
    return Peer(None, None, NumberClass.SHORT_CODE, reading.flags, NumberProblem.SHORT_CODE)


def _plus_lost(digits: str, role: Role) -> Peer:
    """Digits without a plus. Form decoding turns a plus into a space, so a caller's number is tried once
    with it; a destination must be complete, since a guess would dial somebody else.
    """
    peer = _resolve(digits)
    if peer.problem is None and peer.country in SANCTIONED_SET:
        return peer
    dialled_abroad = sanctioned_calling_code(digits, has_plus=False)
    if dialled_abroad is not None and peer.problem is not None:
        return _problem(NumberProblem.NOT_INTERNATIONAL, "calling_code_only", country=dialled_abroad)
    if role == "caller" and (peer.problem is None or peer.country in SANCTIONED_SET):
        return Peer(peer.e164, peer.country, peer.number_class, (*peer.flags, "plus_added"), peer.problem)
    return _problem(NumberProblem.NOT_INTERNATIONAL)


def _with_marks(peer: Peer, reading: Reading, role: Role) -> Peer:
    """Add what the writing said beside the digits. A destination on a SIP host is not the number alone."""
    flags = peer.flags + reading.flags
    problem = peer.problem
    if problem is None and role == "destination" and "sip" in reading.flags:
        problem = NumberProblem.MALFORMED
    elif problem is None and reading.has_extension:
        problem = NumberProblem.EXTENSION
    if flags == peer.flags and problem == peer.problem:
        return peer
    return Peer(peer.e164, peer.country, peer.number_class, flags, problem)


@lru_cache(maxsize=16_384)
def _resolve(digits: str) -> Peer:
    """Complete international digits, calling code first."""
    found = regions.look_up(digits)
    if found is not None:
        country = _country_of(sanctioned_calling_code(digits, has_plus=True) or found.region)
        return _valid(digits, found.number_type, country)
    try:
        number = phonenumbers.parse("+" + digits, None)
    except phonenumbers.NumberParseException:
        return _problem(NumberProblem.INVALID, "invalid", country=sanctioned_calling_code(digits, has_plus=True))
    region: str | None = phonenumbers.region_code_for_number(number)
    valid = phonenumbers.is_valid_number(number)
    if number.country_code == _SHARED_RUSSIAN_CODE:
        # Kazakh only as written: nothing may be dropped from the digits on the way to a valid number.
        valid = valid and digits == f"7{phonenumbers.national_significant_number(number)}"
        region = "KZ" if valid and region == "KZ" else "RU"
    else:
        region = sanctioned_calling_code(digits, has_plus=True) or region
    country = _country_of(region)
    if not valid:
        return _invalid(number, country)
    e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return _valid(e164[1:], phonenumbers.number_type(number), country)


def _country_of(region: str | None) -> str | None:
    return None if region in (None, _NON_GEOGRAPHIC) else _REGION_TO_COUNTRY.get(region, region)


def _valid(digits: str, number_type: int, country: str | None) -> Peer:
    number_class = _class_of(digits, number_type, country)
    flags: list[str] = []
    if number_class == NumberClass.TOLL_FREE and digits.startswith("1"):
        flags.append("shared_toll_free")
    if number_class == NumberClass.VOIP:
        flags.append("voip")
    if country in _SHARED_RANGE_COUNTRIES:
        flags.append("shared_range")
    return Peer(f"+{digits}", country, number_class, tuple(flags))


def _invalid(number: PhoneNumber, country: str | None) -> Peer:
    national = phonenumbers.national_significant_number(number)
    if national in _EMERGENCY and country not in SANCTIONED_SET:
        return Peer(None, country, NumberClass.EMERGENCY, ("invalid",), NumberProblem.EMERGENCY)
    possible = phonenumbers.is_possible_number(number)
    problem = NumberProblem.UNASSIGNED if possible else NumberProblem.INVALID
    number_class = _class_by_prefix(f"{number.country_code}{national}") or NumberClass.UNKNOWN
    return Peer(None, country, number_class, (problem.value,), problem)


def _class_by_prefix(digits: str) -> NumberClass | None:
    if digits.startswith(_SATELLITE_PREFIXES):
        return NumberClass.SATELLITE
    if digits.startswith(_INTERNATIONAL_PREMIUM_PREFIX):
        return NumberClass.PREMIUM_RATE
    return None


def _class_of(digits: str, number_type: int, country: str | None) -> NumberClass:
    by_prefix = _class_by_prefix(digits)
    if by_prefix is not None:
        return by_prefix
    if country is None:
        return NumberClass.INTERNATIONAL_NETWORK
    return _CLASSES.get(number_type, NumberClass.UNKNOWN)
