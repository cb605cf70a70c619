"""What the rows of dials say of the counters: the truth that the live store is rebuilt from, and replaced by."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson
from django.db.models import QuerySet, TextField
from django.db.models.functions import Cast

from accounts.models import Workspace
from policies.engine.charging import prefix_of
from policies.engine.limits import KNOWN_AFTER_SECONDS, MEASURES, Measure
from policies.gate.store import LONGEST_LEASE_SECONDS
from policies.models import Dial, KnownPrefix


@dataclass(frozen=True, slots=True)
class Known:
    """Which destinations the workspace knows, and since when (0: for good), in milliseconds."""

    home_country: str
    first_seen_ms: dict[str, int]

    @classmethod
    def load(cls, workspace_id: int) -> Known:
        home = Workspace.objects.values_list("home_country", flat=True).get(pk=workspace_id)
        rows = KnownPrefix.objects.values_list("prefix", "first_at", "confirmed")
        return cls(str(home), {prefix: 0 if confirmed else milliseconds(at) for prefix, at, confirmed in rows})

    def has(self, prefix: str, at_ms: int) -> bool:
        first_seen = self.first_seen_ms.get(prefix)
        return first_seen is not None and first_seen <= at_ms - KNOWN_AFTER_SECONDS * 1000


@dataclass(frozen=True, slots=True)
class Dialled:
    """An attempt that was let through: what it was held against, and until when it runs at the latest."""

    pk: int
    decision_id: str
    at_ms: int
    ends_at_ms: int
    charges: list[list[Any]]  # as `Charge.as_list` has them
    cost_micro: int | None
    is_known: bool

    def charged(self) -> Iterator[list[Any]]:
        """What it was counted by, with what it did cost where that is known."""
        for charge in self.charges:
            name, amount, flags = charge[0], charge[4], charge[6]
            if not amount or ("n" in flags and self.is_known):
                continue
            if self.cost_micro is not None and name in _MONEY:
                charge[4] = self.cost_micro
            yield charge


_MONEY: Final = frozenset(name.value for name, measure in MEASURES.items() if measure is Measure.MONEY)
_FACTS: Final = ("pk", "decision_id", "at", "to_number", "country", "call_seconds", "cost_micro", "ended_at")


def dialled(rows: QuerySet[Dial], known: Known) -> Generator[Dialled, None, None]:
    """Reads rows, the oldest first."""
    # As text: Django's own decoder of JSON takes several times as long, and a day may have many rows.
    text = Cast("charges", TextField())
    facts = rows.order_by("at", "pk").values_list(*_FACTS, text)
    for pk, decision_id, at, to_number, country, call_seconds, cost_micro, ended_at, charges in facts.iterator(500):
        at_ms = milliseconds(at)
        yield Dialled(
            pk,
            str(decision_id),
            at_ms,
            0 if ended_at else at_ms + (call_seconds or LONGEST_LEASE_SECONDS) * 1000,
            orjson.loads(charges),
            cost_micro,
            country == known.home_country or known.has(prefix_of(to_number), at_ms),
        )


def milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)
