"""Changing many phone numbers in one action: all of them or none, in few queries however many they are."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any, Final

from django.db.models import Count, OuterRef, QuerySet, Subquery

from accounts import audit
from accounts.audit import Acting, Note
from accounts.models import User
from accounts.scoping import current_workspace_id
from accounts.workspaces import bump_snapshot, taking_turns
from policies import bulk_asking
from policies.actions import NAME_LENGTH, StaleEdit, version_of
from policies.bulk_input import BulkEdit, problems_of, read
from policies.changes import make_due
from policies.closing import DROPPED, NO_AGENT
from policies.models import CountryPolicy, PhoneNumber, PolicyRevision, SyncTarget
from policies.rules_input import FieldProblem, Refused
from policies.sync import preview
from policies.sync.preview import Move, Preview

MOST_NUMBERS: Final = 10_000
MOST_PROBLEMS: Final = 100
AT_ONCE: Final = 2_000


@dataclass(slots=True)
class Plan:
    """What an edit comes to. `edited`: policies that all belong to the selection; `forked`: those that other numbers
    follow too, of which the selection gets one copy; `assigned`: numbers that follow `target` from then on."""

    numbers: list[PhoneNumber]
    edited: dict[int, PolicyRevision] = field(default_factory=dict)
    forked: dict[int, PolicyRevision] = field(default_factory=dict)
    assigned: list[PhoneNumber] = field(default_factory=list)
    target: CountryPolicy | None = None
    modes: list[PhoneNumber] = field(default_factory=list)
    closed: list[PhoneNumber] = field(default_factory=list)
    problems: list[FieldProblem] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)
    policies: dict[int, CountryPolicy] = field(default_factory=dict)
    fingerprint: str = ""

    @property
    def changed(self) -> int:
        """How many numbers are anything else than before."""
        return len({*(move.e164 for move in self.moves), *(row.e164 for row in (*self.modes, *self.closed))})

    def followers_of(self, policy_ids: Mapping[int, Any]) -> list[PhoneNumber]:
        return [number for number in self.numbers if number.policy_id in policy_ids]

    def preview(self, *, now: datetime) -> Preview:
        """What changes of the lists at UponAI."""
        return preview.of_moves(self.moves, now=now)


def edit_phone_numbers(
    *,
    workspace_id: int,
    phone_number_ids: Sequence[int],
    wanted: Mapping[str, Any],
    acting_user: Acting,
    now: datetime,
    expected: str | None = None,
) -> Plan:
    """Makes `wanted` (see `bulk_input.read`) of all of these numbers, or of none.

    Raises Refused naming the field or the numbers, StaleEdit when `expected` is no longer the plan's fingerprint,
    NeedsApproval where a second person has to agree to it.
    """
    edit = read(wanted)
    with taking_turns(workspace_id):
        plan = plan_edit(phone_number_ids=phone_number_ids, edit=edit)
        if expected is not None and expected != plan.fingerprint:
            raise StaleEdit
        if plan.problems:
            raise Refused(_bounded(plan.problems))
        _carry_out(plan, edit, workspace_id=workspace_id, acting_user=acting_user, now=now)
        bulk_asking.ask(
            numbers=plan.numbers,
            moves=plan.moves,
            observed=plan.modes if edit.mode == PhoneNumber.Mode.OBSERVING else (),
            edit=edit,
            wanted=wanted,
            fingerprint=plan.fingerprint,
            acting_user=acting_user,
            now=now,
        )
    return plan


def carry_out_approved(given: Mapping[str, Any], *, acting_user: Acting, now: datetime) -> None:
    """Once a second person has agreed; see `approvals.VERBS`."""
    edit_phone_numbers(workspace_id=current_workspace_id(), acting_user=acting_user, now=now, **given)


def version_now(given: Mapping[str, Any]) -> str:
    """Changes whenever one of the numbers does."""
    try:
        return _fingerprint(_loaded(given["phone_number_ids"]), read(given["wanted"]))
    except Refused:
        return ""


def plan_edit(*, phone_number_ids: Sequence[int], edit: BulkEdit) -> Plan:
    """What would become of the numbers; `problems` where it cannot be done. Raises Refused for no number at all."""
    plan = Plan(_loaded(phone_number_ids))
    plan.policies = {number.policy_id: number.policy for number in plan.numbers}
    plan.fingerprint = _fingerprint(plan.numbers, edit)
    if edit.policy is not None:
        _plan_assignment(plan, edit.policy)
    if edit.changes_lists:
        _plan_lists(plan, edit)
    if edit.mode is not None:
        plan.modes = [number for number in plan.numbers if number.mode != edit.mode]
    if edit.when_down is not None:
        _plan_closing(plan, closed=edit.when_down == DROPPED)
    return plan


# --- What would become of them ----------------------------------------------------------------------


def _loaded(phone_number_ids: Sequence[int]) -> list[PhoneNumber]:
    wanted = sorted(set(phone_number_ids))
    if not wanted:
        raise Refused.one("phone_numbers", "required", "Choose at least one phone number.")
    if len(wanted) > MOST_NUMBERS:
        detail = f"At most {MOST_NUMBERS:,} numbers are changed at once, not {len(wanted):,}."
        raise Refused.one("phone_numbers", "too_long", detail)
    rows = PhoneNumber.objects.defer("found", "outbound_agents")
    found = [number for batch in _batches(wanted) for number in rows.filter(pk__in=batch)]
    if len(found) != len(wanted):
        raise Refused.one("phone_numbers", "not_found", "Not all of these numbers are in this workspace.")
    # Not joined: a policy that thousands share is read once, and rules are told apart by where they are in memory.
    with_rules = CountryPolicy.objects.select_related("current_revision")
    followed = _batches(sorted({number.policy_id for number in found}))
    policies = {policy.pk: policy for batch in followed for policy in with_rules.filter(pk__in=batch)}
    for number in found:
        number.policy = policies[number.policy_id]
    return sorted(found, key=lambda number: number.e164)


def _plan_assignment(plan: Plan, policy_id: int) -> None:
    plan.target = CountryPolicy.objects.select_related("current_revision").filter(pk=policy_id).first()
    if plan.target is None:
        raise Refused.one("policy", "not_found", "There is no such country policy in this workspace.")
    plan.assigned = [number for number in plan.numbers if number.policy_id != policy_id]
    plan.moves = [_move(number, plan.target.current_revision) for number in plan.assigned]


def _plan_lists(plan: Plan, edit: BulkEdit) -> None:
    chosen = Counter(number.policy_id for number in plan.numbers)
    followed = CountryPolicy.objects.annotate(followers=Count("phone_numbers")).values_list("pk", "followers")
    followers = {pk: count for pk, count in followed if pk in chosen}
    refusals: dict[int, Refused] = {}
    after: dict[int, PolicyRevision] = {}
    for policy_id, policy in plan.policies.items():
        current = _current(policy)
        try:
            rules = edit.rules_of(current)
        except Refused as refused:
            refusals[policy_id] = refused
            continue
        if rules != {"inbound": current.inbound, "outbound": current.outbound}:
            after[policy_id] = PolicyRevision(policy=policy, number=current.number + 1, **rules)
            where = plan.edited if followers[policy_id] == chosen[policy_id] else plan.forked
            where[policy_id] = after[policy_id]
    for number in plan.numbers:
        if number.policy_id in refusals:
            plan.problems += problems_of(number.e164, refusals[number.policy_id])
        elif number.policy_id in after:
            plan.moves.append(_move(number, after[number.policy_id]))


def _plan_closing(plan: Plan, *, closed: bool) -> None:
    plan.closed = [number for number in plan.numbers if number.closed_when_down != closed]
    if not closed:
        without = [number for number in plan.closed if not (number.answering_agents or number.inbound_agents)]
        refused = Refused.one("inbound_when_console_down", "no_agent", NO_AGENT)
        plan.problems += [problem for row in without for problem in problems_of(row.e164, refused)]


def _move(number: PhoneNumber, after: PolicyRevision | None) -> Move:
    assert after is not None  # noqa: S101  (a policy is created together with its first revision)
    return Move(number.e164, _current(number.policy), after)


def _current(policy: CountryPolicy) -> PolicyRevision:
    revision = policy.current_revision
    assert revision is not None  # noqa: S101  (a policy is created together with its first revision)
    return revision


def _fingerprint(numbers: Sequence[PhoneNumber], edit: BulkEdit) -> str:
    """Changes whenever somebody else changes one of the numbers, or something else is wanted."""
    said = repr([(number.pk, version_of(number)) for number in numbers]) + repr(edit)
    return f"{zlib.crc32(said.encode()):08x}"


def _bounded(problems: list[FieldProblem]) -> list[FieldProblem]:
    rest = len(problems) - MOST_PROBLEMS
    if rest <= 0:
        return problems
    more = FieldProblem("phone_numbers", "more", f"The same is so of {rest:,} more. Nothing was changed.")
    return [*problems[:MOST_PROBLEMS], more]


# --- Carrying it out --------------------------------------------------------------------------------


def _carry_out(plan: Plan, edit: BulkEdit, *, workspace_id: int, acting_user: Acting, now: datetime) -> None:
    notes: list[Note] = []
    author = acting_user if isinstance(acting_user, User) else None
    _edit_policies(plan, edit, notes, author=author, now=now)
    _fork_policies(plan, edit, notes, author=author, now=now)
    if plan.target is not None:
        _follow(plan.assigned, {number.pk: plan.target for number in plan.assigned}, "assign_policy", notes)
        for found in _rows(plan.assigned):  # somebody has said now what they may do
            found.update(flagged_since=None)
    if plan.modes:
        _update(plan.modes, "mode", edit.mode, "edit_answering", notes)
    if plan.closed:
        closed = edit.when_down == DROPPED
        verb = "close_when_down" if closed else "reopen_when_down"
        _update(plan.closed, "closed_when_down", closed, verb, notes)
    if not notes:
        return
    moved = {move.e164 for move in plan.moves} | {number.e164 for number in plan.closed}
    for batch in _batches([number.pk for number in plan.numbers if number.e164 in moved]):
        make_due(SyncTarget.objects.filter(phone_number_id__in=batch), now=now, urgent=edit.only_closes)
    bump_snapshot(workspace_id)
    audit.record_all(workspace_id=workspace_id, notes=notes, acting_user=acting_user, now=now)


def _edit_policies(plan: Plan, edit: BulkEdit, notes: list[Note], *, author: User | None, now: datetime) -> None:
    """A new revision of each policy that nobody else follows."""
    for policy_id, revision in plan.edited.items():
        _sign(revision, edit.reason, author=author, now=now)
        policy = plan.policies[policy_id]
        before, after = _facts(_current(policy)), _facts(revision)
        notes.append(Note("country_policy.edit", policy, before, after, edit.reason))
    _put_in_force(list(plan.edited.values()))


def _fork_policies(plan: Plan, edit: BulkEdit, notes: list[Note], *, author: User | None, now: datetime) -> None:
    """One copy, with the change, of each policy that others follow too."""
    if not plan.forked:
        return
    sizes = Counter(number.policy_id for number in plan.numbers)
    taken = set(CountryPolicy.objects.values_list("name", flat=True))
    forks = {}
    for policy_id in plan.forked:
        name = _free(f"{plan.policies[policy_id].name} ({sizes[policy_id]:,} of its numbers)", taken)
        forks[policy_id] = CountryPolicy(name=name, created_at=now)
    made = CountryPolicy.objects.bulk_create(forks.values(), batch_size=AT_ONCE)
    copies = dict(zip(forks, made, strict=True))
    for policy_id, revision in plan.forked.items():
        revision.policy, revision.number = copies[policy_id], 1
        source = plan.policies[policy_id]
        reason = edit.reason or f"Copy of {source.name}, revision {_current(source).number}, changed."
        _sign(revision, reason, author=author, now=now)
        notes.append(Note("country_policy.create", copies[policy_id], None, _facts(revision), reason))
    _put_in_force(list(plan.forked.values()))
    rows = plan.followers_of(copies)
    _follow(rows, {number.pk: copies[number.policy_id] for number in rows}, "fork_policy", notes)


def _sign(revision: PolicyRevision, reason: str, *, author: User | None, now: datetime) -> None:
    revision.reason, revision.created_at, revision.created_by = reason, now, author


def _put_in_force(revisions: list[PolicyRevision]) -> None:
    PolicyRevision.objects.bulk_create(revisions, batch_size=AT_ONCE)
    newest = PolicyRevision.objects.filter(policy=OuterRef("pk")).order_by("-number").values("pk")[:1]
    for batch in _batches([revision.policy_id for revision in revisions]):
        CountryPolicy.objects.filter(pk__in=batch).update(current_revision=Subquery(newest))


def _follow(rows: list[PhoneNumber], policies: Mapping[int, CountryPolicy], verb: str, notes: list[Note]) -> None:
    for number in rows:
        before = {"policy": number.policy.name}
        notes.append(Note(f"phone_number.{verb}", number, before, {"policy": policies[number.pk].name}))
    if len(set(policies.values())) == 1:
        for found in _rows(rows):
            found.update(policy=policies[rows[0].pk])
        return
    for number in rows:
        number.policy = policies[number.pk]
    PhoneNumber.objects.bulk_update(rows, ["policy"], batch_size=500)


def _update(rows: list[PhoneNumber], column: str, value: Any, verb: str, notes: list[Note]) -> None:
    for number in rows:
        before = {column: getattr(number, column)}
        notes.append(Note(f"phone_number.{verb}", number, before, {column: value}))
    for found in _rows(rows):
        found.update(**{column: value})


def _rows(rows: Sequence[PhoneNumber]) -> Iterator[QuerySet[PhoneNumber]]:
    for batch in _batches([number.pk for number in rows]):
        yield PhoneNumber.objects.filter(pk__in=batch)


def _batches(ids: Sequence[int]) -> Iterator[list[int]]:
    rest = iter(ids)
    while batch := list(islice(rest, AT_ONCE)):
        yield batch


def _free(wanted: str, taken: set[str]) -> str:
    wanted = wanted[: NAME_LENGTH - 5]
    name = next(name for number in range(1, 100_000) if (name := wanted + f" {number}" * (number > 1)) not in taken)
    taken.add(name)
    return name


def _facts(revision: PolicyRevision) -> dict[str, Any]:
    return {"revision": revision.number, "inbound": revision.inbound, "outbound": revision.outbound}
