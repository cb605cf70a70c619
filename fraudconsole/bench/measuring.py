"""Rounds in random order, medians, ratios, tables. Knows nothing of what is measured."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")


class Skipped(Exception):
    """A section that cannot be measured here; the sentence says what is missing and how to get it."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything."""

    rounds: int
    seconds: float
    sample: int
    repetitions: int


FULL = Size(rounds=5, seconds=3.0, sample=2_000, repetitions=20)
QUICK = Size(rounds=5, seconds=1.0, sample=300, repetitions=5)


@dataclass(slots=True)
class Figures:
    """One figure per round."""

    values: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def shown(self, digits: int = 0) -> str:
        low, high = min(self.values), max(self.values)
        return f"{self.median:,.{digits}f} ({low:,.{digits}f}–{high:,.{digits}f})"


@dataclass(slots=True)
class Table:
    """What one section found, as Markdown."""

    title: str
    heading: tuple[str, ...]
    rows: list[tuple[str, ...]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f"### {self.title}", ""]
        if self.rows:
            lines += [_line(self.heading), _line(["---"] * len(self.heading)), *map(_line, self.rows), ""]
        return "\n".join([*lines, *(f"{note}\n" for note in self.notes)])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def in_rounds(measures: Mapping[str, Callable[[], T]], rounds: int) -> dict[str, list[T]]:
    """Measures everything once per round, each round in another order, so that no one always goes first."""
    found: dict[str, list[T]] = {name: [] for name in measures}
    for _ in range(rounds):
        for name in random.sample(list(measures), len(measures)):
            found[name].append(measures[name]())
    return found


def microseconds_each(work: Callable[[], int]) -> float:
    """What one piece of work costs; `work` answers how many pieces it did."""
    started = time.perf_counter()
    pieces = work()
    return (time.perf_counter() - started) * 1_000_000 / pieces


def in_microseconds(works: Mapping[str, Callable[[], int]], rounds: int) -> dict[str, Figures]:
    """The cost of one piece of each work. A first round that is not counted warms caches up."""
    for work in works.values():
        work()
    measures = {name: lambda work=work: microseconds_each(work) for name, work in works.items()}
    return {name: Figures(values) for name, values in in_rounds(measures, rounds).items()}


def ratio(figures: Figures, floor: Figures, digits: int = 2) -> str:
    """Of medians, with the lowest and highest of the rounds' own ratios, since a round shares its neighbours' noise."""
    each = [value / base for value, base in zip(figures.values, floor.values, strict=True)]
    return f"{figures.median / floor.median:.{digits}f} ({min(each):.{digits}f}–{max(each):.{digits}f})"
