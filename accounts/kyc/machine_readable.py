"""The machine-readable lines of passports and identity cards (ICAO Doc 9303): TD1, TD2 and TD3. Pure.

They are typed in by a person, who is told which line and which part of it does not fit.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

WEIGHTS: Final = (7, 3, 1)
VALUES: Final = {sign: number for number, sign in enumerate("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")} | {"<": 0}
SHAPES: Final = {(30, 30, 30): "TD1", (36, 36): "TD2", (44, 44): "TD3"}

Place = tuple[int, int, int]
"""A part of the lines: line (from 1), from and to (from 1, both inclusive), as ICAO counts."""

FORMS: Final[dict[str, dict[str, tuple[Place, ...]]]] = {
    "TD1": {
        "issuing_country": ((1, 3, 5),),
        "number": ((1, 6, 14), (1, 15, 15)),
        "date_of_birth": ((2, 1, 6), (2, 7, 7)),
        "sex": ((2, 8, 8),),
        "expires_on": ((2, 9, 14), (2, 15, 15)),
        "nationality": ((2, 16, 18),),
        "names": ((3, 1, 30),),
    },
    "TD2": {
        "issuing_country": ((1, 3, 5),),
        "names": ((1, 6, 36),),
        "number": ((2, 1, 9), (2, 10, 10)),
        "nationality": ((2, 11, 13),),
        "date_of_birth": ((2, 14, 19), (2, 20, 20)),
        "sex": ((2, 21, 21),),
        "expires_on": ((2, 22, 27), (2, 28, 28)),
    },
    "TD3": {
        "issuing_country": ((1, 3, 5),),
        "names": ((1, 6, 44),),
        "number": ((2, 1, 9), (2, 10, 10)),
        "nationality": ((2, 11, 13),),
        "date_of_birth": ((2, 14, 19), (2, 20, 20)),
        "sex": ((2, 21, 21),),
        "expires_on": ((2, 22, 27), (2, 28, 28)),
        "personal_number": ((2, 29, 42), (2, 43, 43)),
    },
}
"""The parts of each form; a second place is that of its check digit."""
COMPOSITE: Final[dict[str, tuple[tuple[Place, ...], Place]]] = {
    "TD1": (((1, 6, 30), (2, 1, 7), (2, 9, 15), (2, 19, 29)), (2, 30, 30)),
    "TD2": (((2, 1, 10), (2, 14, 20), (2, 22, 35)), (2, 36, 36)),
    "TD3": (((2, 1, 10), (2, 14, 20), (2, 22, 43)), (2, 44, 44)),
}
OPTIONAL: Final[dict[str, Place]] = {"TD1": (1, 16, 30), "TD2": (2, 29, 35)}
"""Where the rest of a number stands that is longer than nine characters."""
WORDS: Final = {
    "number": "the document's number",
    "date_of_birth": "the date of birth",
    "expires_on": "the expiry date",
    "personal_number": "the personal number",
    "issuing_country": "the issuing country",
    "nationality": "the nationality",
    "sex": "the sex",
    "names": "the names",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """What does not fit: `line` from 1, 0 for the lines as a whole; `field` as in Reading."""

    line: int
    field: str
    words: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What the lines say. `form` is empty where they have no known shape."""

    form: str = ""
    document_code: str = ""
    issuer: str = ""
    """ICAO's code: three letters, or D for Germany."""
    number: str = ""
    surnames: str = ""
    given_names: str = ""
    nationality: str = ""
    date_of_birth: date | None = None
    expires_on: date | None = None
    sex: str = ""
    personal_number: str = ""
    problems: tuple[Problem, ...] = field(default=())

    @property
    def fits(self) -> bool:
        return bool(self.form) and not self.problems

    def as_facts(self) -> dict[str, Any]:
        """For keeping beside a document. Number and personal number stay out: they are kept sealed, or not at all."""
        return {
            "form": self.form,
            "fits": self.fits,
            "issuer": self.issuer,
            "nationality": self.nationality,
            "surnames": self.surnames,
            "given_names": self.given_names,
            "date_of_birth": self.date_of_birth.isoformat() if self.date_of_birth else None,
            "expires_on": self.expires_on.isoformat() if self.expires_on else None,
            "sex": self.sex,
            "problems": [{"line": each.line, "field": each.field, "words": each.words} for each in self.problems],
        }


def check_digit(text: str) -> str:
    """Weights 7, 3, 1 repeated over the values of the characters, modulo 10 (Doc 9303 part 3, 4.9)."""
    return str(sum(VALUES[sign] * WEIGHTS[place % 3] for place, sign in enumerate(text)) % 10)


