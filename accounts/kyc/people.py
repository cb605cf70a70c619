"""Who acts on KYC records, as rows name them, and who may do what. Four eyes are four eyes of two entitled people."""

from __future__ import annotations

from accounts import roles
from accounts.audit import Acting
from accounts.kyc.states import Fallback
from accounts.kyc.transitions import NotEntitled, TakesAnother
from accounts.models import ApiToken, KycRecord, Membership, Subject, User, Workspace
from accounts.roles import Role

CONSOLE = "console"
MAY_REVIEW = "accounts.review_kycrecord"
MAY_CONFIRM = "accounts.confirm_kycrecord"


def identity(acting_user: Acting, *, subject: Subject | None = None) -> str:
    """A token acts for the person who made it: who mints two tokens is still one person."""
    if subject is not None:
        return f"subject:{subject.pk}"
    if isinstance(acting_user, ApiToken):
        return f"token:{acting_user.pk}" if acting_user.created_by_id is None else f"user:{acting_user.created_by_id}"
    return CONSOLE if acting_user is None else f"user:{acting_user.pk}"


def name_of(actor: str) -> str:
    """How a sentence calls who acted."""
    kind, _, number = actor.partition(":")
    if kind == "user":
        user = User.objects.filter(pk=number).first()
        return str(user) if user else "somebody whose account is gone"
    if kind == "token":
        token = ApiToken.objects.filter(pk=number).first()
        return f"the API token {token.name}" if token else "an API token"
    return {"subject": "the subject", CONSOLE: "the console"}.get(kind, "somebody")


def require_reviewer(acting_user: Acting) -> str:
    """The identity of somebody who may review here. Raises NotEntitled."""
    actor = identity(acting_user)
    if not _may(actor, MAY_REVIEW):
        raise NotEntitled("Reviewing a KYC record needs the role of a reviewer in this workspace.")
    return actor


def may_review(actor: str) -> bool:
    return _may(actor, MAY_REVIEW)


def require_not_submitter(record: KycRecord, actor: str) -> None:
    """Whoever submitted it at any time. Raises TakesAnother."""
    if actor in submitters(record):
        raise TakesAnother("You submitted this case, so somebody else must decide it.")


def submitters(record: KycRecord) -> set[str]:
    moves = record.transitions.filter(to_state="submitted", verb__in=("submit", "reopen"))
    return {record.submitted_by, *moves.values_list("actor", flat=True)} - {""}


def stands_in(workspace: Workspace, *, without: set[str]) -> Fallback:
    """What the workspace named for want of a second reviewer; nothing while it has one who is not among `without`."""
    seconds = {f"user:{pk}" for pk in _members(Role.SECOND_REVIEWER)}
    return Fallback.NONE if seconds - without else Fallback(workspace.kyc_fallback)


def is_alone(actor: str) -> bool:
    """Whether nobody else in the workspace may review."""
    may = [role for role in Role if roles.allows(role, MAY_REVIEW)]
    return not ({f"user:{pk}" for pk in _members(*may)} - {actor})


def may_confirm(workspace: Workspace, record: KycRecord, actor: str) -> bool:
    if _may(actor, MAY_CONFIRM):
        return True
    stand_in = stands_in(workspace, without={record.decided_by, *submitters(record)})
    return stand_in == Fallback.OWNER and _role(actor) == Role.OWNER


def is_second_reviewer(actor: str) -> bool:
    return _may(actor, MAY_CONFIRM)


def _may(actor: str, permission: str) -> bool:
    if actor.startswith("token:"):  # of no person: its scope entitles it, which the door has looked at
        return permission == MAY_REVIEW
    return roles.allows(_role(actor), permission)


def _role(actor: str) -> Role | None:
    """Read now, and locked: nobody loses a role between being asked and deciding."""
    kind, _, number = actor.partition(":")
    if kind != "user":
        return None
    row = Membership.objects.select_for_update(of=("self",)).filter(user_id=number, user__is_active=True).first()
    return Role(row.role) if row else None


def _members(*wanted: Role) -> set[int]:
    found = Membership.objects.filter(role__in=wanted, user__is_active=True)
    return set(found.values_list("user_id", flat=True))
