"""What people do with workspaces: found them, join them, change their settings, give them an UponAI key."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.utils.crypto import salted_hmac

from accounts import audit, encryption, gate_rules
from accounts.audit import Acting
from accounts.kyc import rules as kyc_rules
from accounts.models import KeyLeak, Membership, UponaiKey, User, Workspace
from accounts.roles import Role
from accounts.scoping import scoped, unscoped

SETTINGS_FIELDS = (
    "name",
    "home_country",
    "time_zone",
    "agent_minute_price",
    "carrier_prices",
    "limits",
    "kyc_settings",
    "kyc_fallback",
    "new_numbers",
    "requests_per_second",
    "approval_tier",
    "approval_hours",
    "digest_period",
    "keep_events_days",
    "keep_calls_days",
)


class NoUponaiKey(Exception):
    """The workspace has no UponAI key yet."""


@contextmanager
def taking_turns(workspace_id: int) -> Iterator[None]:
    """The scope and the transaction of a verb that changes what the gate knows; one at a time in a workspace.

    Such a verb locks the workspace's row in the end anyway. Locked first, no two of them wait for each other
    crosswise, and what one looks up (is this name free?) stays so until it has written.
    """
    with scoped(workspace_id), transaction.atomic():
        # "No key": rows that only refer to the workspace, such as events, come in meanwhile.
        Workspace.objects.select_for_update(no_key=True).get(pk=workspace_id)
        yield


def create_workspace(
    *, slug: str, name: str, home_country: str, acting_user: Acting, now: datetime, **settings: Any
) -> Workspace:
    """Founds a workspace. Raises ValidationError naming the field."""
    workspace = Workspace(slug=slug, name=name, home_country=home_country, created_at=now, **settings)
    workspace.full_clean()
    with transaction.atomic():
        workspace.save()
        audit.record(
            workspace_id=workspace.pk,
            action="workspace.create",
            subject=workspace,
            acting_user=acting_user,
            now=now,
            after={"slug": slug, "name": name, "home_country": home_country},
        )
    return workspace


def change_settings(*, workspace: Workspace, acting_user: Acting, now: datetime, **changes: Any) -> Workspace:
    """Changes a workspace's settings. Raises ValidationError naming the field."""
    unknown = changes.keys() - set(SETTINGS_FIELDS)
    if unknown:
        raise ValueError(f"{min(unknown)} is not a setting of a workspace.")
    given = changes
    changes = changes | _read_limits(changes) | _read_kyc_settings(changes)
    with taking_turns(workspace.pk):
        workspace.refresh_from_db()
        before = {name: getattr(workspace, name) for name in changes}
        for name, value in changes.items():
            setattr(workspace, name, value)
        workspace.full_clean()
        changed = [name for name in changes if before[name] != getattr(workspace, name)]
        if changed:
            workspace.save(update_fields=changed)
            bump_snapshot(workspace.pk)
            audit.record(
                workspace_id=workspace.pk,
                action="workspace.change_settings",
                subject=workspace,
                acting_user=acting_user,
                now=now,
                before={name: _shown(before[name]) for name in changed},
                after={name: _shown(getattr(workspace, name)) for name in changed},
            )
            gate_rules.of_the_gate().ask_about_settings(before, given, workspace, acting_user, now)
    return workspace


def _read_limits(changes: dict[str, Any]) -> dict[str, Any]:
    if "limits" not in changes:
        return {}
    try:
        return {"limits": gate_rules.of_the_gate().read_limits(gate_rules.WORKSPACE, changes["limits"])}
    except ValidationError as problem:
        raise ValidationError({"limits": problem.messages}) from None


def _read_kyc_settings(changes: dict[str, Any]) -> dict[str, Any]:
    if "kyc_settings" not in changes:
        return {}
    try:
        return {"kyc_settings": kyc_rules.read(changes["kyc_settings"])}
    except ValidationError as problem:
        raise ValidationError({"kyc_settings": problem.messages}) from None


def _shown(value: Any) -> Any:
    """For the audit log: as it is where JSON has a shape for it, so that what differs can be told apart."""
    return value if isinstance(value, dict) else str(value)


