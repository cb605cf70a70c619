"""Notices what somebody else changed at UponAI: every number is compared with what is wanted here, page by page.

What UponAI allows beyond ours is put right at once by a push; where it merely allows less, a person decides, see
`drifted`. A row that is on its way to UponAI is left alone: what was seen of it may be older than what was sent.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import models, transaction

from accounts import audit, workspaces
from accounts.audit import Acting, Note
from accounts.models import UponaiKey, Workspace
from accounts.scoping import scoped, unscoped
from policies import bells, held
from policies.models import PhoneNumber, SyncTarget, UponaiConnection
from policies.sync import bindings, connection, importing, lists
from policies.sync.comparing import Compared, compare
from policies.sync.connection import Waiting
from policies.uponai import payloads
from policies.uponai.client import UponaiClient, UponaiTrouble
from policies.uponai.payloads import PayloadError, ProviderNumber

EVERY = timedelta(minutes=15)
AFTER_TROUBLE = timedelta(minutes=2)
LEASE = timedelta(minutes=2)
"""Taken anew with every page, which takes seconds."""
TASK = "policies.tasks.check_drift"
FACTS = ("number_type", "inbound_agents", "outbound_agents", *bindings.WEBHOOKS, "missing_since")
STATES = (
    *("state", "due_at", "attempts", "error", "drift_since", "reasserted_at", "observed", "verified_at", "urgent"),
    *("applied", "applied_generation", "applied_at"),
)

GIVEN_UP = models.Q(state=SyncTarget.State.DRIFT, due_at=None, reasserted_at__2__isnull=False)

Clock = Callable[[], datetime]


class Busy(Exception):
    """The workspace's numbers are being compared already."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A number that is not as wanted at UponAI, and what becomes of it: put right, or left to a person."""

    phone_number: str
    outcome: str
    sentence: str


@dataclass(slots=True)
class Report:
    """What one comparison of all numbers found. `waiting`: on their way to UponAI, so not compared."""

    numbers: int = 0
    as_wanted: int = 0
    waiting: int = 0
    unreadable: int = 0
    added: int = 0
    missing: int = 0
    found: list[Finding] = field(default_factory=list)


def ask(*, workspace_id: int, acting_user: Acting, now: datetime) -> UponaiConnection:
    """Has all numbers compared at once. Raises NoUponaiKey."""
    workspaces.uponai_key(workspace_id)
    with scoped(workspace_id), transaction.atomic():
        workspace = Workspace.objects.get(pk=workspace_id)
        row = connection.of(workspace_id)
        UponaiConnection.objects.filter(pk=row.pk).update(drift_due_at=now)
        audit.record(
            workspace_id=workspace.pk, action="sync.check", subject=workspace, acting_user=acting_user, now=now
        )
        transaction.on_commit(lambda: bells.ring(TASK, workspace_id=workspace.pk))
        row.refresh_from_db()
        return row


def due(*, now: datetime) -> list[int]:
    """The workspaces whose numbers are to be compared now."""
    with unscoped(reason="the sweep serves every workspace"):
        never = PhoneNumber.objects.exclude(workspace__in=UponaiConnection.objects.values("workspace"))
        for workspace_id in never.values_list("workspace_id", flat=True).distinct().order_by():
            UponaiConnection.objects.get_or_create(workspace_id=workspace_id)
        rows = _due(now).filter(workspace__in=UponaiKey.objects.filter(verifies_until=None).values("workspace"))
        rows = rows.exclude(workspace__in=connection.silent(now))
        return list(rows.order_by("drift_due_at").values_list("workspace_id", flat=True))


def check_if_due(workspace_id: int, *, clock: Clock) -> Report | None:
    """The same as `check` for a worker: None where it is not due, is being done, or UponAI gave trouble."""
    with unscoped(reason="a due row names its workspace"):
        is_due = _due(clock()).filter(workspace_id=workspace_id).exists()
    if not is_due:
        return None
    try:
        return check(workspace_id, clock=clock)
    except (Busy, UponaiTrouble):
        return None


