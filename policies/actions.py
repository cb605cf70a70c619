"""Every change of a country policy, and of what a phone number follows.

Each verb writes the revision, the audit entry and the due rows of the sync in one transaction; once that is
committed, the gate is told and the worker is rung. Losing the bell only delays: the rows are the schedule.
What widens may need a second person: then `widening.NeedsApproval` undoes it.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from accounts import audit
from accounts.audit import Acting
from accounts.models import User
from accounts.workspaces import taking_turns
from policies import answering
from policies.changes import make_due, only_closes, tell
from policies.models import CountryPolicy, PhoneNumber, PolicyRevision, SyncTarget
from policies.rules_input import KEEP, FieldProblem, Refused, country_list_rules, direction_rules
from policies.wishes import Asking

__all__ = [
    "KEEP",
    "Edit",
    "FieldProblem",
    "Refused",
    "StaleEdit",
    "assign_country_policy",
    "create_country_policy",
    "edit_country_policy",
    "edit_phone_number",
    "edited_rules",
    "make_default",
    "revert_country_policy",
    "version_of",
]

NAME_LENGTH = CountryPolicy._meta.get_field("name").max_length


class StaleEdit(Exception):
    """Somebody else changed it since it was looked at; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Edit:
    """`notice` says in words what the editor might not expect; `changed` is False where all was so already."""

    phone_number: PhoneNumber
    notice: str
    changed: bool


def version_of(phone_number: PhoneNumber) -> str:
    """Changes whenever something that can be edited about the number changes."""
    revision = phone_number.policy.current_revision
    assert revision is not None  # noqa: S101  (a policy is created together with its first revision)
    rest = [getattr(phone_number, name) for name in ("nickname", "closed_when_down", *answering.FIELDS)]
    return f"{phone_number.policy_id}-{revision.number}-{zlib.crc32(repr(rest).encode()):08x}"


def edit_phone_number(
    *,
    phone_number: PhoneNumber,
    acting_user: Acting,
    now: datetime,
    nickname: Any = KEEP,
    inbound_countries: Any = KEEP,
    outbound_countries: Any = KEEP,
    confirm_unrestricted: bool = False,
    reason: str = "",
    expected_version: str | None = None,
) -> Edit:
    """Changes a number's nickname and the countries of its policy; None lifts a restriction.

    A policy that other numbers follow too is left to them: this number gets a copy of its own.
    Raises Refused naming the field, StaleEdit when `expected_version` is no longer the number's version.
    """
    with taking_turns(phone_number.workspace_id):
        number = _locked_number(phone_number)
        if expected_version is not None and expected_version != version_of(number):
            raise StaleEdit
        current = _current(number.policy)
        confirmation = {"confirmed": confirm_unrestricted, "reason": reason}
        inbound, outbound = current.inbound, current.outbound
        if inbound_countries is not KEEP:
            inbound = country_list_rules(
                inbound, inbound_countries, field="allowed_inbound_country_list", **confirmation
            )
        if outbound_countries is not KEEP:
            outbound = country_list_rules(
                outbound, outbound_countries, field="allowed_outbound_country_list", **confirmation
            )
        renamed = _rename(number, nickname, acting_user=acting_user, now=now)
        if (inbound, outbound) == (current.inbound, current.outbound):
            return Edit(number, "", renamed)
        notice = _fork_if_shared(number, acting_user=acting_user, now=now)
        rules = {"inbound": inbound, "outbound": outbound}
        _add_revision(number.policy, reason=reason, acting_user=acting_user, now=now, **rules)
        given = {"nickname": nickname, "inbound_countries": inbound_countries, "outbound_countries": outbound_countries}
        given["confirm_unrestricted"] = confirm_unrestricted
        Asking(acting_user=acting_user, now=now).to_edit_number(number, current, rules, given, reason)
    return Edit(number, notice, True)


def create_country_policy(
    *,
    workspace_id: int,
    name: str,
    inbound: Any,
    outbound: Any,
    acting_user: Acting,
    now: datetime,
    confirm_unrestricted: bool = False,
    reason: str = "",
) -> CountryPolicy:
    """Makes a policy with its first revision. Raises Refused naming the field."""
    confirmation = {"confirmed": confirm_unrestricted, "reason": reason}
    nothing = {"mode": "list", "countries": [], "class_rules": {}, "prefix_rules": []}
    rules = {
        "inbound": direction_rules(nothing, inbound, field="inbound", **confirmation),
        "outbound": direction_rules(nothing, outbound, field="outbound", **confirmation),
    }
    with taking_turns(workspace_id):
        policy = CountryPolicy(workspace_id=workspace_id, name=_checked_name(name), created_at=now)
        policy.save()
        _add_revision(policy, reason=reason, acting_user=acting_user, now=now, **rules)
        given = {"inbound": inbound, "outbound": outbound, "confirm_unrestricted": confirm_unrestricted}
        Asking(acting_user=acting_user, now=now).to_create_policy(policy, rules, given, reason)
    return policy


