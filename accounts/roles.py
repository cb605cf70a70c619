"""What each role may do. The one table of rights; everything else asks it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import models

from accounts.scoping import current_scope, unscoped

if TYPE_CHECKING:
    from accounts.models import User


class Role(models.TextChoices):
    OWNER = "owner", "Owner"
    POLICY_EDITOR = "policy_editor", "Policy editor"
    KYC_REVIEWER = "kyc_reviewer", "KYC reviewer"
    SECOND_REVIEWER = "second_reviewer", "Second reviewer"
    ANALYST = "analyst", "Analyst"
    VIEWER = "viewer", "Viewer"


def _all(app: str, *models_: str) -> frozenset[str]:
    return frozenset(f"{app}.{verb}_{model}" for verb in ("view", "add", "change", "delete") for model in models_)


def _view(app: str, *models_: str) -> frozenset[str]:
    return frozenset(f"{app}.view_{model}" for model in models_)


def _edit(app: str, *models_: str) -> frozenset[str]:
    """View, add and change; what has a history is never deleted."""
    return frozenset(f"{app}.{verb}_{model}" for verb in ("view", "add", "change") for model in models_)


_TRAFFIC = (
    _view("policies", "phonenumber", "countrypolicy", "policyrevision", "decision", "synctarget", "hold")
    | _view("policies", "open", "trusted", "blockedcaller")
    | _view("policies", "uponaiconnection", "proposedchange", "attestation", "managedrecord")
    | _view("monitoring", "webhookevent")
    | _view("monitoring", "call", "usagebucket", "blockedcall", "agentseen", "knownsender", "alert", "relay", "digest")
    | _view("accounts", "publickey", "workspace")
)
_KYC = _view("accounts", "kycrecord", "subject")
# Passports and faces: for those alone who decide by them.
_DOCUMENTS = _view("accounts", "kycdocument")
_AUDIT = _view("accounts", "auditentry")
_POLICY = (
    _edit("policies", "phonenumber", "countrypolicy", "hold")
    | _edit("policies", "open", "trusted", "blockedcaller")
    | _edit("policies", "proposedchange", "attestation")
    | _edit("monitoring", "knownsender", "alert", "relay")
    | {"monitoring.change_webhookevent"}
    | _edit("accounts", "publickey")
)
_REVIEW = _edit("accounts", "kycrecord", "subject") | {"accounts.review_kycrecord"}
_CONFIRM = frozenset({"accounts.confirm_kycrecord"})

PERMISSIONS: dict[Role, frozenset[str]] = {
    Role.OWNER: _TRAFFIC
    | _KYC
    | _AUDIT
    | _POLICY
    | _REVIEW
    | _DOCUMENTS
    | _all("accounts", "membership")
    | _edit("accounts", "apitoken", "uponaikey")
    | {"accounts.change_workspace"},
    Role.POLICY_EDITOR: _TRAFFIC | _AUDIT | _POLICY,
    Role.KYC_REVIEWER: _TRAFFIC | _KYC | _REVIEW | _DOCUMENTS,
    Role.SECOND_REVIEWER: _TRAFFIC | _KYC | _REVIEW | _CONFIRM | _DOCUMENTS,
    Role.ANALYST: _TRAFFIC | _AUDIT,
    Role.VIEWER: _TRAFFIC,
}


def role_of(user: User) -> Role | None:
    """The person's role in the current workspace; None outside one or without membership."""
    from accounts.models import Membership

    scope = current_scope()
    if scope is None or scope.workspace_id is None:
        return None
    known: dict[int, Role | None] = _memory(user)
    if scope.workspace_id not in known:
        with unscoped(reason="a person's own role"):
            membership = Membership.objects.filter(user=user, workspace_id=scope.workspace_id).first()
        known[scope.workspace_id] = Role(membership.role) if membership else None
    return known[scope.workspace_id]


def _memory(user: Any) -> dict[int, Role | None]:
    """Roles already looked up for this user object, which lives as long as one request."""
    if not hasattr(user, "_roles_by_workspace"):
        user._roles_by_workspace = {}
    return user._roles_by_workspace  # type: ignore[no-any-return]


def allows(role: Role | None, permission: str) -> bool:
    return role is not None and permission in PERMISSIONS[role]


def allows_any(role: Role | None, app_label: str) -> bool:
    return role is not None and any(item.startswith(f"{app_label}.") for item in PERMISSIONS[role])
