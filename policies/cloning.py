"""Making a country policy that begins where another one is."""

from __future__ import annotations

from datetime import datetime

from accounts.audit import Acting
from accounts.workspaces import taking_turns
from policies.actions import create_country_policy, free_name
from policies.models import CountryPolicy, PolicyRevision


def clone_country_policy(
    *, policy: CountryPolicy, acting_user: Acting, now: datetime, name: str | None = None
) -> CountryPolicy:
    """The rules in force under another name; nothing follows it yet. Raises Refused naming the field."""
    with taking_turns(policy.workspace_id):
        current = PolicyRevision.objects.filter(policy_id=policy.pk).order_by("-number")[0]
        return create_country_policy(
            workspace_id=policy.workspace_id,
            name=free_name(f"{policy.name} (copy)") if name is None else name,
            inbound=current.inbound,
            outbound=current.outbound,
            acting_user=acting_user,
            now=now,
            # Whoever lifted a restriction there has confirmed it, and no number has these rules from being copied.
            confirm_unrestricted=True,
            reason=f"Copy of {policy.name}, revision {current.number}.",
        )
