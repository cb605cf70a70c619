"""Blocked calls: how many by hour and reason, and the newest of them with what a person asks first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import zip_longest

from django.urls import reverse

from accounts import keys
from accounts.countries import NAMES, name_of
from monitoring.dashboards import drawing, links
from monitoring.dashboards.counts import Counts
from monitoring.dashboards.period import Period
from monitoring.models import BlockedCall
from policies import transferred, words

NEWEST = 10
# More colours than this cannot be told apart; the rest is drawn as one.
MOST_REASONS = 6


@dataclass(frozen=True, slots=True)
class Newest:
    """One of the newest. `note`: what it was, where that is not said by who called whom."""

    at: datetime
    what: str
    sender: words.WrittenNumber
    receiver: words.WrittenNumber
    reason: str
    country: str
    href: str
    note: str = ""


def chart(counts: Counts, period: Period) -> drawing.StackedBars:
    slots, zone = period.bars, period.zone
    span = {"start": period.start, "end": period.end, "zone": zone}
    colours = _colours(counts.blocked)
    series = [
        drawing.Series(
            key=reason,
            name=words.reason(reason),
            values=[counts.total(by_hour, slot.start, slot.end) for slot in slots],
            slot=colours[reason],
            href=links.blocked(**span, reason=reason),
        )
        for reason, by_hour in counts.blocked.items()
    ]
    series = sorted((one for one in series if any(one.values)), key=lambda one: (-sum(one.values), one.key))
    hrefs = [links.blocked(start=slot.start, end=slot.end, zone=zone) for slot in slots]
    steps = [drawing.Step(slot.short, slot.long, href) for slot, href in zip(slots, hrefs, strict=True)]
    shown = drawing.fold_small_series(series, keep=MOST_REASONS, rest_name="Other reasons")
    return drawing.stacked_bars(
        chart_id="blocked-by-reason",
        name="Blocked calls by reason",
        description=_describe(shown, period),
        steps=steps,
        series=shown,
    )


def _colours(reasons: Iterable[str]) -> dict[str, int]:
    """Reasons without a colour of their own take the ones that are free, in the order of their codes."""
    colours = {reason: drawing.REASON_SLOTS[reason] for reason in reasons if reason in drawing.REASON_SLOTS}
    free = [slot for slot in range(drawing.SLOTS - 1, drawing.REST, -1) if slot not in colours.values()]
    others = sorted(reason for reason in reasons if reason not in colours)
    return colours | dict(zip_longest(others, free[: len(others)], fillvalue=drawing.REST))


def _describe(series: Sequence[drawing.Series], period: Period) -> str:
    total = sum(sum(one.values) for one in series)
    if not total:
        return f"Nothing was blocked {period.words}."
    first = series[0]
    said = f"{drawing.count(total)} blocked {period.words}"
    return f"{said}, most often because of: {words.inside(first.name)} ({drawing.count(sum(first.values))})."


def newest() -> list[Newest]:
    """From every source, as the list behind it."""
    rows = list(keys.with_names(BlockedCall.objects.order_by("-at", "-id"))[:NEWEST])
    told = transferred.of(rows)
    return [_newest(row, str(told[row.decision_id]) if row.decision_id in told else "") for row in rows]


def _newest(row: BlockedCall, note: str) -> Newest:
    sides = words.sides(row)
    return Newest(
        at=row.at,
        what=note or words.attempt(row.direction, row.channel),
        sender=sides["sender"],
        receiver=sides["receiver"],
        reason=words.reason(row.reason),
        country=name_of(row.country) if row.country in NAMES else "",
        href=reverse("admin:monitoring_blockedcall_change", args=[row.pk]),
        note=note,
    )