def add_member(*, workspace: Workspace, user: User, role: Role, acting_user: Acting, now: datetime) -> Membership:
    """Gives a person a role, or another one."""
    with scoped(workspace.pk), transaction.atomic():
        membership, _ = Membership.objects.update_or_create(
            workspace=workspace,
            user=user,
            defaults={"role": role},
            create_defaults={"role": role, "created_at": now},
        )
        audit.record(
            workspace_id=workspace.pk,
            action="workspace.add_member",
            subject=membership,
            acting_user=acting_user,
            now=now,
            after={"user": user.email, "role": role},
        )
    return membership


def set_uponai_key(
    *,
    workspace: Workspace,
    key: str,
    acting_user: Acting,
    now: datetime,
    old_verifies_until: datetime | None = None,
) -> UponaiKey:
    """Stores a new private key. The one before verifies webhooks until `old_verifies_until`, else no longer."""
    with taking_turns(workspace.pk):
        UponaiKey.objects.filter(verifies_until=None).update(verifies_until=old_verifies_until or now)
        row = UponaiKey(workspace=workspace, last_four=key[-4:], fingerprint=fingerprint_of(key), created_at=now)
        row.sealed = encryption.seal(
            workspace_id=workspace.pk, model="uponaikey", row=row.pk, field="sealed", secret=key
        )
        row.save()
        # A leak ends with the key that leaked; the same key set again has not been replaced.
        KeyLeak.objects.filter(resolved_at=None).exclude(fingerprint=row.fingerprint).update(resolved_at=now)
        bump_snapshot(workspace.pk)
        audit.record(
            workspace_id=workspace.pk,
            action="workspace.set_uponai_key",
            subject=row,
            acting_user=acting_user,
            now=now,
            after={"last_four": row.last_four},
        )
    return row


def uponai_key(workspace_id: int) -> str:
    """The private key in use. Raises NoUponaiKey."""
    with scoped(workspace_id):
        row = UponaiKey.objects.filter(verifies_until=None).order_by("-created_at").first()
    if row is None:
        raise NoUponaiKey("This workspace has no UponAI key. Enter one on the page UponAI.")
    return opened(row)


@dataclass(frozen=True, slots=True)
class WebhookSecret:
    """A key that UponAI may have signed a webhook with; `until` None is the one in use."""

    text: str = field(repr=False)
    until: datetime | None


def webhook_secrets(workspace_id: int, now: datetime) -> list[WebhookSecret]:
    """The keys that verify webhooks now, newest first. Who keeps them looks at `until` again."""
    with scoped(workspace_id):
        rows = UponaiKey.objects.filter(models.Q(verifies_until=None) | models.Q(verifies_until__gt=now)).order_by(
            "-created_at"
        )
        return [WebhookSecret(opened(row), row.verifies_until) for row in rows]


def fingerprint_of(key: str) -> str:
    """Tells a key from others. Keyed with SECRET_KEY: who has the rows alone cannot try keys."""
    return salted_hmac("accounts.workspaces.uponai_key", key, algorithm="sha256").hexdigest()


def find_uponai_key(text: str, *, now: datetime) -> UponaiKey | None:
    """The key with this text that a workspace uses, or used until so recently that it still verifies webhooks."""
    with unscoped(reason="a key that is shown tells its workspace"):
        in_use = UponaiKey.objects.filter(models.Q(verifies_until=None) | models.Q(verifies_until__gt=now))
        for row in in_use.filter(fingerprint=""):  # stored before keys had one
            UponaiKey.objects.filter(pk=row.pk).update(fingerprint=fingerprint_of(opened(row)))
        return in_use.filter(fingerprint=fingerprint_of(text)).order_by("-created_at").first()


def opened(row: UponaiKey) -> str:
    return encryption.unseal(
        workspace_id=row.workspace_id, model="uponaikey", row=row.pk, field="sealed", sealed=row.sealed
    )


def bump_snapshot(workspace_id: int) -> int:
    """Notes in the transaction of the change that the gate's snapshot is old, and tells the gate after it."""
    Workspace.objects.filter(pk=workspace_id).update(snapshot_version=models.F("snapshot_version") + 1)
    version = Workspace.objects.values_list("snapshot_version", flat=True).get(pk=workspace_id)
    transaction.on_commit(lambda: gate_rules.of_the_gate().tell(workspace_id, version))
    return version


def workspaces_of(user: User) -> list[Workspace]:
    with unscoped(reason="the workspaces a person may choose from"):
        return list(Workspace.objects.filter(membership__user=user).order_by("name", "pk"))
