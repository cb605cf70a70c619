"""Check digits of passports and identity cards, as somebody types them in. The examples are those of ICAO Doc 9303."""

from __future__ import annotations

from datetime import date

import pytest

from accounts.kyc import machine_readable
from accounts.kyc.machine_readable import check_digit, read

TODAY = date(2026, 11, 21)
TD1 = "I<UTOD231458907<<<<<<<<<<<<<<<\n7408122F1204159UTO<<<<<<<<<<<6\nERIKSSON<<ANNA<MARIA<<<<<<<<<<"
TD2 = "I<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<\nD231458907UTO7408122F1204159<<<<<<<6"
TD3 = "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<\nL898902C36UTO7408122F1204159ZE184226B<<<<<10"
EXAMPLES = {"TD1": TD1, "TD2": TD2, "TD3": TD3}


@pytest.mark.parametrize("form", EXAMPLES)
def test_the_examples_of_the_standard_fit(form):
    reading = read(EXAMPLES[form], today=TODAY)

    assert (reading.form, reading.fits, reading.problems) == (form, True, ())
    assert (reading.surnames, reading.given_names) == ("ERIKSSON", "ANNA MARIA")
    assert reading.number == ("L898902C3" if form == "TD3" else "D23145890")
    assert (reading.date_of_birth, reading.expires_on) == (date(1974, 8, 12), date(2012, 4, 15))
    assert (reading.issuer, reading.nationality, reading.sex) == ("UTO", "UTO", "F")


def test_the_check_digit_is_that_of_the_standard():
    assert check_digit("520727") == "3"
    assert check_digit("AB2134<<<") == "5"


@pytest.mark.parametrize("form", EXAMPLES)
def test_every_digit_that_is_typed_wrongly_is_noticed(form):
    text = EXAMPLES[form]
    digits = [at for at, sign in enumerate(text) if sign.isdigit()]

    unnoticed = [
        at for at in digits if read(f"{text[:at]}{(int(text[at]) + 1) % 10}{text[at + 1 :]}", today=TODAY).fits
    ]

    assert unnoticed == []


@pytest.mark.parametrize(
    ("form", "line", "column", "field"),
    [
        ("TD1", 1, 7, "number"),
        ("TD1", 2, 3, "date_of_birth"),
        ("TD1", 2, 11, "expires_on"),
        ("TD2", 2, 3, "number"),
        ("TD2", 2, 16, "date_of_birth"),
        ("TD3", 2, 2, "number"),
        ("TD3", 2, 15, "date_of_birth"),
        ("TD3", 2, 24, "expires_on"),
        ("TD3", 2, 31, "personal_number"),
    ],
)
def test_what_does_not_fit_is_named_with_its_line(form, line, column, field):
    lines = EXAMPLES[form].splitlines()
    wrong = lines[line - 1]
    other = "1" if wrong[column - 1] != "1" else "2"
    lines[line - 1] = wrong[: column - 1] + other + wrong[column:]

    problems = read("\n".join(lines), today=TODAY).problems

    assert (problems[0].line, problems[0].field) == (line, field)
    assert f"line {line}" in problems[0].words
    assert machine_readable.WORDS[field] in problems[0].words


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("", 0, "0 lines"),
        (TD3.splitlines()[0], 0, "1 lines"),
        (TD3[:-1], 2, "43 characters instead of 44"),
        (TD1.replace("ANNA<MARIA", "ANNA<MARI"), 3, "29 characters instead of 30"),
        (TD2.replace("<<<<<<<6", "<<<<<<6"), 2, "35 characters instead of 36"),
        (TD3.replace("ANNA", "ÄNNA"), 1, "“Ä”"),
        (TD3.replace("ERIKSSON<<ANNA<MARIA", "<" * 20), 1, "no name"),
        (TD3.replace("740812", "741312"), 2, "check digit"),
        (TD3.replace("7408122", "74O8122"), 2, "look alike"),
    ],
)
def test_what_cannot_be_read_is_said_in_words(text, line, says):
    problems = read(text, today=TODAY).problems

    assert any(problem.line == line and says in problem.words for problem in problems), problems


def test_an_impossible_date_is_one_even_where_its_digit_fits():
    text = TD3.replace("7408122", f"741308{check_digit('741308')}")
    last = text[:-1] + check_digit(text[45:55] + text[58:65] + text[66:88])

    assert [problem.field for problem in read(last, today=TODAY).problems] == ["date_of_birth"]


def test_a_number_of_more_than_nine_characters_goes_on_in_the_optional_part():
    number = "D23145890734"
    digit = check_digit(number)
    first = f"I<UTO{number[:9]}<{number[9:]}{digit}".ljust(30, "<")
    second = "7408122F1204159UTO<<<<<<<<<<<"
    composite = check_digit(first[5:] + second[:7] + second[8:15] + second[18:29])

    reading = read(f"{first}\n{second}{composite}\n{TD1.splitlines()[2]}", today=TODAY)

    assert (reading.number, reading.fits) == (number, True)


def test_blanks_and_small_letters_are_forgiven():
    assert read(TD3.lower().replace("<<anna", " <<anna ").replace("\n", "\r\n\r\n"), today=TODAY).fits


@pytest.mark.parametrize(
    ("born", "year"), [("261121", 2026), ("261122", 1926), ("000101", 2000), ("270101", 1927), ("990101", 1999)]
)
def test_nobody_is_born_in_the_future(born, year):
    text = TD3.replace("7408122", born + check_digit(born))

    assert read(text, today=TODAY).date_of_birth.year == year


def test_an_unknown_birthday_is_no_mistake():
    born = "74<<<<"
    text = TD3.replace("7408122", born + check_digit(born))
    text = text[:-1] + check_digit(text[45:55] + text[58:65] + text[66:88])

    reading = read(text, today=TODAY)

    assert (reading.fits, reading.date_of_birth) == (True, None)


def test_what_is_kept_beside_a_document_holds_no_numbers():
    facts = str(read(TD3, today=TODAY).as_facts())

    assert "ERIKSSON" in facts
    assert "L898902C3" not in facts
    assert "ZE184226B" not in facts
