"""How each verb is carried out once a second person has agreed, from the arguments that were kept as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from accounts import keys, workspaces
from accounts.audit import Acting
from accounts.models import PublicKey, Workspace
from accounts.scoping import current_workspace_id
from policies import actions, answering, asking, connecting, opens, unjudging
from policies.loosened import version_of
from policies.models import CountryPolicy, PhoneNumber
from policies.sync import drifted
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


def change_settings(given: Arguments, *, acting_user: Acting, now: datetime) -> None:
    workspaces.change_settings(workspace=_workspace(), acting_user=acting_user, now=now, **given)


def adopt(given: Arguments, *, acting_user: Acting, now: datetime) -> None:
    rest = {name: value for name, value in given.items() if name != "phone_number"}
    drifted.adopt(phone_number=_number(given), acting_user=acting_user, now=now, **rest)


def ask_previous(given: Arguments, *, acting_user: Acting, now: datetime) -> None:
    wanted = set(given["phone_numbers"])
    numbers = [number for number in asking.numbers_there() if number.pk in wanted]
    asking.ask_previous(workspace=_workspace(), phone_numbers=numbers, acting_user=acting_user, now=now)


def leave_webhooks(given: Arguments, *, acting_user: Acting, now: datetime) -> None:
    asking.leave_webhooks(phone_number=_number(given), acting_user=acting_user, now=now)


def disconnect(given: Arguments, *, acting_user: Acting, now: datetime) -> None:
    connecting.disconnect(workspace=_workspace(), acting_user=acting_user, now=now, **given)


def mint_public_key(given: Arguments, *, acting_user: Acting, now: datetime) -> None:
    keys.mint_public_key(workspace=_workspace(), acting_user=acting_user, now=now, **given["changes"])


def edit_public_key(given: Arguments, *, acting_user: Acting, now: datetime) -> None:
    key = PublicKey.objects.get(pk=given["public_key"])
    keys.edit_public_key(public_key=key, acting_user=acting_user, now=now, **given["changes"])


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


def version_of_settings(given: Arguments) -> str:
    workspace = _workspace()
    return version_of({name: getattr(workspace, name) for name in given})


def version_to_adopt(given: Arguments) -> str:
    return drifted.version_to_adopt(given["phone_number"])


def version_of_numbers(given: Arguments) -> str:
    return unjudging.version_of(given["phone_numbers"])


def version_of_webhooks(given: Arguments) -> str:
    return unjudging.version_of([given["phone_number"]])


def version_of_connection(_: Arguments) -> str:
    return unjudging.version_of(None)


def version_of_key(given: Arguments) -> str:
    key = PublicKey.objects.filter(pk=given["public_key"]).first()
    return version_of({name: getattr(key, name) for name in keys.EDITABLE}) if key else ""


def _workspace() -> Workspace:
    found: Workspace = Workspace.objects.get(pk=current_workspace_id())
    return found


def _policy(given: Arguments) -> CountryPolicy:
    found: CountryPolicy = CountryPolicy.objects.get(pk=given["policy"])
    return found


def _number(given: Arguments) -> PhoneNumber:
    found: PhoneNumber = PhoneNumber.objects.get(pk=given["phone_number"])
    return found
