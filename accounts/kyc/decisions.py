"""Approving and rejecting: by somebody who may, about what they saw, and by two people where one is not enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError

from accounts.audit import Acting
from accounts.kyc import effects, evidence, four_eyes, outlook, people, rules, screening
from accounts.kyc.claims import is_held_by_another, require_hold
from accounts.kyc.states import PROPOSED, Fallback, Rejection, RejectReason, State
from accounts.kyc.texts import read_codes, read_text
from accounts.kyc.transitions import (
    Conflict,
    EvidenceChanged,
    Move,
    NotEntitled,
    TakesAnother,
    locked,
    require_state,
)
from accounts.models import KycRecord, User
from accounts.workspaces import taking_turns

CHANGED = (
    "What this decision would rest on has changed since you looked at it. Nothing was decided: look again at the "
    "documents and the data."
)


@dataclass(frozen=True, slots=True)
class _Decision:
    """What somebody decides, before it is known whether a second person must agree."""

    verb: str
    final: State
    proposed: State
    seen_evidence: str
    texts: dict[str, str]
    reason_codes: list[str]
    override: bool = False
    rejection: str = ""


def approve(
    *,
    record: KycRecord,
    seen_evidence: str,
    acting_user: Acting,
    now: datetime,
    text_for_subject: str = "",
    text_for_colleagues: str = "",
    override_reason: str = "",
) -> KycRecord:
    """Approves, or proposes it where a second reviewer is needed. `seen_evidence`: evidence.hash_of what was shown.

    `override_reason`: why it may be approved though the checklist has open items; it always takes two people.
    """
    override = read_text("override_reason", override_reason)
    texts = _texts(text_for_subject, " ".join(filter(None, (override, text_for_colleagues))))
    decision = _Decision(
        "approve", State.APPROVED, State.PROPOSED_APPROVE, seen_evidence, texts, [], override=bool(override)
    )
    return _decide(record, decision, acting_user, now)


def reject(
    *,
    record: KycRecord,
    seen_evidence: str,
    reason_codes: Sequence[str],
    acting_user: Acting,
    now: datetime,
    rejection: str = Rejection.RETRY,
    text_for_subject: str = "",
    text_for_colleagues: str = "",
) -> KycRecord:
    """Rejects, or proposes it where a second reviewer is needed."""
    codes = read_codes(reason_codes, RejectReason)
    if rejection not in Rejection.values:
        raise ValidationError({"rejection": 'A rejection is "retry" or "final".'})
    texts = _texts(text_for_subject, text_for_colleagues)
    decision = _Decision(
        "reject", State.REJECTED, State.PROPOSED_REJECT, seen_evidence, texts, codes, rejection=rejection
    )
    return _decide(record, decision, acting_user, now)


def confirm(
    *, record: KycRecord, seen_evidence: str, acting_user: Acting, now: datetime, text_for_colleagues: str = ""
) -> KycRecord:
    """The second reviewer agrees with what was proposed."""
    text = read_text("text_for_colleagues", text_for_colleagues)
    with taking_turns(record.workspace_id):
        row = locked(record)
        actor = _second(row, acting_user, now)
        is_current = row.evidence == evidence.hash_of(row)
        if not is_current:
            evidence.cancel_proposal(row, acting_user=None, now=now)
        elif seen_evidence != row.evidence:
            raise EvidenceChanged(CHANGED)
        else:
            _confirm(row, actor, acting_user, now, text)
    if not is_current:
        words = "What the proposal rested on has changed, so it is cancelled: the case is in review again."
        raise EvidenceChanged(words)
    return row


def refuse_proposal(*, record: KycRecord, text_for_colleagues: str, acting_user: Acting, now: datetime) -> KycRecord:
    """The second reviewer does not agree: back to the reviewer."""
    text = read_text("text_for_colleagues", text_for_colleagues, is_needed=True)
    with taking_turns(record.workspace_id):
        row = locked(record)
        actor = _second(row, acting_user, now, proposer_must_stay=False)
        step = Move("refuse_proposal", State.IN_REVIEW, actor, acting_user, now, text_for_colleagues=text)
        proposer = row.decided_by
        effects.carry_out(row, step, **effects.undecided(), **effects.claim_of(row, proposer, now))
        return row


def _decide(record: KycRecord, decision: _Decision, acting_user: Acting, now: datetime) -> KycRecord:
    with taking_turns(record.workspace_id):
        row = locked(record)
        require_state(row, State.IN_REVIEW)
        actor = people.require_reviewer(acting_user)
        require_hold(row, actor, now)
        current = evidence.hash_of(row)
        if decision.seen_evidence != current:
            raise EvidenceChanged(CHANGED)
        open_items = _open_items(row, decision, acting_user)
        reasons = four_eyes.reasons(row, override=decision.override and bool(open_items))
        fallback = _fallback(row, actor, second_needed=bool(reasons))
        is_final = not reasons or fallback == Fallback.ONE_PERSON
        step = Move(
            decision.verb if is_final else f"propose_{decision.verb}",
            decision.final if is_final else decision.proposed,
            actor,
            acting_user,
            now,
            reason_codes=decision.reason_codes,
            evidence=current,
            fallback=fallback,
            **decision.texts,
        )
        decided = {
            "decided_by": actor,
            "confirmed_by": "",
            "evidence": current,
            "fallback": fallback,
            "rejection": decision.rejection,
            "second_needed": bool(reasons),
            "second_reasons": reasons,
            "is_reversal": "reversal" in reasons,
            "screening": screening.of(row),
        }
        ends = _ends(row, decision.final, now) if is_final else {}
        effects.carry_out(row, step, **decided, **ends, **effects.unclaimed(), assigned_to="")
        outlook.renew_others(row)
        return row


def _open_items(row: KycRecord, decision: _Decision, acting_user: Acting) -> list[str]:
    """Of the checklist, which is for people: what a token's owner checks, they check at their own place."""
    if decision.final != State.APPROVED or not isinstance(acting_user, User):
        return []
    missing = rules.missing(row.level, row.checklist)
    if missing and not decision.override:
        raise ValidationError({"checklist": f"Not ticked yet: {'; '.join(missing)}."})
    return missing


