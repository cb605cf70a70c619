"""Of judged transfers: whose running call was transferred, and whether that call was ended for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from accounts.scoping import current_workspace_id
from policies import words
from policies.engine.types import Attempt, Channel, Direction
from policies.gate import inbound_judge, transfers
from policies.models import CallToEnd, Decision, Dial


@dataclass(frozen=True, slots=True)
class Transferred:
    """`other_side`: who was on the phone with us; None where this console does not know it. `ended_at` None: nobody
    has ended the call; `is_being_ended`: yet.
    """

    other_side: words.WrittenNumber | None
    was_inbound: bool
    ended_at: datetime | None
    is_being_ended: bool
    trouble: str

    @property
    def call(self) -> str:
        """ "the call from +1 212-555-0123"."""
        if self.other_side is None:
            return "a running call"
        return f"the call {'from' if self.was_inbound else 'to'} {self.other_side.display}"

    @property
    def was_to_end(self) -> bool:
        return bool(self.ended_at or self.is_being_ended or self.trouble)

    @property
    def tone(self) -> str:
        return "warning" if self.was_to_end and not self.ended_at else "notice"

    @property
    def outcome(self) -> str:
        """What became of the call, in a few words."""
        if self.ended_at:
            return "was ended"
        if self.is_being_ended:
            return "is being ended"
        return "could not be ended" if self.trouble else "went on"

    def __str__(self) -> str:
        return f"Transfer of {self.call}, which {self.outcome}"


def is_one(row: Any) -> bool:
    """Of a decision, or of a row of the list of blocked calls."""
    return transfers.CREDENTIAL in (getattr(row, "credential", ""), getattr(row, "source", ""))


def of(rows: Iterable[Any]) -> Mapping[UUID, Transferred]:
    """By the decision of each of `rows` that is a transfer. Three queries for any number of them; none for none."""
    rows = [row for row in rows if is_one(row)]
    if not rows:
        return {}
    asked = CallToEnd.objects.filter(decision_id__in=[row.decision_id for row in rows])
    endings = {row.decision_id: row for row in asked}
    callers = _callers({row.call_reference for row in rows})
    return {
        row.decision_id: _transferred(callers.get(row.call_reference), endings.get(row.decision_id)) for row in rows
    }


def _callers(references: set[str]) -> dict[str, tuple[words.WrittenNumber, bool]]:
    """The other side of these calls, and whether they called us: as our doors were told when it began."""
    workspace_id = current_workspace_id()
    asked = {_decision_id(workspace_id, reference): reference for reference in references}
    found = {}
    for dial in Dial.objects.filter(call_id__in=references).exclude(to_number=""):
        found[dial.call_id] = words.peer(dial.to_number, "", dial.country), False
    for row in Decision.objects.filter(decision_id__in=list(asked)).only("decision_id", "peer", "peer_text", "country"):
        found[asked[row.decision_id]] = words.peer(row.peer, row.peer_text, row.country), True
    return found


def _decision_id(workspace_id: int, reference: str) -> UUID:
    attempt = Attempt(direction=Direction.INBOUND, channel=Channel.PHONE_CALL, call_reference=reference)
    return inbound_judge.id_of_decision(workspace_id, inbound_judge.attempt_key(attempt))


def _transferred(caller: tuple[words.WrittenNumber, bool] | None, ending: CallToEnd | None) -> Transferred:
    other_side, was_inbound = caller or (None, False)
    if ending is None:
        return Transferred(other_side, was_inbound, None, is_being_ended=False, trouble="")
    is_being_ended = ending.due_at is not None
    return Transferred(other_side, was_inbound, ending.ended_at, is_being_ended=is_being_ended, trouble=ending.error)
