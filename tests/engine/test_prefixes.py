"""Which countries a prefix may belong to."""

import pytest

from accounts.countries import CODES
from policies.engine.prefixes import calling_code, countries_of


@pytest.mark.parametrize(
    ("prefix", "countries"),
    [
        ("+254", {"KE"}),
        ("+25471", {"KE"}),
        ("+53", {"CU"}),
        ("+7", {"KZ", "RU"}),
        ("+7701", {"KZ", "RU"}),
        ("+7916", {"RU"}),
        ("+1876", {"JM"}),
        ("+1658", {"JM"}),
        ("+1415", {"US", "CA"}),
        ("+442", {"GB", "GG", "IM", "JE"}),
        ("+5997", {"BQ", "CW"}),
        ("+599700", {"BQ"}),
        ("+882", set()),
        ("+4", set()),
        ("+999", set()),
    ],
)
def test_countries_of(prefix, countries):
    assert countries_of(prefix) == countries


def test_a_calling_code_alone_means_every_country_under_it():
    assert {"US", "CA", "JM", "PR"} <= countries_of("+1")
    assert countries_of("+1") <= CODES


@pytest.mark.parametrize(("prefix", "code"), [("+4", None), ("+44", 44), ("+12", 1), ("+35", None), ("+358", 358)])
def test_calling_code(prefix, code):
    assert calling_code(prefix) == code