def _fallback(row: KycRecord, actor: str, *, second_needed: bool) -> Fallback:
    """Who stands in for a missing person. Raises NotEntitled where this person may not decide."""
    workspace, submitters = row.workspace, people.submitters(row)
    if actor in submitters:
        if workspace.kyc_fallback == Fallback.ONE_PERSON and people.is_alone(actor):
            return Fallback.ONE_PERSON
        people.require_not_submitter(row, actor)
    if not second_needed:
        return Fallback.NONE
    if not actor.startswith("user:"):
        raise TakesAnother("This case takes two people, and a token that nobody made for themselves is none.")
    stand_in = people.stands_in(workspace, without={actor, *submitters})
    return Fallback.ONE_PERSON if stand_in == Fallback.ONE_PERSON else Fallback.NONE


def _second(row: KycRecord, acting_user: Acting, now: datetime, *, proposer_must_stay: bool = True) -> str:
    """The identity of who may be the second reviewer of this proposal. Raises Conflict, NotEntitled."""
    require_state(row, *PROPOSED)
    actor = people.identity(acting_user)
    if is_held_by_another(row, actor, now):
        raise Conflict(f"{people.name_of(row.claimed_by)} is looking at this proposal. Nothing was changed.")
    if actor == row.decided_by:
        raise TakesAnother("You proposed this, so a second reviewer must decide it.")
    people.require_not_submitter(row, actor)
    if not people.may_confirm(row.workspace, row, actor):
        raise NotEntitled(
            "Confirming takes the role of a second reviewer. A workspace that has none names who stands in for one, "
            "in its settings."
        )
    if proposer_must_stay and not people.may_review(row.decided_by):
        raise Conflict(
            f"{people.name_of(row.decided_by)}, who proposed this, does not review here any more. Refuse the "
            "proposal, and have it decided anew."
        )
    return actor


def _confirm(row: KycRecord, actor: str, acting_user: Acting, now: datetime, text: str) -> None:
    final = State.APPROVED if row.state == State.PROPOSED_APPROVE else State.REJECTED
    proposal = row.transitions.order_by("-sequence").first()
    stands_in = Fallback.NONE if people.is_second_reviewer(actor) else Fallback.OWNER
    step = Move(
        "confirm",
        final,
        actor,
        acting_user,
        now,
        reason_codes=proposal.reason_codes,
        text_for_subject=proposal.text_for_subject,
        text_for_colleagues=text,
        evidence=row.evidence,
        fallback=stands_in,
    )
    ends = _ends(row, final, now)
    effects.carry_out(row, step, **ends, **effects.unclaimed(), confirmed_by=actor, fallback=stands_in)
    outlook.renew_others(row)


def _ends(row: KycRecord, final: State, now: datetime) -> dict[str, Any]:
    return {"decided_at": now, "expires_at": effects.expiry_of(row, now) if final == State.APPROVED else None}


def _texts(for_subject: str, for_colleagues: str) -> dict[str, str]:
    return {
        "text_for_subject": read_text("text_for_subject", for_subject),
        "text_for_colleagues": read_text("text_for_colleagues", for_colleagues),
    }
