import re
from pathlib import Path

import phonenumbers

SVG = Path(__file__).parents[2].joinpath("templates/components/_world_map.svg.html").read_text()


def groups():
    return re.findall(r'<g data-country="([A-Z]{2})"><title>([^<]+)</title>(.*?)</g>', SVG)


def test_it_shows_every_region_that_has_telephone_numbers():
    missing = phonenumbers.SUPPORTED_REGIONS - {code for code, _, _ in groups()}

    assert missing == set()


def test_it_shows_each_country_once_with_a_name_and_something_to_point_at():
    codes = [code for code, _, _ in groups()]

    assert len(codes) == len(set(codes)) == SVG.count("data-country=")
    assert [
        code for code, name, drawing in groups() if not name or ("<path d=" not in drawing and "<circle" not in drawing)
    ] == []


def test_it_keeps_every_dot_inside_the_drawing():
    width, height = map(int, re.search(r'viewBox="0 0 (\d+) (\d+)"', SVG).groups())
    dots = [(int(x), int(y)) for x, y in re.findall(r'cx="(-?\d+)" cy="(-?\d+)"', SVG)]

    assert len(dots) > 70
    assert [dot for dot in dots if not (0 <= dot[0] <= width and 0 <= dot[1] <= height)] == []


def test_it_stays_small_enough_to_be_sent_with_a_page():
    assert len(SVG.encode()) <= 120_000
