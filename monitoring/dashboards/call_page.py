"""What the list of calls and the page of one say about a call."""

from __future__ import annotations

from dataclasses import dataclass

from django.urls import reverse

from monitoring.models import Call
from policies import words
from policies.models import Decision


@dataclass(frozen=True, slots=True)
class CallPage:
    sender: words.WrittenNumber
    receiver: words.WrittenNumber
    what: str
    number_class: str
    outcome: str
    length: str
    cost: str


def call_page(call: Call) -> CallPage:
    sides = words.sides(call)
    return CallPage(
        sender=sides["sender"],
        receiver=sides["receiver"],
        what=f"{words.direction(call.direction)} {words.channel(call.channel).lower()}",
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


def _outcome(call: Call) -> str:
    said = call.status.replace("_", " ").capitalize()
    why = call.disconnection_reason.replace("_", " ")
    return f"{said}: {why}" if why else said


def _length(milliseconds: int) -> str:
    """65000 → "1:05"."""
    seconds = round(milliseconds / 1000)
    hours, minutes = seconds // 3600, seconds // 60 % 60
    return f"{hours}:{minutes:02}:{seconds % 60:02}" if hours else f"{minutes}:{seconds % 60:02}"
