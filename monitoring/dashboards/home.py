"""Puts the home page together: what its panels need, read once. Each panel can also be had alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from monitoring.dashboards import (
    blocked,
    brake,
    counts,
    links,
    map,
    matters,
    overview,
    pulse,
    running,
    top,
    troubles,
    usage,
    usual,
)
from monitoring.dashboards.counts import CountryTotal, Counts, Metric
from monitoring.dashboards.period import CUSTOM, HOUR, SHAPES, BadPeriod, Period, floor_hour
from monitoring.dashboards.pulse import Pulse
from monitoring.dashboards.top import Rank
from monitoring.dashboards.usual import Expectation
from policies import exposure
from policies.models import Hold


@dataclass(frozen=True, slots=True)
class PeriodChoice:
    label: str
    href: str
    current: bool
    title: str


@dataclass(frozen=True, slots=True)
class PeriodPicker:
    """In the shape of components/_period_picker.html; `first` and `last` are local times."""

    choices: tuple[PeriodChoice, ...]
    time_zone: str
    is_own: bool
    words: str
    first: str
    last: str
    problems: Mapping[str, str]
    kept: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Step:
    """One step of setting a new workspace up."""

    done: bool
    title: str
    text: str
    copy: str = ""
    href: str = ""
    label: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request for the page or one of its panels is about."""

    now: datetime
    zone: tzinfo
    period: Period
    problems: Mapping[str, str]
    metric: Metric
    rank: Rank
    workspace_id: int
    endpoint: str
    sees_kyc: bool
    may_hold: bool
    sees_policies: bool

    @classmethod
    def by(cls, request: HttpRequest) -> Asked:
        now, zone = timezone.now(), timezone.get_current_timezone()
        workspace = request.workspace  # type: ignore[attr-defined]
        period, problems = _period(request, now=now, zone=zone)
        return cls(
            now=now,
            zone=zone,
            period=period,
            problems=problems,
            metric=usage.metric_of(request.GET.get("metric")),
            rank=top.rank_of(request.GET.get("top")),
            workspace_id=workspace.pk,
            endpoint=workspace.endpoint,
            sees_kyc=request.user.has_perm("accounts.view_kycrecord"),
            may_hold=request.user.has_perm("policies.add_hold"),
            sees_policies=request.user.has_perm("policies.view_countrypolicy"),
        )

    @property
    def choices(self) -> dict[str, str]:
        """What was chosen besides the period, where it is not what is shown anyway."""
        chosen = {"metric": self.metric.value if self.metric != Metric.CALLS else ""}
        return {name: value for name, value in {**chosen, "top": self._rank}.items() if value}

    @property
    def _rank(self) -> str:
        return self.rank.value if self.rank != Rank.BLOCKED else ""

    def panel(self, name: str) -> str:
        return links.panel(name, self.period, **self.choices)


def _period(request: HttpRequest, *, now: datetime, zone: tzinfo) -> tuple[Period, dict[str, str]]:
    """The period that was asked for; one that cannot be shown leaves the usual one, and says why."""
    key = request.GET.get("period")
    try:
        if key == CUSTOM:
            first, last = request.GET.get("from", ""), request.GET.get("to", "")
            return Period.between(first, last, now=now, zone=zone), {}
    except BadPeriod as problem:
        return Period.of(None, now=now, zone=zone), {problem.field: str(problem)}
    return Period.of(key, now=now, zone=zone), {}


PANELS = ("overview", "risk", "newest", "blocked", "usage", "top", "map", "matters")


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """The context of the admin index: every panel, rendered by the server in the first answer."""
    asked = Asked.by(request)
    history = _history(asked, since=asked.period.start)
    expected = usual.expectations(history, zone=asked.zone)
    now = pulse.pulse(workspace_id=asked.workspace_id, now=asked.now)
    held = brake.holds_now(asked.now)
    countries = counts.by_country(asked.period, then=overview.recent_spike(expected, now=asked.now))
    shown = _shown(asked, history)
    return context | {
        "title": "Home",
        "period_words": asked.period.words.capitalize(),
        "period_picker": _picker(asked, request),
        "steps": _steps(asked, now) if history.known_from is None else (),
        "brake": brake.brake(held, numbers=now.numbers) if asked.may_hold else None,
        "panels": {name: asked.panel(name) for name in PANELS},
        "blocked_list": links.blocked(start=asked.period.start, end=None, zone=asked.zone),
        "calls_list": links.calls(start=asked.period.start, end=None, zone=asked.zone),
        **_overview(asked, history, expected, now, countries, held),
        **risk_panel(asked, at_once=False),
        **newest_panel(asked),
        "blocked_chart": blocked.chart(shown, asked.period),
        "usage": _usage(asked, shown, expected),
        **_top(asked, countries),
        **_map(asked, countries),
        **_matters(asked, now),
    }


def overview_panel(asked: Asked) -> dict[str, Any]:
    history = _history(asked, since=asked.now - timedelta(days=1))
    expected = usual.expectations(history, zone=asked.zone)
    spike = overview.recent_spike(expected, now=asked.now)
    countries = counts.by_country(asked.period, then=spike) if spike else []
    now = pulse.pulse(workspace_id=asked.workspace_id, now=asked.now)
    said = _overview(asked, history, expected, now, countries, brake.holds_now(asked.now))
    return said | risk_panel(asked)


def risk_panel(asked: Asked, *, at_once: bool = True) -> dict[str, Any]:
    """Reckoning it reads all policies, so the page takes what is kept and lets the browser ask for the newest."""
    if not asked.sees_policies:
        return {"risk": None}
    found = exposure.of_workspace(asked.workspace_id, asked.now) if at_once else exposure.kept(asked.workspace_id)
    return {"risk": overview.at_risk(found), "risk_is_new": at_once}


