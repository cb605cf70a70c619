"""Facts about countries, and what becomes of a list that somebody typed."""

from __future__ import annotations

from typing import Any

import pytest
from django_countries.data import COUNTRIES
from hypothesis import given
from hypothesis import strategies as st

from accounts import countries
from accounts.countries import ExposureTier, normalise_country_list


def test_names_every_country_of_the_forms_and_kosovo() -> None:
    assert set(countries.NAMES) == set(COUNTRIES) | {"XK"}
    assert all(name and name == name.strip() for name in countries.NAMES.values())
    assert len(set(countries.NAMES.values())) == len(countries.NAMES)


def test_knows_the_sanctioned_seven_in_their_order() -> None:
    assert countries.SANCTIONED == ("CU", "IR", "KP", "SY", "RU", "BY", "VE")
    assert countries.SANCTIONS_VERSION == "platform sanctions list v1, 2026-11"
    assert countries.is_sanctioned("CU")
    assert not countries.is_sanctioned("KZ")
    assert not countries.is_sanctioned(None)


def test_groups_hold_real_and_open_countries_only() -> None:
    for group in countries.GROUPS.values():
        assert group.countries
        assert group.countries <= countries.CODES
        assert not group.countries & countries.SANCTIONED_SET
    assert countries.GROUPS["us_and_canada"].countries == {"US", "CA"}
    assert countries.GROUPS["gb_and_crown_dependencies"].countries == {"GB", "GG", "IM", "JE"}
    assert len(countries.GROUPS["european_union"].countries) == 27


@pytest.mark.parametrize(
    ("code", "tier"),
    [("CU", "T0"), ("BY", "T0"), ("SO", "T1"), ("JM", "T1"), (None, "T1"), ("DO", "T2"), ("NG", "T2"), ("US", "T3")],
)
def test_places_each_country_in_one_exposure_tier(code: str | None, tier: str) -> None:
    assert countries.exposure_tier(code) == tier


def test_no_country_stands_in_two_tiers() -> None:
    listed = [code for codes in countries.EXPOSURE_TIERS.values() for code in codes]

    assert len(listed) == len(set(listed))
    assert set(listed) <= countries.CODES
    assert ExposureTier.NORMAL not in countries.EXPOSURE_TIERS


@pytest.mark.parametrize(
    ("code", "number_class", "price"),
    [
        ("US", None, "0.015"),
        ("GB", "mobile", "0.10"),
        ("JM", None, "0.25"),
        ("AG", None, "0.37"),
        ("FJ", None, "0.50"),
        (None, "satellite", "6.00"),
        ("GB", "premium_rate", "3.60"),
        (None, None, "0.50"),
    ],
)
def test_prices_a_minute(code: str | None, number_class: str | None, price: str) -> None:
    assert str(countries.price_per_minute(code, number_class)) == price


def test_prices_only_real_countries() -> None:
    assert set(countries.PRICE_PER_MINUTE) <= countries.CODES


def test_draws_flags() -> None:
    assert countries.flag("US") == "🇺🇸"
    assert {countries.flag(code) for code in (None, "", "U", "USA", "us", "1A")} == {"🏳"}


def test_names_what_has_no_name() -> None:
    assert countries.name_of("JM") == "Jamaica"
    assert countries.name_of("ZZ") == "ZZ"
    assert countries.name_of(None) == "Unknown country"


def test_puts_a_list_right() -> None:
    assert normalise_country_list(["us", " CA", "US", "gb "]) == (["CA", "GB", "US"], [])
    assert normalise_country_list(("XK", "BV")) == (["BV", "XK"], [])


@pytest.mark.parametrize(
    ("value", "code", "says"),
    [
        ("USA", "invalid_country", "“USA” is not a two-letter country code. United States is US."),
        ("DEU", "invalid_country", "“DEU” is not a two-letter country code."),
        ("", "invalid_country", "“” is not a two-letter country code."),
        ("U1", "invalid_country", "“U1” is not a two-letter country code."),
        ("ß", "invalid_country", "“ß” is not a two-letter country code."),
        ("ZZ", "unknown_country", "“ZZ” is not the code of any country."),
        ("uk", "unknown_country", "“UK” is not the code of any country. United Kingdom is GB."),
        (
            "ru",
            "sanctioned_country",
            "Russia (RU) is on the platform sanctions list v1, 2026-11; no setting can open it.",
        ),
        (5, "invalid_country", "A country code must be text."),
        (None, "invalid_country", "A country code must be text."),
        (["US"], "invalid_country", "A country code must be text."),
        ("A" * 5000, "invalid_country", f"“{'A' * 20}…” is not a two-letter country code."),
    ],
)
def test_says_what_is_wrong_with_an_entry_and_keeps_the_others(value: Any, code: str, says: str) -> None:
    accepted, problems = normalise_country_list(["ca", value, "US"])

    assert accepted == ["CA", "US"]
    assert [(problem.code, problem.detail) for problem in problems] == [(code, says)]


def test_refuses_an_empty_list_with_the_explanation() -> None:
    accepted, problems = normalise_country_list([])

    assert accepted == []
    assert problems[0].code == "empty"
    assert "no restriction at all" in problems[0].detail


@pytest.mark.parametrize("sanctioned", countries.SANCTIONED)
def test_refuses_each_sanctioned_country(sanctioned: str) -> None:
    accepted, problems = normalise_country_list([sanctioned.lower()])

    assert accepted == []
    assert problems[0].as_dict()["code"] == "sanctioned_country"


_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6)


@given(
    _SCALARS | st.lists(_SCALARS | st.lists(_SCALARS, max_size=2), max_size=6) | st.dictionaries(st.text(), _SCALARS)
)
def test_never_raises_and_never_accepts_silently(value: Any) -> None:
    accepted, problems = normalise_country_list(value)

    assert accepted or problems
    assert set(accepted) <= countries.CODES - countries.SANCTIONED_SET
    assert accepted == sorted(set(accepted))
