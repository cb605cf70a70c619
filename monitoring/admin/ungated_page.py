"""The page of what did not pass the gate."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone

from accounts.admin.display import phone_facts
from accounts.components import Action, Sentence
from monitoring.dashboards import ungated
from monitoring.dashboards.call_page import call_page
from monitoring.dashboards.ungated import Group, Ungated
from monitoring.models import Call, KnownSender

Kind = KnownSender.Kind
_DECLARED_AS = {Call.WayAround.BATCH: Kind.BATCH, Call.WayAround.REGISTERED: Kind.REGISTERED}


def view(request: HttpRequest) -> HttpResponse:
    workspace = getattr(request, "workspace", None)
    if workspace is None or not request.user.has_perm("monitoring.view_call"):
        raise PermissionDenied
    now = timezone.now()
    period = request.GET.get("period", "")
    period = period if period in ungated.PERIODS else "24h"
    found = ungated.ungated(now - ungated.PERIODS[period])
    may_declare = request.user.has_perm("monitoring.add_knownsender")
    context = {
        **admin.site.each_context(request),
        "title": "Ungated traffic",
        "sentences": _sentences(request, found, period),
        "periods": [
            {"label": name, "words": words, "href": f"?period={name}", "is_chosen": name == period}
            for name, words in ungated.WORDS.items()
        ],
        "tables": [_ways(found, may_declare), _numbers(found, may_declare), _agents(found, may_declare)],
        "calls": [_call(call) for call in ungated.newest(found.since)] if found.calls else [],
        "all_href": f"{reverse('admin:monitoring_call_changelist')}?gating__exact=ungated",
        "known_href": reverse("admin:monitoring_knownsender_changelist"),
        "known": found.known,
    }
    return TemplateResponse(request, "monitoring/ungated.html", context)


def _sentences(request: HttpRequest, found: Ungated, period: str) -> list[Sentence]:
    said = []
    if trouble := ungated.trouble(timezone.now()):
        said.append(Sentence("unknown", trouble))
    actions: list[Action] = []
    if any(group.value == Call.WayAround.PRIVATE_KEY for group in found.ways):
        if request.user.has_perm("accounts.change_workspace"):
            actions.append(Action("Enter a new key", reverse("admin:accounts_workspace_changelist"), kind="primary"))
        if settings.UPONAI_DASHBOARD_URL:
            actions.append(Action("UponAI's dashboard", settings.UPONAI_DASHBOARD_URL))
    tone = "danger" if found.calls else "quiet"
    if found.calls or not said:
        said.append(Sentence(tone, ungated.headline(found, period), ungated.advice(found), tuple(actions)))
    return said


def _ways(found: Ungated, may_declare: bool) -> dict[str, Any]:
    lines = []
    for group in found.ways:
        way = Call.WayAround(group.value)
        kind = _DECLARED_AS.get(way)
        lines.append(_line(group, may_declare and kind is not None, kind=kind or "") | {"name": way.label})
    return {"title": "Which way around it probably took", "first": "Way", "lines": lines}


def _numbers(found: Ungated, may_declare: bool) -> dict[str, Any]:
    lines = [
        _line(group, may_declare, kind=Kind.PHONE_NUMBER, value=group.value) | {"phone": phone_facts(group.value)}
        for group in found.phone_numbers
    ]
    return {"title": "From which number", "first": "Number", "lines": lines}


def _agents(found: Ungated, may_declare: bool) -> dict[str, Any]:
    lines = [
        _line(group, may_declare, kind=Kind.AGENT, value=group.value) | {"name": group.value} for group in found.agents
    ]
    return {"title": "By which agent", "first": "Agent", "lines": lines}


def _line(group: Group, may_declare: bool, **sender: str) -> dict[str, Any]:
    form = reverse("admin:monitoring_knownsender_add")
    return {
        "calls": f"{group.calls:,}",
        "cost": ungated.dollars(group.cents),
        "newest": group.newest,
        "declare_href": f"{form}?{urlencode(sender)}" if may_declare else "",
    }


def _call(call: Call) -> dict[str, Any]:
    return {
        "page": call_page(call),
        "at": call.started_at,
        "href": reverse("admin:monitoring_call_change", args=[call.pk]),
        "way": call.get_way_around_display(),
        "told_by": call.get_told_by_display(),
    }