def newest_panel(asked: Asked) -> dict[str, Any]:
    return {"newest": blocked.newest()}


def blocked_panel(asked: Asked) -> dict[str, Any]:
    period = asked.period
    read = counts.by_minute if period.by_minute else counts.hourly
    return {"blocked_chart": blocked.chart(read(start=period.start, end=period.end), period)}


def usage_panel(asked: Asked) -> dict[str, Any]:
    if asked.metric == Metric.CONCURRENCY:
        return {"usage": _concurrency(asked)}
    history = _history(asked, since=asked.period.start)
    expected = usual.expectation(history, asked.metric, zone=asked.zone)
    return {"usage": _usage(asked, _shown(asked, history), {asked.metric: expected})}


def top_panel(asked: Asked) -> dict[str, Any]:
    return _top(asked, counts.by_country(asked.period))


def map_panel(asked: Asked) -> dict[str, Any]:
    return _map(asked, counts.by_country(asked.period))


def matters_panel(asked: Asked) -> dict[str, Any]:
    return _matters(asked, pulse.pulse(workspace_id=asked.workspace_id, now=asked.now))


def _history(asked: Asked, *, since: datetime) -> Counts:
    """By the hour, up to now: today is told whatever period is shown."""
    end = max(asked.period.whole_hours[1], floor_hour(asked.now) + HOUR)
    return counts.hourly(start=min(since, asked.now - timedelta(days=1)) - counts.HISTORY, end=end)


def _shown(asked: Asked, history: Counts) -> Counts:
    """The counts in the steps that the period is cut into."""
    return counts.by_minute(start=asked.period.start, end=asked.period.end) if asked.period.by_minute else history


def _usage(asked: Asked, shown: Counts, expected: Mapping[Metric, Expectation]) -> usage.Usage:
    if asked.metric == Metric.CONCURRENCY:
        return _concurrency(asked)
    return usage.usage(shown, expected[asked.metric], asked.period, now=asked.now)


def _concurrency(asked: Asked) -> usage.Usage:
    peaks = running.peaks(asked.period, now=asked.now)
    expected = usual.of_peaks(peaks, zone=asked.zone)
    return usage.concurrency(peaks, expected, asked.period, now=asked.now)


def _overview(
    asked: Asked,
    history: Counts,
    expected: Mapping[Metric, Expectation],
    now: Pulse,
    countries: Sequence[CountryTotal],
    held: list[Hold],
) -> dict[str, Any]:
    said = overview.overview(history, expected, pulse=now, countries=countries, now=asked.now, zone=asked.zone)
    banners = (
        *brake.banners(held, now=asked.now, may_lift=asked.may_hold),
        *troubles.troubles(now, now=asked.now),
    )
    return {"overview": said, "held": banners}


def _map(asked: Asked, countries: Sequence[CountryTotal]) -> dict[str, Any]:
    return {"world": map.countries(countries, asked.period), "whole_hours": _whole_hours(asked)}


def _top(asked: Asked, countries: Sequence[CountryTotal]) -> dict[str, Any]:
    found = top.top(asked.period, countries, asked.rank, **asked.choices)
    return {"top": found, "whole_hours": _whole_hours(asked)}


def _whole_hours(asked: Asked) -> str:
    """Countries, numbers and keys are counted by the hour alone."""
    start, end = (moment.astimezone(asked.zone) for moment in asked.period.whole_hours)
    return f"From {start:%H:%M} to {end:%H:%M}, in whole hours" if asked.period.by_minute else ""


def _matters(asked: Asked, now: Pulse) -> dict[str, Any]:
    found = matters.open_matters(now, sees_kyc=asked.sees_kyc, now=asked.now)
    return {"matters": found, "sync_line": matters.sync_line(now)}


def _picker(asked: Asked, request: HttpRequest) -> PeriodPicker:
    own = asked.period.key == CUSTOM or bool(asked.problems)
    choices = tuple(
        PeriodChoice(
            shape.label,
            links.home(Period.of(key, now=asked.now, zone=asked.zone), **asked.choices),
            key == asked.period.key and not own,
            shape.words.removeprefix("in ").capitalize(),
        )
        for key, shape in SHAPES.items()
    )
    first, last = asked.period.local_text
    if asked.problems:
        # What was typed stays, so that it can be put right; a control of the browser takes nothing else.
        first, last = request.GET.get("from", "")[:40], request.GET.get("to", "")[:40]
    words = asked.period.words.capitalize() if own and not asked.problems else ""
    return PeriodPicker(choices, str(asked.zone), own, words, first, last, asked.problems, asked.choices)


def _steps(asked: Asked, now: Pulse) -> tuple[Step, ...]:
    numbers = reverse("admin:policies_phonenumber_changelist")
    return (
        Step(
            now.numbers > 0,
            "Import your phone numbers from UponAI",
            "They come with the lists that UponAI has for them; nothing changes there.",
            href=reverse("admin:policies_uponaiconnection_changelist"),
            label="UponAI",
        ),
        Step(
            0 < now.numbers == now.with_webhook,
            "Let UponAI ask here before it answers a call",
            "Set this address as the inbound webhook of your phone numbers:",
            copy=f"{settings.CONSOLE_URL}/hooks/{asked.endpoint}/inbound",
            href=reverse("admin:policies_uponaiconnection_webhooks", args=["console"]),
            label="Have it set",
        ),
        Step(
            False,
            "Close the countries that nobody needs",
            "Each number has two lists: who may call it, and where it may call.",
            href=numbers,
            label="Country lists",
        ),
    )
