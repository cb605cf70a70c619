"""What is usual: the expected band of every hour, the hours above it, and what a day had by this time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from monitoring.dashboards import drawing
from monitoring.dashboards.counts import COUNTED, Counts, Metric
from monitoring.dashboards.period import HOUR, midnight
from monitoring.dashboards.running import Peaks
from monitoring.detection.series import BandPoint, Point, band

SATURDAY = 5
# An hour that ended longer ago than this is history on a page about now.
RECENT = timedelta(hours=2)
NAMES: Mapping[Metric, str] = {
    Metric.CALLS: "calls",
    Metric.MINUTES: "minutes",
    Metric.MONEY: "spent",
    Metric.BLOCKED: "blocked",
    Metric.CONCURRENCY: "at once",
}


@dataclass(frozen=True, slots=True)
class Expectation:
    """One metric, hour by hour; hours of which nothing is known have no point."""

    metric: Metric
    points: Mapping[datetime, BandPoint]
    unit: float = 1.0

    def at(self, hour: datetime) -> BandPoint | None:
        return self.points.get(hour)

    def spikes(self, start: datetime, end: datetime) -> list[BandPoint]:
        return [point for hour, point in self.points.items() if point.is_spike and start <= hour < end]


@dataclass(frozen=True, slots=True)
class Today:
    """What was counted since midnight, and what is usual by this time of such a day; None before there is a usual."""

    value: float
    usual: float | None


def expectation(counts: Counts, metric: Metric, *, zone: tzinfo) -> Expectation:
    """Learns from the first hour with data on: what lies before it is not a quiet time but an unknown one."""
    if counts.known_from is None:
        return Expectation(metric, {})
    values = counts.values[metric]
    known = {counts.moment(index): values[index] for index in range(counts.known_from, len(counts))}
    return _learn(metric, known, zone, _unit(counts, metric))


def expectations(counts: Counts, *, zone: tzinfo) -> dict[Metric, Expectation]:
    return {metric: expectation(counts, metric, zone=zone) for metric in COUNTED}


def of_peaks(peaks: Peaks, *, zone: tzinfo) -> Expectation:
    """Of how many run at once, from hours that were sampled; of minutes nothing is known to be usual."""
    if peaks.step < HOUR:
        return Expectation(Metric.CONCURRENCY, {})
    known = {peaks.moment(index): float(most) for index, most in enumerate(peaks.most) if most is not None}
    return _learn(Metric.CONCURRENCY, known, zone, 1.0)


def _learn(metric: Metric, known: Mapping[datetime, float], zone: tzinfo, unit: float) -> Expectation:
    local = {hour: hour.astimezone(zone) for hour in known}
    points = [Point(hour, value, local[hour].hour, local[hour].weekday() >= SATURDAY) for hour, value in known.items()]
    return Expectation(metric, {point.t: point for point in band(points, unit=unit)}, unit)


def _unit(counts: Counts, metric: Metric) -> float:
    """What one call adds to the metric, on average: the grain of its noise."""
    calls = sum(counts.values[Metric.CALLS])
    if metric in (Metric.CALLS, Metric.BLOCKED) or not calls:
        return 1.0
    return sum(counts.values[metric]) / calls or 1.0


def today(counts: Counts, expected: Expectation, *, now: datetime, zone: tzinfo) -> Today:
    start = midnight(now, zone)
    value = counts.total(counts.values[expected.metric], start, now + HOUR)
    usual = 0.0
    for index in range(counts.index(start), len(counts)):
        hour = counts.moment(index)
        point = expected.at(hour)
        if point is None or point.usual is None:
            return Today(value, None)
        # The running hour counts as far as it has come.
        usual += point.usual * min(1.0, (now - hour) / HOUR)
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


def named(metric: Metric, value: float) -> str:
    """ "1,204 calls", "1 call", "$38.20 spent"."""
    words = "call" if metric == Metric.CALLS and round(value) == 1 else NAMES[metric]
    words = "minute" if metric == Metric.MINUTES and round(value) == 1 else words
    return f"{write(metric, value)} {words}"


def say_spike(point: BandPoint, metric: Metric, *, now: datetime, zone: tzinfo) -> str:
    """ "412 calls from 14:00 to 15:00, usually up to 45"; "since 14:00" while that hour runs."""
    start = point.t.astimezone(zone)
    end = point.t + HOUR
    amount = named(metric, point.value)
    when = f"since {start:%H:%M}" if end > now else f"from {start:%H:%M} to {end.astimezone(zone):%H:%M}"
    return f"{amount} {when}, usually up to {write(metric, point.high or 0)} in that hour"
