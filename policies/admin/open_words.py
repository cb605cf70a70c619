"""What pages say about opens: what each lets through, until when, and what UponAI has of it. No queries."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import urlencode

from django.urls import reverse

from accounts.components import Action, Sentence
from accounts.countries import SANCTIONED_SET, name_of
from policies.admin.hold_words import capital, what, when
from policies.engine.numbers import understand
from policies.engine.prefixes import countries_of
from policies.held import opens_lists
from policies.models import Hold, Open
from policies.opens import ends_soon

NOTE = (
    "An open overrides the rules for countries and kinds of numbers, nothing else: sanctions, holds, captcha, KYC, "
    "limits and caps stay as they are. It ends by itself. Where UponAI's country lists would refuse what is open, "
    "they get its country for that time."
)

ENDS_SOON = "It ends within the hour; then policies decide again. Open it once more to keep it open longer."

_SOME = {"": "calls and messages", "phone_call": "phone calls", "sms": "SMS", "web_call": "web calls", "chat": "chats"}
_WAYS = {"": "both ways", "inbound": "inbound", "outbound": "outbound"}
_FEW = 4


def lets(open_: Open) -> str:
    """What passes meanwhile: "phone calls, outbound"."""
    return f"{_SOME[open_.channel]}, {_WAYS[open_.direction]}"


def headline(open_: Open) -> str:
    """Who is let through: "Kenya is open: phone calls, outbound"."""
    return f"{capital(_whom(open_))} open: {lets(open_)}."


def facts(open_: Open, now: datetime) -> str:
    """Why, by whom, until when, and what UponAI has of it."""
    said = f"“{open_.reason}” Opened by {open_.opened_by} at {when(open_.opened_at, now)}"
    if open_.closed_at is not None:
        return f"{said}, closed by {open_.closed_by} at {when(open_.closed_at, now)}."
    if not open_.is_in_force(now):
        return f"{said}, ended at {when(open_.expires_at, now)}."
    return f"{said}, until {when(open_.expires_at, now)}. {at_uponai(open_)}"


def at_uponai(open_: Open) -> str:
    """What becomes of UponAI's country lists meanwhile."""
    if not opens_lists(open_):
        return "UponAI's country lists stay as they are: what they leave out is still refused there."
    if open_.scope == Hold.Scope.COUNTRY:
        return f"UponAI's lists have {name_of(open_.value)} meanwhile."
    if open_.scope == Hold.Scope.PHONE_NUMBER:
        return "UponAI's lists of this number have every country meanwhile, the sanctioned seven excepted."
    places = _places(open_)
    if not places:
        return "It lies in no country, so UponAI's country lists can say nothing of it."
    return f"UponAI's lists have {places} meanwhile; this console still decides about everybody else there."


def sentence(open_: Open, *, now: datetime, may_close: bool, back: str = "") -> Sentence:
    """The open in one sentence. `back`: the page to return to once it was closed."""
    if not open_.is_in_force(now):
        return Sentence("quiet", f"Not open any more: {what(open_)}.", facts(open_, now))
    href = reverse("admin:policies_open_close", args=[open_.pk])
    href = f"{href}?{urlencode({'next': back})}" if back else href
    confirm = f"From then on policies decide again about {what(open_)}."
    if opens_lists(open_):
        confirm += " UponAI gets its usual country lists back."
    close = Action("Close now", href, "danger", "lock", True, confirm)
    actions = (close,) if may_close else ()
    if ends_soon(open_, now):
        return Sentence("warning", f"{headline(open_)} It ends soon.", f"{facts(open_, now)} {ENDS_SOON}", actions)
    return Sentence("notice", headline(open_), facts(open_, now), actions)


def _whom(open_: Open) -> str:
    plural = open_.scope == Hold.Scope.PREFIX or (open_.scope == Hold.Scope.IP and "/" in open_.value)
    return f"{what(open_)} {'are' if plural else 'is'}"


def _places(open_: Open) -> str:
    if open_.scope == Hold.Scope.PEER:
        country = understand(open_.value, role="destination").country
        return name_of(country) if country else ""
    names = sorted(name_of(code) for code in countries_of(open_.value) - SANCTIONED_SET)
    if len(names) > _FEW:
        return f"{len(names)} countries"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
