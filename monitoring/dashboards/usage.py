"""Usage over time against its expected band: calls, minutes or money, with the spikes marked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from monitoring.dashboards import drawing, links, usual
from monitoring.dashboards.counts import HourlyCounts, Metric
from monitoring.dashboards.period import HOUR, Period, Slot
from monitoring.dashboards.usual import Expectation
from monitoring.detection.series import BandPoint

TABS = {Metric.CALLS: "Calls", Metric.MINUTES: "Minutes", Metric.MONEY: "Money"}


@dataclass(frozen=True, slots=True)
class Tab:
    label: str
    href: str
    current: bool


@dataclass(frozen=True, slots=True)
class Usage:
    metric: Metric
    tabs: tuple[Tab, ...]
    chart: drawing.BandChart
    total: str


def metric_of(name: str | None) -> Metric:
    """The tab that was asked for; calls when it is none of them."""
    return next((metric for metric in TABS if metric.value == name), Metric.CALLS)


def usage(counts: HourlyCounts, expected: Expectation, period: Period, *, now: datetime) -> Usage:
    metric = expected.metric
    total = counts.total(counts.values[metric], period.start, period.end)
    return Usage(
        metric=metric,
        tabs=tuple(Tab(label, links.home(period, metric=one), one == metric) for one, label in TABS.items()),
        chart=_chart(counts, expected, period, now),
        total=f"{usual.write(metric, total)} {usual.NAMES[metric]} in {period.shape.words}",
    )


def _chart(counts: HourlyCounts, expected: Expectation, period: Period, now: datetime) -> drawing.BandChart:
    metric, slots = expected.metric, period.lines
    bands = [_band(counts, expected, slot) for slot in slots]
    spikes = [
        drawing.Spike(
            index=index,
            title=f"Spike: {usual.say_spike(point, metric, now=now, zone=period.zone)}",
            href=links.calls(start=point.t, end=point.t + HOUR, zone=period.zone),
        )
        for index, slot in enumerate(slots)
        for point in _highest(expected.spikes(slot.start, slot.end))
    ]
    values = [
        round(counts.total(counts.values[metric], slot.start, slot.end), 2) if counts.known_from is not None else None
        for slot in slots
    ]
    return drawing.band_chart(
        chart_id="usage",
        name=f"{TABS[metric]} over time",
        description=_describe(len(spikes), metric, period),
        steps=[
            drawing.Step(slot.short, slot.long, links.calls(start=slot.start, end=slot.end, zone=period.zone))
            for slot in slots
        ],
        values=values,
        low=[low for low, _high in bands],
        high=[high for _low, high in bands],
        spikes=spikes,
        write=_money if metric == Metric.MONEY else drawing.count,
    )


def _money(value: float) -> str:
    """Whole dollars without cents, as on an axis."""
    return f"${value:,.0f}" if float(value).is_integer() else f"${value:,.2f}"


def _band(counts: HourlyCounts, expected: Expectation, slot: Slot) -> tuple[float | None, float | None]:
    """The band of all hours of a step together; none as long as one of them has none."""
    points = [expected.at(index) for index in range(counts.index(slot.start), counts.index(slot.end))]
    if not points or any(point is None or point.high is None for point in points):
        return None, None
    return sum(point.low or 0 for point in points if point), sum(point.high or 0 for point in points if point)


def _highest(points: list[BandPoint]) -> list[BandPoint]:
    """One marker for a step, at the hour that was furthest out."""
    return [max(points, key=lambda point: point.score)] if points else []


def _describe(spikes: int, metric: Metric, period: Period) -> str:
    outside = f"{spikes} spike{'s' * (spikes != 1)} above the usual range" if spikes else "no spike"
    return f"{TABS[metric]} in {period.shape.words} against their usual range: {outside}."
