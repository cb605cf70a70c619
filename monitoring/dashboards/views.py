"""The panels of the home page and of other pages, one address each, for htmx to fetch again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone

from accounts.admin.base import is_htmx
from accounts.countries import NAMES
from accounts.models import PublicKey, Subject
from monitoring.dashboards import home, observing
from monitoring.dashboards.country import country_page
from monitoring.dashboards.home import Asked
from monitoring.dashboards.subject import traffic as subject_traffic
from monitoring.dashboards.traffic import traffic
from policies.models import PhoneNumber

View = Callable[..., HttpResponse]


def home_panel(name: str, permission: str, load: Callable[[Asked], dict[str, Any]]) -> View:
    """A view that renders one panel of the home page alone."""

    def view(request: HttpRequest) -> HttpResponse:
        _require(request, permission)
        asked = Asked.by(request)
        context = load(asked) | {"panels": {name: asked.panel(name)}}
        return render(request, f"monitoring/panels/{name}.html", context)

    return for_members(view)


def phone_number_panel(request: HttpRequest, pk: int) -> HttpResponse:
    _require(request, "policies.view_phonenumber")
    number = get_object_or_404(PhoneNumber, pk=pk)
    return _traffic(request, {"phone_number": number.e164}, whose="number")


def public_key_panel(request: HttpRequest, pk: int) -> HttpResponse:
    _require(request, "accounts.view_publickey")
    key = get_object_or_404(PublicKey, pk=pk)
    return _traffic(request, {"public_key": key.key}, whose="key")


def _traffic(request: HttpRequest, about: dict[str, str], *, whose: str) -> HttpResponse:
    _require(request, "monitoring.view_call")
    _require(request, "monitoring.view_blockedcall")
    seen = traffic(about, whose=whose, now=timezone.now(), zone=timezone.get_current_timezone())
    return render(request, "monitoring/panels/traffic.html", {"traffic": seen})


def country_page_view(request: HttpRequest, code: str) -> HttpResponse:
    _require(request, "monitoring.view_usagebucket")
    _require(request, "policies.view_countrypolicy")
    if code not in NAMES:
        raise Http404
    page = country_page(code, now=timezone.now(), zone=timezone.get_current_timezone())
    context = admin.site.each_context(request) | {"title": f"{page.flag} {page.name}", "page": page}
    return render(request, "monitoring/country.html", context)


def observed_panel(request: HttpRequest, what: str, pk: int) -> HttpResponse:
    if what not in observing.THINGS:
        raise Http404
    _require(request, observing.THINGS[what].permission)
    _require(request, "policies.view_decision")
    seen = observing.observed(what, pk, now=timezone.now(), zone=timezone.get_current_timezone())
    if seen is None:
        raise Http404
    return render(request, "monitoring/panels/observed.html", {"observed": seen})


def subject_panel(request: HttpRequest, pk: int) -> HttpResponse:
    _require(request, "accounts.view_subject")
    _require(request, "policies.view_decision")
    seen = subject_traffic(get_object_or_404(Subject, pk=pk), now=timezone.now())
    return render(request, "monitoring/panels/subject.html", {"traffic": seen})


def for_members(view: View) -> View:
    """Like every admin page, except that a sign-in page never appears inside a panel."""

    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if is_htmx(request) and not admin.site.has_permission(request):
            return HttpResponse(headers={"HX-Refresh": "true"})
        return admin.site.admin_view(view)(request, *args, **kwargs)

    return guarded


def _require(request: HttpRequest, permission: str) -> None:
    if not request.user.has_perm(permission):
        raise PermissionDenied


overview = home_panel("overview", "monitoring.view_usagebucket", home.overview_panel)
newest = home_panel("newest", "policies.view_decision", home.newest_panel)
blocked = home_panel("blocked", "monitoring.view_usagebucket", home.blocked_panel)
usage = home_panel("usage", "monitoring.view_usagebucket", home.usage_panel)
top = home_panel("top", "monitoring.view_usagebucket", home.top_panel)
risk = home_panel("risk", "policies.view_countrypolicy", home.risk_panel)
world_map = home_panel("map", "monitoring.view_usagebucket", home.map_panel)
phone_number = for_members(phone_number_panel)
public_key = for_members(public_key_panel)
country = for_members(country_page_view)
observed = for_members(observed_panel)
subject = for_members(subject_panel)
matters = home_panel("matters", "policies.view_synctarget", home.matters_panel)
