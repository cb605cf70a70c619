"""What the verbs of `actions` would ask a second person for, in the shape that `approvals` carries out later."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from accounts.audit import Acting
from policies import widening
from policies.models import CountryPolicy, PhoneNumber, PolicyRevision
from policies.rules_input import KEEP
from policies.widening import Wish

Rules = Mapping[str, Mapping[str, Any]]
"""{"inbound": …, "outbound": …}, as in a revision."""


def policy_version(policy: CountryPolicy) -> str:
    """Changes whenever the policy's rules do."""
    revision = policy.current_revision
    assert revision is not None  # noqa: S101  (a policy is created together with its first revision)
    return f"{policy.pk}-{revision.number}"


def default_version(default: CountryPolicy | None, policy: CountryPolicy) -> str:
    """Changes whenever the default policy does, or the one that is to be it."""
    return f"{policy_version(default) if default else ''} {policy_version(policy)}"


def rules_of(policy: CountryPolicy) -> Rules:
    revision = policy.current_revision
    assert revision is not None  # noqa: S101  (a policy is created together with its first revision)
    return {"inbound": revision.inbound, "outbound": revision.outbound}


class Asking:
    """Whether what was just written needs a second person. Each question raises NeedsApproval where it does."""

    def __init__(self, *, acting_user: Acting, now: datetime) -> None:
        self.acting_user, self.now = acting_user, now

    def to_edit_number(
        self, number: PhoneNumber, base: PolicyRevision, rules: Rules, given: dict[str, Any], reason: str
    ) -> None:
        wish = Wish(
            "edit_phone_number",
            about=f"The countries of {number.e164}",
            arguments=_given(phone_number=number.pk, reason=reason, **given),
            base_version=f"{base.policy_id}-{base.number}",
            about_model="phonenumber",
            about_id=number.pk,
            reason=reason,
        )
        self._ask(wish, number.e164, _rules(base), rules)

    def to_create_policy(self, policy: CountryPolicy, rules: Rules, given: dict[str, Any], reason: str) -> None:
        wish = Wish(
            "create_country_policy",
            about=f"A new country policy, “{policy.name}”",
            arguments=_given(name=policy.name, reason=reason, **given),
            reason=reason,
        )
        self._ask(wish, policy.name, None, rules)

    def to_edit_policy(
        self, policy: CountryPolicy, base: PolicyRevision, rules: Rules, given: dict[str, Any], reason: str
    ) -> None:
        wish = Wish(
            "edit_country_policy",
            about=f"Country policy “{policy.name}”",
            arguments=_given(policy=policy.pk, reason=reason, **given),
            base_version=f"{policy.pk}-{base.number}",
            about_model="countrypolicy",
            about_id=policy.pk,
            reason=reason,
        )
        self._ask(wish, policy.name, _rules(base), rules)

    def to_revert_policy(
        self, policy: CountryPolicy, base: PolicyRevision, earlier: PolicyRevision, reason: str
    ) -> None:
        wish = Wish(
            "revert_country_policy",
            about=f"Country policy “{policy.name}”, back to revision {earlier.number}",
            arguments={"policy": policy.pk, "revision_number": earlier.number, "reason": reason},
            base_version=f"{policy.pk}-{base.number}",
            about_model="countrypolicy",
            about_id=policy.pk,
            reason=reason,
        )
        self._ask(wish, policy.name, _rules(base), _rules(earlier))

    def to_assign_policy(self, number: PhoneNumber, before: CountryPolicy) -> None:
        wish = Wish(
            "assign_country_policy",
            about=f"{number.e164} follows “{number.policy.name}”",
            arguments={"phone_number": number.pk, "policy": number.policy_id},
            base_version=f"{policy_version(before)} {policy_version(number.policy)}",
            about_model="phonenumber",
            about_id=number.pk,
        )
        self._ask(wish, number.e164, rules_of(before), rules_of(number.policy))

    def to_make_default(self, policy: CountryPolicy, before: CountryPolicy | None) -> None:
        wish = Wish(
            "make_default",
            about=f"“{policy.name}” as the policy of numbers that appear later",
            arguments={"policy": policy.pk},
            base_version=default_version(before, policy),
            about_model="countrypolicy",
            about_id=policy.pk,
        )
        self._ask(wish, policy.name, rules_of(before) if before else None, rules_of(policy))

    def to_observe_number(self, number: PhoneNumber) -> None:
        """Nothing of its rules is enforced meanwhile; UponAI's country lists stay."""
        wish = Wish(
            "observe_phone_number",
            about=f"{number.e164} is only observed",
            arguments={"phone_number": number.pk},
            base_version=policy_version(number.policy),
            about_model="phonenumber",
            about_id=number.pk,
        )
        rules = rules_of(number.policy)
        observed = {name: {**part, "observing": True} for name, part in rules.items()}
        self._ask(wish, number.e164, rules, observed)

    def _ask(self, wish: Wish, about: str, before: Rules | None, after: Rules) -> None:
        found = widening.between(about, before, after)
        widening.require(wish, found, acting_user=self.acting_user, now=self.now)


def _rules(revision: PolicyRevision) -> Rules:
    return {"inbound": revision.inbound, "outbound": revision.outbound}


def _given(**arguments: Any) -> dict[str, Any]:
    """What is not kept as it is."""
    return {name: value for name, value in arguments.items() if value is not KEEP}
