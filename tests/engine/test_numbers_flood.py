"""Random strings against an own prefix table: no number of a sanctioned country is ever let through."""

from __future__ import annotations

import os
import random
import re
import unicodedata

import pytest

from tests.engine.worlds import OPEN, judge

NIGHTLY = bool(os.environ.get("NIGHTLY"))
FLOOD = 1_000_000 if NIGHTLY else 50_000
FLOOD_OF_EACH_CODE = 20_000 if NIGHTLY else 1_000
_SANCTIONED_CODES = ("53", "98", "850", "963", "375", "58", "7")
# Kazakhstan's own table of codes after +7: geographic 71x and 72x, mobile and other networks.
_KAZAKH = re.compile(r"77(0[0-8]|1[0-8]|2[1-9]|47|5[01]|6[0-4]|7[15-8]|85)[0-9]{7}")
_FOREIGN_DIGITS = ["０１２３４５６７８９", "٠١٢٣٤٥٦٧٨٩", "०१२३४५६७८९"]


def _must_be_refused(text: str) -> bool:
    """The oracle: own prefix table, own reading of the text, nothing of the library's."""
    digits = ""
    started = False
    for char in unicodedata.normalize("NFKC", text):
        if char == "+" and not digits:
            started = True
        elif started and unicodedata.decimal(char, None) is not None:
            digits += str(unicodedata.decimal(char))
        elif started and not (char in " ().-+" or unicodedata.category(char) == "Cf"):
            break
    return digits.startswith(_SANCTIONED_CODES) and not _KAZAKH.match(digits)


def _random_text(chance: random.Random) -> str:
    code = chance.choice([*_SANCTIONED_CODES, "77", "770", "7747", "1", "44", "49", "8", "880", "0", ""])
    digits = code + "".join(chance.choices("0123456789", k=chance.randint(0, 13)))
    if chance.random() < 0.25:
        table = chance.choice(_FOREIGN_DIGITS)
        digits = "".join(table[int(digit)] for digit in digits)
    if chance.random() < 0.4 and digits:
        where = chance.randint(0, len(digits))
        digits = digits[:where] + chance.choice(" -.()\u200b\u00ad\u202ax,;#/p\x00@A") + digits[where:]
    prefix = chance.choice(
        ["+", "+", "+", "++", "+ ", "sip:+", "tel:+", "*67+", "#31#+", "<b>+", "＋", "", "00", "011", " "]
    )
    suffix = chance.choice(["", "", "", "@10.0.0.1", ";ext=7", "x5", ",,1", " ", ";user=phone", "\u202c"])
    return prefix + digits + suffix


def test_accepts_no_sanctioned_number_out_of_a_flood_of_random_strings() -> None:
    chance = random.Random(20_261_121)
    leaks = []
    refused = accepted = 0

    for _ in range(FLOOD):
        text = _random_text(chance)
        direction = chance.choice(["inbound", "outbound"])
        verdict = judge(direction, text, OPEN)
        must_refuse = _must_be_refused(text) or _must_be_refused(verdict.peer.e164 or "")
        refused += must_refuse
        accepted += verdict.verdict == "allow"
        if verdict.degraded or (must_refuse and verdict.verdict != "block"):
            leaks.append((direction, text, verdict.peer))

    assert leaks == []
    assert refused > FLOOD / 4
    assert accepted > FLOOD / 100


@pytest.mark.parametrize("code", [code for code in _SANCTIONED_CODES if code != "7"])
def test_names_everything_under_a_sanctioned_code_as_sanctioned(code: str) -> None:
    chance = random.Random(code)

    for _ in range(FLOOD_OF_EACH_CODE):
        text = f"+{code}" + "".join(chance.choices("0123456789", k=chance.randint(0, 12)))
        for direction in ("inbound", "outbound"):
            assert judge(direction, text, OPEN).reason == "sanctioned_country", text


def test_names_everything_under_the_shared_code_as_sanctioned_that_is_not_validly_kazakh() -> None:
    chance, kazakh = random.Random(7), 0

    for _ in range(FLOOD_OF_EACH_CODE * 5):
        text = (
            "+7" + chance.choice(["", "7"]) + "".join(chance.choices("0123456789", k=chance.choice([8, 9, 9, 9, 10])))
        )
        verdict = judge("outbound", text, OPEN)
        kazakh += verdict.verdict == "allow"
        assert verdict.verdict == "allow" or verdict.reason == "sanctioned_country", text
        assert verdict.verdict != "allow" or _KAZAKH.fullmatch(text[1:]), text

    assert kazakh > FLOOD_OF_EACH_CODE / 50
