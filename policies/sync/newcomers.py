"""Numbers that UponAI has and the console has not yet: the rows they become, in a few statements for all of them.

Called inside a transaction that has its turn in the workspace; see `importing`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from accounts import audit
from accounts.audit import Acting, Note
from accounts.countries import CODES, NO_TELEPHONES, is_sanctioned
from accounts.models import User, Workspace
from accounts.models.people import NewNumbers
from policies import bells, held
from policies.models import CountryPolicy, PhoneNumber, PolicyRevision, SyncTarget
from policies.rules_input import direction_rules
from policies.sync import bindings, lists
from policies.uponai.payloads import ProviderNumber

AS_FOUND = "As found at UponAI."
NO_RULES = {"mode": "list", "countries": [], "class_rules": {}, "prefix_rules": []}


@dataclass(frozen=True, slots=True)
class Adopted:
    """The numbers that became ours, by what became of them."""

    as_found: tuple[str, ...] = ()
    default_policy: tuple[str, ...] = ()
    flagged: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.as_found) + len(self.default_policy) + len(self.flagged)


def policy_for_newcomers(workspace: Workspace) -> CountryPolicy | None:
    """The policy that numbers follow at once which appear now; None where they stay as found and are flagged."""
    if workspace.new_numbers != NewNumbers.DEFAULT_POLICY:
        return None
    default: CountryPolicy | None = (
        CountryPolicy.objects.filter(is_default=True).select_related("current_revision").first()
    )
    return default


def adopt(
    workspace: Workspace, numbers: Sequence[ProviderNumber], *, is_first: bool, acting_user: Acting, now: datetime
) -> Adopted:
    """Writes the rows of numbers that are not ours yet. Raises nothing that one number could cause for the others."""
    shared = None if is_first else policy_for_newcomers(workspace)
    policies = _own_policies(workspace, numbers, acting_user=acting_user, now=now) if shared is None else {}
    flagged_since = None if is_first or shared else now
    rows = PhoneNumber.objects.bulk_create(
        PhoneNumber(
            workspace=workspace,
            e164=number.phone_number,
            nickname=number.nickname[:120],
            policy=shared or policies[number.phone_number],
            imported_at=now,
            found=found_of(number, workspace.endpoint),
            flagged_since=flagged_since,
            asks_console=_asks_us(number, workspace.endpoint),
            **facts_of(number),
        )
        for number in numbers
    )
    _sync_targets(workspace, rows, numbers, now=now)
    if not is_first:
        _audit_newcomers(rows, acting_user=acting_user, now=now)
    e164s = tuple(row.e164 for row in rows)
    if is_first:
        return Adopted(as_found=e164s)
    return Adopted(default_policy=e164s) if shared else Adopted(flagged=e164s)


def facts_of(number: ProviderNumber) -> dict[str, Any]:
    """What UponAI tells of a number, beside its lists."""
    return {
        "number_type": number.phone_number_type[:40],
        "inbound_agents": list(number.inbound_agents),
        "outbound_agents": list(number.outbound_agents),
        "inbound_webhook_url": (number.inbound_webhook_url or "")[: bindings.LONGEST_URL],
        "inbound_sms_webhook_url": (number.inbound_sms_webhook_url or "")[: bindings.LONGEST_URL],
        "missing_since": None,
    }


def found_of(number: ProviderNumber, endpoint: str) -> dict[str, Any]:
    """What can be put back at UponAI one day. Our own address is nothing that was there before us."""
    before = {name: getattr(number, name) for name in bindings.WEBHOOKS}
    webhooks = {name: None if bindings.is_ours(url, endpoint) else url for name, url in before.items()}
    return {"lists": lists.of_number(number).as_json(), **webhooks}


def rules_of(countries: frozenset[str] | None) -> dict[str, Any]:
    """The rules that say what UponAI's list says. What can never be allowed is left out, so the next push cleans it."""
    if countries is None:
        return {"mode": "unrestricted", "countries": []}
    allowed = sorted(code for code in countries if code in CODES and not is_sanctioned(code))
    return {"mode": "list", "countries": allowed or [NO_TELEPHONES]}


