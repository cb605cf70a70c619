"""UponAI's phone numbers → ours. Each new one gets a policy of its own that says what UponAI has today."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from accounts import audit, workspaces
from accounts.audit import Acting
from accounts.countries import CODES, NO_TELEPHONES, is_sanctioned
from accounts.models import Workspace
from policies import actions, bells, held
from policies.engine.holds import HoldSnapshot
from policies.models import PhoneNumber, SyncTarget
from policies.sync import lists
from policies.uponai import payloads
from policies.uponai.client import UponaiClient, UponaiTrouble
from policies.uponai.payloads import ProviderNumber

AS_FOUND = "As found at UponAI."


@dataclass(frozen=True, slots=True)
class ImportReport:
    """How many numbers UponAI has, and what that changed here. `missing`: ours that UponAI no longer lists."""

    found: int
    added: int
    changed: int
    missing: int


def import_numbers(*, workspace: Workspace, acting_user: Acting, now: datetime) -> ImportReport:
    """Brings all numbers of the workspace's UponAI account. Raises UponaiTrouble, NoUponaiKey; then nothing changed."""
    with UponaiClient(workspaces.uponai_key(workspace.pk)) as client:
        numbers = [_read(item) for item in client.list_phone_numbers()]
    with workspaces.taking_turns(workspace.pk):
        known = {row.e164: row for row in PhoneNumber.objects.select_related("sync_target")}
        new = [number for number in numbers if number.phone_number not in known]
        holds = held.of_lists(now)
        for number in new:
            _add(workspace.pk, number, holds, acting_user=acting_user, now=now)
        changed = sum(
            _refresh(known[number.phone_number], number) for number in numbers if number.phone_number in known
        )
        gone = known.keys() - {number.phone_number for number in numbers}
        missing = PhoneNumber.objects.filter(e164__in=gone, missing_since=None)
        report = ImportReport(len(numbers), len(new), changed, missing.update(missing_since=now))
        _tell(workspace, report, acting_user=acting_user, now=now)
    return report


def _tell(workspace: Workspace, report: ImportReport, *, acting_user: Acting, now: datetime) -> None:
    version = workspaces.bump_snapshot(workspace.pk)
    audit.record(
        workspace_id=workspace.pk,
        action="workspace.import_numbers",
        subject=workspace,
        acting_user=acting_user,
        now=now,
        after=asdict(report),
    )
    transaction.on_commit(lambda: bells.publish_snapshot(workspace.pk, version))


def _read(item: Any) -> ProviderNumber:
    try:
        return payloads.read_number(item)
    except payloads.PayloadError as problem:
        raise UponaiTrouble(f"UponAI's list of phone numbers is not in the agreed form: {problem}") from None


def _add(
    workspace_id: int,
    number: ProviderNumber,
    holds: Sequence[HoldSnapshot],
    *,
    acting_user: Acting,
    now: datetime,
) -> None:
    policy = actions.create_country_policy(
        workspace_id=workspace_id,
        name=actions.free_name(number.phone_number),
        inbound=_rules(number.inbound_countries),
        outbound=_rules(number.outbound_countries),
        acting_user=acting_user,
        now=now,
        confirm_unrestricted=True,
        reason=AS_FOUND,
    )
    row: PhoneNumber = PhoneNumber.objects.create(
        e164=number.phone_number,
        nickname=number.nickname[:120],
        policy=policy,
        imported_at=now,
        **_facts(number),
    )
    seen = lists.of_number(number)
    revision = policy.current_revision
    in_order = revision is not None and lists.desired(revision, e164=row.e164, holds=holds).same_as(seen)
    target: SyncTarget = SyncTarget.objects.create(
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
    if not in_order:
        transaction.on_commit(lambda: bells.ring_push([target.pk]))


def _rules(countries: frozenset[str] | None) -> dict[str, Any]:
    """The rules that say what UponAI's list says. What can never be allowed is left out, so the next push cleans it."""
    if countries is None:
        return {"mode": "unrestricted", "countries": []}
    allowed = sorted(code for code in countries if code in CODES and not is_sanctioned(code))
    return {"mode": "list", "countries": allowed or [NO_TELEPHONES]}


def _facts(number: ProviderNumber) -> dict[str, Any]:
    return {
        "number_type": number.phone_number_type[:40],
        "inbound_agents": list(number.inbound_agents),
        "outbound_agents": list(number.outbound_agents),
        "inbound_webhook_url": (number.inbound_webhook_url or "")[:500],
        "missing_since": None,
    }


def _refresh(row: PhoneNumber, number: ProviderNumber) -> bool:
    """What UponAI tells about a number we have. Its lists are not taken over: that would be a decision."""
    facts = _facts(number)
    changed = any(getattr(row, name) != value for name, value in facts.items())
    if changed:
        PhoneNumber.objects.filter(pk=row.pk).update(**facts)
    return changed