def edit_country_policy(
    *,
    policy: CountryPolicy,
    acting_user: Acting,
    now: datetime,
    name: Any = KEEP,
    inbound: Any = KEEP,
    outbound: Any = KEEP,
    confirm_unrestricted: bool = False,
    reason: str = "",
    expected_revision: int | None = None,
) -> PolicyRevision:
    """Changes a policy for all numbers that follow it; answers the revision now in force.

    `inbound` and `outbound` may name only what changes. Raises Refused naming the field, StaleEdit when
    `expected_revision` is no longer the current one.
    """
    with taking_turns(policy.workspace_id):
        policy = _locked_policy(policy.pk)
        current = _current(policy)
        if expected_revision is not None and expected_revision != current.number:
            raise StaleEdit
        rules = edited_rules(current, inbound, outbound, confirm_unrestricted=confirm_unrestricted, reason=reason)
        if name is not KEEP and name != policy.name:
            _rename_policy(policy, name, acting_user=acting_user, now=now)
        if rules == {"inbound": current.inbound, "outbound": current.outbound}:
            return current
        revision = _add_revision(policy, reason=reason, acting_user=acting_user, now=now, **rules)
        given = {"name": name, "inbound": inbound, "outbound": outbound, "confirm_unrestricted": confirm_unrestricted}
        Asking(acting_user=acting_user, now=now).to_edit_policy(policy, current, rules, given, reason)
        return revision


def edited_rules(
    current: PolicyRevision, inbound: Any, outbound: Any, *, confirm_unrestricted: bool = False, reason: str = ""
) -> dict[str, dict[str, Any]]:
    """Both directions of a policy as an edit would make them. Raises Refused naming the field."""
    rules = {"inbound": current.inbound, "outbound": current.outbound}
    for direction, given in (("inbound", inbound), ("outbound", outbound)):
        if given is not KEEP:
            rules[direction] = direction_rules(
                rules[direction], given, field=direction, confirmed=confirm_unrestricted, reason=reason
            )
    return rules


def revert_country_policy(
    *, policy: CountryPolicy, revision_number: int, acting_user: Acting, now: datetime, reason: str = ""
) -> PolicyRevision:
    """Makes the rules of an earlier revision the newest one. Raises Refused when there is no such revision."""
    with taking_turns(policy.workspace_id):
        policy = _locked_policy(policy.pk)
        earlier = PolicyRevision.objects.filter(policy=policy, number=revision_number).first()
        if earlier is None:
            raise Refused.one("revision", "not_found", f"This policy has no revision {revision_number}.")
        current = _current(policy)
        if (earlier.inbound, earlier.outbound) == (current.inbound, current.outbound):
            return current
        current = _current(policy)
        revision = _add_revision(
            policy,
            inbound=earlier.inbound,
            outbound=earlier.outbound,
            reason=reason or f"Back to revision {revision_number}.",
            acting_user=acting_user,
            now=now,
        )
        Asking(acting_user=acting_user, now=now).to_revert_policy(policy, current, earlier, reason)
        return revision


def assign_country_policy(
    *, phone_number: PhoneNumber, policy: CountryPolicy, acting_user: Acting, now: datetime
) -> None:
    """Lets a number follow another policy of its workspace."""
    with taking_turns(phone_number.workspace_id):
        number = _locked_number(phone_number)
        policy = _locked_policy(policy.pk)
        if number.policy_id == policy.pk:
            return
        before, number.policy = number.policy, policy
        number.flagged_since = None
        number.save(update_fields=["policy", "flagged_since"])
        make_due(SyncTarget.objects.filter(phone_number=number), now=now)
        tell(
            number.workspace_id,
            action="phone_number.assign_policy",
            subject=number,
            acting_user=acting_user,
            now=now,
            before={"policy": before.name},
            after={"policy": policy.name},
        )
        Asking(acting_user=acting_user, now=now).to_assign_policy(number, before)


def make_default(*, policy: CountryPolicy, acting_user: Acting, now: datetime) -> None:
    """Makes this the policy that numbers follow which appear at UponAI later."""
    with taking_turns(policy.workspace_id):
        before = CountryPolicy.objects.select_related("current_revision").filter(is_default=True).first()
        CountryPolicy.objects.filter(is_default=True).update(is_default=False)
        CountryPolicy.objects.filter(pk=policy.pk).update(is_default=True)
        tell(
            policy.workspace_id,
            action="country_policy.make_default",
            subject=policy,
            acting_user=acting_user,
            now=now,
            before={"default": before.name if before else None},
            after={"default": policy.name},
        )
        Asking(acting_user=acting_user, now=now).to_make_default(_locked_policy(policy.pk), before)


def _locked_number(phone_number: PhoneNumber) -> PhoneNumber:
    """The number and then its policy, locked in this order everywhere, so that no two editors wait for each other."""
    number: PhoneNumber = PhoneNumber.objects.select_for_update().get(pk=phone_number.pk)
    number.policy = _locked_policy(number.policy_id)
    return number


