"""What is done to a KYC record on its way: handed in, asked about, taken back. Deciding it is for decisions.py."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.core.exceptions import ValidationError
from django.db.models import Max

from accounts import audit
from accounts.audit import Acting
from accounts.kyc import documents, effects, outlook, people, rules
from accounts.kyc.claims import require_hold
from accounts.kyc.decisions import approve, confirm, refuse_proposal, reject
from accounts.kyc.states import UNDECIDED, InformationReason, State, SuspendReason
from accounts.kyc.texts import LONGEST_TEXT, read_codes, read_text
from accounts.kyc.transitions import Move, WrongState, locked, require_state, standing
from accounts.models import ApiToken, KycRecord, Subject
from accounts.workspaces import taking_turns

__all__ = [
    "approve",
    "confirm",
    "left_declared_use",
    "mark_erased",
    "provide_information",
    "refuse_proposal",
    "reject",
    "reopen",
    "request_information",
    "submit",
    "suspend",
    "suspend_subject",
    "tick",
    "withdraw",
]

UNDER_WAY = (*UNDECIDED, State.SUSPENDED)
IN_HAND = tuple(state for state in UNDER_WAY if state != State.DRAFT)
WAS_APPROVED = (State.APPROVED, State.SUSPENDED, State.EXPIRED)
"""The states of a record that was approved at some time."""
LEFT_DECLARED_USE = "left_declared_use"
FROM_LEVEL = KycRecord.Level.VERIFIED
NOTHING_TO_LOOK_AT = (
    "A record of level {level} is handed in with a document that tells who the person is (passport, identity card, "
    "driving licence or residence permit), or with an identity provider's result. Add one first."
)


def submit(*, record: KycRecord, acting_user: Acting, now: datetime, by_subject: bool = False) -> KycRecord:
    """Hands a record in. Raises Conflict, ValidationError."""
    with taking_turns(record.workspace_id):
        row = locked(record)
        actor = people.identity(acting_user, subject=row.subject if by_subject else None)
        require_state(row, State.DRAFT, State.REJECTED, State.EXPIRED)
        if row.rejection == KycRecord.Rejection.FINAL:
            raise WrongState(f"{standing(row)} It was rejected for good: only a reviewer can open it again.")
        # A token's owner may keep the documents, and look at them, at a place of their own.
        is_kept_here = not isinstance(acting_user, ApiToken)
        if is_kept_here and row.level >= FROM_LEVEL and not documents.shows_identity(row):
            raise ValidationError({"documents": NOTHING_TO_LOOK_AT.format(level=row.level)})
        _hand_in(row, Move("submit", State.SUBMITTED, actor, acting_user, now))
        return row


def request_information(
    *,
    record: KycRecord,
    reason_codes: Sequence[str],
    text_for_subject: str,
    acting_user: Acting,
    now: datetime,
    text_for_colleagues: str = "",
) -> KycRecord:
    """Asks the subject for more; the clock stands meanwhile."""
    step_texts = _texts(text_for_subject, text_for_colleagues, subject_is_told=True)
    codes = read_codes(reason_codes, InformationReason)
    with taking_turns(record.workspace_id):
        actor = people.require_reviewer(acting_user)
        row = locked(record)
        require_state(row, State.IN_REVIEW)
        require_hold(row, actor, now)
        step = Move(
            "request_information",
            State.NEEDS_INFORMATION,
            actor,
            acting_user,
            now,
            reason_codes=codes,
            **step_texts,
        )
        effects.carry_out(row, step, **effects.unclaimed(), assigned_to=actor)
        return row


def provide_information(
    *, record: KycRecord, acting_user: Acting, now: datetime, by_subject: bool = False
) -> KycRecord:
    """What was asked for has come: back to the queue, for who asked."""
    with taking_turns(record.workspace_id):
        row = locked(record)
        actor = people.identity(acting_user, subject=row.subject if by_subject else None)
        require_state(row, State.NEEDS_INFORMATION)
        step = Move("provide_information", State.SUBMITTED, actor, acting_user, now)
        effects.carry_out(row, step, **outlook.of(row))
        return row


def suspend(
    *,
    record: KycRecord,
    reason_codes: Sequence[str],
    acting_user: Acting,
    now: datetime,
    text_for_subject: str = "",
    text_for_colleagues: str = "",
) -> KycRecord:
    """Takes an approval back at once and queues the case; only four eyes approve it again."""
    texts = _texts(text_for_subject, text_for_colleagues)
    codes = read_codes(reason_codes, SuspendReason)
    with taking_turns(record.workspace_id):
        actor = people.CONSOLE if acting_user is None else people.require_reviewer(acting_user)
        row = locked(record)
        require_state(row, State.APPROVED)
        step = Move("suspend", State.SUSPENDED, actor, acting_user, now, reason_codes=codes, **texts)
        row.is_reversal = True
        effects.carry_out(row, step, **effects.undecided(), **effects.unclaimed(), **outlook.of(row), assigned_to="")
        outlook.renew_others(row)
        return row


def suspend_subject(
    *, subject: Subject, reason_codes: Sequence[str], acting_user: Acting, now: datetime, text_for_colleagues: str = ""
) -> list[KycRecord]:
    """Every approval of a subject, as after a fraud incident."""
    with taking_turns(subject.workspace_id):
        return [
            suspend(
                record=row,
                reason_codes=reason_codes,
                acting_user=acting_user,
                now=now,
                text_for_colleagues=text_for_colleagues,
            )
            for row in KycRecord.objects.filter(subject=subject, state=State.APPROVED).order_by("pk")
        ]


def reopen(*, record: KycRecord, acting_user: Acting, now: datetime, text_for_colleagues: str) -> KycRecord:
    """A rejected record goes to the queue again; of an approved one, a renewal goes there, which is answered."""
    text = read_text("text_for_colleagues", text_for_colleagues, is_needed=True)
    with taking_turns(record.workspace_id):
        actor = people.CONSOLE if acting_user is None else people.require_reviewer(acting_user)
        row = locked(record)
        require_state(row, State.REJECTED, State.APPROVED)
        step = Move("reopen", State.SUBMITTED, actor, acting_user, now, text_for_colleagues=text)
        if row.state == State.APPROVED:
            row = renewal_of(row, because="reopened", acting_user=acting_user, now=now)
            if row.state != State.DRAFT:
                return row
        _hand_in(row, step, is_reversal=row.rejection == KycRecord.Rejection.FINAL)
        return row


def left_declared_use(
    *, workspace_id: int, reference: str, tried: str, last_at: datetime, now: datetime
) -> KycRecord | None:
    """A subject tried what was not declared: its case goes to the queue again, once until somebody looked at it.

    `last_at`: when it was tried last. What a reviewer decided after that, they decided knowing it.
    """
    with taking_turns(workspace_id):
        approved = KycRecord.objects.filter(subject__reference=reference, state=State.APPROVED)
        held = approved.exclude(renewals__state__in=WAS_APPROVED).order_by("-level", "-decided_at").first()
        if held is None:
            return None
        row = locked(held)
        renewals = row.renewals.all()
        looked_at = renewals.exclude(state=State.DRAFT).aggregate(at=Max("transitions__at"))["at"]
        if renewals.filter(state__in=IN_HAND).exists() or (looked_at is not None and looked_at >= last_at):
            return None
        row = renewal_of(row, because=LEFT_DECLARED_USE, acting_user=None, now=now)
        row.opened_because = LEFT_DECLARED_USE  # a draft that lay there for another reason goes to the queue for this
        text = f"Tried what was not declared: {tried}."[:LONGEST_TEXT]
        _hand_in(row, Move("reopen", State.SUBMITTED, people.CONSOLE, None, now, text_for_colleagues=text))
        return row


def renewal_of(row: KycRecord, *, because: str, acting_user: Acting, now: datetime) -> KycRecord:
    """The record under way that is to follow an approved one; a draft of the same use where there is none."""
    under_way: KycRecord | None = row.renewals.filter(state__in=UNDER_WAY).select_related("subject").first()
    if under_way is not None:
        return locked(under_way)
    renewal: KycRecord = KycRecord.objects.create(
        workspace_id=row.workspace_id,
        subject=row.subject,
        level=row.level,
        renews=row,
        opened_because=because,
        declared_countries=[country.code for country in row.declared_countries],
        declared_channels=row.declared_channels,
        declared_calls_per_day=row.declared_calls_per_day,
        declared_purpose=row.declared_purpose,
        created_at=now,
    )
    audit.record(
        workspace_id=row.workspace_id,
        action="kyc_record.renew",
        subject=renewal,
        acting_user=acting_user,
        now=now,
        after={"renews": row.pk, "because": because},
    )
    return locked(renewal)


def withdraw(
    *, record: KycRecord, acting_user: Acting, now: datetime, by_subject: bool = False, text_for_colleagues: str = ""
) -> KycRecord:
    """The subject or the customer no longer wants it. An approval ends with it."""
    text = read_text("text_for_colleagues", text_for_colleagues)
    with taking_turns(record.workspace_id):
        row = locked(record)
        actor = people.identity(acting_user, subject=row.subject if by_subject else None)
        require_state(row, *UNDER_WAY, State.APPROVED, State.EXPIRED)
        step = Move("withdraw", State.WITHDRAWN, actor, acting_user, now, text_for_colleagues=text)
        effects.carry_out(row, step, **effects.unclaimed(), assigned_to="")
        return row


def mark_erased(*, record: KycRecord, acting_user: Acting, now: datetime) -> KycRecord:
    """The record's last move; who erases removes what it held in the same transaction."""
    with taking_turns(record.workspace_id):
        row = locked(record)
        step = Move("erase", State.ERASED, people.identity(acting_user), acting_user, now)
        effects.carry_out(row, step, **effects.unclaimed(), assigned_to="")
        return row


