from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.dashboards.drawing import (
    Series,
    Spike,
    Step,
    band_chart,
    count,
    fold_small_series,
    nice_ticks,
    percent,
    sparkline,
    stacked_bars,
)

HOURS = [Step("13:00", "Tue 13:00–14:00", "?hour=13"), Step("14:00", "Tue 14:00–15:00", "?hour=14")]
COUNTRY = Series("country_not_allowed", "Country not allowed", [3, 0], slot=2, href="?reason=country_not_allowed")
RATE = Series("rate_limited", "Rate limited", [1, 2], slot=4)


def bars(series, steps=HOURS):
    return stacked_bars(chart_id="b", name="Blocked", description="Words", steps=steps, series=series)


def band(values, **more):
    steps = [Step(f"{i}:00", f"Tue {i}:00") for i in range(len(values))]
    return band_chart(chart_id="u", name="Calls", description="Words", steps=steps, values=values, **more)


def test_it_stacks_the_first_series_at_the_bottom_and_reaches_the_total():
    first = bars([COUNTRY, RATE]).columns[0]

    assert [(s.slot, s.y, s.height) for s in first.segments] == [(2, "25%", "75%"), (4, "0%", "25%")]


def test_it_says_the_total_and_each_part_when_a_bar_is_pointed_at():
    first = bars([COUNTRY, RATE]).columns[0]

    assert first.title == "Tue 13:00–14:00: 4\nRate limited: 1\nCountry not allowed: 3"
    assert first.href == "?hour=13"


def test_it_leaves_a_part_without_value_out_of_the_bar_and_of_its_words():
    second = bars([COUNTRY, RATE]).columns[1]

    assert [s.slot for s in second.segments] == [4]
    assert "Country" not in second.title


def test_it_keeps_columns_side_by_side_with_the_bar_inside_its_slice():
    columns = bars([RATE]).columns

    assert [(c.x, c.width, c.bar_x, c.bar_width) for c in columns] == [
        ("0%", "50%", "5%", "40%"),
        ("50%", "50%", "55%", "40%"),
    ]


def test_it_lists_only_series_with_values_in_legend_and_table():
    chart = bars([COUNTRY, Series("held", "Held", [0, 0], slot=5), RATE])

    assert [(e.name, e.slot, e.total, e.href) for e in chart.legend] == [
        ("Country not allowed", 2, "3", "?reason=country_not_allowed"),
        ("Rate limited", 4, "3", ""),
    ]
    assert chart.table.headers == ("Time", "Country not allowed", "Rate limited", "Total")
    assert [row.cells for row in chart.table.rows] == [("3", "1", "4"), ("0", "2", "2")]


@pytest.mark.parametrize("series", [[], [Series("held", "Held", [0, 0])]])
def test_it_calls_a_chart_without_any_value_empty(series):
    assert bars(series).empty


def test_it_draws_nothing_for_no_steps():
    assert bars([], steps=[]).columns == ()
    assert band([]).empty


def test_it_gives_a_series_with_an_unknown_slot_the_grey_of_everything_else():
    chart = bars([Series("new", "New", [1, 1], slot=12)])

    assert chart.legend[0].slot == 0


def test_it_refuses_a_series_of_another_length_than_the_time_axis():
    with pytest.raises(ValueError, match="3 values for 2 steps"):
        bars([Series("held", "Held", [1, 2, 3])])


def test_it_writes_values_as_the_caller_wants_them():
    chart = stacked_bars(
        chart_id="m",
        name="Money",
        description="",
        steps=HOURS,
        series=[RATE],
        write=lambda value: f"${value:.2f}",
    )

    assert chart.columns[1].title.splitlines()[0] == "Tue 14:00–15:00: $2.00"
    assert chart.y_ticks[-1].label == "$2.00"


def test_it_puts_at_most_twelve_labels_under_a_chart_and_marks_every_second_for_dropping():
    steps = [Step(f"{hour:02}:00", "") for hour in range(24)]

    ticks = bars([Series("held", "Held", [1] * 24)], steps=steps).x_ticks

    assert [tick.label for tick in ticks] == [f"{hour:02}:00" for hour in range(0, 24, 2)]
    assert [tick.minor for tick in ticks] == [False, True] * 6


def test_it_labels_a_day_once_at_its_first_hour():
    steps = [Step(f"{12 + hour // 24} Nov", "") for hour in range(48)]

    ticks = bars([Series("held", "Held", [1] * 48)], steps=steps).x_ticks

    assert [(tick.label, tick.at) for tick in ticks] == [("12 Nov", "1.042%"), ("13 Nov", "51.042%")]