def check(workspace_id: int, *, clock: Clock) -> Report:
    """Compares all numbers of a workspace. Raises Busy, UponaiTrouble; what was seen until then counts."""
    with scoped(workspace_id):
        workspace = Workspace.objects.get(pk=workspace_id)
        token = _claim(workspace, now=clock())
        try:
            with connection.client(workspace_id, clock=clock) as client:
                report = _scan(workspace, client, token, clock=clock)
        except UponaiTrouble as trouble:
            until = trouble.until if isinstance(trouble, Waiting) else None
            _release(token, drift_due_at=until or clock() + AFTER_TROUBLE, drift_error=str(trouble))
            raise
        now = clock()
        _release(token, drift_due_at=now + EVERY, drift_checked_at=now, drift_error=_unreadable(report))
        return report


def given_up() -> models.QuerySet[SyncTarget]:
    """The rows that putting right did not help, since somebody else keeps changing the number."""
    rows: models.QuerySet[SyncTarget] = SyncTarget.objects.filter(GIVEN_UP)
    return rows


# --- Whose turn it is -----------------------------------------------------------------------------


def _due(now: datetime) -> models.QuerySet[UponaiConnection]:
    rows: models.QuerySet[UponaiConnection] = _free(UponaiConnection.objects.all(), now).filter(
        models.Q(drift_due_at=None) | models.Q(drift_due_at__lte=now)
    )
    return rows


def _free(rows: models.QuerySet[UponaiConnection], now: datetime) -> models.QuerySet[UponaiConnection]:
    return rows.filter(models.Q(drift_lease_until=None) | models.Q(drift_lease_until__lt=now))


def _claim(workspace: Workspace, *, now: datetime) -> uuid.UUID:
    UponaiConnection.objects.get_or_create(workspace=workspace)
    token = uuid.uuid4()
    if not _free(UponaiConnection.objects.all(), now).update(drift_lease_until=now + LEASE, drift_lease_token=token):
        raise Busy("The numbers are being compared with UponAI already.")
    return token


def _renew(token: uuid.UUID, *, now: datetime) -> None:
    if not UponaiConnection.objects.filter(drift_lease_token=token).update(drift_lease_until=now + LEASE):
        raise Busy("Somebody else went on with comparing the numbers.")


def _release(token: uuid.UUID, **facts: Any) -> None:
    held_rows = UponaiConnection.objects.filter(drift_lease_token=token)
    held_rows.update(drift_lease_until=None, drift_lease_token=None, **facts)


# --- All numbers, page by page --------------------------------------------------------------------


def _scan(workspace: Workspace, client: UponaiClient, token: uuid.UUID, *, clock: Clock) -> Report:
    report, seen, started_at = Report(), set[str](), clock()
    pages = client.phone_number_pages()
    while True:
        asked_at = clock()
        _renew(token, now=asked_at)
        page = next(pages, None)
        if page is None:
            break
        seen |= _page(workspace, page, report, asked_at=asked_at, now=clock())
    _note_missing(workspace, seen, report, started_at=started_at, now=clock())
    return report


def _page(workspace: Workspace, page: list[Any], report: Report, *, asked_at: datetime, now: datetime) -> set[str]:
    """Compares one page; answers the numbers on it."""
    shown, named = _read(page, report)
    report.numbers += len(named)
    # One at a time in a workspace: no edit changes meanwhile what is wanted, no push what was sent.
    with workspaces.taking_turns(workspace.pk):
        targets = list(
            SyncTarget.objects.select_for_update(of=("self",))
            .select_related("phone_number__policy__current_revision")
            .filter(phone_number__e164__in=shown)
        )
        back = {target.phone_number.e164 for target in targets if target.phone_number.missing_since}
        _compare(workspace, targets, shown, back, report, asked_at=asked_at, now=now)
    new = named - {target.phone_number.e164 for target in targets}
    found = [shown[e164].number for e164 in shown if e164 in new]
    if found:
        report.added += len(importing.adopt_new(workspace=workspace, numbers=found, acting_user=None, now=now))
    return named


@dataclass(frozen=True, slots=True)
class Shown:
    """One number of UponAI's list."""

    number: ProviderNumber
    item: Mapping[str, Any]


