"""What is usual: the expected band of every hour, the hours above it, and what a day had by this time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from monitoring.dashboards import drawing
from monitoring.dashboards.counts import HourlyCounts, Metric
from monitoring.dashboards.period import HOUR, midnight
from monitoring.detection.series import BandPoint, Point, band

SATURDAY = 5
# An hour that ended longer ago than this is history on a page about now.
RECENT = timedelta(hours=2)
NAMES: Mapping[Metric, str] = {
    Metric.CALLS: "calls",
    Metric.MINUTES: "minutes",
    Metric.MONEY: "spent",
    Metric.BLOCKED: "blocked",
}


@dataclass(frozen=True, slots=True)
class Expectation:
    """One metric, hour by hour; `points[i]` belongs to hour `offset + i` of the counts."""

    metric: Metric
    offset: int
    points: Sequence[BandPoint]

    def at(self, index: int) -> BandPoint | None:
        inside = 0 <= index - self.offset < len(self.points)
        return self.points[index - self.offset] if inside else None

    def spikes(self, start: datetime, end: datetime) -> list[BandPoint]:
        return [point for point in self.points if point.is_spike and start <= point.t < end]


@dataclass(frozen=True, slots=True)
class Today:
    """What was counted since midnight, and what is usual by this time of such a day; None before there is a usual."""

    value: float
    usual: float | None


def expectation(counts: HourlyCounts, metric: Metric, *, zone: tzinfo) -> Expectation:
    """Learns from the first hour with data on: what lies before it is not a quiet time but an unknown one."""
    if counts.known_from is None:
        return Expectation(metric, 0, ())
    values = counts.values[metric]
    points = []
    for index in range(counts.known_from, len(counts)):
        local = counts.hour(index).astimezone(zone)
        points.append(Point(counts.hour(index), values[index], local.hour, local.weekday() >= SATURDAY))
    return Expectation(metric, counts.known_from, band(points, unit=_unit(counts, metric)))


def _unit(counts: HourlyCounts, metric: Metric) -> float:
    """What one call adds to the metric, on average: the grain of its noise."""
    calls = sum(counts.values[Metric.CALLS])
    if metric in (Metric.CALLS, Metric.BLOCKED) or not calls:
        return 1.0
    return sum(counts.values[metric]) / calls or 1.0


def today(counts: HourlyCounts, expected: Expectation, *, now: datetime, zone: tzinfo) -> Today:
    start = midnight(now, zone)
    value = counts.total(counts.values[expected.metric], start, now + HOUR)
    usual = 0.0
    for index in range(counts.index(start), len(counts)):
        point = expected.at(index)
        if point is None or point.usual is None:
            return Today(value, None)
        # The running hour counts as far as it has come.
        usual += point.usual * min(1.0, (now - counts.hour(index)) / HOUR)
    return Today(value, usual)


def compare(one: Today) -> str:
    """ "more than", "less than", "as", or nothing where there is no usual. Small differences are chance."""
    if one.usual is None:
        return ""
    allowed = 0.25 * one.usual + 4 * one.usual**0.5 + 3
    if abs(one.value - one.usual) <= allowed:
        return "as"
    return "more than" if one.value > one.usual else "less than"


def write(metric: Metric, value: float) -> str:
    """1204 → "1,204"; $38.20 for money."""
    if metric == Metric.MONEY:
        return f"${value:,.2f}"
    return drawing.count(round(value))


def say_spike(point: BandPoint, metric: Metric, *, now: datetime, zone: tzinfo) -> str:
    """ "412 calls from 14:00 to 15:00, usually up to 45"; "since 14:00" while that hour runs."""
    start = point.t.astimezone(zone)
    end = point.t + HOUR
    amount = f"{write(metric, point.value)} {NAMES[metric]}"
    when = f"since {start:%H:%M}" if end > now else f"from {start:%H:%M} to {end.astimezone(zone):%H:%M}"
    return f"{amount} {when}, usually up to {write(metric, point.high or 0)} in that hour"