def read(text: str, *, today: date) -> Reading:
    """What somebody typed, with every problem in it named. `today` tells 2024 from 1924."""
    lines = [re.sub(r"\s", "", line).upper() for line in text.splitlines() if line.strip()]
    problems = _shape_problems(lines)
    if problems:
        return Reading(problems=tuple(problems))
    form = SHAPES[tuple(map(len, lines))]
    number, number_problems = _number(lines, form)
    found = [*_digit_problems(lines, form), *number_problems]
    born = _date(lines, form, "date_of_birth", today, found)
    ends = _date(lines, form, "expires_on", today, found)
    issuer = _part(lines, FORMS[form]["issuing_country"][0]).rstrip("<")
    surnames, _, given = _part(lines, FORMS[form]["names"][0]).partition("<<")
    if not surnames.strip("<"):
        found.append(Problem(FORMS[form]["names"][0][0], "names", "There is no name where the names should stand."))
    personal = _part(lines, FORMS[form]["personal_number"][0]) if form == "TD3" else ""
    return Reading(
        form=form,
        document_code=lines[0][:2].rstrip("<"),
        issuer=issuer,
        number=number,
        surnames=_name(surnames),
        given_names=_name(given),
        nationality=_part(lines, FORMS[form]["nationality"][0]).rstrip("<"),
        date_of_birth=born,
        expires_on=ends,
        sex=_part(lines, FORMS[form]["sex"][0]).replace("<", ""),
        personal_number=personal.rstrip("<"),
        problems=tuple(sorted(set(found), key=lambda each: (each.line, each.field))),
    )


def _shape_problems(lines: list[str]) -> list[Problem]:
    if tuple(map(len, lines)) not in SHAPES:
        return [_length_problem(lines)]
    problems = []
    for number, line in enumerate(lines, 1):
        strange = sorted({sign for sign in line if sign not in VALUES})
        if strange:
            words = f"Line {number} has “{''.join(strange)[:10]}”; there are only A to Z, 0 to 9 and < in these lines."
            problems.append(Problem(number, "", words))
    return problems


def _length_problem(lines: list[str]) -> Problem:
    wanted = {2: (36, 44), 3: (30,)}.get(len(lines))
    if wanted is None:
        words = f"There are {len(lines)} lines; a passport has two of 44 characters, an identity card three of 30 "
        return Problem(0, "", words + "or two of 36.")
    if len(wanted) > 1:
        wanted = (44,) if sum(map(len, lines)) > 80 else (36,)
    for number, line in enumerate(lines, 1):
        if len(line) != wanted[0]:
            words = f"Line {number} has {len(line)} characters instead of {wanted[0]}. Count the < signs as well."
            return Problem(number, "", words)
    return Problem(0, "", "The lines are not all of one length.")


def _part(lines: list[str], place: Place) -> str:
    line, first, last = place
    return lines[line - 1][first - 1 : last]


def _digit_problems(lines: list[str], form: str) -> list[Problem]:
    problems = []
    for name, places in FORMS[form].items():
        if len(places) < 2 or (name == "number" and _is_long(lines, form)):
            continue
        text, digit = _part(lines, places[0]), _part(lines, places[1])
        empty = not text.strip("<")
        right = {check_digit(text), "<"} if empty and name == "personal_number" else {check_digit(text)}
        if digit not in right:
            problems.append(_misfit(places[0][0], name, text))
    covered, place = COMPOSITE[form]
    whole = "".join(_part(lines, part) for part in covered)
    if not problems and _part(lines, place) != check_digit(whole):
        words = f"The last check digit of line {place[0]} does not fit: some character in the lines is wrong."
        problems.append(Problem(place[0], "", words))
    return problems


def _misfit(line: int, name: str, text: str) -> Problem:
    hint = ""
    if name in ("date_of_birth", "expires_on") and not text.isdigit():
        hint = " A date has digits only: 0 and O, 1 and I look alike."
    return Problem(line, name, f"In line {line}, {WORDS[name]} does not fit its check digit: read it again.{hint}")


def _is_long(lines: list[str], form: str) -> bool:
    """A number of more than nine characters goes on in the optional part, and its check digit follows there."""
    number = FORMS[form]["number"]
    return form in OPTIONAL and _part(lines, number[1]) == "<" and _part(lines, OPTIONAL[form])[0] != "<"


def _number(lines: list[str], form: str) -> tuple[str, list[Problem]]:
    place = FORMS[form]["number"][0]
    start = _part(lines, place)
    if not _is_long(lines, form):
        plain = start.rstrip("<")
        if plain:
            return plain, []
        return "", [Problem(place[0], "number", f"In line {place[0]} there is no document's number.")]
    rest = _part(lines, OPTIONAL[form]).split("<")[0]
    whole, digit = start + rest[:-1], rest[-1:]
    problems = [] if digit == check_digit(whole) else [_misfit(place[0], "number", whole)]
    return whole, problems


def _date(lines: list[str], form: str, name: str, today: date, problems: list[Problem]) -> date | None:
    place = FORMS[form][name][0]
    text = _part(lines, place)
    if name == "date_of_birth" and "<" in text:
        return None  # an unknown day or month is written so, and is no mistake
    try:
        year, month, day = int(text[:2]), int(text[2:4]), int(text[4:])
        latest = today.year if name == "date_of_birth" else today.year + 50
        full = latest - (latest - year) % 100
        found = date(full, month, day)
        return found if name == "expires_on" or found <= today else date(full - 100, month, day)
    except ValueError:
        words = f"In line {place[0]}, {WORDS[name]} ({text}) is no date; it is written as year, month, day: 740812."
        problems.append(Problem(place[0], name, words))
        return None


def _name(text: str) -> str:
    return " ".join(part for part in text.split("<") if part)
