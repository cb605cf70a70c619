"""The first thing on the home page: one sentence about now, and four numbers of today with their usual."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from django.urls import reverse

from accounts.components import Action, Sentence
from accounts.countries import name_of
from monitoring.dashboards import drawing, links, usual
from monitoring.dashboards.counts import COUNTED, CountryTotal, Counts, Metric
from monitoring.dashboards.dangers import Danger, Rank, dangers, first_of
from monitoring.dashboards.period import HOUR, floor_hour, midnight
from monitoring.dashboards.pulse import Pulse, Running
from monitoring.dashboards.usual import Expectation, Today
from monitoring.detection.series import BandPoint
from policies.admin.money import usd
from policies.exposure import Exposure

# The rollups run every two seconds and leave the newest half minute open; this much behind means trouble.
TOO_FAR_BEHIND = timedelta(seconds=75)
# A spike of calls or money got through and comes first; blocked attempts did not.
_BY_URGENCY = (Metric.CALLS, Metric.MONEY, Metric.MINUTES, Metric.BLOCKED)
_PLACES = 3
# A country with less of a spike than this is its usual background.
_SHARE = 0.15


@dataclass(frozen=True, slots=True)
class Card:
    label: str
    value: str
    usual: str = ""
    tone: str = ""
    note: str = ""
    href: str = ""
    spark: drawing.Sparkline | None = None
    meter: int | None = None
    meter_label: str = ""


@dataclass(frozen=True, slots=True)
class Overview:
    sentence: Sentence
    cards: tuple[Card, ...]


@dataclass(frozen=True, slots=True)
class _Spike:
    metric: Metric
    point: BandPoint


def overview(
    counts: Counts,
    expected: Mapping[Metric, Expectation],
    *,
    pulse: Pulse,
    countries: Sequence[CountryTotal],
    now: datetime,
    zone: tzinfo,
) -> Overview:
    """`countries`: counted for the hour of `recent_spike` besides."""
    days = {metric: usual.today(counts, expected[metric], now=now, zone=zone) for metric in COUNTED}
    spikes = _spikes(expected, midnight(now, zone), now)
    sentence = _sentence(counts, days, spikes, pulse=pulse, countries=countries, now=now, zone=zone)
    cards = tuple(_card(metric, counts, days[metric], spikes, now=now, zone=zone) for metric in _CARDS)
    return Overview(sentence, (*cards, _running(pulse.running, now)))


def recent_spike(expected: Mapping[Metric, Expectation], *, now: datetime) -> datetime | None:
    """The hour that the sentence is about, when something is unusual now."""
    spikes = _spikes(expected, now - usual.RECENT, now)
    return spikes[0].point.t if spikes and now - spikes[0].point.t < usual.RECENT else None


def at_risk(found: Exposure | None) -> Card:
    """The most that could be burnt in an hour with today's settings; None: it is being reckoned."""
    label, href = "At risk", reverse("exposure-page")
    if found is None:
        return Card(label, "…", "is being reckoned", href=href)
    return Card(label, usd(found.usd_per_hour), "an hour at most, as things are set", href=href)


_CARDS: Mapping[Metric, str] = {
    Metric.CALLS: "Calls today",
    Metric.BLOCKED: "Blocked today",
    Metric.MONEY: "Spent today",
}
_NEARLY_FULL = 0.8


def _running(running: Running | None, now: datetime) -> Card:
    label = "Running now"
    if running is None:
        return Card(label, "unknown", note="UponAI was not asked lately")
    value, usual_text = drawing.count(running.calls), "UponAI names no limit"
    if not running.answered:
        usual_text = "as events told; UponAI does not say"
    if not running.limit:
        return Card(label, value, usual_text, href=links.running())
    share = running.calls / running.limit
    tone, note = ("warning", "Nearly at UponAI's limit") if share >= _NEARLY_FULL else ("", "")
    if share >= 1:
        tone, note = "danger", "UponAI turns calls away"
    said = f"{value} of {drawing.count(running.limit)} that UponAI allows"
    return Card(
        label,
        f"{value} of {drawing.count(running.limit)}",
        "" if running.answered else usual_text,
        tone,
        note,
        links.running(),
        meter=min(100, round(100 * share)),
        meter_label=said,
    )


def _spikes(expected: Mapping[Metric, Expectation], since: datetime, now: datetime) -> list[_Spike]:
    """Today's and the last two hours', the newest hour first and the most urgent metric of it before others."""
    since = min(since, floor_hour(now) - usual.RECENT)
    found = [_Spike(metric, point) for metric in _BY_URGENCY for point in expected[metric].spikes(since, now)]
    return sorted(found, key=lambda spike: spike.point.t, reverse=True)


def _sentence(
    counts: Counts,
    days: Mapping[Metric, Today],
    spikes: Sequence[_Spike],
    *,
    pulse: Pulse,
    countries: Sequence[CountryTotal],
    now: datetime,
    zone: tzinfo,
) -> Sentence:
    found = dangers(pulse, now=now, zone=zone)
    if pulse.behind > TOO_FAR_BEHIND:
        found.append(_degraded(pulse.behind))
    elif spikes and now - spikes[0].point.t < usual.RECENT:
        found.append(_unusual(counts, spikes, countries, now=now, zone=zone))
    if found:
        found.sort(key=lambda one: one.rank)
        is_about_counts = found[0].rank in (Rank.SPIKE_THROUGH, Rank.SPIKE_STOPPED, Rank.BEHIND)
        return first_of(found, amounts="" if is_about_counts or counts.known_from is None else _amounts(days))
    if counts.known_from is None:
        return _nothing_yet(pulse.numbers)
    return _ordinary(days, spikes, now=now, zone=zone)


