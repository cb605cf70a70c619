"""What an edit of rules would change at UponAI, before it is made. Equal changes of many numbers are one group."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from policies import held
from policies.engine.names import HoldScope
from policies.models import CountryPolicy, PhoneNumber, PolicyRevision
from policies.sync import lists
from policies.sync.lists import CountryLists

MOST_NAMED = 20
"""Of a group so many numbers are named; it is counted in full."""

Codes = tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Side:
    """One direction; None means no restriction. `added` and `removed` where there is a list before and after."""

    before: Codes
    after: Codes

    @property
    def added(self) -> tuple[str, ...]:
        return _without(self.after, self.before)

    @property
    def removed(self) -> tuple[str, ...]:
        return _without(self.before, self.after)

    @property
    def changes(self) -> bool:
        return self.before != self.after

    @property
    def widens(self) -> bool:
        return self.before is not None and (self.after is None or bool(self.added))

    @property
    def kind(self) -> tuple[Any, ...]:
        """The same for lists that change in the same way, whatever else they have."""
        return self.added, self.removed, self.before is None, self.after is None


@dataclass(frozen=True, slots=True)
class Move:
    """A number whose rules become others."""

    e164: str
    before: PolicyRevision
    after: PolicyRevision


@dataclass(slots=True)
class Group:
    """Numbers whose lists at UponAI change in the same way; the sides are those of the first of them."""

    inbound: Side
    outbound: Side
    numbers: int = 0
    examples: list[str] = field(default_factory=list)

    @property
    def sides(self) -> tuple[tuple[str, Side], ...]:
        return ("inbound", self.inbound), ("outbound", self.outbound)

    @property
    def widens(self) -> bool:
        return self.inbound.widens or self.outbound.widens


@dataclass(frozen=True, slots=True)
class Preview:
    """`unchanged`: numbers that follow the rules and whose lists at UponAI stay as they are."""

    groups: tuple[Group, ...]
    unchanged: int

    @property
    def changed(self) -> int:
        return sum(group.numbers for group in self.groups)

    @property
    def widens(self) -> bool:
        return any(group.widens for group in self.groups)


def of_policy(*, policy: CountryPolicy, inbound: dict[str, Any], outbound: dict[str, Any], now: datetime) -> Preview:
    """If the policy said this, for all numbers that follow it. Three queries, however many these are."""
    before = policy.current_revision
    assert before is not None  # noqa: S101  (a policy is created together with its first revision)
    after = PolicyRevision(inbound=inbound, outbound=outbound)
    followers = PhoneNumber.objects.filter(policy=policy).order_by("e164").values_list("e164", flat=True)
    return of_moves((Move(e164, before, after) for e164 in followers), now=now)


def of_moves(moves: Iterable[Move], *, now: datetime) -> Preview:
    """The same for numbers that come from different rules. Two queries."""
    holds, opens = held.of_lists(now), held.opens_of_lists(now)
    named = {hold.value for hold in (*holds, *opens) if hold.scope == HoldScope.PHONE_NUMBER}
    known: dict[tuple[int, str], CountryLists] = {}
    groups: dict[tuple[Any, ...], Group] = {}
    unchanged = 0

    def lists_of(revision: PolicyRevision, e164: str) -> CountryLists:
        # Rules say the same of every number that no hold and no open names.
        key = (id(revision), e164 if e164 in named else "")
        if key not in known:
            known[key] = lists.desired(revision, e164=e164, holds=holds, opens=opens)
        return known[key]

    # Kept until the end: rules are told apart by where they are in memory.
    for move in list(moves):
        before, after = lists_of(move.before, move.e164), lists_of(move.after, move.e164)
        inbound, outbound = Side(before.inbound, after.inbound), Side(before.outbound, after.outbound)
        if not (inbound.changes or outbound.changes):
            unchanged += 1
            continue
        group = groups.setdefault((inbound.kind, outbound.kind), Group(inbound, outbound))
        group.numbers += 1
        if len(group.examples) < MOST_NAMED:
            group.examples.append(move.e164)
    return Preview(tuple(sorted(groups.values(), key=lambda group: -group.numbers)), unchanged)


def _without(codes: Codes, others: Codes) -> tuple[str, ...]:
    if codes is None or others is None:
        return ()
    return tuple(sorted(set(codes) - set(others)))
