"""Which country a number belongs to, which countries are barred, what a minute costs. No state."""

from __future__ import annotations

import math
import re

import phonenumbers

E164 = re.compile(r"\+[1-9][0-9]{1,14}")

# ISO 3166-1 alpha-2, and XK, which carriers use for Kosovo.
_ISO_TEXT = """
AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW
BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI
FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN
IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME
MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF
PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV
SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE
YT ZA ZM ZW XK
"""
ISO_CODES = frozenset(_ISO_TEXT.split())

SANCTIONED_CALLING_CODES = {"53": "CU", "98": "IR", "850": "KP", "963": "SY", "375": "BY", "58": "VE"}
# The library's names for two islands that ISO files under Saint Helena.
ISO_ALIASES = {"AC": "SH", "TA": "SH"}

CENTS_PER_MINUTE = {
    "US": 1.5,
    "CA": 3.0,
    "MX": 5.0,
    "FR": 6.0,
    "IT": 6.0,
    "AU": 10.0,
    "DE": 10.0,
    "ES": 10.0,
    "GB": 10.0,
    "IN": 15.0,
    "MY": 20.0,
    "JP": 28.0,
    "ID": 40.0,
    "TH": 45.0,
    "PH": 80.0,
}
# No price is published for other countries; the dearest known one is the careful guess.
OTHER_CENTS_PER_MINUTE = 80.0
WEB_CENTS_PER_MINUTE = 9.0
BURST_CENTS_PER_MINUTE = 10.0
CHAT_MESSAGE_CENTS = 0.2
SMS_CENTS = {"US": 1.0, "CA": 1.0}
OTHER_SMS_CENTS = 5.0


def is_e164(text: object) -> bool:
    return isinstance(text, str) and E164.fullmatch(text) is not None


def sanctioned_country(number: str) -> str | None:
    """The calling code decides; +7 is Russia unless the number is a valid one of Kazakhstan."""
    if not is_e164(number):
        return None
    digits = number[1:]
    for code, country in SANCTIONED_CALLING_CODES.items():
        if digits.startswith(code):
            return country
    if digits.startswith("7") and not _is_valid_in(number, "KZ"):
        return "RU"
    return None


def country_of(number: str) -> str | None:
    barred = sanctioned_country(number)
    if barred is not None:
        return barred
    parsed = _parsed(number)
    if parsed is None:
        return None
    region = phonenumbers.region_code_for_number(parsed)
    region = ISO_ALIASES.get(region or "", region)
    return region if region in ISO_CODES else None


def is_dialable(number: str) -> bool:
    """False for numbers no carrier could route; they fail after the dial, as they do in the field."""
    parsed = _parsed(number)
    return parsed is not None and phonenumbers.is_possible_number(parsed)


def pretty(number: str) -> str | None:
    parsed = _parsed(number)
    if parsed is None:
        return None
    if parsed.country_code == 1:
        return "+1 " + phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.NATIONAL)
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.INTERNATIONAL)


def is_valid(number: str) -> bool:
    parsed = _parsed(number)
    return parsed is not None and phonenumbers.is_valid_number(parsed)


def cents_per_second(number: str | None) -> float:
    """The price of a telephone call to this number; None is a browser call."""
    if number is None:
        return WEB_CENTS_PER_MINUTE / 60
    return CENTS_PER_MINUTE.get(country_of(number) or "", OTHER_CENTS_PER_MINUTE) / 60


def sms_cents(number: str, text: str) -> float:
    segments = max(1, math.ceil(len(text) / 160))
    return segments * SMS_CENTS.get(country_of(number) or "", OTHER_SMS_CENTS)


def _parsed(number: str) -> phonenumbers.PhoneNumber | None:
    if not is_e164(number):
        return None
    try:
        return phonenumbers.parse(number, None)
    except phonenumbers.NumberParseException:
        return None


def _is_valid_in(number: str, region: str) -> bool:
    parsed = _parsed(number)
    return parsed is not None and phonenumbers.is_valid_number_for_region(parsed, region)