def _degraded(behind: timedelta) -> Danger:
    said = f"the counts below are {_span(behind)} old"
    text = f"{said.capitalize()}, so this page cannot say whether all is quiet."
    detail = "The background worker is not keeping up. Calls are judged all the same, and the newest are listed."
    return Danger(Rank.BEHIND, Sentence("unknown", text, detail), said)


def _nothing_yet(numbers: int) -> Sentence:
    if not numbers:
        return Sentence("unknown", "Nothing is watched yet: this workspace has no phone numbers.")
    watched = f"{numbers} phone number{'s' * (numbers != 1)}"
    detail = "The first one appears here within seconds."
    return Sentence("unknown", f"No call was seen yet on {watched}.", detail)


def _unusual(
    counts: Counts,
    spikes: Sequence[_Spike],
    countries: Sequence[CountryTotal],
    *,
    now: datetime,
    zone: tzinfo,
) -> Danger:
    spike = spikes[0]
    newest = spike.point.t
    hour = {"start": newest, "end": newest + HOUR, "zone": zone}
    text = f"{usual.say_spike(spike.point, spike.metric, now=now, zone=zone)}{_places(spike, countries)}"
    got_through = spike.metric != Metric.BLOCKED
    index = counts.index(newest)
    spent = usual.write(Metric.MONEY, counts.values[Metric.MONEY][index])
    blocked = usual.write(Metric.BLOCKED, counts.values[Metric.BLOCKED][index])
    detail = f"{spent} spent and {blocked} blocked in that hour." if got_through else "None of these got through."
    look = links.calls(**hour) if got_through else links.blocked(**hour)
    actions = [Action("Look at them", look, "primary")]
    if got_through and counts.values[Metric.BLOCKED][index]:
        actions.append(Action("Blocked in that hour", links.blocked(**hour)))
    sentence = Sentence("danger" if got_through else "warning", f"Unusual: {text}.", detail, tuple(actions))
    return Danger(Rank.SPIKE_THROUGH if got_through else Rank.SPIKE_STOPPED, sentence, text)


def _places(spike: _Spike, countries: Sequence[CountryTotal]) -> str:
    blocked = spike.metric == Metric.BLOCKED
    amounts = {row.code: row.blocked_then if blocked else row.calls_then for row in countries if row.code}
    total = sum(amounts.values())
    ranked = sorted((code for code in amounts if amounts[code] > _SHARE * total), key=lambda code: -amounts[code])
    names = [name_of(code) for code in ranked[:_PLACES]]
    return f", most with {_listed(names)}" if names else ""


def _ordinary(
    days: Mapping[Metric, Today],
    spikes: Sequence[_Spike],
    *,
    now: datetime,
    zone: tzinfo,
) -> Sentence:
    amounts, judged = _amounts(days), usual.compare(days[Metric.CALLS])
    day = f"{now.astimezone(zone):%A}"
    if spikes:
        spike = spikes[0]
        detail = f"Earlier: {usual.say_spike(spike.point, spike.metric, now=now, zone=zone)}."
        hour = {"start": spike.point.t, "end": spike.point.t + HOUR, "zone": zone}
        look = links.blocked(**hour) if spike.metric == Metric.BLOCKED else links.calls(**hour)
        return Sentence("notice", f"Calm again: {amounts}.", detail, (Action("Look at the spike", look),))
    if not judged:
        return Sentence("quiet", f"{amounts}.", "What is usual shows after the first full day of calls.")
    if judged == "as":
        return Sentence("quiet", f"Quiet: {amounts}, as usual for a {day}.")
    return Sentence("notice", f"{amounts}: {judged} usual for a {day}, with no hour out of its range.")


def _amounts(days: Mapping[Metric, Today]) -> str:
    """ "1,204 calls today, 38 blocked"."""
    calls, blocked = round(days[Metric.CALLS].value), days[Metric.BLOCKED].value
    return f"{drawing.counted(calls, 'call')} today, {usual.write(Metric.BLOCKED, blocked)} blocked"


def _card(metric: Metric, counts: Counts, day: Today, spikes: Sequence[_Spike], *, now: datetime, zone: tzinfo) -> Card:
    start = midnight(now, zone)
    mine = [spike for spike in spikes if spike.metric == metric and spike.point.t >= start]
    note = f"Spike at {mine[0].point.t.astimezone(zone):%H:%M}" if mine else ""
    last_day = counts.values[metric][-24:]
    href = links.blocked if metric == Metric.BLOCKED else links.calls
    return Card(
        label=_CARDS[metric],
        value=usual.write(metric, day.value),
        usual=f"usually {usual.write(metric, day.usual)} by now" if day.usual is not None else "",
        tone="warning" if mine else "",
        note=note,
        href=href(start=start, end=None, zone=zone),
        spark=drawing.sparkline(label=f"{_CARDS[metric].split()[0]} by the hour, last 24 hours", values=last_day),
    )


def _span(length: timedelta) -> str:
    minutes = int(length.total_seconds() // 60)
    if minutes < 2:
        return f"{int(length.total_seconds())} seconds"
    if minutes < 120:
        return f"{minutes} minutes"
    return f"{minutes // 60} hours" if minutes < 60 * 48 else f"{minutes // 60 // 24} days"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
