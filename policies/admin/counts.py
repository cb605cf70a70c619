"""What was counted towards the limits and caps of one attempt, in words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from policies.engine.limits import MICRO, Charge, Measure, Usage
from policies.limit_words import TITLES, duration, in_words


@dataclass(frozen=True, slots=True)
class Count:
    """One counter: what it counts, and "3 of 60 in 10 minutes". `note`: what else is to be said; may be empty."""

    title: str
    text: str
    note: str
    is_full: bool


def counts(found: Iterable[tuple[Charge, Usage]]) -> tuple[Count, ...]:
    """Those that apply to the attempt."""
    return tuple(_count(charge, usage) for charge, usage in found if usage.counted)


def _count(charge: Charge, usage: Usage) -> Count:
    used = f"${usage.used / MICRO:,.2f}" if charge.measure is Measure.MONEY else f"{usage.used:,g}"
    title = TITLES[charge.name] + (", to destinations that are not known" if charge.only_new else "")
    return Count(title, f"{used} of {in_words(charge.name, charge.limit)}", _note(charge, usage), bool(usage.wait_ms))


def _note(charge: Charge, usage: Usage) -> str:
    notes = []
    if charge.measure is Measure.MONEY:
        notes.append(f"this attempt would reserve ${charge.amount / MICRO:,.2f}")
    if usage.wait_ms:
        notes.append(f"room again in {duration(-(-usage.wait_ms // 1000))}")
    if not charge.enforced:
        notes.append("observed only")
    return "; ".join(notes)
