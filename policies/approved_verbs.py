"""How each verb is carried out once a second person has agreed, from the arguments that were kept as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from accounts import workspaces
from accounts.audit import Acting
from accounts.models import Workspace
from accounts.scoping import current_workspace_id
from policies import actions, answering, opens
from policies.models import CountryPolicy, PhoneNumber
from policies.wishes import default_version, policy_version

Arguments = Mapping[str, Any]


def create_country_policy(given: Arguments, *, acting_user: Acting, now: datetime) -> None:
    actions.create_country_policy(workspace_id=current_workspace_id(), acting_user=acting_user, now=now, **given)


def edit_country_policy(given: Arguments, *, acting_user: Acting, now: datetime) -> None:
    rest = {name: value for name, value in given.items() if name != "policy"}
    actions.edit_country_policy(policy=_policy(given), acting_user=acting_user, now=now, **rest)


def revert_country_policy(given: Arguments, *, acting_user: Acting, now: datetime) -> None:
    rest = {name: value for name, value in given.items() if name != "policy"}
    actions.revert_country_policy(policy=_policy(given), acting_user=acting_user, now=now, **rest)


def edit_phone_number(given: Arguments, *, acting_user: Acting, now: datetime) -> None:
    rest = {name: value for name, value in given.items() if name != "phone_number"}
    actions.edit_phone_number(phone_number=_number(given), acting_user=acting_user, now=now, **rest)


def observe_phone_number(given: Arguments, *, acting_user: Acting, now: datetime) -> None:
    observing = PhoneNumber.Mode.OBSERVING.value
    answering.edit_answering(phone_number=_number(given), mode=observing, acting_user=acting_user, now=now)


def assign_country_policy(given: Arguments, *, acting_user: Acting, now: datetime) -> None:
    actions.assign_country_policy(phone_number=_number(given), policy=_policy(given), acting_user=acting_user, now=now)


def make_default(given: Arguments, *, acting_user: Acting, now: datetime) -> None:
    actions.make_default(policy=_policy(given), acting_user=acting_user, now=now)


def open_temporarily(given: Arguments, *, acting_user: Acting, now: datetime) -> None:
    rest = {**given, "expires_at": datetime.fromisoformat(given["expires_at"])}
    opens.open_temporarily(workspace_id=current_workspace_id(), acting_user=acting_user, now=now, **rest)


def change_approval_tier(given: Arguments, *, acting_user: Acting, now: datetime) -> None:
    workspace = Workspace.objects.get(pk=current_workspace_id())
    workspaces.change_settings(workspace=workspace, acting_user=acting_user, now=now, **given)


# --- What the proposer had before them, as it is now -------------------------------------------------


def version_of_policy(given: Arguments) -> str:
    policy = CountryPolicy.objects.select_related("current_revision").filter(pk=given["policy"]).first()
    return policy_version(policy) if policy else ""


def version_of_number(given: Arguments) -> str:
    rows = PhoneNumber.objects.select_related("policy__current_revision")
    number = rows.filter(pk=given["phone_number"]).first()
    return policy_version(number.policy) if number else ""


def version_of_assignment(given: Arguments) -> str:
    return f"{version_of_number(given)} {version_of_policy(given)}"


def version_of_default(given: Arguments) -> str:
    rows = CountryPolicy.objects.select_related("current_revision")
    policy = rows.filter(pk=given["policy"]).first()
    return default_version(rows.filter(is_default=True).first(), policy) if policy else ""


def approval_tier(given: Arguments) -> str:
    found: str = Workspace.objects.values_list("approval_tier", flat=True).get(pk=current_workspace_id())
    return found


def _policy(given: Arguments) -> CountryPolicy:
    found: CountryPolicy = CountryPolicy.objects.get(pk=given["policy"])
    return found


def _number(given: Arguments) -> PhoneNumber:
    found: PhoneNumber = PhoneNumber.objects.get(pk=given["phone_number"])
    return found
