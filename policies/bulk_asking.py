"""Whether a change of many numbers needs a second person: one question for all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from accounts.audit import Acting
from accounts.models import Workspace
from accounts.scoping import current_workspace_id
from policies import widening
from policies.bulk_input import WANTED, BulkEdit
from policies.engine import widenings as engine
from policies.engine.names import Direction
from policies.engine.widenings import Widening
from policies.models import PhoneNumber, PolicyRevision
from policies.sync.preview import Move
from policies.widening import Wish

_MOST_ABOUT = 60


def ask(
    *,
    numbers: list[PhoneNumber],
    moves: Iterable[Move],
    observed: Iterable[PhoneNumber],
    edit: BulkEdit,
    wanted: Mapping[str, Any],
    fingerprint: str,
    acting_user: Acting,
    now: datetime,
) -> None:
    """Raises NeedsApproval where it does, which undoes what was written."""
    asks, home = Workspace.objects.values_list("approval_tier", "home_country").get(pk=current_workspace_id())
    if not asks:
        return
    first = numbers[0].e164
    wish = Wish(
        "bulk_edit",
        about=f"{len(numbers):,} phone numbers, such as {first}" if len(numbers) > 1 else f"1 phone number, {first}",
        arguments={
            "phone_number_ids": [number.pk for number in numbers],
            "wanted": {name: wanted[name] for name in WANTED if name in wanted},
        },
        base_version=fingerprint,
        reason=edit.reason,
    )
    found = merged(_widenings([*moves, *_observing(observed)], str(home)))
    widening.require(wish, found, acting_user=acting_user, now=now)


def _widenings(moves: Iterable[Move], home: str) -> Iterator[tuple[str, Widening]]:
    """Of each number; rules that many share are compared once."""
    known: dict[tuple[int, int], list[Widening]] = {}
    for move in moves:
        pair = (id(move.before), id(move.after))
        if pair not in known:
            both = ((name, getattr(move.before, name), getattr(move.after, name)) for name in Direction)
            found = (
                engine.between(before, after, about=move.e164, direction=name.value, home_country=home)
                for name, before, after in both
            )
            known[pair] = [one for one in found if one is not None]
        for one in known[pair]:
            yield move.e164, one


def merged(found: Iterable[tuple[str, Widening]]) -> list[Widening]:
    """What is the same for several numbers, once. Of too many kinds the most exposed are kept: those that ask."""
    kinds: dict[tuple[Any, ...], Widening] = {}
    counts: Counter[tuple[Any, ...]] = Counter()
    for _, one in found:
        kind = (one.direction, tuple(sorted(one.tiers.items())), one.others, one.removed)
        kinds.setdefault(kind, one)
        counts[kind] += 1
    return [
        one if counts[kind] == 1 else replace(one, about=f"{counts[kind]:,} numbers, such as {one.about}")
        for kind, one in sorted(kinds.items(), key=lambda item: _most_exposed(item[1]))[:_MOST_ABOUT]
    ]


def _most_exposed(one: Widening) -> str:
    return min((*one.tiers.values(), *(other.tier for other in one.others)))


def _observing(rows: Iterable[PhoneNumber]) -> list[Move]:
    """Nothing of their rules is enforced meanwhile; UponAI's country lists stay."""
    after: dict[int, PolicyRevision] = {}
    moves = []
    for number in rows:
        revision = number.policy.current_revision
        assert revision is not None  # noqa: S101  (a policy is created together with its first revision)
        if revision.pk not in after:
            rules = {name.value: {**getattr(revision, name), "observing": True} for name in Direction}
            after[revision.pk] = PolicyRevision(**rules)
        moves.append(Move(number.e164, revision, after[revision.pk]))
    return moves
