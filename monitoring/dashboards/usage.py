"""Usage over time against what is usual: calls, minutes, money, or how many run at once, with every spike marked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from monitoring.dashboards import drawing, links, usual
from monitoring.dashboards.counts import Counts, Metric
from monitoring.dashboards.period import HOUR, Period, Slot, floor_hour
from monitoring.dashboards.running import Peaks
from monitoring.dashboards.usual import Expectation
from monitoring.detection.series import BandPoint, shorter

TABS = {
    Metric.CALLS: "Calls",
    Metric.MINUTES: "Minutes",
    Metric.MONEY: "Money",
    Metric.CONCURRENCY: "Concurrency",
}
Edges = tuple[float | None, float | None]


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


def usage(counts: Counts, expected: Expectation, period: Period, *, now: datetime) -> Usage:
    """What adds up. `counts` by the minute or the hour, as the period is cut."""
    metric, values = expected.metric, counts.values[expected.metric]
    sums = [
        round(counts.total(values, slot.start, slot.end), 2) if counts.known_from is not None else None
        for slot in period.lines
    ]
    total = counts.total(values, period.start, period.end)
    said = f"{usual.named(metric, total)} {period.words}"
    bands = [_band(expected, slot, sum) for slot in period.lines]
    return _usage(expected, period, sums, bands, said, now=now)


def concurrency(peaks: Peaks, expected: Expectation, period: Period, *, now: datetime) -> Usage:
    """How many ran at once: the most of each step, and the highest that is usual in one of its hours."""
    most = [peaks.highest(slot.start, slot.end) for slot in period.lines]
    bands = [_band(expected, slot, max) for slot in period.lines]
    highest = peaks.highest(period.start, period.end)
    limit = f" of {drawing.count(peaks.limit)} that UponAI allows" if peaks.limit is not None else ""
    said = f"At most {drawing.count(highest)} at once{limit}, {period.words}{_since(peaks, period)}" if highest else ""
    if highest == 0:
        said = f"None was running {period.words}{_since(peaks, period)}"
    return _usage(expected, period, most, bands, said, now=now, limit=peaks.limit)


def _since(peaks: Peaks, period: Period) -> str:
    """Where measuring began within the period: what lies before was not quiet, but is not known."""
    if peaks.known_from is None or peaks.known_from <= period.start:
        return ""
    local = peaks.known_from.astimezone(period.zone)
    return f"; measured since {local.day} {local:%b} {local:%H:%M} only"


def _usage(
    expected: Expectation,
    period: Period,
    values: Sequence[float | None],
    bands: Sequence[Edges],
    total: str,
    *,
    now: datetime,
    limit: int | None = None,
) -> Usage:
    metric, slots = expected.metric, period.lines
    spikes = _spikes(expected, period, values, now=now)
    chart = drawing.band_chart(
        chart_id="usage",
        name=f"{TABS[metric]} over time",
        description=_describe(len(spikes), metric, period),
        steps=[drawing.Step(slot.short, slot.long, _list(period, slot.start, slot.end)) for slot in slots],
        values=values,
        low=[low for low, _high in bands],
        high=[high for _low, high in bands],
        spikes=spikes,
        limit=limit,
        write=_money if metric == Metric.MONEY else drawing.count,
    )
    tabs = tuple(Tab(label, links.home(period, metric=one), one == metric) for one, label in TABS.items())
    return Usage(metric, tabs, chart, total)


def _list(period: Period, start: datetime, end: datetime) -> str:
    return links.calls(start=start, end=end, zone=period.zone)


def _money(value: float) -> str:
    """Whole dollars without cents, as on an axis."""
    return f"${value:,.0f}" if float(value).is_integer() else f"${value:,.2f}"


def _band(expected: Expectation, slot: Slot, together: Callable[[list[float]], float]) -> Edges:
    """The band of all hours of a step together; none as long as one of them has none."""
    hours = [floor_hour(slot.start)]
    while hours[-1] + HOUR < slot.end:
        hours.append(hours[-1] + HOUR)
    known = [point for point in map(expected.at, hours) if point is not None and point.usual is not None]
    if len(known) < len(hours):
        return None, None
    length = slot.end - slot.start
    if length >= HOUR:
        return together([point.low or 0.0 for point in known]), together([point.high or 0.0 for point in known])
    return shorter(known[0].usual or 0.0, length / HOUR, unit=expected.unit)


def _spikes(
    expected: Expectation, period: Period, values: Sequence[float | None], *, now: datetime
) -> list[drawing.Spike]:
    """One marker for a step, at the hour that was furthest out; or for an hour, at its highest step."""
    marked: dict[int, BandPoint] = {}
    for point in expected.spikes(*period.whole_hours):
        inside = [
            index for index, slot in enumerate(period.lines) if slot.start < point.t + HOUR and slot.end > point.t
        ]
        known = [index for index in inside if values[index] is not None]
        if known:
            index = max(known, key=lambda one: values[one] or 0)
            marked[index] = max(marked.get(index, point), point, key=lambda one: one.score)
    return [
        drawing.Spike(
            index,
            f"Spike: {usual.say_spike(point, expected.metric, now=now, zone=period.zone)}",
            _list(period, point.t, point.t + HOUR),
        )
        for index, point in sorted(marked.items())
    ]


def _describe(spikes: int, metric: Metric, period: Period) -> str:
    outside = f"{spikes} spike{'s' * (spikes != 1)} above the usual range" if spikes else "no spike"
    return f"{TABS[metric]} {period.words} against their usual range: {outside}."
