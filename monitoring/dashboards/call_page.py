"""What the list of calls and the page of one say about a call."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from django.urls import reverse

from accounts.countries import NAMES
from monitoring.ingest import fold
from monitoring.models import Call, WebhookEvent
from policies import words
from policies.models import Decision
from policies.uponai import refusals


@dataclass(frozen=True, slots=True)
class Told:
    """One thing that UponAI told of the call, and when."""

    at: datetime
    what: str
    state: str


@dataclass(frozen=True, slots=True)
class CallPage:
    sender: words.WrittenNumber
    receiver: words.WrittenNumber
    what: str
    number_class: str
    outcome: str
    length: str
    cost: str
    gating: str = ""
    blocked: str = ""
    country_href: str = ""
    events: tuple[Told, ...] = ()


_GATING: Final = {
    Call.Gating.GATED: "Passed the gate",
    Call.Gating.KNOWN: "Did not pass the gate: by a sender that was declared",
    Call.Gating.UNGATED: "Did not pass the gate",
}
_EVENTS: Final = {
    "call_started": "Started",
    "call_ended": "Ended",
    "call_analyzed": "Analysed",
    "chat_started": "Started",
    "chat_ended": "Ended",
    "chat_analyzed": "Analysed",
}


def whole_call_page(call: Call) -> CallPage:
    """With what is looked up for one call alone."""
    return replace(
        call_page(call),
        gating=_gating(call),
        blocked=_blocked(call),
        country_href=reverse("monitoring:country", args=[call.country]) if call.country in NAMES else "",
        events=_events(call),
    )


def call_page(call: Call) -> CallPage:
    sides = words.sides(call)
    return CallPage(
        sender=sides["sender"],
        receiver=sides["receiver"],
        what=words.attempt(call.direction, call.channel),
        number_class=words.number_class(call.number_class),
        outcome=_outcome(call),
        length=_length(call.duration_ms),
        cost=f"${call.cost_cents / 100:,.2f}",
    )


def decision_href(call: Call) -> str:
    """The page of the decision that let the call through; empty where none is known."""
    if call.decision_id is None:
        return ""
    decision = Decision.objects.filter(decision_id=call.decision_id).only("pk").first()
    return reverse("admin:policies_decision_change", args=[decision.pk]) if decision else ""


def _gating(call: Call) -> str:
    said = _GATING.get(Call.Gating(call.gating), "") if call.gating else ""
    way = call.get_way_around_display()
    return f"{said}; probably: {way[0].lower()}{way[1:]}" if said and way else said


def _blocked(call: Call) -> str:
    """Where its ending means that somebody blocked it."""
    code = refusals.BY_DISCONNECTION_REASON.get(call.disconnection_reason, "")
    return words.reason(code) if code else ""


def _events(call: Call) -> tuple[Told, ...]:
    """By the keys that the events of a call have, since these are what is indexed."""
    keys = [f"{event}:{call.call_reference}" for event in fold.RANKS]
    rows = WebhookEvent.objects.filter(event_key__in=keys).order_by("received_at", "pk")
    return tuple(
        Told(row.received_at, _EVENTS.get(row.event, row.event), "" if row.state == "done" else row.get_state_display())
        for row in rows.defer("sealed_body")
    )


def _outcome(call: Call) -> str:
    said = call.status.replace("_", " ").capitalize()
    why = call.disconnection_reason.replace("_", " ")
    return f"{said}: {why}" if why else said


def _length(milliseconds: int) -> str:
    """65000 → "1:05"."""
    seconds = round(milliseconds / 1000)
    hours, minutes = seconds // 3600, seconds // 60 % 60
    return f"{hours}:{minutes:02}:{seconds % 60:02}" if hours else f"{minutes}:{seconds % 60:02}"
