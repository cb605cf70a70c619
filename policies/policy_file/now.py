"""What a workspace has at present, as far as policy files can speak of it. As many queries for ten numbers as for ten
thousand."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from accounts.models import PublicKey
from policies.models import CountryPolicy, PhoneNumber


@dataclass(frozen=True, slots=True)
class PolicyNow:
    """`rules`: by direction, as the current revision has them. `phone_numbers`: those that follow it."""

    id: int
    name: str
    revision: int
    rules: dict[str, dict[str, Any]]
    reason: str
    phone_numbers: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Now:
    """`phone_numbers`: which policy each follows, by name."""

    policies: dict[str, PolicyNow]
    phone_numbers: dict[str, str]
    public_keys: dict[str, PublicKey]


def load() -> Now:
    """Of the workspace in scope."""
    rows = CountryPolicy.objects.select_related("current_revision").order_by("name")
    policies = {row.name: _policy(row) for row in rows}
    names = {policy.id: policy.name for policy in policies.values()}
    numbers: dict[str, str] = {}
    followers: dict[int, list[str]] = defaultdict(list)
    for e164, policy_id in PhoneNumber.objects.order_by("e164").values_list("e164", "policy_id"):
        numbers[e164] = names[policy_id]
        followers[policy_id].append(e164)
    for policy in policies.values():
        policy.phone_numbers.extend(followers[policy.id])
    return Now(policies, numbers, {key.name: key for key in PublicKey.objects.order_by("name")})


def _policy(row: CountryPolicy) -> PolicyNow:
    revision = row.current_revision
    assert revision is not None  # noqa: S101  (a policy is created together with its first revision)
    rules = {"inbound": revision.inbound, "outbound": revision.outbound}
    return PolicyNow(row.pk, row.name, revision.number, rules, revision.reason)
