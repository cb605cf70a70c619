"""How a KYC record moves: one row per move and the record's own state, written together. The table is in states.py."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from accounts import audit
from accounts.audit import Acting
from accounts.kyc.states import LEGAL, State
from accounts.models import KycRecord, KycTransition


class Conflict(Exception):
    """The record is not (any more) where this can be done to it; the sentence says who did what, and when."""


class WrongState(Conflict):
    """Whoever asked, and however fast: it cannot be done to a record that stands there."""


class EvidenceChanged(Conflict):
    """What the decision is about is not what its maker looked at."""


class NotEntitled(Exception):
    """Somebody else must do this; the sentence says why."""


class TakesAnother(NotEntitled):
    """The role would do, but one person is not to do both."""


@dataclass(frozen=True, slots=True)
class Move:
    """What a verb says about a move."""

    verb: str
    to: State
    actor: str
    acting_user: Acting
    now: datetime
    reason_codes: list[str] = field(default_factory=list)
    text_for_subject: str = ""
    text_for_colleagues: str = ""
    evidence: str = ""
    fallback: str = ""


def locked(record: KycRecord) -> KycRecord:
    """The row as it is now, for this transaction alone."""
    row: KycRecord = KycRecord.objects.select_for_update(of=("self",)).select_related("subject").get(pk=record.pk)
    return row


def require_state(row: KycRecord, *expected: State) -> None:
    """Raises WrongState, which tells the last move."""
    if row.state not in expected:
        raise WrongState(standing(row))


def standing(row: KycRecord) -> str:
    """Where the record stands, who brought it there, and when."""
    from accounts.kyc import people

    words = f"This record is {State(row.state).label.lower()}"
    last = row.transitions.order_by("-sequence").first()
    if last is None:
        return f"{words}. Nothing was changed."
    who = people.name_of(last.actor)
    return f"{words}: {who} did that at {last.at:%Y-%m-%d %H:%M:%S} UTC. Nothing was changed."


def move(row: KycRecord, step: Move, **changes: Any) -> KycTransition:
    """Moves a locked record. Raises WrongState for a move that is not in the table."""
    before = State(row.state)
    if step.to not in LEGAL[before]:
        raise WrongState(standing(row))
    transition: KycTransition = KycTransition.objects.create(  # first: the database lets the record follow it alone
        workspace_id=row.workspace_id,
        record=row,
        sequence=row.moves + 1,
        at=step.now,
        verb=step.verb,
        from_state=before,
        to_state=step.to,
        actor=step.actor,
        actor_label=audit.label_of(step.acting_user) if not step.actor.startswith("subject:") else "the subject",
        reason_codes=step.reason_codes,
        text_for_subject=step.text_for_subject,
        text_for_colleagues=step.text_for_colleagues,
        evidence=step.evidence,
        fallback=step.fallback,
    )
    row.came_from, row.state, row.moves = before, step.to, row.moves + 1
    for name, value in changes.items():
        setattr(row, name, value)
    row.save()
    return transition
