"""Reads a text as a telephone number would be written: characters, URIs, withheld words, extensions.

It knows how numbers are written, not which exist; that is for numbers.py. Nothing here raises on any text.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

from policies.engine.types import NumberProblem

MAX_LENGTH: Final = 64

_SANCTIONED_CODES: Final = (
    ("53", "CU"),
    ("98", "IR"),
    ("850", "KP"),
    ("963", "SY"),
    ("375", "BY"),
    ("58", "VE"),
    ("7", "RU"),  # shared with Kazakhstan: only a number that is validly Kazakh is not Russian
)
_WITHHELD_WORDS: Final = frozenset(
    {
        "",
        "anonymous",
        "blocked",
        "caller id unavailable",
        "no caller id",
        "no number",
        "not available",
        "private",
        "private number",
        "restricted",
        "unavailable",
        "unknown",
        "unknown number",
        "withheld",
    }
)
# Withheld words typed on a telephone keypad (ANONYMOUS, UNAVAILABLE, UNKNOWN, RESTRICTED), which arrive as if
# they were numbers. "+7378742833" is missing on purpose: no word may open a sanctioned calling code.
_WITHHELD_DIGITS: Final = frozenset(
    {
        "+266696687",
        "266696687",
        "+86282452253",
        "86282452253",
        "+8656696",
        "8656696",
        "7378742833",
    }
)
_ALL_ZEROS: Final = re.compile(r"0{1,2}|\+?1?0{4,}")
_SEPARATORS: Final = re.compile(r"[ ().\-]+")
_NUMBER: Final = re.compile(
    r"(?P<plus>\+{0,2})(?P<base>[ ().\-]*[0-9][0-9 ().\-]*)"
    r"(?P<extension>(?:,{1,8}|;ext=|;|x|ext\.?|#|\*)[ ]*[0-9][0-9,;#*]*)?",
    re.IGNORECASE,
)
_AFTER_PLUS: Final = re.compile(r"\+[+ ().\-]*([0-9][0-9 ().\-]*)")
_FIRST_DIGITS: Final = re.compile(r"[0-9][0-9 ().\-]*")
_ALPHANUMERIC: Final = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9 &._\-]{1,11}")
_URI: Final = re.compile(r"(?P<scheme>sips?|tel):(?P<rest>.*)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Reading:
    """Either digits to resolve, or the problem that kept us from any."""

    digits: str = ""
    has_plus: bool = False
    has_extension: bool = False
    flags: tuple[str, ...] = ()
    problem: NumberProblem | None = None
    sanctioned: str | None = None  # what the calling code says when there is a problem


def read(text: str) -> Reading:
    """Read a caller or destination text strictly, without looking for a number inside other text."""
    if len(text) > MAX_LENGTH:
        return _refused(NumberProblem.TOO_LONG, text[:MAX_LENGTH])
    if any(unicodedata.category(char) in ("Cc", "Zl", "Zp") for char in text):
        return _refused(NumberProblem.CONTROL_CHARACTERS, text)
    plain = _ascii(text).strip()
    if _is_withheld(plain):
        return Reading(flags=("withheld",), problem=NumberProblem.WITHHELD)
    uri = _URI.fullmatch(plain)
    if uri is None:
        return _read_number(plain)
    if uri["scheme"].lower() == "tel":
        return _read_subscriber(uri["rest"])
    return _read_sip(uri["rest"])


def sanctioned_calling_code(digits: str, *, has_plus: bool) -> str | None:
    """The sanctioned country that digits begin with, after an international access code if there is one.

    No calling code begins with 0, so 00 and 011 are stripped even after a plus; 810 is Russia's and Belarus's
    access code but also the beginning of Japanese numbers, so only without one.
    """
    access_codes = ("00", "011") if has_plus else ("00", "011", "810")
    rest = digits
    for access_code in access_codes:
        if digits.startswith(access_code):
            rest = digits[len(access_code) :]
            break
    else:
        if not has_plus:
            return None
    return next((country for code, country in _SANCTIONED_CODES if rest.startswith(code)), None)


def _refused(problem: NumberProblem, text: str, *flags: str) -> Reading:
    return Reading(flags=flags, problem=problem, sanctioned=_sanctioned_in(_ascii(text)))


def _sanctioned_in(text: str) -> str | None:
    """What a text that is no number would have begun with: the label matters in reports and for callers."""
    after_plus = _AFTER_PLUS.search(text)
    if after_plus is not None:
        return sanctioned_calling_code(_SEPARATORS.sub("", after_plus[1]), has_plus=True)
    first = _FIRST_DIGITS.search(text)
    return sanctioned_calling_code(_SEPARATORS.sub("", first[0]), has_plus=False) if first else None


def _ascii(text: str) -> str:
    """The same text in plain characters: any script's digits, full-width forms, dashes, spaces; invisible
    formatting characters vanish. One number has one spelling afterwards.
    """
    return text if text.isascii() else "".join(_ascii_character(char) for char in text)


def _ascii_character(char: str) -> str:
    if "\uff01" <= char <= "\uff5e":
        return chr(ord(char) - 0xFEE0)
    category = unicodedata.category(char)
    if category == "Nd":
        return str(unicodedata.decimal(char))
    if category == "Cf":
        return ""
    if category == "Zs":
        return " "
    return "-" if category == "Pd" or char == "\u2212" else char


def _is_withheld(plain: str) -> bool:
    words = " ".join(plain.lower().replace("-", " ").replace("_", " ").split())
    return words in _WITHHELD_WORDS or _is_withheld_number(_SEPARATORS.sub("", plain))


def _is_withheld_number(compact: str) -> bool:
    return compact in _WITHHELD_DIGITS or _ALL_ZEROS.fullmatch(compact) is not None


def _read_number(plain: str, *flags: str) -> Reading:
    match = _NUMBER.fullmatch(plain)
    if match is None:
        alphanumeric = _ALPHANUMERIC.fullmatch(plain) is not None
        problem = NumberProblem.ALPHANUMERIC if alphanumeric else NumberProblem.MALFORMED
        return _refused(problem, plain, *flags, *(("alphanumeric",) if alphanumeric else ()))
    has_extension = match["extension"] is not None
    return Reading(
        digits=_SEPARATORS.sub("", match["base"]),
        has_plus=bool(match["plus"]),
        has_extension=has_extension,
        flags=(*flags, "extension") if has_extension else flags,
    )


def _read_subscriber(subscriber: str, *flags: str) -> Reading:
    """The number of a tel: URI (RFC 3966) with its parameters; what we do not know, we do not drop."""
    number, *parameters = subscriber.split(";")
    context = ""
    extension = ""
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.lower() == "phone-context":
            context = value
        elif name.lower() in ("ext", "isub"):
            extension = f";ext={value}"
        else:
            return _refused(NumberProblem.MALFORMED, subscriber, *flags)
    if context.startswith("+") and not number.startswith("+"):
        number = context + number
    return _read_number(number.strip() + extension, *flags)


def _read_sip(rest: str) -> Reading:
    user, at, host = rest.partition("@")
    host_name = re.split(r"[:;?]", host, maxsplit=1)[0].lower()
    user_name = user.partition(":")[0]
    if _is_withheld(user_name) or host_name == "anonymous.invalid":
        return _refused(NumberProblem.WITHHELD, user_name, "sip", "withheld")
    reading = _read_subscriber(user_name, "sip")
    is_number = at and reading.problem is None
    if is_number or (reading.problem == NumberProblem.MALFORMED and at and user_name.startswith("+")):
        return reading
    return _refused(NumberProblem.SIP_WITHOUT_NUMBER, user_name, "sip")
