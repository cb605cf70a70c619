"""Owns the geometry of charts: series in, coordinates and finished words out, for templates that only print.

Pure: no Django, clock, query or setting. Positions are per cent of the plot, so a chart has no fixed width.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

Format = Callable[[float], str]
# Colours and patterns a stylesheet has for series; 0 is the grey of "everything else".
SLOTS = 9
REST = 0
# One colour per check that failed, so that a reason looks the same in every chart.
REASON_SLOTS = {
    "sanctioned_country": 1,
    "country_not_allowed": 2,
    "number_class_blocked": 3,
    "prefix_blocked": 3,
    "rate_limited": 4,
    "held": 5,
    "listed": 5,
    "captcha_required": 6,
    "captcha_failed": 6,
    "kyc_required": 7,
    "kyc_expired": 7,
    "spend_cap_reached": 8,
    "concurrency_cap_reached": 8,
}
# Twelve labels fit a desktop panel; every second one is dropped by the stylesheet where there is less room.
MOST_LABELS = 12
# A limit further above all that is drawn would press it flat.
FURTHEST_LIMIT = 20
# The narrow svg view box that lines and bands are stretched from.
BOX_WIDTH, BOX_HEIGHT = 1000, 100


@dataclass(frozen=True, slots=True)
class Step:
    """One position on the time axis; both labels are written by the caller, in the workspace's time zone."""

    short: str
    long: str
    href: str = ""


@dataclass(frozen=True, slots=True)
class Series:
    """One colour of a stacked chart. `slot` (1–8) keeps its colour and pattern when the order changes."""

    key: str
    name: str
    values: Sequence[float]
    slot: int = REST
    href: str = ""


@dataclass(frozen=True, slots=True)
class Spike:
    """A step outside its expected band, with the words and the page that explain it."""

    index: int
    title: str
    href: str = ""


@dataclass(frozen=True, slots=True)
class Tick:
    at: str
    label: str
    minor: bool = False


@dataclass(frozen=True, slots=True)
class Segment:
    y: str
    height: str
    slot: int


@dataclass(frozen=True, slots=True)
class Column:
    """One step: where it is, what it is made of, and what is said when it is pointed at."""

    x: str
    width: str
    bar_x: str
    bar_width: str
    title: str
    href: str
    segments: tuple[Segment, ...] = ()


@dataclass(frozen=True, slots=True)
class LegendEntry:
    name: str
    slot: int
    total: str
    href: str


