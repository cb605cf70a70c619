"""How far an edit of a policy that many numbers follow is on its way to UponAI. Read from the rows of the sync."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from django.db.models import Count, F, Max, Q

from policies.models import SyncTarget
from policies.words import as_people_write

State = SyncTarget.State
MOST_NAMED = 5
MOST_POLICIES = 10

APPLIED = Q(applied_generation=F("desired_generation"), state=State.SYNCED)
_COUNTS = {
    "total": Count("pk"),
    "applied": Count("pk", filter=APPLIED),
    "failed": Count("pk", filter=Q(state=State.FAILED)),
    "drift": Count("pk", filter=Q(state=State.DRIFT)),
    "since": Max("desired_at"),
}


@dataclass(frozen=True, slots=True)
class Failure:
    phone_number_id: int
    e164: str
    error: str

    @property
    def number(self) -> str:
        return as_people_write(self.e164)


@dataclass(slots=True)
class Progress:
    """`total` numbers follow the policy, `applied` of them have at UponAI what it says now."""

    policy_id: int = 0
    name: str = ""
    total: int = 0
    applied: int = 0
    failed: int = 0
    drift: int = 0
    failures: list[Failure] = field(default_factory=list)

    @property
    def waiting(self) -> int:
        return self.total - self.applied - self.failed - self.drift

    @property
    def percent(self) -> int:
        return 100 * self.applied // self.total if self.total else 100

    @property
    def complete(self) -> bool:
        return self.applied == self.total

    @property
    def unnamed_failures(self) -> int:
        return self.failed - len(self.failures)


def of_policy(policy_id: int) -> Progress:
    """One policy. Two queries at most."""
    counted = SyncTarget.objects.filter(phone_number__policy_id=policy_id).aggregate(**_COUNTS)
    counted.pop("since")
    progress = Progress(policy_id, **counted)
    _name_failures([progress])
    return progress


def counts_of(policy_ids: Iterable[int]) -> dict[int, Progress]:
    """Several policies, without names. One query."""
    rows = SyncTarget.objects.filter(phone_number__policy_id__in=list(policy_ids))
    return {progress.policy_id: progress for progress in _grouped(rows.values("phone_number__policy_id"))}


def under_way() -> list[Progress]:
    """The policies followed by more than one number of which some do not have it yet, newest edit first."""
    rows = SyncTarget.objects.values("phone_number__policy_id", "phone_number__policy__name")
    found = _grouped(rows, Q(total__gt=1) & Q(applied__lt=F("total")))
    _name_failures(found)
    return found


def _grouped(rows: object, having: Q | None = None) -> list[Progress]:
    annotated = rows.annotate(**_COUNTS)  # type: ignore[attr-defined]
    if having is not None:
        annotated = annotated.filter(having).order_by("-since")[:MOST_POLICIES]
    return [
        Progress(
            row["phone_number__policy_id"],
            row.get("phone_number__policy__name", ""),
            *(row[name] for name in ("total", "applied", "failed", "drift")),
        )
        for row in annotated
    ]


def _name_failures(found: list[Progress]) -> None:
    by_policy = {progress.policy_id: progress for progress in found if progress.failed}
    if not by_policy:
        return
    failed = SyncTarget.objects.filter(state=State.FAILED, phone_number__policy_id__in=list(by_policy))
    columns = ("phone_number__policy_id", "phone_number_id", "phone_number__e164", "error")
    # Each policy's first few are among so many, unless one policy alone has more than all of them.
    for policy_id, *failure in failed.order_by("desired_at", "pk").values_list(*columns)[: MOST_NAMED * MOST_POLICIES]:
        named = by_policy[policy_id].failures
        if len(named) < MOST_NAMED:
            named.append(Failure(*failure))
