"""The expected band of an hourly series, and the hours outside it. Pure and causal: an hour is judged by what
came before it, and only then learned from.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from math import hypot, sqrt
from typing import Final

# Weight of the newest hour in the mean of its cell (weekday or weekend, local hour). Two kinds of day instead
# of seven: with a few weeks of history, 168 cells would starve.
LEARNING_RATE: Final = 0.18
LEVEL_LEARNING_RATE: Final = LEARNING_RATE / 24
# The allowance is FREE + WIDTH · sd. Call counts vary more than Poisson: a busy day is busy all day, so
# the sd grows with the level (Brown et al., "Statistical Analysis of a Telephone Call Center", JASA 2005).
FREE: Final = 3.0
WIDTH: Final = 4.0
VARIATION: Final = 0.4
# How far the hours of a day lie from the day's mean, as a share of it: what a cell without a history may be.
DAY_VARIATION: Final = 1.0
# Below a day of history there is no "usual", so nothing is outside of it.
SILENT_HOURS: Final = 24
# Beyond what any workspace counts in an hour; keeps the arithmetic finite whatever is handed in.
LARGEST: Final = 1e15


@dataclass(frozen=True, slots=True)
class Point:
    """One hour. The local hour and kind of day are the caller's, who knows the time zone."""

    t: datetime
    value: float
    local_hour: int
    is_weekend: bool


@dataclass(frozen=True, slots=True)
class Expected:
    low: float
    usual: float
    high: float


@dataclass(frozen=True, slots=True)
class BandPoint:
    """`score` is 0 at or below the usual, 0.5 at the upper edge, and nears 1. No band: too little history."""

    t: datetime
    value: float
    low: float | None
    usual: float | None
    high: float | None
    is_spike: bool
    score: float


@dataclass(slots=True)
class Mean:
    """A running mean that forgets: the plain mean while young, an exponentially weighted one afterwards."""

    rate: float
    value: float = 0.0
    count: int = 0

    def learn(self, value: float) -> None:
        self.count += 1
        self.value += max(self.rate, 1 / self.count) * (value - self.value)


@dataclass(slots=True)
class Usual:
    """What an hourly series usually is. `unit` is what one event adds: 1 for calls, a mean cost for money."""

    unit: float = 1.0
    level: Mean = field(default_factory=lambda: Mean(LEVEL_LEARNING_RATE))
    cells: dict[tuple[bool, int], Mean] = field(default_factory=dict)

    def expected(self, local_hour: int, is_weekend: bool) -> Expected | None:
        """The band of an hour that is not known yet; None while there is too little history."""
        if self.level.count < SILENT_HOURS:
            return None
        cell = self.cells.get((is_weekend, local_hour))
        seen = cell.count if cell else 0
        youth = 1 / (seen + 1)
        usual = youth * self.level.value + (1 - youth) * (cell.value if cell else 0.0)
        noise = hypot(VARIATION * usual, DAY_VARIATION * youth * self.level.value)
        width = WIDTH * hypot(sqrt(self.unit * usual), noise)
        return Expected(max(0.0, usual - width), usual, usual + FREE * self.unit + width)

    def learn(self, value: float, local_hour: int, is_weekend: bool) -> None:
        """Takes an hour in, clipped to its band, so that an attack does not become the usual."""
        expected = self.expected(local_hour, is_weekend)
        clipped = min(value, expected.high) if expected else value
        self.level.learn(clipped)
        self.cells.setdefault((is_weekend, local_hour), Mean(LEARNING_RATE)).learn(clipped)


def band(points: Iterable[Point], *, unit: float = 1.0) -> list[BandPoint]:
    """The expected band of every hour. They come in order of time, none left out, all there are."""
    usual, judged = Usual(max(_finite(unit), 1 / LARGEST)), []
    for point in points:
        value = _finite(point.value)
        expected = usual.expected(point.local_hour, point.is_weekend)
        judged.append(_judged(point, value, expected))
        usual.learn(value, point.local_hour, point.is_weekend)
    return judged


def shorter(usual: float, share: float, *, unit: float = 1.0) -> tuple[float, float]:
    """The band of a part of an hour, of which `usual` is known: less of it, and noisier for what it is."""
    part, grain = _finite(usual) * share, max(_finite(unit), 1 / LARGEST)
    width = WIDTH * hypot(sqrt(grain * part), VARIATION * part)
    return max(0.0, part - width), part + FREE * grain + width


def _judged(point: Point, value: float, expected: Expected | None) -> BandPoint:
    if expected is None:
        return BandPoint(point.t, value, None, None, None, False, 0.0)
    above, allowed = max(0.0, value - expected.usual), expected.high - expected.usual
    score = above / (above + allowed) if above else 0.0
    is_spike = value > expected.high
    return BandPoint(point.t, value, expected.low, expected.usual, expected.high, is_spike, score)


def _finite(value: float) -> float:
    return min(value, LARGEST) if value > 0 else 0.0