def test_it_breaks_the_line_where_nothing_was_measured():
    lines = band([1, 2, None, 4, 4]).lines

    assert lines == ("M100 75L300 50", "M700 0L900 0")


def test_it_draws_a_lone_value_as_a_dash_that_can_be_seen():
    (line,) = band([None, 4, None]).lines

    assert line == "M400 0L600 0"


def test_it_draws_the_band_only_where_both_sides_are_known():
    chart = band([1, 1, 1, 1], low=[None, 0, 0, None], high=[4, 4, 4, 4])

    assert chart.bands == ("M375 0L625 0L625 100L375 100Z",)


def test_it_never_draws_a_band_below_zero():
    chart = band([1, 1], low=[-3, -3], high=[4, 4])

    assert chart.bands == ("M250 0L750 0L750 100L250 100Z",)


def test_it_leaves_room_for_a_band_above_every_value():
    assert band([1], low=[0], high=[80]).y_ticks[-1].label == "80"


def test_it_marks_a_spike_at_its_value_with_its_words_and_link():
    chart = band([2, 8], low=[1, 1], high=[3, 3], spikes=[Spike(1, "Spike: 8 calls", "/incident/7")])

    (marker,) = chart.markers
    assert (marker.x, marker.y, marker.title, marker.href) == ("75%", "0%", "Spike: 8 calls", "/incident/7")
    assert chart.columns[1].title == "Tue 1:00\n8, usually 1–3\nSpike: 8 calls"
    assert chart.table.rows[1].cells == ("8", "1–3", "Spike: 8 calls")


def test_it_draws_a_limit_unless_that_would_press_everything_flat():
    chart = band([3, 4], limit=20)

    assert (chart.limit.label, chart.limit.at) == ("20", "0%")
    assert band([3, 4], limit=None).limit is None
    assert band([3, 4], limit=100).limit is None
    assert band([0, 0], limit=5).limit is None


def test_it_says_what_is_not_known():
    chart = band([None, 2])

    assert chart.table.rows[0].cells == ("not measured", "no baseline yet", "")
    assert chart.columns[1].title == "Tue 1:00\n2"


def test_it_draws_a_sparkline_from_zero_and_closes_its_area_at_the_bottom():
    spark = sparkline(label="Calls", values=[0, 5, 10])

    assert spark.line == "M0 100L500 50L1000 0"
    assert spark.area == "M0 100L500 50L1000 0L1000 100L0 100Z"
    assert spark.end_y == "0%"


@pytest.mark.parametrize(("values", "empty"), [([], True), ([3], True), ([0, 0], False)])
def test_it_needs_two_values_for_a_sparkline(values, empty):
    assert sparkline(label="Calls", values=values).empty is empty


def test_it_keeps_a_sparkline_of_nothing_at_the_bottom():
    assert sparkline(label="Calls", values=[0, 0]).line == "M0 100L1000 100"


def test_it_folds_the_smallest_series_into_one_and_keeps_the_order_of_the_others():
    small, big, tiny = Series("a", "A", [1, 1]), Series("b", "B", [9, 9]), Series("c", "C", [0, 1])

    folded = fold_small_series([small, big, tiny], keep=1, rest_name="Other reasons")

    assert [(one.name, list(one.values)) for one in folded] == [("B", [9, 9]), ("Other reasons", [1, 2])]
    assert fold_small_series([small, big], keep=2, rest_name="Other reasons") == [small, big]


@pytest.mark.parametrize(
    ("highest", "ticks"),
    [
        (0, (0, 1)),
        (1, (0, 1)),
        (3, (0, 1, 2, 3)),
        (7, (0, 2, 4, 6, 8)),
        (10, (0, 5, 10)),
        (94, (0, 25, 50, 75, 100)),
        (0.3, (0, 0.1, 0.2, 0.3)),
        (12000, (0, 5000, 10000, 15000)),
    ],
)
def test_it_chooses_round_ticks(highest, ticks):
    assert nice_ticks(highest) == ticks


@given(st.integers(1, 10**9) | st.floats(1e-6, 1e9))
def test_it_covers_the_highest_value_with_few_even_ticks(highest):
    ticks = nice_ticks(highest)

    assert ticks[0] == 0
    assert ticks[-1] >= highest * (1 - 1e-6)
    assert 2 <= len(ticks) <= 5
    gaps = [after - before for before, after in pairwise(ticks)]
    assert max(gaps) == pytest.approx(min(gaps), rel=1e-3)


def test_it_writes_numbers_and_shares_without_needless_digits():
    assert [count(1204), count(0.25), count(3.0)] == ["1,204", "0.25", "3"]
    assert [percent(0), percent(1 / 3), percent(1)] == ["0%", "33.333%", "100%"]
