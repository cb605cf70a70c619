"""Which moves of a record are open to whom on its page, and how a filled-in form becomes one of the verbs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from django.http import QueryDict

from accounts import roles
from accounts.admin.base import Actor
from accounts.kyc import four_eyes, people, review, rules
from accounts.kyc.people import MAY_CONFIRM, MAY_REVIEW
from accounts.kyc.states import (
    PROPOSED,
    WAITING,
    Fallback,
    InformationReason,
    RejectReason,
    State,
    SuspendReason,
)
from accounts.models import KycRecord, User
from accounts.roles import Role

REQUIRED, OPTIONAL = "required", "optional"


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who looks at a case, and what they may do at all."""

    actor: str
    may_review: bool
    may_confirm: bool
    is_owner: bool

    @classmethod
    def of(cls, user: User) -> Viewer:
        role = roles.role_of(user)
        return cls(
            people.identity(user), user.has_perm(MAY_REVIEW), user.has_perm(MAY_CONFIRM), is_owner=role == Role.OWNER
        )


@dataclass(frozen=True, slots=True)
class Choice:
    """One button of the bottom bar with its form. `key` opens the form; only the form's own button decides."""

    verb: str
    label: str
    button: str
    key: str = ""
    kind: str = ""
    hint: str = ""
    reasons: tuple[tuple[str, str], ...] = ()
    to_subject: str = ""
    to_colleagues: str = OPTIONAL
    asks_rejection: bool = False
    open_items: tuple[str, ...] = ()


_APPROVE: Final = Choice("approve", "Approve", "Approve", "a", "primary", to_subject=OPTIONAL)
_REJECT: Final = Choice(
    "reject",
    "Reject",
    "Reject",
    "r",
    "danger",
    reasons=tuple(RejectReason.choices),
    to_subject=OPTIONAL,
    asks_rejection=True,
)
_ASK: Final = Choice(
    "request_information",
    "Ask for more",
    "Ask the subject",
    "m",
    hint="The clock stands until the subject answers. The case comes back to you.",
    reasons=tuple(InformationReason.choices),
    to_subject=REQUIRED,
)
_CONFIRM: Final = Choice("confirm", "Confirm", "Confirm", "a", "primary")
_REFUSE: Final = Choice(
    "refuse_proposal",
    "Do not agree",
    "Send it back",
    "r",
    "danger",
    hint="The case goes back to who proposed it.",
    to_colleagues=REQUIRED,
)
_SUSPEND: Final = Choice(
    "suspend",
    "Suspend",
    "Suspend at once",
    "s",
    "danger",
    hint="The gate stops counting it within a second. The case is queued, and only two people approve it again.",
    reasons=tuple(SuspendReason.choices),
    to_subject=OPTIONAL,
)
_REOPEN: Final = Choice("reopen", "Open again", "Open it again", "o", to_colleagues=REQUIRED)
_SUBMIT: Final = Choice(
    "submit",
    "Hand in for review",
    "Hand it in",
    "a",
    "primary",
    hint="Whoever hands a case in cannot decide it.",
    to_colleagues="",
)
_ANSWERED: Final = Choice(
    "provide_information",
    "The answer is here",
    "Back to review",
    "a",
    "primary",
    hint="What was asked for has come by another way. The clock runs on.",
    to_colleagues="",
)
_WITHDRAW: Final = Choice(
    "withdraw",
    "Withdraw",
    "Withdraw it",
    hint="The subject no longer wants it, or you no longer need it. It cannot be taken up again.",
)


def open_to(record: KycRecord, viewer: Viewer, now: datetime) -> list[Choice]:
    """What this person may do to the record as it stands, the most likely first."""
    if not viewer.may_review:
        return []
    state = State(record.state)
    if state == State.IN_REVIEW:
        is_mine = record.claimed_by == viewer.actor and not is_barred(record, viewer)
        return _deciding(record) if is_mine else []
    if state in PROPOSED:
        return _confirming(record) if may_confirm(record, viewer) and not is_held(record, viewer, now) else []
    return list(_BY_STATE.get(state, ()))


_BY_STATE: Final = {
    State.DRAFT: (_SUBMIT, _WITHDRAW),
    State.NEEDS_INFORMATION: (_ANSWERED, _WITHDRAW),
    State.APPROVED: (_SUSPEND, replace(_REOPEN, hint="A new record for the same use goes to the queue.")),
    State.REJECTED: (replace(_REOPEN, hint="The case goes back to the queue."),),
    State.EXPIRED: (_SUBMIT, _WITHDRAW),
}


