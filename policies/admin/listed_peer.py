"""What the page of a decision or call says of its other side: whether it is listed, and the buttons that list it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from accounts.admin.display import as_people_write
from accounts.components import Action, Sentence
from accounts.countries import is_sanctioned, name_of
from policies.admin import list_words
from policies.blast_radius import blast_radius
from policies.engine.names import Direction
from policies.held import listed_now
from policies.models import ListEntry

BLOCKED, TRUSTED = ListEntry.List.BLOCKED, ListEntry.List.TRUSTED


@dataclass(frozen=True, slots=True)
class ListedPeer:
    """`listed`: the entries that name it; `note`: why there is no button to trust it."""

    listed: tuple[Sentence, ...]
    actions: tuple[Action, ...]
    note: str


def listed_peer(
    *, peer: str, country: str, direction: str, source: str, back: str, may_edit: bool, now: datetime
) -> ListedPeer | None:
    """`source`: where the button stood, kept as the reason. None where there is no number and nothing to say."""
    if not peer:
        return None
    prefixes = [peer[:length] for length in range(2, len(peer))]
    named = list(listed_now(now).filter(scope="peer", value=peer))
    covered = listed_now(now).filter(list=BLOCKED, scope="prefix", value__in=prefixes)
    entries = [row for row in (*named, *covered) if row.direction in ("", direction)]
    sentences = tuple(list_words.sentence(row, now=now, may_remove=may_edit, back=back) for row in entries)
    lists = {row.list for row in entries}
    if not may_edit:
        return ListedPeer(sentences, (), "") if sentences else None
    actions = []
    if BLOCKED not in lists:
        actions.append(_block(peer, direction, source, back, now))
    sanctioned = is_sanctioned(country)
    if not lists and not sanctioned:
        actions.append(_trust(peer, source, back))
    note = f"It cannot be trusted: {name_of(country)} is on the platform sanctions list." if sanctioned else ""
    return ListedPeer(sentences, tuple(actions), note)


def _block(peer: str, direction: str, source: str, back: str, now: datetime) -> Action:
    radius = blast_radius(scope="peer", value=peer, direction=direction, channel="", now=now)
    inbound = direction == Direction.INBOUND
    who = as_people_write(peer)
    does = f"Nothing that comes from {who} is let through" if inbound else f"Nothing goes out to {who}"
    warning = list_words.own_numbers_warning(radius)
    confirm = f"{does} any more, until somebody unblocks it. {list_words.would_have_hit(radius, direction)} {warning}"
    href = list_words.address(BLOCKED, "at_once", value=peer, direction=direction, reason=source, next=back)
    label = "Block this caller" if inbound else "Block this number"
    return Action(label, href, "danger", "phone_disabled", True, confirm.strip())


def _trust(peer: str, source: str, back: str) -> Action:
    confirm = (
        f"Whatever {as_people_write(peer)} starts or receives is spared the captcha, the limits and suspicion, until "
        "somebody takes that back. "
        "Country rules, holds, caps and sanctions still apply."
    )
    href = list_words.address(TRUSTED, "at_once", value=peer, reason=source, next=back)
    return Action("Trust this number", href, "", "verified_user", True, confirm)