@dataclass(frozen=True, slots=True)
class Row:
    label: str
    cells: tuple[str, ...]
    href: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """The same numbers as words, for those who do not see the drawing."""

    headers: tuple[str, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class StackedBars:
    chart_id: str
    name: str
    description: str
    empty: bool
    columns: tuple[Column, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    legend: tuple[LegendEntry, ...]
    table: Table


@dataclass(frozen=True, slots=True)
class Marker:
    x: str
    y: str
    title: str
    href: str


@dataclass(frozen=True, slots=True)
class BandChart:
    chart_id: str
    name: str
    description: str
    empty: bool
    lines: tuple[str, ...]
    bands: tuple[str, ...]
    markers: tuple[Marker, ...]
    columns: tuple[Column, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    table: Table
    limit: Tick | None = None


@dataclass(frozen=True, slots=True)
class Sparkline:
    label: str
    empty: bool
    line: str
    area: str
    end_y: str


def stacked_bars(
    *,
    chart_id: str,
    name: str,
    description: str,
    steps: Sequence[Step],
    series: Sequence[Series],
    write: Format | None = None,
) -> StackedBars:
    """Bars per step, stacked from the bottom up in the order of `series`; empty ones are left out."""
    write = write or count
    shown = [one for one in series if any(value > 0 for value in one.values)]
    _require_same_length(steps, [one.values for one in series])
    totals = [sum(max(one.values[i], 0) for one in shown) for i in range(len(steps))]
    top, ticks = _scale(totals)
    columns = tuple(_column(i, steps, shown, totals, top, write) for i in range(len(steps)))
    legend = tuple(
        LegendEntry(
            one.name,
            _slot(one),
            write(sum(max(value, 0) for value in one.values)),
            one.href,
        )
        for one in shown
    )
    headers = ("Time", *(one.name for one in shown), "Total")
    rows = tuple(
        Row(
            step.long,
            (*(write(max(one.values[i], 0)) for one in shown), write(totals[i])),
            step.href,
        )
        for i, step in enumerate(steps)
        if totals[i]
    )
    x_ticks, y_ticks = _time_ticks(steps), _value_ticks(ticks, top, write)
    table = Table(headers, rows)
    return StackedBars(chart_id, name, description, not shown, columns, x_ticks, y_ticks, legend, table)


def band_chart(
    *,
    chart_id: str,
    name: str,
    description: str,
    steps: Sequence[Step],
    values: Sequence[float | None],
    low: Sequence[float | None] = (),
    high: Sequence[float | None] = (),
    spikes: Sequence[Spike] = (),
    limit: float | None = None,
    write: Format | None = None,
) -> BandChart:
    """A line, its expected band, a marker per spike, and a line at `limit`, where that is not out of sight. None is a
    gap: not measured, or no baseline yet.
    """
    write = write or count
    low, high = low or [None] * len(steps), high or [None] * len(steps)
    _require_same_length(steps, [values, low, high])
    drawn = [value for value in (*values, *high) if value is not None]
    shown_limit = limit if limit and max(drawn, default=0) * FURTHEST_LIMIT >= limit else None
    top, ticks = _scale([*drawn, shown_limit or 0])
    known_spikes = {spike.index: spike for spike in spikes if values[spike.index] is not None}
    points = [_point(step, values[i], low[i], high[i], known_spikes.get(i), write) for i, step in enumerate(steps)]
    return BandChart(
        chart_id=chart_id,
        name=name,
        description=description,
        empty=all(value is None for value in values),
        lines=tuple(_path(run) for run in _runs(values, top)),
        bands=_bands(low, high, top),
        markers=tuple(
            Marker(
                percent(_centre(i, len(steps))),
                percent(1 - max(value, 0) / top),
                known_spikes[i].title,
                known_spikes[i].href,
            )
            for i, value in enumerate(values)
            if value is not None and i in known_spikes
        ),
        columns=tuple(_slice(i, len(steps), words, row.href) for i, (words, row) in enumerate(points)),
        x_ticks=_time_ticks(steps),
        y_ticks=_value_ticks(ticks, top, write),
        table=Table(("Time", "Value", "Usual", "Spike"), tuple(row for _, row in points)),
        limit=Tick(percent(1 - shown_limit / top), write(shown_limit)) if shown_limit else None,
    )


def sparkline(*, label: str, values: Sequence[float]) -> Sparkline:
    """A small line without axes, from zero to its own highest value; flat at the bottom when all is zero."""
    if len(values) < 2:
        return Sparkline(label, True, "", "", "")
    top = max(*values, 0) or 1
    points = [
        (BOX_WIDTH * i / (len(values) - 1), BOX_HEIGHT * (1 - max(value, 0) / top)) for i, value in enumerate(values)
    ]
    line = _path(points)
    area = f"{line}L{BOX_WIDTH} {BOX_HEIGHT}L0 {BOX_HEIGHT}Z"
    return Sparkline(label, False, line, area, percent(points[-1][1] / BOX_HEIGHT))


def fold_small_series(series: Sequence[Series], *, keep: int, rest_name: str) -> list[Series]:
    """Keep the `keep` biggest series in their order and add up the others under `rest_name`."""
    biggest = sorted(series, key=lambda one: (-sum(one.values), one.key))[:keep]
    kept = [one for one in series if one in biggest]
    others = [one for one in series if one not in biggest]
    if not others:
        return kept
    summed = [sum(column) for column in zip(*(one.values for one in others), strict=True)]
    return [*kept, Series("rest", rest_name, summed)]


def nice_ticks(highest: float, *, most: int = 4) -> tuple[float, ...]:
    """Round numbers from 0 to at least `highest` in at most `most` steps; whole if `highest` is."""
    if highest <= 0:
        return (0, 1)
    raw = highest / most
    magnitude = 10 ** floor(log10(raw))
    candidates = [unit * magnitude for unit in (1, 2, 2.5, 5, 10)]
    if float(highest).is_integer():
        candidates = [
            1,
            *(candidate for candidate in candidates if float(candidate).is_integer()),
        ]
    step = next(candidate for candidate in candidates if candidate >= raw * (1 - 1e-9))
    steps = min(most, ceil(highest / step - 1e-9))
    return tuple(round(step * i, 10) for i in range(steps + 1))


def count(value: float) -> str:
    """1204 → '1,204'; 0.25 → '0.25'."""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.2f}".rstrip("0").rstrip(".")


def counted(amount: float, what: str) -> str:
    """1 → "1 call", 1204 → "1,204 calls"."""
    return f"{count(amount)} {what}{'s' * (amount != 1)}"


def percent(share: float) -> str:
    """0.125 → '12.5%'."""
    return f"{share * 100:.3f}".rstrip("0").rstrip(".") + "%"


def _scale(values: Sequence[float]) -> tuple[float, tuple[float, ...]]:
    ticks = nice_ticks(max(values, default=0))
    return ticks[-1], ticks


def _centre(index: int, length: int) -> float:
    return (index + 0.5) / length


def _slice(index: int, length: int, title: str, href: str, segments: tuple[Segment, ...] = ()) -> Column:
    width = 1 / length
    # A bar leaves a fifth of its slice free, so that neighbours stay apart at any width.
    return Column(
        percent(index * width),
        percent(width),
        percent((index + 0.1) * width),
        percent(width * 0.8),
        title,
        href,
        segments,
    )


def _column(
    index: int,
    steps: Sequence[Step],
    series: Sequence[Series],
    totals: Sequence[float],
    top: float,
    write: Format,
) -> Column:
    segments, words, reached = [], [], 0.0
    for one in series:
        value = max(one.values[index], 0)
        if not value:
            continue
        reached += value
        segments.append(Segment(percent(1 - reached / top), percent(value / top), _slot(one)))
        words.append(f"{one.name}: {write(value)}")
    total = write(totals[index])
    # The list reads as the bar looks: the topmost part first.
    title = "\n".join([f"{steps[index].long}: {total}", *reversed(words)])
    return _slice(index, len(steps), title, steps[index].href, tuple(segments))


def _point(
    step: Step, value: float | None, low: float | None, high: float | None, spike: Spike | None, write: Format
) -> tuple[str, Row]:
    """What one step of a line says when pointed at, and its row in the table."""
    measured, usual = _maybe(value, write), _between(low, high, write)
    known = low is not None and high is not None
    words = [step.long, f"{measured}, usually {usual}" if known else measured]
    said = spike.title if spike else ""
    return "\n".join([*words, said] if said else words), Row(step.long, (measured, usual, said), step.href)


def _slot(one: Series) -> int:
    return one.slot if 0 < one.slot < SLOTS else REST


def _time_ticks(steps: Sequence[Step]) -> tuple[Tick, ...]:
    # A label stands where it changes: hourly steps labelled by day get one label a day, at its first hour.
    changes = [i for i, step in enumerate(steps) if i == 0 or step.short != steps[i - 1].short]
    every = max(1, ceil(len(changes) / MOST_LABELS))
    return tuple(
        Tick(percent(_centre(i, len(steps))), steps[i].short, minor=position % 2 == 1)
        for position, i in enumerate(changes[::every])
    )


def _value_ticks(ticks: Sequence[float], top: float, write: Format) -> tuple[Tick, ...]:
    return tuple(Tick(percent(1 - tick / top), write(tick)) for tick in ticks)


def _runs(values: Sequence[float | None], top: float) -> list[list[tuple[float, float]]]:
    """Unbroken stretches of known values, as points of the view box; a lone value becomes a visible dash."""
    runs: list[list[tuple[float, float]]] = []
    before = None
    for i, value in enumerate(values):
        if value is not None:
            if before is None:
                runs.append([])
            runs[-1].append((BOX_WIDTH * _centre(i, len(values)), BOX_HEIGHT * (1 - max(value, 0) / top)))
        before = value
    dash = BOX_WIDTH * 0.3 / max(1, len(values))
    return [[(x - dash, y), (x + dash, y)] if len(run) == 1 else run for run in runs for x, y in run[:1]]


def _bands(low: Sequence[float | None], high: Sequence[float | None], top: float) -> tuple[str, ...]:
    known = [below is not None and above is not None for below, above in zip(low, high, strict=True)]
    upper = _runs([value if known[i] else None for i, value in enumerate(high)], top)
    lower = _runs([value if known[i] else None for i, value in enumerate(low)], top)
    return tuple(_path(over + under[::-1]) + "Z" for over, under in zip(upper, lower, strict=True))


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{_short(x)} {_short(y)}" for x, y in points)


def _short(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _maybe(value: float | None, write: Format) -> str:
    return "not measured" if value is None else write(value)


def _between(low: float | None, high: float | None, write: Format) -> str:
    if low is None or high is None:
        return "no baseline yet"
    return write(high) if low == high else f"{write(low)}–{write(high)}"


def _require_same_length(steps: Sequence[Step], columns: Sequence[Sequence[float | None]]) -> None:
    for values in columns:
        if len(values) != len(steps):
            raise ValueError(f"A series has {len(values)} values for {len(steps)} steps.")