def _locked_policy(policy_id: int) -> CountryPolicy:
    """The policy, locked, with the revision that is current now that it is.

    Not joined: PostgreSQL would read the revision as it was before it waited for the lock.
    """
    policy: CountryPolicy = CountryPolicy.objects.select_for_update().get(pk=policy_id)
    policy.current_revision = PolicyRevision.objects.get(pk=policy.current_revision_id)
    return policy


def _current(policy: CountryPolicy) -> PolicyRevision:
    revision = policy.current_revision
    assert revision is not None  # noqa: S101  (a policy is created together with its first revision)
    return revision


def _add_revision(
    policy: CountryPolicy,
    *,
    inbound: dict[str, Any],
    outbound: dict[str, Any],
    reason: str,
    acting_user: Acting,
    now: datetime,
) -> PolicyRevision:
    before = policy.current_revision
    revision: PolicyRevision = PolicyRevision.objects.create(
        policy=policy,
        number=before.number + 1 if before else 1,
        inbound=inbound,
        outbound=outbound,
        reason=reason,
        created_at=now,
        created_by=acting_user if isinstance(acting_user, User) else None,
    )
    policy.current_revision = revision
    policy.save(update_fields=["current_revision"])
    closes = before is not None and only_closes(_facts(before), _facts(revision))
    make_due(SyncTarget.objects.filter(phone_number__policy=policy), now=now, urgent=closes)
    tell(
        policy.workspace_id,
        action="country_policy.edit" if before else "country_policy.create",
        subject=policy,
        acting_user=acting_user,
        now=now,
        before=_facts(before),
        after=_facts(revision),
        reason=reason,
    )
    return revision


def _facts(revision: PolicyRevision | None) -> dict[str, Any] | None:
    if revision is None:
        return None
    return {"revision": revision.number, "inbound": revision.inbound, "outbound": revision.outbound}


def _fork_if_shared(number: PhoneNumber, *, acting_user: Acting, now: datetime) -> str:
    shared = number.policy
    others = PhoneNumber.objects.filter(policy=shared).exclude(pk=number.pk).count()
    if not others:
        return ""
    current = _current(shared)
    fork = CountryPolicy(
        workspace_id=number.workspace_id,
        name=free_name(f"{number.e164} (from {shared.name})"),
        created_at=now,
    )
    fork.save()
    first = PolicyRevision.objects.create(
        policy=fork,
        number=1,
        inbound=current.inbound,
        outbound=current.outbound,
        reason=f"Copy of {shared.name}, revision {current.number}.",
        created_at=now,
        created_by=acting_user if isinstance(acting_user, User) else None,
    )
    fork.current_revision = first
    fork.save(update_fields=["current_revision"])
    number.policy = fork
    number.save(update_fields=["policy"])
    audit.record(
        workspace_id=number.workspace_id,
        action="phone_number.fork_policy",
        subject=number,
        acting_user=acting_user,
        now=now,
        before={"policy": shared.name},
        after={"policy": fork.name},
    )
    kept = "1 other number keeps" if others == 1 else f"{others} other numbers keep"
    return f"This number now follows a policy of its own, “{fork.name}”; {kept} “{shared.name}” as it was."


def _rename(number: PhoneNumber, nickname: Any, *, acting_user: Acting, now: datetime) -> bool:
    if nickname is KEEP or nickname == number.nickname:
        return False
    longest = PhoneNumber._meta.get_field("nickname").max_length
    if not isinstance(nickname, str) or len(nickname) > longest:
        raise Refused.one("nickname", "invalid", f"nickname must be text of at most {longest} characters.")
    before, number.nickname = number.nickname, nickname
    number.save(update_fields=["nickname"])
    audit.record(
        workspace_id=number.workspace_id,
        action="phone_number.rename",
        subject=number,
        acting_user=acting_user,
        now=now,
        before={"nickname": before},
        after={"nickname": nickname},
    )
    return True


def _rename_policy(policy: CountryPolicy, name: Any, *, acting_user: Acting, now: datetime) -> None:
    before, policy.name = policy.name, _checked_name(name)
    policy.save(update_fields=["name"])
    audit.record(
        workspace_id=policy.workspace_id,
        action="country_policy.rename",
        subject=policy,
        acting_user=acting_user,
        now=now,
        before={"name": before},
        after={"name": policy.name},
    )


def _checked_name(name: Any) -> str:
    if not isinstance(name, str) or not name.strip() or len(name) > NAME_LENGTH:
        raise Refused.one("name", "invalid", f"name must be text of 1 to {NAME_LENGTH} characters.")
    if CountryPolicy.objects.filter(name=name.strip()).exists():
        raise Refused.one("name", "taken", f"There is a country policy named “{name.strip()}” already.")
    return name.strip()


def free_name(wanted: str) -> str:
    """`wanted`, or the next one like it that no policy of this workspace has."""
    taken = set(CountryPolicy.objects.values_list("name", flat=True))
    candidates = (wanted[: NAME_LENGTH - 4] + suffix for suffix in _suffixes())
    return next(name for name in candidates if name not in taken)


def _suffixes() -> Iterable[str]:
    yield ""
    yield from (f" {number}" for number in range(2, 1000))
