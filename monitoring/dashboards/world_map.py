"""Owns what the world map says: counts per country in, colour levels, words and a legend out. Pure."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Literal

Layer = Literal["blocked", "allowed"]
LEVELS = 5


@dataclass(frozen=True, slots=True)
class CountryCounts:
    """Calls of one country (ISO alpha-2) in the period; `href` is the list that the counts come from."""

    code: str
    name: str
    blocked: int
    allowed: int
    href: str = ""
    flag: str = ""


@dataclass(frozen=True, slots=True)
class CountryRow:
    """The same country as words, for the table beside the map."""

    code: str
    name: str
    flag: str
    blocked: str
    allowed: str
    href: str


@dataclass(frozen=True, slots=True)
class LegendStep:
    level: int
    label: str


@dataclass(frozen=True, slots=True)
class WorldMap:
    """`data` goes through `json_script` to the browser; everything else is printed by the template."""

    map_id: str
    name: str
    empty: bool
    first_layer: Layer
    blocked_legend: tuple[LegendStep, ...]
    allowed_legend: tuple[LegendStep, ...]
    data: dict[str, dict[str, object]]
    rows: tuple[CountryRow, ...]


def world_map(
    *,
    map_id: str,
    name: str,
    countries: Iterable[CountryCounts],
    first_layer: Layer = "blocked",
) -> WorldMap:
    known = sorted(countries, key=lambda one: (-one.blocked, -one.allowed, one.name))
    known = [one for one in known if one.blocked or one.allowed]
    blocked, allowed = (
        thresholds(one.blocked for one in known),
        thresholds(one.allowed for one in known),
    )
    data: dict[str, dict[str, object]] = {
        one.code: {
            "title": f"{one.name}\n{one.blocked:,} blocked · {one.allowed:,} allowed",
            "blocked": level(one.blocked, blocked),
            "allowed": level(one.allowed, allowed),
            "href": one.href,
        }
        for one in known
    }
    return WorldMap(
        map_id,
        name,
        not known,
        first_layer,
        _legend(blocked),
        _legend(allowed),
        data,
        tuple(_row(one) for one in known),
    )


def _row(one: CountryCounts) -> CountryRow:
    return CountryRow(one.code, one.name, one.flag, f"{one.blocked:,}", f"{one.allowed:,}", one.href)


def thresholds(counts: Iterable[int]) -> tuple[int, ...]:
    """The smallest count of each level, growing by a factor: one busy country must not hide the others."""
    highest = max(counts, default=0)
    if highest <= 0:
        return ()
    steps = (max(1, ceil(round(highest ** (k / LEVELS), 9))) for k in range(LEVELS))
    return tuple(sorted(set(steps)))


def level(value: int, steps: Sequence[int]) -> int:
    """0 for none, else 1–5; with fewer steps than levels the highest count still has the strongest colour."""
    reached = sum(value >= step for step in steps)
    return reached and reached + LEVELS - len(steps)


def _legend(steps: Sequence[int]) -> tuple[LegendStep, ...]:
    write: Callable[[int], str] = "{:,}".format
    labels = []
    for i, lowest in enumerate(steps):
        highest = steps[i + 1] - 1 if i + 1 < len(steps) else None
        if highest is None:
            label = f"{write(lowest)}+"
        else:
            label = write(lowest) if highest == lowest else f"{write(lowest)}–{write(highest)}"
        labels.append(LegendStep(level(lowest, steps), label))
    return tuple(labels)
