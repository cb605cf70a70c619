"""What the list of blocked calls, its files and the page of one say of a row, with the decision that it is about."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from django.urls import reverse

from accounts.components import Sentence
from accounts.countries import NAMES
from monitoring.models import BlockedCall, Call
from policies import words
from policies.models import Decision

BY_THE_GATE = (BlockedCall.Source.GATE, BlockedCall.Source.INBOUND, BlockedCall.Source.TRANSFER)
SOURCES = {
    BlockedCall.Source.GATE: "The gate",
    BlockedCall.Source.INBOUND: "Our answer",
    BlockedCall.Source.TRANSFER: "The gate, at a transfer",
    BlockedCall.Source.REFUSED: "UponAI, at the start",
    BlockedCall.Source.NOT_CONNECTED: "UponAI or a network",
}


@dataclass(frozen=True, slots=True)
class BlockedCallPage:
    sentence: Sentence
    sender: words.WrittenNumber
    receiver: words.WrittenNumber
    what: str
    source: str
    reason: str
    number_class: str
    said: str
    list_href: str
    decision_href: str
    call_href: str
    country_href: str


def decisions_of(rows: Iterable[BlockedCall]) -> dict[UUID, Decision]:
    """The decisions that these rows are about, in one query."""
    wanted = [row.decision_id for row in rows if row.decision_id]
    return {one.decision_id: one for one in Decision.objects.filter(decision_id__in=wanted)} if wanted else {}


def sentence(row: BlockedCall, decision: Decision | None) -> str:
    if decision is not None and row.source in BY_THE_GATE:
        return words.sentence(decision)
    why = f"Blocked: {words.inside(words.reason(row.reason))}."
    if not row.said:
        return why
    if row.source == BlockedCall.Source.REFUSED:
        return f"{why} UponAI said: {row.said.rstrip('.')}."
    return f"{why} It did not come about: {row.said.replace('_', ' ')}."


def decision_href(row: BlockedCall) -> str:
    """The page that tells why, where the gate blocked it."""
    if row.source not in BY_THE_GATE:
        return ""
    return _href_of_decision(row)


def blocked_call_page(row: BlockedCall) -> BlockedCallPage:
    sides = words.sides(row)
    return BlockedCallPage(
        sentence=Sentence("danger", sentence(row, None)),
        sender=sides["sender"],
        receiver=sides["receiver"],
        what=words.attempt(row.direction, row.channel),
        source=SOURCES[BlockedCall.Source(row.source)],
        reason=words.reason(row.reason),
        number_class=words.number_class(row.number_class),
        said=row.said,
        list_href=reverse("admin:monitoring_blockedcall_changelist"),
        decision_href=_href_of_decision(row),
        call_href=_href_of_call(row),
        country_href=reverse("monitoring:country", args=[row.country]) if row.country in NAMES else "",
    )


def _href_of_decision(row: BlockedCall) -> str:
    pk = Decision.objects.filter(decision_id=row.decision_id).values_list("pk", flat=True).first()
    return reverse("admin:policies_decision_change", args=[pk]) if row.decision_id and pk else ""


def _href_of_call(row: BlockedCall) -> str:
    if not row.call_reference:
        return ""
    pk = Call.objects.filter(call_reference=row.call_reference).values_list("pk", flat=True).first()
    return reverse("admin:monitoring_call_change", args=[pk]) if pk else ""
