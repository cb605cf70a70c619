"""The page of the exposure: what could be burnt within an hour, what bounds it, and on what that rests."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone

from accounts.admin.display import country_facts, phone_facts
from accounts.components import Sentence
from accounts.countries import CODES
from accounts.models import PublicKey
from policies import exposure
from policies.admin.approvals import TIER_WORDS
from policies.admin.money import usd
from policies.engine.reach import NO_COUNTRY
from policies.exposure import Exposure, Line


def view(request: HttpRequest) -> HttpResponse:
    workspace = getattr(request, "workspace", None)
    if workspace is None or not request.user.has_perm("policies.view_countrypolicy"):
        raise PermissionDenied
    found = exposure.of_workspace(workspace.pk, timezone.now())
    context = {**admin.site.each_context(request), "title": "Exposure", **_page(found)}
    return TemplateResponse(request, "policies/exposure.html", context)


def _page(found: Exposure) -> dict[str, Any]:
    return {
        "sentence": _sentence(found),
        "cards": _cards(found),
        "tables": [
            _table("By phone number", "Number", [_line(line, phone=line.name) for line in found.numbers]),
            _table("By key and token", "Credential", _credentials(found)),
            _table("By country", "Country", [_country(line) for line in found.countries], also="Tier"),
            _table("By exposure tier", "Tier", [_tier(line) for line in found.tiers], also="Open"),
        ],
        "assumptions": found.assumptions,
        "tiers_version": found.tiers_version,
    }


def _sentence(found: Exposure) -> Sentence:
    text = f"At most {usd(found.usd_per_hour)} could be burnt within one hour through the gate."
    leaked = found.without_gate
    beside = f"A leaked private key of UponAI's would pass it by: {usd(leaked.usd_per_hour)} an hour at most."
    return Sentence("notice" if found.usd_per_hour else "quiet", text, f"What bounds it: {found.bound}. {beside}")


def _cards(found: Exposure) -> list[dict[str, Any]]:
    """In the shape of components/_number_card.html."""
    keys = sum(line.usd_per_hour for line in found.keys)
    cards = [
        {"label": "Through the gate, an hour", "value": usd(found.usd_per_hour), "note": found.bound},
        {"label": "By gate keys", "value": usd(keys), "usual": "the dearest of them added up"},
    ]
    if found.tokens:
        cards.append({"label": "By API tokens", "value": usd(found.tokens.usd_per_hour), "note": found.tokens.bound})
    leaked = found.without_gate
    cards.append({"label": "With a leaked private key", "value": usd(leaked.usd_per_hour), "note": leaked.bound})
    return cards


def _credentials(found: Exposure) -> list[dict[str, Any]]:
    names = dict(PublicKey.objects.filter(key__in=[line.name for line in found.keys]).values_list("key", "name"))
    lines = [_line(line, name=names.get(line.name, line.name)) for line in found.keys]
    return [*lines, _line(found.tokens)] if found.tokens else lines


def _country(line: Line) -> dict[str, Any]:
    if line.name == NO_COUNTRY or line.name not in CODES:
        return _line(line, name="Satellites and international networks")
    (facts,) = country_facts([line.name])
    return _line(line, name=f"{facts['flag']} {facts['name']}")


def _tier(line: Line) -> dict[str, Any]:
    return _line(line, name=f"{line.name}, {TIER_WORDS.get(line.name, '')}")


def _line(line: Line, *, name: str = "", phone: str = "") -> dict[str, Any]:
    return {
        "name": name or line.name,
        "phone": phone_facts(phone) if phone else None,
        "usd": usd(line.usd_per_hour),
        "bound": line.bound,
        "also": line.also,
    }


def _table(title: str, first: str, lines: list[dict[str, Any]], *, also: str = "") -> dict[str, Any]:
    return {"title": title, "first": first, "lines": lines, "also": also}
