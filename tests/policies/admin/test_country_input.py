"""What people type into a country picker."""

import pytest

from accounts.countries import SANCTIONED
from policies.admin.country_input import how_many, in_words, options, understood


@pytest.mark.parametrize(
    ("typed", "codes"),
    [
        ("  ", []),
        ("latvia", ["LV"]),
        ("lv", ["LV"]),
        ("Latvia (LV)", ["LV"]),
        ("US, ca;gb", ["US", "CA", "GB"]),
        ("Bonaire, Sint Eustatius and Saba", ["BQ"]),
        ("United States and Canada (2 countries)", ["CA", "US"]),
        ("united states and canada", ["CA", "US"]),
        ("Russia", ["RU"]),
        ("Atlantis", ["Atlantis"]),
    ],
)
def test_it_understands_names_codes_and_groups_and_leaves_the_rest_to_be_refused(typed, codes):
    assert understood(typed) == codes


def test_every_option_is_understood_as_countries_that_can_be_allowed():
    for option in options():
        codes = understood(option.value)
        assert all(len(code) == 2 for code in codes), option
        assert not set(codes) & set(SANCTIONED)


def test_it_names_a_few_countries_and_counts_the_rest():
    assert in_words(["LV"]) == "Latvia"
    assert in_words(["LV", "US"]) == "Latvia and United States"
    assert in_words(["LV", "US", "CA", "GB", "FR"]) == "Latvia, United States, Canada and 2 more"


def test_it_counts_countries_in_words():
    assert (how_many(None), how_many(["US"]), how_many(["US", "CA"])) == ("every country", "1 country", "2 countries")
