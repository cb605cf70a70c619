"""Founds a demo workspace through the verbs that people use: members, policies, keys.

Each step looks first whether it is done, so an interrupted founding can be taken up again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.db import transaction

from accounts import audit, keys, workspaces
from accounts.models import AuditEntry, Membership, PublicKey, User, Workspace
from accounts.models.people import DigestPeriod
from accounts.roles import Role
from accounts.scoping import scoped
from monitoring.demo import cast
from monitoring.models import Digest
from policies import actions, connecting
from policies.models import CountryPolicy, Decision

FOUNDED = "demo.found"


def people() -> dict[str, User]:
    """The demo's accounts by their address. All have one password, which is hashed once since hashing is slow."""
    known = {user.email: user for user in User.objects.filter(email__in=[row[0] for row in cast.PEOPLE])}
    missing = [row for row in cast.PEOPLE if row[0] not in known]
    hashed = make_password(settings.DEMO_PASSWORD) if missing else ""
    for email, name, *_ in missing:
        known[email] = User.objects.create(email=email, name=name, password=hashed)
    return known


def workspace(
    *, slug: str, name: str, home_country: str, time_zone: str, opened_at: datetime, acting_user: User
) -> Workspace:
    """The workspace, founded on `opened_at` if it is not there."""
    known = Workspace.objects.filter(slug=slug).first()
    return known or workspaces.create_workspace(
        slug=slug,
        name=name,
        home_country=home_country,
        time_zone=time_zone,
        digest_period=DigestPeriod.NEVER,
        acting_user=acting_user,
        now=opened_at,
    )


def begin_digests(workspace: Workspace, *, acting_user: User, now: datetime) -> None:
    """Once the history is there: a digest of one that is still being written would tell half of it."""
    with scoped(workspace.pk):
        is_told = Digest.objects.exists()
    workspace.refresh_from_db()
    if workspace.digest_period == DigestPeriod.NEVER and not is_told:
        weekly = DigestPeriod.WEEKLY
        workspaces.change_settings(workspace=workspace, digest_period=weekly, acting_user=acting_user, now=now)


def is_founded(workspace: Workspace) -> bool:
    with scoped(workspace.pk):
        return AuditEntry.objects.filter(action=FOUNDED).exists()


def mark_founded(workspace: Workspace, *, acting_user: User, now: datetime) -> None:
    """From here on the workspace is the people's: what they rename or remove is not put back."""
    with scoped(workspace.pk), transaction.atomic():
        audit.record(workspace_id=workspace.pk, action=FOUNDED, subject=workspace, acting_user=acting_user, now=now)


def members(workspace: Workspace, roles: Iterable[tuple[User, str]], *, now: datetime) -> None:
    with scoped(workspace.pk):
        there = set(Membership.objects.values_list("user_id", flat=True))
    for user, role in roles:
        if role and user.pk not in there:
            workspaces.add_member(workspace=workspace, user=user, role=Role(role), acting_user=None, now=now)


def uponai_key(workspace: Workspace, *, acting_user: User, now: datetime) -> None:
    """Connects it with the sandbox's key, and once more when the sandbox has got another one. Who disconnected it
    is left alone."""
    try:
        is_current = workspaces.uponai_key(workspace.pk) == settings.SANDBOX_API_KEY
    except workspaces.NoUponaiKey:
        is_current = False
    connection = connecting.connection_of(workspace.pk)
    if connection.disconnect_asked_at is None and not (is_current and connection.org_id):
        connecting.connect(workspace=workspace, key=settings.SANDBOX_API_KEY, acting_user=acting_user, now=now)


def policies(
    workspace: Workspace, wanted: Iterable[cast.Policy], *, acting_user: User, now: datetime
) -> dict[str, CountryPolicy]:
    """The named policies; the first one becomes the default."""
    with scoped(workspace.pk):
        known = {policy.name: policy for policy in CountryPolicy.objects.all()}
        has_default = any(policy.is_default for policy in known.values())
    for policy in wanted:
        if policy.name not in known:
            known[policy.name] = actions.create_country_policy(
                workspace_id=workspace.pk,
                name=policy.name,
                inbound=policy.inbound,
                outbound=policy.outbound,
                acting_user=acting_user,
                now=now,
                confirm_unrestricted=True,
                reason=policy.reason,
            )
        if not has_default:
            actions.make_default(policy=known[policy.name], acting_user=acting_user, now=now)
            has_default = True
    return known


def narrow(policy: CountryPolicy, *, acting_user: User, now: datetime) -> None:
    """What ended the attack: the one policy that let it through lost its open outbound side."""
    with scoped(policy.workspace_id):
        has_history = policy.revisions.filter(number__gt=1).exists()
    if not has_history:
        actions.edit_country_policy(
            policy=policy,
            outbound=cast.NARROWED,
            acting_user=acting_user,
            now=now,
            reason=cast.NARROWED_REASON,
        )


def public_keys(
    workspace: Workspace,
    *,
    gate_keys: Mapping[str, Mapping[str, Any]],
    registered: Mapping[str, Mapping[str, Any]],
    acting_user: User,
    now: datetime,
) -> None:
    there = set(public_key_texts(workspace))
    for name, facts in gate_keys.items():
        if name not in there:
            keys.mint_public_key(workspace=workspace, acting_user=acting_user, now=now, name=name, **facts)
    for name, facts in registered.items():
        if name not in there:
            keys.register_public_key(workspace=workspace, acting_user=acting_user, now=now, name=name, **facts)


def public_key_texts(workspace: Workspace) -> dict[str, str]:
    with scoped(workspace.pk):
        return dict(PublicKey.objects.values_list("name", "key"))


def note_use(workspace: Workspace) -> None:
    """What was recorded in the past was not recorded by the gate, which would have noted when each key was used."""
    with scoped(workspace.pk):
        for key in PublicKey.objects.filter(last_used_at=None, kind=PublicKey.Kind.GATE_KEY):
            newest = Decision.objects.filter(public_key=key.key).order_by("-at", "-id").first()
            if newest is not None:
                PublicKey.objects.filter(pk=key.pk).update(last_used_at=newest.at)
