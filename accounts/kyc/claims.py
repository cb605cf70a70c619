"""Whose case it is: claims with a lease, so that two reviewers never work on one unknowingly."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.core.exceptions import ValidationError
from django.db.models import Case, F, IntegerField, Q, QuerySet, Value, When

from accounts import audit
from accounts.audit import Acting
from accounts.kyc import effects, people
from accounts.kyc.states import PROPOSED, WAITING, State
from accounts.kyc.transitions import Conflict, Move, NotEntitled, locked, require_state
from accounts.models import KycRecord, User, Workspace
from accounts.workspaces import taking_turns

MOST_LOOKED_AT = 50
"""Of the queue's head, for one that this person may decide."""


def claim(*, record: KycRecord, acting_user: Acting, now: datetime) -> KycRecord:
    """Takes a waiting case, or a proposal to look at; renews one's own. Raises Conflict naming who has it."""
    with taking_turns(record.workspace_id):
        actor = people.require_reviewer(acting_user)
        row = locked(record)
        require_state(row, *WAITING, State.IN_REVIEW, *PROPOSED)
        _take(row, actor, acting_user, now)
        return row


def claim_next(*, workspace: Workspace, acting_user: Acting, now: datetime) -> KycRecord | None:
    """The one most due that this person may decide; None where there is none."""
    with taking_turns(workspace.pk):
        actor = people.require_reviewer(acting_user)
        for candidate in _queue_for(actor, now)[:MOST_LOOKED_AT]:
            row = locked(candidate)
            if _may_take(workspace, row, actor):
                _take(row, actor, acting_user, now)
                return row
    return None


def release(*, record: KycRecord, acting_user: Acting, now: datetime) -> KycRecord:
    """Puts the case back into the queue."""
    with taking_turns(record.workspace_id):
        actor = people.require_reviewer(acting_user)
        row = locked(record)
        require_state(row, State.IN_REVIEW, *PROPOSED)
        require_hold(row, actor, now)
        if row.state == State.IN_REVIEW:
            step = Move("release", State.SUBMITTED, actor, acting_user, now)
            effects.carry_out(row, step, **effects.unclaimed(), assigned_to="")
        else:
            _note_claim(row, "", None)
        return row


def hand_over(
    *, record: KycRecord, to: User, acting_user: Acting, now: datetime, text_for_colleagues: str = ""
) -> KycRecord:
    """Gives the case to another reviewer."""
    with taking_turns(record.workspace_id):
        actor, other = people.require_reviewer(acting_user), people.identity(to)
        row = locked(record)
        require_state(row, State.IN_REVIEW)
        require_hold(row, actor, now)
        if other == actor or not people.may_review(other):
            raise ValidationError({"to": f"{to} is not another reviewer of this workspace."})
        if other in people.submitters(row):
            raise ValidationError({"to": f"{to} submitted this case and cannot decide it."})
        step = Move("hand_over", State.IN_REVIEW, actor, acting_user, now, text_for_colleagues=text_for_colleagues)
        effects.carry_out(row, step, **effects.claim_of(row, other, now))
        return row


def bulk_assign(
    *, workspace: Workspace, record_ids: Sequence[int], to: User | None, acting_user: Acting, now: datetime
) -> int:
    """Says who is to take these cases; answers how many waited to be taken."""
    with taking_turns(workspace.pk):
        people.require_reviewer(acting_user)
        other = "" if to is None else people.identity(to)
        if other and not people.may_review(other):
            raise ValidationError({"to": f"{to} is not a reviewer of this workspace."})
        rows = list(
            KycRecord.objects.select_for_update(of=("self",))
            .select_related("subject")
            .filter(pk__in=list(record_ids), state__in=WAITING)
            .exclude(assigned_to=other)
        )
        for row in rows:
            before, row.assigned_to = row.assigned_to, other
            row.save(update_fields=["assigned_to"])
            audit.record(
                workspace_id=workspace.pk,
                action="kyc_record.assign",
                subject=row,
                acting_user=acting_user,
                now=now,
                before={"assigned_to": before},
                after={"assigned_to": other},
            )
        return len(rows)


def require_hold(row: KycRecord, actor: str, now: datetime) -> None:
    """Raises Conflict unless the case is this person's. A lease that ran out counts until somebody else takes it."""
    if row.claimed_by == actor:
        return
    if row.claimed_by:
        raise Conflict(f"{_held(row)} Nothing was changed.")
    raise Conflict("Claim this case first, so that nobody else works on it meanwhile. Nothing was changed.")


def is_held_by_another(row: KycRecord, actor: str, now: datetime) -> bool:
    return (
        bool(row.claimed_by) and row.claimed_by != actor and row.claimed_until is not None and row.claimed_until > now
    )


def _held(row: KycRecord) -> str:
    return (
        f"{people.name_of(row.claimed_by)} works on this case, until {row.claimed_until:%Y-%m-%d %H:%M} UTC at least."
    )


def _take(row: KycRecord, actor: str, acting_user: Acting, now: datetime) -> None:
    if is_held_by_another(row, actor, now):
        raise Conflict(f"{_held(row)} Nothing was changed.")
    claim = effects.claim_of(row, actor, now)
    if row.state in PROPOSED or row.claimed_by == actor:
        _note_claim(row, actor, claim["claimed_until"])
        return
    verb = "take_over" if row.state == State.IN_REVIEW else "claim"
    reversal = {"is_reversal": True} if row.state == State.SUSPENDED else {}
    step = Move(verb, State.IN_REVIEW, actor, acting_user, now)
    effects.carry_out(row, step, **effects.undecided(), **claim, **reversal)


def _note_claim(row: KycRecord, actor: str, until: datetime | None) -> None:
    row.claimed_by, row.claimed_until = actor, until
    row.save(update_fields=["claimed_by", "claimed_until"])


def _may_take(workspace: Workspace, row: KycRecord, actor: str) -> bool:
    if row.state in PROPOSED:
        return row.decided_by != actor and people.may_confirm(workspace, row, actor)
    try:
        people.require_not_submitter(row, actor)
    except NotEntitled:
        return False
    return True


def _queue_for(actor: str, now: datetime) -> QuerySet[KycRecord]:
    """What is assigned to this person first, what is assigned to others last; then by when it is due."""
    free = Q(claimed_by="") | Q(claimed_until__lte=now)
    takeable = Q(state__in=WAITING) | (free & Q(state__in=[State.IN_REVIEW, *PROPOSED]))
    whose = Case(
        When(assigned_to=actor, then=Value(0)),
        When(assigned_to="", then=Value(1)),
        default=Value(2),
        output_field=IntegerField(),
    )
    rows = KycRecord.objects.filter(takeable).exclude(submitted_by=actor).exclude(decided_by=actor)
    return rows.annotate(whose=whose).order_by("whose", F("due_at").asc(nulls_last=True), "pk")
