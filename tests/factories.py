"""Rows for tests, made through the verbs that people use."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import Any

from accounts import tokens, workspaces
from accounts.models import User, Workspace
from accounts.roles import Role
from accounts.scoping import scoped
from policies import actions
from policies.models import CountryPolicy, PhoneNumber, SyncTarget

_counter = itertools.count(1)

PASSWORD = "correct-horse-9"
UPONAI_KEY = "key_sandbox"


def moment() -> datetime:
    return datetime.now(UTC)


def make_workspace(
    *, slug: str = "", home_country: str = "US", uponai_key: str = UPONAI_KEY, **settings: Any
) -> Workspace:
    slug = slug or f"workspace-{next(_counter)}"
    workspace = workspaces.create_workspace(
        slug=slug, name=slug.title(), home_country=home_country, acting_user=None, now=moment(), **settings
    )
    if uponai_key:
        workspaces.set_uponai_key(workspace=workspace, key=uponai_key, acting_user=None, now=moment())
    return workspace


def make_user(email: str = "") -> User:
    return User.objects.create_user(email or f"person{next(_counter)}@example.com", PASSWORD)


def make_member(workspace: Workspace, role: Role = Role.OWNER, email: str = "") -> User:
    user = make_user(email)
    workspaces.add_member(workspace=workspace, user=user, role=role, acting_user=None, now=moment())
    return user


def make_token(workspace: Workspace, *scopes: str) -> str:
    """The text of a new token; every scope when none is named."""
    return tokens.create_token(
        workspace=workspace, name="test", scopes=list(scopes) or ["*"], acting_user=None, now=moment()
    )


def rules(countries: list[str] | None) -> dict[str, Any]:
    return {"mode": "list", "countries": countries} if countries else {"mode": "unrestricted", "countries": []}


def make_policy(
    workspace: Workspace,
    *,
    name: str = "",
    inbound: list[str] | None = ["US", "CA"],  # noqa: B006  (never changed)
    outbound: list[str] | None = ["US", "CA"],  # noqa: B006
) -> CountryPolicy:
    return actions.create_country_policy(
        workspace_id=workspace.pk,
        name=name or f"Policy {next(_counter)}",
        inbound=rules(inbound),
        outbound=rules(outbound),
        acting_user=None,
        now=moment(),
        confirm_unrestricted=True,
        reason="made for a test",
    )


def make_phone_number(
    workspace: Workspace,
    e164: str = "+14155550100",
    *,
    policy: CountryPolicy | None = None,
    inbound: list[str] | None = ["US", "CA"],  # noqa: B006
    outbound: list[str] | None = ["US", "CA"],  # noqa: B006
    synced: bool = True,
    **facts: Any,
) -> PhoneNumber:
    """A number with a policy of its own unless one is given, and its sync row."""
    policy = policy or make_policy(workspace, name=f"{e164} {next(_counter)}", inbound=inbound, outbound=outbound)
    with scoped(workspace.pk):
        number: PhoneNumber = PhoneNumber.objects.create(e164=e164, policy=policy, **facts)
        SyncTarget.objects.create(
            phone_number=number,
            state="synced" if synced else "pending",
            applied_generation=1 if synced else 0,
            due_at=None if synced else moment(),
        )
        row: PhoneNumber = PhoneNumber.objects.select_related("policy__current_revision", "sync_target").get(
            pk=number.pk
        )
    return row
