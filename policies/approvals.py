"""Four eyes for what widens: what was asked for is kept, a second person agrees or not, and the same verb does it.

Whether a change needs that is asked by the verb itself, see `widening`. Closing, holds and trust never do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models, transaction
from django.utils.module_loading import import_string

from accounts import audit, roles, tokens
from accounts.audit import Acting
from accounts.models import ApiToken, Membership, User, Workspace
from accounts.scoping import scoped, unscoped
from accounts.workspaces import taking_turns
from policies import exposure, widening
from policies.models import ProposedChange
from policies.widening import NeedsApproval

__all__ = ["VERBS", "Conflict", "NotEntitled", "Verb", "approve", "awaiting", "propose", "reject", "settle", "withdraw"]

State = ProposedChange.State
RIGHT: Final = "policies.change_proposedchange"
SCOPE: Final = "approvals:write"
AT_MOST: Final = 500
MOST_SHOWN: Final = 50
LONGEST_ANSWER: Final = 2000


@dataclass(frozen=True, slots=True)
class Verb:
    """Where a verb is, by name: `carry_out(arguments, *, acting_user, now)` does what was asked for; `version_now
    (arguments)` answers what `Wish.base_version` would be now, empty where nothing can have moved."""

    carry_out: str
    version_now: str = ""


VERBS: Final[Mapping[str, Verb]] = {
    "create_country_policy": Verb("policies.approved_verbs.create_country_policy"),
    "edit_country_policy": Verb(
        "policies.approved_verbs.edit_country_policy", "policies.approved_verbs.version_of_policy"
    ),
    "revert_country_policy": Verb(
        "policies.approved_verbs.revert_country_policy", "policies.approved_verbs.version_of_policy"
    ),
    "edit_phone_number": Verb("policies.approved_verbs.edit_phone_number", "policies.approved_verbs.version_of_number"),
    "observe_phone_number": Verb(
        "policies.approved_verbs.observe_phone_number", "policies.approved_verbs.version_of_number"
    ),
    "assign_country_policy": Verb(
        "policies.approved_verbs.assign_country_policy", "policies.approved_verbs.version_of_assignment"
    ),
    "make_default": Verb("policies.approved_verbs.make_default", "policies.approved_verbs.version_of_default"),
    "open_temporarily": Verb("policies.approved_verbs.open_temporarily"),
    "bulk_edit": Verb("policies.bulk.carry_out_approved", "policies.bulk.version_now"),
    "adopt": Verb("policies.approved_verbs.adopt", "policies.approved_verbs.version_to_adopt"),
    "ask_previous": Verb("policies.approved_verbs.ask_previous", "policies.approved_verbs.version_of_numbers"),
    "leave_webhooks": Verb("policies.approved_verbs.leave_webhooks", "policies.approved_verbs.version_of_webhooks"),
    "disconnect": Verb("policies.approved_verbs.disconnect", "policies.approved_verbs.version_of_connection"),
    "apply_policy_file": Verb("policies.policy_file.applying.carry_out_approved"),
    "change_settings": Verb("policies.approved_verbs.change_settings", "policies.approved_verbs.version_of_settings"),
    "mint_public_key": Verb("policies.approved_verbs.mint_public_key"),
    "edit_public_key": Verb("policies.approved_verbs.edit_public_key", "policies.approved_verbs.version_of_key"),
}
"""The closed table of what can wait for a second person."""


class Conflict(Exception):
    """It is not waiting any more, or what it was about has changed; the sentence says which."""


class NotEntitled(Exception):
    """Somebody else must do this; the sentence says why."""


def awaiting() -> models.QuerySet[ProposedChange]:
    return ProposedChange.objects.filter(state=State.AWAITING)


def propose(needs: NeedsApproval) -> ProposedChange:
    """Keeps what was asked for. The same wish of the same person is kept once, however often it is made."""
    wish = needs.wish
    person, token = _person(needs.acting_user), _token(needs.acting_user)
    with taking_turns(needs.workspace_id):
        same = {"verb": wish.verb, "base_version": wish.base_version[:80]}
        same |= {"proposed_by": person, "proposed_by_token": token.pk if token else None}
        arguments = _as_json(wish.arguments)
        for row in awaiting().filter(expires_at__gt=needs.now, **same):
            if row.arguments == arguments:
                return row
        hours = Workspace.objects.values_list("approval_hours", flat=True).get(pk=needs.workspace_id)
        row = ProposedChange(
            workspace_id=needs.workspace_id,
            about=wish.about[:200],
            about_model=wish.about_model,
            about_id=wish.about_id,
            arguments=arguments,
            difference=_difference(needs),
            exposure=_exposure(needs),
            reason=wish.reason,
            proposed_at=needs.now,
            expires_at=needs.now + timedelta(hours=hours),
            **same,
        )
        row.save(force_insert=True)
        _record(row, "propose", needs.acting_user, needs.now, after={"about": row.about, "verb": row.verb})
    return row


def approve(*, proposal: ProposedChange, acting_user: Acting, now: datetime, answer: str = "") -> ProposedChange:
    """Does what was asked for, by the verb that would have done it. Raises NotEntitled for the proposer, Conflict
    where it is not waiting any more or the world has moved, which also ends it."""
    trouble = ""
    with taking_turns(proposal.workspace_id):
        row = _waiting(proposal, now=now)
        _refuse_same_person(row, acting_user)
        if row.state == State.AWAITING:
            trouble = _carry_out(row, acting_user=acting_user, now=now)
            state, said = (State.STALE, trouble) if trouble else (State.APPROVED, answer)
            _decide(row, state, acting_user=acting_user, now=now, answer=said)
    if row.state != State.APPROVED:
        raise Conflict(trouble or standing(row))
    return row


def reject(*, proposal: ProposedChange, acting_user: Acting, now: datetime, answer: str = "") -> ProposedChange:
    """Says no. Raises NotEntitled for the proposer, who may withdraw it; Conflict where it is not waiting any more."""
    with taking_turns(proposal.workspace_id):
        row = _waiting(proposal, now=now)
        _refuse_same_person(row, acting_user)
        if row.state == State.AWAITING:
            _decide(row, State.REJECTED, acting_user=acting_user, now=now, answer=answer)
    if row.state != State.REJECTED:
        raise Conflict(standing(row))
    return row


def withdraw(*, proposal: ProposedChange, acting_user: Acting, now: datetime) -> ProposedChange:
    """Takes it back, by whoever proposed it."""
    with taking_turns(proposal.workspace_id):
        row = _waiting(proposal, now=now)
        if not is_proposer(row, acting_user):
            raise NotEntitled("Only who proposed it can withdraw it. You can reject it.")
        if row.state == State.AWAITING:
            _decide(row, State.WITHDRAWN, acting_user=acting_user, now=now)
    if row.state != State.WITHDRAWN:
        raise Conflict(standing(row))
    return row


def settle(*, now: datetime) -> int:
    """Ends what nobody answered in time, and what another change has overtaken. Answers how many."""
    with unscoped(reason="the sweep serves every workspace"):
        waiting = list(awaiting().order_by("expires_at").values_list("workspace_id", "pk")[:AT_MOST])
    settled = 0
    for workspace_id, pk in waiting:
        with scoped(workspace_id):
            row = awaiting().filter(pk=pk).first()
            if row is None or not (row.expires_at <= now or _has_moved(row)):
                continue
        with taking_turns(workspace_id):
            settled += _waiting(row, now=now).state != State.AWAITING
    return settled


def could_anybody_approve(acting_user: Acting, *, now: datetime) -> bool:
    """Whether somebody else could answer what this person or token asks for."""
    token = _token(acting_user)
    asked = ProposedChange(proposed_by=_person(acting_user), proposed_by_token=token.pk if token else None)
    return bool(who_could_approve(asked, now=now))


# --- Who may answer ---------------------------------------------------------------------------------


def is_proposer(row: ProposedChange, acting_user: Acting) -> bool:
    """The same person, by a token of theirs too; the same token where nobody knows whose it is."""
    person, token = _person(acting_user), _token(acting_user)
    if person is not None and person.pk == row.proposed_by_id:
        return True
    return token is not None and token.pk == row.proposed_by_token


def who_could_approve(row: ProposedChange, *, now: datetime) -> list[str]:
    """Everybody else in the workspace who may, and tokens that may, by name."""
    wanted = [role.value for role, rights in roles.PERMISSIONS.items() if RIGHT in rights]
    members = Membership.objects.filter(role__in=wanted, user__is_active=True).exclude(user_id=row.proposed_by_id)
    names = [str(member.user) for member in members.select_related("user").order_by("user__email")]
    for token in ApiToken.objects.filter(revoked_at=None).order_by("name"):
        if token.is_valid(now) and tokens.grants(token, SCOPE) and not is_proposer(row, token):
            names.append(audit.label_of(token))
    return names


def proposer_of(row: ProposedChange) -> str:
    return _name(row.proposed_by, row.proposed_by_token)


def decider_of(row: ProposedChange) -> str:
    return _name(row.decided_by, row.decided_by_token)


def standing(row: ProposedChange) -> str:
    """What became of it, in a sentence."""
    said = {
        State.AWAITING: "This still waits for a second person.",
        State.APPROVED: f"This was approved by {decider_of(row)}.",
        State.REJECTED: f"This was rejected by {decider_of(row)}.",
        State.WITHDRAWN: "This was withdrawn by who proposed it.",
        State.EXPIRED: "Nobody answered in time. Propose it again.",
        State.STALE: "What this is about was changed meanwhile. Look at it again, and propose what is still wanted.",
    }
    return said[State(row.state)]


def _name(person: User | None, token_id: int | None) -> str:
    token = ApiToken.objects.filter(pk=token_id).first() if token_id is not None else None
    if token is not None:
        return audit.label_of(token) + (f" of {person}" if person else "")
    return str(person) if person else audit.SYSTEM


def _person(acting_user: Acting) -> User | None:
    return acting_user.created_by if isinstance(acting_user, ApiToken) else acting_user


def _token(acting_user: Acting) -> ApiToken | None:
    return acting_user if isinstance(acting_user, ApiToken) else None


def _refuse_same_person(row: ProposedChange, acting_user: Acting) -> None:
    if is_proposer(row, acting_user):
        raise NotEntitled("You proposed this yourself; it takes a second person to answer. You can withdraw it.")
    if acting_user is None:
        raise NotEntitled("A person or a token has to answer for this.")


# --- Carrying out -----------------------------------------------------------------------------------


def _waiting(proposal: ProposedChange, *, now: datetime) -> ProposedChange:
    """The row, locked. One whose time is over or that was overtaken is ended here, whether or not a sweep was there."""
    row: ProposedChange = ProposedChange.objects.select_for_update().get(pk=proposal.pk)
    if row.state == State.AWAITING:
        if row.expires_at <= now:
            _decide(row, State.EXPIRED, acting_user=None, now=now)
        elif _has_moved(row):
            _decide(row, State.STALE, acting_user=None, now=now)
    return row


def _has_moved(row: ProposedChange) -> bool:
    verb = VERBS[row.verb]
    if not verb.version_now:
        return False
    return str(import_string(verb.version_now)(row.arguments))[:80] != row.base_version


def _carry_out(row: ProposedChange, *, acting_user: Acting, now: datetime) -> str:
    """Answers why it cannot be done any more, or nothing."""
    from policies.actions import Refused, StaleEdit

    try:
        with transaction.atomic(), widening.approved():
            import_string(VERBS[row.verb].carry_out)(row.arguments, acting_user=acting_user, now=now)
    except Refused as refused:
        return f"This cannot be done any more: {refused}"
    except ValidationError as refused:
        return f"This cannot be done any more: {' '.join(refused.messages)}"
    except (StaleEdit, models.ObjectDoesNotExist):
        return "What this is about was changed meanwhile; nothing was done."
    return ""


def _decide(row: ProposedChange, state: str, *, acting_user: Acting, now: datetime, answer: str = "") -> None:
    token = _token(acting_user)
    row.state, row.decided_at, row.answer = state, now, answer.strip()[:LONGEST_ANSWER]
    row.decided_by, row.decided_by_token = _person(acting_user), token.pk if token else None
    row.save()
    after = {"state": row.state, "proposed_by": proposer_of(row)}
    _record(row, State(state).name.lower(), acting_user, now, after=after, reason=row.answer)


def _record(row: ProposedChange, action: str, acting_user: Acting, now: datetime, **entry: Any) -> None:
    audit.record(
        workspace_id=row.workspace_id,
        action=f"proposed_change.{action}",
        subject=row,
        acting_user=acting_user,
        now=now,
        **entry,
    )


# --- What is kept of a wish -------------------------------------------------------------------------


def _as_json(arguments: Mapping[str, Any]) -> dict[str, Any]:
    import json

    kept: dict[str, Any] = json.loads(json.dumps(dict(arguments), cls=DjangoJSONEncoder))
    return kept


def _difference(needs: NeedsApproval) -> dict[str, Any]:
    """Alike ones of many numbers are one part that names some of them."""
    parts: dict[str, dict[str, Any]] = {}
    for one in needs.widenings:
        shown = one.as_dict()
        about = shown.pop("about")
        part = parts.setdefault(repr(shown), {**shown, "about": [], "count": 0})
        part["count"] += 1
        if len(part["about"]) < MOST_SHOWN:
            part["about"].append(about)
    return {"parts": list(parts.values())[:MOST_SHOWN], "more_parts": max(0, len(parts) - MOST_SHOWN)}


def _exposure(needs: NeedsApproval) -> dict[str, Any]:
    tiers = {code: tier for one in needs.widenings for code, tier in one.tiers.items()}
    before, after = exposure.as_written(needs.workspace_id, needs.now), needs.exposure
    by_tier = {
        tier: [next((line.usd_per_hour for line in one.tiers if line.name == tier), 0.0) for one in (before, after)]
        for tier in sorted(set(tiers.values()))
    }
    return {
        "tiers": tiers,
        "before_usd_per_hour": before.usd_per_hour,
        "after_usd_per_hour": after.usd_per_hour,
        "by_tier_usd_per_hour": by_tier,
        "without_gate_usd_per_hour": [one.without_gate.usd_per_hour for one in (before, after)],
    }
