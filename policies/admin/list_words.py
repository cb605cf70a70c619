"""What pages say about trusted and blocked callers: what an entry does, and whom a block would have hit."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from urllib.parse import urlencode

from django.urls import reverse

from accounts.admin.display import as_people_write
from accounts.components import Action, Sentence
from policies.admin.hold_words import what, when
from policies.blast_radius import DAYS, BlastRadius
from policies.engine.names import Direction
from policies.models import ListEntry

NOTES: Final = {
    ListEntry.List.TRUSTED: "Who is trusted is spared the captcha, the limits and suspicion: own offices, test "
    "numbers, a partner's network. Country rules, holds, caps and KYC stay; nothing stands above the sanctions.",
    ListEntry.List.BLOCKED: "Callers that are never let through, for good or until a day. What is only for the time "
    "of an attack is a hold.",
}
_PAGES: Final = {ListEntry.List.TRUSTED: "trusted", ListEntry.List.BLOCKED: "blockedcaller"}


def address(which: str, page: str, *arguments: int, **parameters: str) -> str:
    """A page of one of the lists: changelist, change, remove or at_once."""
    href = reverse(f"admin:policies_{_PAGES[ListEntry.List(which)]}_{page}", args=arguments)
    return f"{href}?{urlencode(parameters)}" if parameters else href


def effect(which: str, direction: str) -> str:
    """What an entry does: "never let through, inbound"."""
    ways = {"": "both ways", "inbound": "inbound", "outbound": "outbound"}[direction]
    if which == ListEntry.List.TRUSTED:
        return f"spared captcha, limits and suspicion, {ways}"
    return f"never let through, {ways}"


def headline(entry: ListEntry) -> str:
    name = "Trusted" if entry.list == ListEntry.List.TRUSTED else "Blocked"
    return f"{name}: {what(entry)}; {effect(entry.list, entry.direction)}."


def facts(entry: ListEntry, now: datetime) -> str:
    end = f"until {when(entry.expires_at, now)}" if entry.expires_at else "for good"
    return f"“{entry.reason}” Added by {entry.added_by} at {when(entry.added_at, now)}, {end}."


def sentence(entry: ListEntry, *, now: datetime, may_remove: bool, back: str = "") -> Sentence:
    """The entry in one sentence. `back`: the page to return to once it was removed."""
    blocked = entry.list == ListEntry.List.BLOCKED
    tone = "danger" if blocked else "notice"
    more = {"next": back} if back else {}
    confirm = f"From then on policies decide about {what(entry)} as about everybody else."
    href = address(entry.list, "remove", entry.pk, **more)
    remove = Action("Unblock" if blocked else "Trust no more", href, "danger", "playlist_remove", True, confirm)
    return Sentence(tone, headline(entry), facts(entry, now), (remove,) if may_remove else ())


def would_have_hit(radius: BlastRadius, direction: str) -> str:
    """Whom a block would have hit: "In the last 30 days it would have hit 4 attempts of 2 callers …"."""
    if not radius.attempts:
        return f"In the last {DAYS} days it would have hit nobody who was let through."
    some = "more than " if radius.capped else ""
    attempts = f"{some}{radius.attempts:,} attempt{'s' * (radius.attempts != 1)}"
    who = "destination" if direction == Direction.OUTBOUND else "caller"
    people = f"{radius.peers:,} {who}{'s' * (radius.peers != 1)}"
    verb = "was" if radius.attempts == 1 else "were"
    of = "to" if direction == Direction.OUTBOUND else "of"
    return f"In the last {DAYS} days it would have hit {attempts} {of} {people} that {verb} let through."


def own_numbers_warning(radius: BlastRadius) -> str:
    """Empty where none of our own numbers is covered."""
    if not radius.own_numbers:
        return ""
    names = [as_people_write(e164) for e164 in radius.own_numbers]
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return f"It covers {'a number' if len(names) == 1 else 'numbers'} of your own: {shown}."