def tick(*, record: KycRecord, item: str, done: bool, acting_user: Acting, now: datetime) -> KycRecord:
    """One item of the checklist, by who holds the claim."""
    with taking_turns(record.workspace_id):
        actor = people.require_reviewer(acting_user)
        row = locked(record)
        require_state(row, State.IN_REVIEW)
        require_hold(row, actor, now)
        if item not in rules.CHECKLISTS[row.level]:
            raise ValidationError({"item": f"The checklist of level {row.level} has no item “{item[:40]}”."})
        row.checklist = row.checklist | {item: bool(done)}
        row.save(update_fields=["checklist"])
        audit.record(
            workspace_id=row.workspace_id,
            action="kyc_record.tick",
            subject=row,
            acting_user=acting_user,
            now=now,
            after={item: bool(done)},
        )
        return row


def _hand_in(row: KycRecord, step: Move, *, is_reversal: bool = False) -> None:
    # What was suspended stays so until it is approved, also when it was rejected in between.
    row.is_reversal = is_reversal or (row.is_reversal and row.state not in (State.APPROVED, State.EXPIRED))
    effects.carry_out(
        row,
        step,
        **effects.undecided(),
        **outlook.of(row),
        submitted_at=step.now,
        submitted_by=step.actor,
        checklist={},
        reverification_asked_at=None,
    )


def _texts(for_subject: str, for_colleagues: str, *, subject_is_told: bool = False) -> dict[str, str]:
    return {
        "text_for_subject": read_text("text_for_subject", for_subject, is_needed=subject_is_told),
        "text_for_colleagues": read_text("text_for_colleagues", for_colleagues),
    }
