import pytest

from monitoring.dashboards.world_map import CountryCounts, level, thresholds, world_map

LATVIA = CountryCounts("LV", "Latvia", blocked=412, allowed=0, href="?country=LV")
UNITED_STATES = CountryCounts("US", "United States", blocked=2, allowed=9400, href="?country=US")
QUIET = CountryCounts("BR", "Brazil", blocked=0, allowed=0)


def drawn(*countries):
    return world_map(map_id="home-map", name="Calls by country", countries=countries)


def test_it_colours_each_layer_by_its_own_counts():
    data = drawn(UNITED_STATES, LATVIA).data

    assert (data["LV"]["blocked"], data["LV"]["allowed"]) == (5, 0)
    assert (data["US"]["blocked"], data["US"]["allowed"]) == (1, 5)


def test_it_ranks_countries_by_blocked_calls_and_leaves_quiet_ones_out():
    world = drawn(QUIET, UNITED_STATES, LATVIA)

    assert list(world.data) == ["LV", "US"]
    assert [(row.code, row.blocked, row.allowed) for row in world.rows] == [("LV", "412", "0"), ("US", "2", "9,400")]


def test_it_says_both_counts_and_links_to_their_list():
    country = drawn(UNITED_STATES).data["US"]

    assert country["title"] == "United States\n2 blocked · 9,400 allowed"
    assert country["href"] == "?country=US"


def test_it_says_when_there_is_nothing_to_colour():
    world = drawn(QUIET)

    assert world.empty
    assert world.blocked_legend == ()


@pytest.mark.parametrize(
    ("counts", "steps"),
    [([], ()), ([0], ()), ([1], (1,)), ([1, 100_000], (1, 10, 100, 1_000, 10_000)), ([3], (1, 2, 3))],
)
def test_it_grows_levels_by_a_factor(counts, steps):
    assert thresholds(counts) == steps


@pytest.mark.parametrize(("value", "expected"), [(0, 0), (1, 1), (9, 1), (10, 2), (99_999, 5), (500_000, 5)])
def test_it_finds_the_level_of_a_count(value, expected):
    assert level(value, (1, 10, 100, 1_000, 10_000)) == expected


def test_it_gives_the_highest_count_the_strongest_colour_even_with_few_levels():
    assert level(1, (1,)) == 5
    assert level(0, (1,)) == 0


def test_it_writes_the_legend_as_ranges():
    legend = drawn(CountryCounts("LV", "Latvia", blocked=100_000, allowed=3)).blocked_legend

    assert [(step.level, step.label) for step in legend] == [
        (1, "1–9"),
        (2, "10–99"),
        (3, "100–999"),
        (4, "1,000–9,999"),
        (5, "10,000+"),
    ]
