"""Who works in a workspace: admitting people, changing their role, letting them go. One owner always stays."""

from __future__ import annotations

from datetime import datetime

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction

from accounts import audit
from accounts.audit import Acting
from accounts.models import Membership, User, Workspace
from accounts.roles import Role
from accounts.scoping import scoped
from accounts.workspaces import add_member

LAST_OWNER = "This is the only owner. Make somebody else an owner first."


def admit_member(
    *,
    workspace: Workspace,
    email: str,
    role: Role,
    acting_user: Acting,
    now: datetime,
    name: str = "",
    password: str = "",
) -> Membership:
    """Gives a person a role here. Who has no account yet gets one. Raises ValidationError naming the field."""
    email = User.objects.normalize_email(email)
    try:
        validate_email(email)
    except ValidationError:
        raise ValidationError({"email": "This is not an e-mail address."}) from None
    with scoped(workspace.pk), transaction.atomic():
        user = User.objects.filter(email=email).first()
        if user is not None and Membership.objects.filter(user=user).exists():
            raise ValidationError({"email": f"{email} works in this workspace already."})
        user = user or _new_account(email, name, password, now=now)
        return add_member(workspace=workspace, user=user, role=role, acting_user=acting_user, now=now)


def change_role(*, membership: Membership, role: Role, acting_user: Acting, now: datetime) -> Membership:
    """Gives a member another role. Raises ValidationError for the only owner."""
    with scoped(membership.workspace_id), transaction.atomic():
        row = _locked(membership)
        if row.role == role:
            return row
        if row.role == Role.OWNER:
            _require_another_owner(row, field="role")
        before, row.role = row.role, role
        row.save(update_fields=["role"])
        _tell(row, "workspace.change_role", acting_user, now, before={"role": before}, after={"role": role})
    return row


def remove_member(*, membership: Membership, acting_user: Acting, now: datetime) -> None:
    """Lets a person go; their account and what they did stay. Raises ValidationError for the only owner."""
    with scoped(membership.workspace_id), transaction.atomic():
        row = _locked(membership)
        if row.role == Role.OWNER:
            _require_another_owner(row, field="role")
        _tell(
            row,
            "workspace.remove_member",
            acting_user,
            now,
            before={"user": row.user.email, "role": row.role},
        )
        row.delete()


def _new_account(email: str, name: str, password: str, *, now: datetime) -> User:
    user = User(email=email, name=name.strip(), date_joined=now)
    if not password:
        raise ValidationError({"password": f"{email} has no account yet: choose a first password for them."})
    try:
        validate_password(password, user)
    except ValidationError as problem:
        raise ValidationError({"password": problem.messages}) from None
    user.set_password(password)
    user.save()
    return user


def _locked(membership: Membership) -> Membership:
    # All of the workspace's rows, so that two owners cannot let each other go at the same moment.
    rows = {row.pk: row for row in Membership.objects.select_for_update().order_by("pk")}
    if membership.pk not in rows:
        raise ValidationError("This person does not work here any more.")
    locked: Membership = rows[membership.pk]
    return locked


def _require_another_owner(row: Membership, *, field: str) -> None:
    if not Membership.objects.filter(role=Role.OWNER).exclude(pk=row.pk).exists():
        raise ValidationError({field: LAST_OWNER})


def _tell(row: Membership, action: str, acting_user: Acting, now: datetime, **entry: object) -> None:
    audit.record(workspace_id=row.workspace_id, action=action, subject=row, acting_user=acting_user, now=now, **entry)
