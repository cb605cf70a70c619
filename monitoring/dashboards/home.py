"""Puts the home page together: what its panels need, read once. Each panel can also be had alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from monitoring.dashboards import blocked, brake, counts, links, map, matters, overview, usage, usual
from monitoring.dashboards.counts import HourlyCounts, Metric, Pulse
from monitoring.dashboards.matters import SyncCounts
from monitoring.dashboards.period import SHAPES, Period
from policies import approvals
from policies.models import Hold


@dataclass(frozen=True, slots=True)
class PeriodChoice:
    label: str
    href: str
    current: bool
    title: str


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
    metric: Metric
    workspace_id: int
    endpoint: str
    sees_kyc: bool
    may_hold: bool

    @classmethod
    def by(cls, request: HttpRequest) -> Asked:
        now, zone = timezone.now(), timezone.get_current_timezone()
        workspace = request.workspace  # type: ignore[attr-defined]
        return cls(
            now=now,
            zone=zone,
            period=Period.of(request.GET.get("period"), now=now, zone=zone),
            metric=usage.metric_of(request.GET.get("metric")),
            workspace_id=workspace.pk,
            endpoint=workspace.endpoint,
            sees_kyc=request.user.has_perm("accounts.view_kycrecord"),
            may_hold=request.user.has_perm("policies.add_hold"),
        )

    def panel(self, name: str) -> str:
        return links.panel(name, self.period, metric=self.metric)


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """The context of the admin index: every panel, rendered by the server in the first answer."""
    asked = Asked.by(request)
    history = _history(asked, since=asked.period.start)
    expected = _expected(history, asked)
    sync = matters.sync_counts()
    pulse = _pulse(asked)
    held = brake.holds_now(asked.now)
    names = ("overview", "newest", "blocked", "usage", "map", "matters")
    return context | {
        "title": "Home",
        "periods": _periods(asked),
        "time_zone": str(asked.zone),
        "steps": _steps(asked, sync) if history.known_from is None else (),
        "brake": brake.brake(held, numbers=sync.total) if asked.may_hold else None,
        "panels": {name: asked.panel(name) for name in names},
        "blocked_list": links.blocked(start=asked.period.start, end=None, zone=asked.zone),
        "calls_list": links.calls(start=asked.period.start, end=None, zone=asked.zone),
        **_overview(asked, history, expected, sync, pulse, held),
        **newest_panel(asked),
        "blocked_chart": blocked.chart(history, asked.period),
        "usage": usage.usage(history, expected[asked.metric], asked.period, now=asked.now),
        "world": map.countries(asked.period),
        "matters": _matters(asked, sync, pulse),
    }


def overview_panel(asked: Asked) -> dict[str, Any]:
    history, held = _history(asked, since=asked.now - timedelta(days=1)), brake.holds_now(asked.now)
    return _overview(asked, history, _expected(history, asked), matters.sync_counts(), _pulse(asked), held)


def newest_panel(asked: Asked) -> dict[str, Any]:
    return {"newest": blocked.newest()}


def blocked_panel(asked: Asked) -> dict[str, Any]:
    history = counts.hourly(start=asked.period.start, end=asked.period.end)
    return {"blocked_chart": blocked.chart(history, asked.period)}


def usage_panel(asked: Asked) -> dict[str, Any]:
    history = _history(asked, since=asked.period.start)
    expected = usual.expectation(history, asked.metric, zone=asked.zone)
    return {"usage": usage.usage(history, expected, asked.period, now=asked.now)}


def map_panel(asked: Asked) -> dict[str, Any]:
    return {"world": map.countries(asked.period)}


def matters_panel(asked: Asked) -> dict[str, Any]:
    return {"matters": _matters(asked, matters.sync_counts(), _pulse(asked))}


def _history(asked: Asked, *, since: datetime) -> HourlyCounts:
    return counts.hourly(start=since - counts.HISTORY, end=asked.period.end)


def _expected(history: HourlyCounts, asked: Asked) -> Mapping[Metric, usual.Expectation]:
    return {metric: usual.expectation(history, metric, zone=asked.zone) for metric in Metric}


def _overview(
    asked: Asked,
    history: HourlyCounts,
    expected: Mapping[Metric, usual.Expectation],
    sync: SyncCounts,
    pulse: Pulse,
    held: list[Hold],
) -> dict[str, Any]:
    said = overview.overview(history, expected, sync=sync, behind=pulse.behind, now=asked.now, zone=asked.zone)
    return {"overview": said, "held": brake.banners(held, now=asked.now, may_lift=asked.may_hold)}


def _pulse(asked: Asked) -> Pulse:
    return counts.pulse(workspace_id=asked.workspace_id, now=asked.now)


def _matters(asked: Asked, sync: SyncCounts, pulse: Pulse) -> tuple[matters.Matter, ...]:
    kyc = matters.kyc_queue() if asked.sees_kyc else matters.KycQueue()
    return matters.open_matters(
        sync,
        kyc,
        refused_webhooks=pulse.refused_webhooks,
        key_leaks=pulse.key_leaks,
        now=asked.now,
        approvals=approvals.awaiting().count(),
    )


def _periods(asked: Asked) -> list[PeriodChoice]:
    chosen = [(replace(asked.period, key=key), shape) for key, shape in SHAPES.items()]
    return [
        PeriodChoice(
            shape.label,
            links.home(period, metric=asked.metric),
            period.key == asked.period.key,
            shape.words.capitalize(),
        )
        for period, shape in chosen
    ]


def _steps(asked: Asked, sync: SyncCounts) -> tuple[Step, ...]:
    numbers = reverse("admin:policies_phonenumber_changelist")
    return (
        Step(
            sync.total > 0,
            "Import your phone numbers from UponAI",
            "They come with the lists that UponAI has for them; nothing changes there.",
            href=reverse("admin:policies_uponaiconnection_changelist"),
            label="UponAI",
        ),
        Step(
            sync.total > 0 and sync.with_webhook == sync.total,
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
