"""UponAI's phone numbers → ours. What an import would change is said by `import_plan`; here it is done.

The first import takes every number as it was found. What appears later becomes what the workspace's settings say.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from accounts import audit, workspaces
from accounts.audit import Acting
from accounts.models import Workspace
from policies import bells
from policies.models import PhoneNumber, SyncTarget
from policies.sync import import_plan, newcomers
from policies.sync.import_plan import ImportPlan
from policies.sync.newcomers import Adopted, facts_of
from policies.uponai import payloads
from policies.uponai.client import UponaiClient, UponaiTrouble
from policies.uponai.payloads import ProviderNumber

__all__ = [
    "Adopted",
    "ImportPlan",
    "ImportReport",
    "adopt_new",
    "facts_of",
    "import_numbers",
    "mark_gone",
    "numbers_of",
    "preview_import",
    "read_numbers",
    "refresh",
]

NUMBERS_AT_ONCE = 500
GONE = "UponAI does not list this number any more."


@dataclass(frozen=True, slots=True)
class ImportReport:
    """How many numbers UponAI has, and what that changed here. `missing`: ours that UponAI no longer lists; `back`:
    ours that it lists again; `flagged`: those of the added that wait for somebody's word."""

    found: int
    added: int
    changed: int
    missing: int
    back: int = 0
    flagged: int = 0

    def as_dict(self) -> dict[str, int]:
        return asdict(self)


def preview_import(*, workspace: Workspace) -> ImportPlan:
    """What an import would change now. Raises UponaiTrouble, NoUponaiKey."""
    numbers = read_numbers(workspace.pk)
    return import_plan.compare(Workspace.objects.get(pk=workspace.pk), numbers)


def import_numbers(*, workspace: Workspace, acting_user: Acting, now: datetime) -> ImportReport:
    """Brings all numbers of the workspace's UponAI account. Raises UponaiTrouble, NoUponaiKey; then nothing changed."""
    numbers = read_numbers(workspace.pk)
    with workspaces.taking_turns(workspace.pk):
        known = {row.e164: row for row in PhoneNumber.objects.all()}
        there = {number.phone_number for number in numbers}
        adopted = adopt_new(workspace=workspace, numbers=numbers, acting_user=acting_user, now=now)
        shared = [(known[number.phone_number], number) for number in numbers if number.phone_number in known]
        back = sum(row.missing_since is not None for row, _ in shared)
        changed = sum([refresh(row, number, now=now) for row, number in shared])
        # What somebody else brought since we asked is not in our list, and there all the same.
        missing = mark_gone([e164 for e164 in known if e164 not in there and known[e164].imported_at <= now], now=now)
        report = ImportReport(len(numbers), len(adopted), changed, missing, back, len(adopted.flagged))
        _tell(workspace, report, acting_user=acting_user, now=now)
    return report


def adopt_new(
    *, workspace: Workspace, numbers: Sequence[ProviderNumber], acting_user: Acting, now: datetime
) -> Adopted:
    """Makes those numbers ours that are not yet: all as found at first, later as `Workspace.new_numbers` says."""
    with workspaces.taking_turns(workspace.pk):
        workspace = Workspace.objects.get(pk=workspace.pk)
        known = set(PhoneNumber.objects.values_list("e164", flat=True))
        new = {number.phone_number: number for number in numbers if number.phone_number not in known}
        if not new:
            return Adopted()
        adopted = newcomers.adopt(workspace, list(new.values()), is_first=not known, acting_user=acting_user, now=now)
        workspaces.bump_snapshot(workspace.pk)
    return adopted


def refresh(row: PhoneNumber, number: ProviderNumber, *, now: datetime) -> bool:
    """What UponAI tells about a number we have. Its lists are not taken over: that would be a decision.

    One that UponAI lists again gets what is wanted of it by now.
    """
    facts = facts_of(number)
    if all(getattr(row, name) == value for name, value in facts.items()):
        return False
    PhoneNumber.objects.filter(pk=row.pk).update(**facts)
    if row.missing_since is not None:
        _push_again(row, now=now)
    return True


def mark_gone(e164s: Collection[str], *, now: datetime) -> int:
    """Notes that UponAI no longer lists these. Nothing is sent for them until it does, and none is called synced."""
    rows = PhoneNumber.objects.filter(missing_since=None)
    parts = [list(e164s)[start : start + NUMBERS_AT_ONCE] for start in range(0, len(e164s), NUMBERS_AT_ONCE)]
    gone = {"state": SyncTarget.State.FAILED, "error": GONE, "due_at": None, "verify_at": None, "drift_since": None}
    for part in parts:
        SyncTarget.objects.filter(phone_number__e164__in=part, phone_number__missing_since=None).update(**gone)
    return sum(rows.filter(e164__in=part).update(missing_since=now) for part in parts)


def read_numbers(workspace_id: int) -> list[ProviderNumber]:
    """All numbers of the account as UponAI lists them now. Raises UponaiTrouble, NoUponaiKey."""
    with UponaiClient(workspaces.uponai_key(workspace_id)) as client:
        return numbers_of(client)


def numbers_of(client: UponaiClient) -> list[ProviderNumber]:
    return [_read(item) for item in client.list_phone_numbers()]


def _read(item: Any) -> ProviderNumber:
    try:
        return payloads.read_number(item)
    except payloads.PayloadError as problem:
        raise UponaiTrouble(f"UponAI's list of phone numbers is not in the agreed form: {problem}") from None


def _push_again(row: PhoneNumber, *, now: datetime) -> None:
    targets = SyncTarget.objects.filter(phone_number=row)
    targets.update(due_at=now, attempts=0, error="", state=SyncTarget.State.PENDING)
    waiting = list(targets.values_list("pk", flat=True))
    transaction.on_commit(lambda: bells.ring_push(waiting))


def _tell(workspace: Workspace, report: ImportReport, *, acting_user: Acting, now: datetime) -> None:
    version = workspaces.bump_snapshot(workspace.pk)
    audit.record(
        workspace_id=workspace.pk,
        action="workspace.import_numbers",
        subject=workspace,
        acting_user=acting_user,
        now=now,
        after=report.as_dict(),
    )
    transaction.on_commit(lambda: bells.publish_snapshot(workspace.pk, version))