def _read(page: Iterable[Any], report: Report) -> tuple[dict[str, Shown], set[str]]:
    """What can be read, and all numbers that are named: one strange row must not hide the others."""
    shown, named = {}, set()
    for item in page:
        try:
            number = payloads.read_number(item)
        except PayloadError:
            report.unreadable += 1
            if isinstance(item, Mapping):
                named.add(str(item.get("phone_number")))
        else:
            shown[number.phone_number] = Shown(number, item)
    return shown, named | shown.keys()


def _compare(
    workspace: Workspace,
    targets: list[SyncTarget],
    shown: dict[str, Shown],
    back: set[str],
    report: Report,
    *,
    asked_at: datetime,
    now: datetime,
) -> None:
    holds, opens = held.of_lists(now), held.opens_of_lists(now)
    notes, changed, steady, to_push = _note_facts(targets, shown, now=now), [], [], []
    for target in targets:
        one = shown[target.phone_number.e164]
        if not _may_be_compared(target, asked_at=asked_at, now=now):
            report.waiting += 1
            continue
        compared = compare(
            target,
            seen=lists.of_number(one.number),
            item=one.item,
            wanted=lists.wanted(target, holds=holds, opens=opens),
            endpoint=workspace.endpoint,
            is_back=target.phone_number.e164 in back,
            asked_at=asked_at,
        )
        _count(report, target, compared)
        notes += compared.notes
        if not compared.changes:
            steady.append(target.pk)
            continue
        for name, value in compared.changes.items():
            setattr(target, name, value)
        changed.append(target)
        if target.due_at is not None:
            target.urgent = True
            to_push.append(target.pk)
    SyncTarget.objects.filter(pk__in=steady).update(verified_at=asked_at)
    SyncTarget.objects.bulk_update(changed, STATES)
    audit.record_all(workspace_id=workspace.pk, notes=notes, acting_user=None, now=now)
    if to_push:
        transaction.on_commit(lambda: bells.ring_push(to_push))


def _may_be_compared(target: SyncTarget, *, asked_at: datetime, now: datetime) -> bool:
    """Whether nothing was on its way to UponAI when it was asked, nor is now."""
    moved = [at for at in (target.applied_at, target.verified_at, target.desired_at) if at is not None]
    is_leased = target.lease_until is not None and target.lease_until >= now
    return target.due_at is None and target.verify_at is None and not is_leased and max(moved) < asked_at


def _count(report: Report, target: SyncTarget, compared: Compared) -> None:
    if compared.sentence:
        report.found.append(Finding(target.phone_number.e164, compared.outcome, compared.sentence))
    else:
        report.as_wanted += 1


def _note_facts(targets: list[SyncTarget], shown: dict[str, Shown], *, now: datetime) -> list[Note]:
    """What else UponAI tells about the numbers; that one is there again is worth an entry."""
    changed, notes = [], []
    for number in (target.phone_number for target in targets):
        facts = importing.facts_of(shown[number.e164].number)
        if all(getattr(number, name) == value for name, value in facts.items()):
            continue
        if number.missing_since:
            notes.append(Note("phone_number.came_back", number, before={"missing_since": number.missing_since}))
        for name, value in facts.items():
            setattr(number, name, value)
        changed.append(number)
    PhoneNumber.objects.bulk_update(changed, FACTS)
    return notes


def _note_missing(workspace: Workspace, seen: set[str], report: Report, *, started_at: datetime, now: datetime) -> None:
    """Only after the last page: until then a number may be on the next one."""
    with workspaces.taking_turns(workspace.pk):
        rows = PhoneNumber.objects.filter(missing_since=None, imported_at__lt=started_at)
        gone = [row for row in rows.only("pk", "e164", "nickname", "workspace_id") if row.e164 not in seen]
        importing.mark_gone([row.e164 for row in gone], now=now)
        notes = [Note("phone_number.missing", row, after={"missing_since": now}) for row in gone]
        audit.record_all(workspace_id=workspace.pk, notes=notes, acting_user=None, now=now)
    report.missing = len(gone)


def _unreadable(report: Report) -> str:
    if not report.unreadable:
        return ""
    rows = "1 number" if report.unreadable == 1 else f"{report.unreadable} numbers"
    return f"{rows} of UponAI's list cannot be read, and could not be compared."
