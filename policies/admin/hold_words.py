"""What pages say about holds: what each covers, in a sentence, with the button that lifts it. No queries."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol
from urllib.parse import urlencode

from django.urls import reverse
from django.utils import timezone

from accounts.admin.display import as_people_write
from accounts.components import Action, Sentence
from accounts.countries import NO_TELEPHONES, name_of
from policies.held import changes_lists
from policies.models import Hold

UNPROVEN = (
    f"UponAI reads an empty list as “every country”, so “nobody” is a list of one place without telephones, "
    f"{name_of(NO_TELEPHONES)} ({NO_TELEPHONES}). That this closes a number there was proved in the sandbox, "
    "not yet with the real provider."
)
BRAKE_DOES = "No call, message, web call or chat is let through this console, in either direction, until it is lifted."

_NOTHING = {"": "nothing", "phone_call": "no phone call", "sms": "no SMS", "web_call": "no web call", "chat": "no chat"}


NOTE = (
    "This console obeys at once. A hold of everything, of one of our numbers or of a country is also brought to "
    f"UponAI's country lists, which stand for calls and outbound SMS alike. {UNPROVEN}"
)


class Covering(Protocol):
    """A hold, an open, or an entry of a list."""

    scope: str
    value: str


def what(covering: Covering) -> str:
    """The thing that it is about: "Jamaica", "numbers that begin with +4474"."""
    value = str(covering.value)
    return {
        Hold.Scope.WORKSPACE: "everything",
        Hold.Scope.PHONE_NUMBER: f"our number {as_people_write(value)}",
        Hold.Scope.KEY: f"the public key {value}",
        Hold.Scope.PEER: as_people_write(value),
        Hold.Scope.PREFIX: f"numbers that begin with {value}",
        Hold.Scope.COUNTRY: name_of(value),
        Hold.Scope.IP: f"the address {value}" if "/" not in value else f"the addresses {value}",
        Hold.Scope.SUBJECT: f"the end user {value}",
    }[Hold.Scope(covering.scope)]


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def covers(hold: Hold) -> str:
    """What does not happen meanwhile: "no SMS goes out"."""
    nothing = _NOTHING[hold.channel]
    if not hold.direction:
        return f"{nothing} comes in and {nothing} goes out"
    return f"{nothing} {'comes in' if hold.direction == Hold.Direction.INBOUND else 'goes out'}"


def headline(hold: Hold) -> str:
    if hold.scope == Hold.Scope.WORKSPACE:
        return f"The emergency brake is pulled: {covers(hold)}."
    return f"On hold: {what(hold)}; {covers(hold)}."


def when(at: datetime, now: datetime) -> str:
    local, today = timezone.localtime(at), timezone.localtime(now).date()
    return f"{local:%H:%M}" if local.date() == today else f"{local:%H:%M on} {local.day} {local:%b}"


def facts(hold: Hold, now: datetime) -> str:
    """Why, by whom, until when, and what was ended."""
    said = f"“{hold.reason}” Imposed by {hold.imposed_by} at {when(hold.imposed_at, now)}"
    if hold.lifted_at is not None:
        said += f", lifted by {hold.lifted_by} at {when(hold.lifted_at, now)}."
    else:
        said += f", {'until' if hold.is_in_force(now) else 'ended at'} {when(hold.expires_at, now)}."
    if hold.calls_ended:
        said += f" {hold.calls_ended} running call{'s were' if hold.calls_ended != 1 else ' was'} ended."
    if hold.stop_calls_due_at is not None and hold.stop_calls_error:
        said += f" Running calls could not be ended yet: {hold.stop_calls_error}"
    return said


def sentence(hold: Hold, *, now: datetime, may_lift: bool, back: str = "") -> Sentence:
    """The hold in one sentence. `back`: the page to return to once it was lifted."""
    if not hold.is_in_force(now):
        return Sentence("quiet", f"Not held any more: {what(hold)}.", facts(hold, now))
    lift = Action("Lift", lift_href(hold, back), "danger", "lock_open", True, _on_lifting(hold))
    return Sentence("danger", headline(hold), facts(hold, now), (lift,) if may_lift else ())


def lift_href(hold: Hold, back: str = "") -> str:
    href = reverse("admin:policies_hold_lift", args=[hold.pk])
    return f"{href}?{urlencode({'next': back})}" if back else href


def _on_lifting(hold: Hold) -> str:
    told = " UponAI gets its usual country lists back." if changes_lists(hold) else ""
    return f"From then on policies and other holds decide again about {what(hold)}.{told}"
