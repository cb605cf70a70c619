"""How the pages of KYC records say things: states, clocks, who did what. No page computes these itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from accounts.kyc import review, sla
from accounts.kyc.states import PROPOSED, InformationReason, RejectReason, State, SuspendReason
from accounts.models import ApiToken, KycRecord, KycTransition, User

TONES: Final = {
    State.SUBMITTED: "pending",
    State.IN_REVIEW: "pending",
    State.PROPOSED_APPROVE: "pending",
    State.PROPOSED_REJECT: "pending",
    State.NEEDS_INFORMATION: "drift",
    State.APPROVED: "synced",
    State.REJECTED: "failed",
    State.SUSPENDED: "failed",
    State.EXPIRED: "drift",
}
REASONS: Final = dict(RejectReason.choices) | dict(InformationReason.choices) | dict(SuspendReason.choices)
# What a colleague did, as the timeline tells it.
VERBS: Final = {
    "submit": "handed it in",
    "claim": "took it",
    "take_over": "took it over, since the claim before had run out",
    "release": "put it back into the queue",
    "hand_over": "handed it over",
    "request_information": "asked the subject for more",
    "provide_information": "brought what was asked for",
    "approve": "approved it",
    "propose_approve": "proposed to approve it",
    "reject": "rejected it",
    "propose_reject": "proposed to reject it",
    "confirm": "confirmed the proposal",
    "refuse_proposal": "did not agree with the proposal",
    "cancel_proposal": "changed what the proposal rested on, which cancelled it",
    "suspend": "suspended it",
    "expire": "let it expire",
    "reopen": "opened it again",
    "withdraw": "withdrew it",
    "erase": "erased it",
}


@dataclass(frozen=True, slots=True)
class Clock:
    """The clock of a review in words; `tone` is a state of a badge, empty where nothing presses."""

    text: str
    tone: str = ""
    at: datetime | None = None


def clock(row: KycRecord, now: datetime) -> Clock | None:
    """None where no review goes on."""
    if row.state == State.NEEDS_INFORMATION:
        return Clock(f"Paused after {span(sla.ran(row, now))}: waiting for the subject", "drift")
    if row.due_at is None:
        return None
    left = (row.due_at - now).total_seconds()
    if left < 0:
        return Clock(f"{span(-left)} overdue", "failed", row.due_at)
    presses = row.warn_at is not None and row.warn_at <= now
    return Clock(f"Due in {span(left)}", "drift" if presses else "", row.due_at)


def span(seconds: float) -> str:
    minutes = int(seconds // 60)
    if minutes < 1:
        return "less than a minute"
    for size, word in ((2880, "days"), (120, "h")):
        if minutes >= size:
            return f"{minutes // (size // 2)} {word}"
    return f"{minutes} min"


def badge_of(row: KycRecord) -> dict[str, str]:
    return {"text": row.get_state_display(), "tone": TONES.get(State(row.state), "unknown")}


def names_of(actors: Iterable[str]) -> dict[str, str]:
    """What to call everybody who acted, in at most two queries."""
    wanted: dict[str, set[str]] = {"user": set(), "token": set()}
    for actor in actors:
        kind, _, number = actor.partition(":")
        if kind in wanted:
            wanted[kind].add(number)
    names = {"": "", "console": "The console"}
    if wanted["user"]:
        names |= {f"user:{user.pk}": str(user) for user in User.objects.filter(pk__in=wanted["user"])}
    if wanted["token"]:
        names |= {f"token:{row.pk}": f"API token {row.name}" for row in ApiToken.objects.filter(pk__in=wanted["token"])}
    return names


def name_in(names: dict[str, str], actor: str) -> str:
    if actor.startswith("subject:"):
        return "The subject"
    return names.get(actor) or "Somebody whose account is gone"


def reasons(codes: Sequence[str]) -> list[str]:
    return [REASONS.get(code, code.replace("_", " ").capitalize()) for code in codes]


def why_in_queue(row: KycRecord, last: KycTransition | None, names: dict[str, str]) -> str:
    """Why somebody has to look at it now."""
    if row.state in PROPOSED:
        what = "approve" if row.state == State.PROPOSED_APPROVE else "reject"
        return f"{name_in(names, row.decided_by)} proposes to {what} it: a second reviewer decides"
    if row.state == State.SUSPENDED:
        because = ", ".join(reasons(last.reason_codes)).lower() if last else ""
        return f"Suspended: {because}" if because else "Suspended"
    if row.state == State.NEEDS_INFORMATION and last:
        asked = ", ".join(reasons(last.reason_codes)).lower()
        return f"Asked for: {asked}" if asked else "Asked for more"
    if row.opened_because == review.LEFT_DECLARED_USE:
        return (last.text_for_colleagues.rstrip(".") if last and last.verb == "reopen" else "") or _LEFT
    if row.renews_id:
        return "Identity to be checked again: the approval ends or its use changed"
    verb = last.verb if last else ""
    if row.is_reversal:
        return "Decided before; looked at again"
    return _AGAIN.get(verb, "New")


_LEFT: Final = "Tried what was not declared"
_AGAIN: Final = {
    "provide_information": "The subject answered",
    "release": "Put back into the queue",
    "refuse_proposal": "The second reviewer did not agree",
    "cancel_proposal": "What the proposal rested on has changed",
    "hand_over": "Handed over",
    "reopen": "Opened again",
}
