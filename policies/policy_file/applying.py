"""Carries a policy file through: all of it in one transaction, by the verbs that people use, or none of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError

from accounts import audit, keys
from accounts.audit import Acting
from accounts.models import PublicKey, Workspace
from accounts.scoping import current_workspace_id
from accounts.workspaces import taking_turns
from policies import actions, bulk, widening
from policies.actions import FieldProblem, Refused, StaleEdit
from policies.models import CountryPolicy, PhoneNumber
from policies.policy_file import fingerprint, words
from policies.policy_file.difference import KeyChange, Plan, PolicyChange, plan
from policies.policy_file.fingerprint import Moved
from policies.policy_file.problems import BadPolicyFile, FileProblem
from policies.policy_file.reading import Source, read_object
from policies.widening import Widening, Wish

ORIGIN = "policy file"


@dataclass(frozen=True, slots=True)
class Outcome:
    """`plan`: what was done; without any change, there was nothing to do."""

    plan: Plan

    @property
    def state(self) -> str:
        return "applied" if self.plan else "nothing_to_do"

    def as_json(self) -> dict[str, Any]:
        return self.plan.as_json() | {"state": self.state}


def carry_through(*, workspace: Workspace, source: Source, made_of: Any, acting_user: Acting, now: datetime) -> Outcome:
    """Makes the workspace as the file says. Doing it twice does nothing the second time.

    `made_of`: the plan that was agreed to, whole or its fingerprint; None for whatever the difference is now. Raises
    BadPolicyFile naming every field, and Moved where what that plan looked at is no longer so. Where some of it needs a
    second person, NeedsApproval for the whole file: nothing was changed.
    """
    origin = audit.current_origin() | {"via": ORIGIN}
    # Whoever changes anything of what the plan looks at takes turns with us, so nothing moves from here on.
    with taking_turns(workspace.pk), audit.origin(**origin):
        found = plan(workspace=workspace, source=source)
        if made_of is not None:
            fingerprint.compare(made_of, found.looked_at, done=not found)
        try:
            wish = _wish(source, found)
            with widening.together(wish, acting_user=acting_user, now=now):
                _change(found, acting_user=acting_user, now=now)
                widening.require(wish, _opened(found), acting_user=acting_user, now=now)
        except Refused as refused:
            raise _as_problems(refused) from None
        except ValidationError as refused:
            raise BadPolicyFile.one("", "invalid", " ".join(refused.messages)) from None
    return Outcome(found)


def carry_out_approved(given: Mapping[str, Any], *, acting_user: Acting, now: datetime) -> None:
    """What `approvals` calls once a second person has agreed; `given` are the arguments of the wish."""
    workspace = Workspace.objects.get(pk=current_workspace_id())
    source = read_object(given["file"])
    try:
        carry_through(workspace=workspace, source=source, made_of=given["plan"], acting_user=acting_user, now=now)
    except Moved:
        raise StaleEdit from None
    except BadPolicyFile as bad:
        problems = [FieldProblem(problem.field, problem.code, problem.detail) for problem in bad.problems]
        raise Refused(problems) from None


def _wish(source: Source, found: Plan) -> Wish:
    """The whole file as one change, agreed to as it was planned or not at all."""
    return Wish(
        "apply_policy_file",
        about=f"The policy file of {found.workspace}: {words.summary(found)}",
        arguments={"file": source.value, "plan": found.fingerprint},
        base_version=found.fingerprint,
        reason=" ".join(dict.fromkeys(change.reason for change in found.policies if change.reason)),
    )


def _opened(found: Plan) -> Iterator[Widening]:
    """By numbers that are to follow another policy, whatever that one said before this file."""
    for move in found.assignments:
        about = words.numbers(move.phone_numbers)
        yield from widening.between(about, move.rules_before, move.rules_after, home_country=found.home_country)


def _change(found: Plan, *, acting_user: Acting, now: datetime) -> None:
    for change in found.policies:
        _change_policy(change, acting_user=acting_user, now=now)
    _assign(found, acting_user=acting_user, now=now)
    for key in found.public_keys:
        _change_key(key, acting_user=acting_user, now=now)


def _assign(found: Plan, *, acting_user: Acting, now: datetime) -> None:
    """All numbers that are to follow a policy in one go, however many they are."""
    wanted: dict[str, list[str]] = defaultdict(list)
    for move in found.assignments:
        wanted[move.after] += move.phone_numbers
    if not wanted:
        return
    policies = dict(CountryPolicy.objects.values_list("name", "pk"))
    numbers = dict(PhoneNumber.objects.values_list("e164", "pk"))
    for name, e164s in wanted.items():
        for start in range(0, len(e164s), bulk.MOST_NUMBERS):
            bulk.edit_phone_numbers(
                workspace_id=current_workspace_id(),
                phone_number_ids=[numbers[e164] for e164 in e164s[start : start + bulk.MOST_NUMBERS]],
                wanted={"policy": policies[name]},
                acting_user=acting_user,
                now=now,
            )


def _change_policy(change: PolicyChange, *, acting_user: Acting, now: datetime) -> None:
    given: dict[str, Any] = {name: direction.given for name, direction in change.wanted.items()}
    said: dict[str, Any] = {
        "confirm_unrestricted": any(direction.unrestricted for direction in change.wanted.values()),
        "reason": change.reason,
        "acting_user": acting_user,
        "now": now,
    }
    if change.revision is None:
        actions.create_country_policy(workspace_id=current_workspace_id(), name=change.name, **given, **said)
    else:
        policy = CountryPolicy.objects.get(name=change.name)
        actions.edit_country_policy(policy=policy, expected_revision=change.revision, **given, **said)


def _change_key(change: KeyChange, *, acting_user: Acting, now: datetime) -> None:
    if change.is_new:
        workspace = Workspace.objects.get(pk=current_workspace_id())
        keys.mint_public_key(
            workspace=workspace, acting_user=acting_user, now=now, captcha_follows=True, **change.facts
        )
    else:
        row = PublicKey.objects.get(name=change.name)
        keys.edit_public_key(public_key=row, acting_user=acting_user, now=now, captcha_follows=True, **change.facts)


def _as_problems(refused: Refused) -> BadPolicyFile:
    return BadPolicyFile(FileProblem(problem.field, problem.code, problem.detail) for problem in refused.problems)