def _deciding(record: KycRecord) -> list[Choice]:
    missing = tuple(rules.missing(record.level, record.checklist))
    needed = [words[:1].lower() + words[1:] for words in four_eyes.in_words(four_eyes.reasons(record))]
    approve, reject = replace(_APPROVE, open_items=missing), _REJECT
    if needed:
        hint = f"A second reviewer decides: {'; '.join(needed)}."
        approve = replace(approve, label="Propose to approve", button="Propose to approve", hint=hint)
        reject = replace(reject, label="Propose to reject", button="Propose to reject", hint=hint)
    return [approve, reject, _ASK, _WITHDRAW]


def _confirming(record: KycRecord) -> list[Choice]:
    what = "approval" if record.state == State.PROPOSED_APPROVE else "rejection"
    return [replace(_CONFIRM, label=f"Confirm the {what}", button=f"Confirm the {what}"), _REFUSE]


def is_held(record: KycRecord, viewer: Viewer, now: datetime) -> bool:
    """Whether somebody else works on it now."""
    by_another = bool(record.claimed_by) and record.claimed_by != viewer.actor
    return by_another and record.claimed_until is not None and record.claimed_until > now


def is_barred(record: KycRecord, viewer: Viewer) -> bool:
    """Whether this person handed it in and somebody else can decide it."""
    if viewer.actor not in people.submitters(record):
        return False
    return record.workspace.kyc_fallback != Fallback.ONE_PERSON or not people.is_alone(viewer.actor)


def may_claim(record: KycRecord, viewer: Viewer, now: datetime) -> bool:
    if not viewer.may_review or is_held(record, viewer, now) or is_barred(record, viewer):
        return False
    if record.state in PROPOSED:
        return may_confirm(record, viewer) and record.claimed_by != viewer.actor
    return record.state in WAITING or (record.state == State.IN_REVIEW and record.claimed_by != viewer.actor)


def claim_words(record: KycRecord) -> str:
    if record.state in PROPOSED:
        return "Look at it"
    return "Take over" if record.state == State.IN_REVIEW else "Claim"


def may_confirm(record: KycRecord, viewer: Viewer) -> bool:
    """As far as a page can tell; the verb looks again."""
    submitters = people.submitters(record)
    if record.state not in PROPOSED or viewer.actor in {record.decided_by, *submitters}:
        return False
    if viewer.may_confirm or not viewer.is_owner:
        return viewer.may_confirm
    return people.stands_in(record.workspace, without={record.decided_by, *submitters}) == Fallback.OWNER


def carry_out(record: KycRecord, verb: str, form: QueryDict, acting: Actor) -> KycRecord:
    """Raises KeyError for what is no verb of the page, and whatever the verb refuses with."""
    return _VERBS[verb](record, form, acting)


def _seen(form: QueryDict) -> dict[str, str]:
    return {"seen_evidence": form.get("seen_evidence", ""), "text_for_colleagues": form.get("text_for_colleagues", "")}


def _told(form: QueryDict) -> dict[str, Any]:
    return {
        "reason_codes": form.getlist("reason_codes"),
        "text_for_subject": form.get("text_for_subject", ""),
        "text_for_colleagues": form.get("text_for_colleagues", ""),
    }


def _approve(record: KycRecord, form: QueryDict, acting: Actor) -> KycRecord:
    return review.approve(
        record=record,
        text_for_subject=form.get("text_for_subject", ""),
        override_reason=form.get("override_reason", ""),
        **_seen(form),
        **acting,
    )


def _reject(record: KycRecord, form: QueryDict, acting: Actor) -> KycRecord:
    return review.reject(
        record=record,
        seen_evidence=form.get("seen_evidence", ""),
        rejection=form.get("rejection", KycRecord.Rejection.RETRY),
        **_told(form),
        **acting,
    )


def _refuse(record: KycRecord, form: QueryDict, acting: Actor) -> KycRecord:
    return review.refuse_proposal(record=record, text_for_colleagues=form.get("text_for_colleagues", ""), **acting)


def _reopen(record: KycRecord, form: QueryDict, acting: Actor) -> KycRecord:
    return review.reopen(record=record, text_for_colleagues=form.get("text_for_colleagues", ""), **acting)


def _withdraw(record: KycRecord, form: QueryDict, acting: Actor) -> KycRecord:
    return review.withdraw(record=record, text_for_colleagues=form.get("text_for_colleagues", ""), **acting)


_VERBS: Final[dict[str, Callable[[KycRecord, QueryDict, Actor], KycRecord]]] = {
    "approve": _approve,
    "reject": _reject,
    "request_information": lambda record, form, acting: review.request_information(
        record=record, **_told(form), **acting
    ),
    "confirm": lambda record, form, acting: review.confirm(record=record, **_seen(form), **acting),
    "refuse_proposal": _refuse,
    "suspend": lambda record, form, acting: review.suspend(record=record, **_told(form), **acting),
    "reopen": _reopen,
    "submit": lambda record, form, acting: review.submit(record=record, **acting),
    "provide_information": lambda record, form, acting: review.provide_information(record=record, **acting),
    "withdraw": _withdraw,
}