def _asks_us(number: ProviderNumber, endpoint: str) -> bool:
    """Somebody entered this console's address at UponAI by hand: from now on it is what is wanted."""
    return all(getattr(number, name) == bindings.address_of(endpoint) for name in bindings.WEBHOOKS)


def _own_policies(
    workspace: Workspace, numbers: Sequence[ProviderNumber], *, acting_user: Acting, now: datetime
) -> dict[str, CountryPolicy]:
    names = _free_names([number.phone_number for number in numbers])
    policies = CountryPolicy.objects.bulk_create(
        CountryPolicy(workspace=workspace, name=next(names), created_at=now) for _ in numbers
    )
    revisions = PolicyRevision.objects.bulk_create(
        PolicyRevision(
            workspace=workspace,
            policy=policy,
            number=1,
            reason=AS_FOUND,
            created_at=now,
            created_by=acting_user if isinstance(acting_user, User) else None,
            **{direction: _stored(countries, direction) for direction, countries in _both(number)},
        )
        for policy, number in zip(policies, numbers, strict=True)
    )
    for policy, revision in zip(policies, revisions, strict=True):
        policy.current_revision = revision
    CountryPolicy.objects.bulk_update(policies, ["current_revision"], batch_size=200)
    notes = [
        Note(
            "country_policy.create",
            policy,
            after={"revision": 1, "inbound": revision.inbound, "outbound": revision.outbound},
            reason=AS_FOUND,
        )
        for policy, revision in zip(policies, revisions, strict=True)
    ]
    audit.record_all(workspace_id=workspace.pk, notes=notes, acting_user=acting_user, now=now)
    return {number.phone_number: policy for number, policy in zip(numbers, policies, strict=True)}


def _both(number: ProviderNumber) -> tuple[tuple[str, frozenset[str] | None], ...]:
    return ("inbound", number.inbound_countries), ("outbound", number.outbound_countries)


def _stored(countries: frozenset[str] | None, direction: str) -> dict[str, Any]:
    return direction_rules(NO_RULES, rules_of(countries), field=direction, confirmed=True, reason=AS_FOUND)


def _free_names(wanted: Sequence[str]) -> Iterator[str]:
    taken = set(CountryPolicy.objects.values_list("name", flat=True))
    for name in wanted:
        free = next(one for one in (name, *(f"{name} {count}" for count in range(2, 1000))) if one not in taken)
        taken.add(free)
        yield free


def _sync_targets(
    workspace: Workspace, rows: Sequence[PhoneNumber], numbers: Sequence[ProviderNumber], *, now: datetime
) -> None:
    """One whose lists UponAI has already is synced; the others are due at once."""
    holds, opens = held.of_lists(now), held.opens_of_lists(now)
    targets = []
    for row, number in zip(rows, numbers, strict=True):
        seen, revision = lists.of_number(number), row.policy.current_revision
        assert revision is not None  # noqa: S101  (a policy is created together with its first revision)
        in_order = lists.desired(revision, e164=row.e164, holds=holds, opens=opens).same_as(seen)
        targets.append(
            SyncTarget(
                workspace=workspace,
                phone_number=row,
                state=SyncTarget.State.SYNCED if in_order else SyncTarget.State.PENDING,
                desired_at=now,
                applied_generation=1 if in_order else 0,
                applied=seen.as_json() if in_order else None,
                applied_at=now if in_order else None,
                observed=seen.as_json(),
                verified_at=now,
                due_at=None if in_order else now,
            )
        )
    due = [target.pk for target in SyncTarget.objects.bulk_create(targets) if target.due_at]
    if due:
        transaction.on_commit(lambda: bells.ring_push(due))


def _audit_newcomers(rows: Sequence[PhoneNumber], *, acting_user: Acting, now: datetime) -> None:
    notes = [
        Note(
            "phone_number.appear",
            row,
            after={"policy": row.policy.name, "flagged": row.flagged_since is not None, "found": row.found},
        )
        for row in rows
    ]
    audit.record_all(workspace_id=rows[0].workspace_id, notes=notes, acting_user=acting_user, now=now)
