"""What it costs to know whose number calls, against asking the library for all of it."""

from __future__ import annotations

import random
from collections.abc import Callable

import phonenumbers

from fraudconsole.bench import callers
from fraudconsole.bench.measuring import Size, Table, in_microseconds, ratio
from fraudconsole.bench.scratch import Place
from policies.engine import numbers

FLOOR = "library: parse + region + type"


def measure(place: Place, size: Size, chance: random.Random) -> list[Table]:
    sample = callers.valid_numbers(size.sample * 5, chance)
    timed = sample[: size.sample]
    works: dict[str, Callable[[], int]] = {
        FLOOR: lambda: _each(_full, timed),
        "library: the same + validity": lambda: _each(_full_and_valid, timed),
        "understand, caller not seen before": lambda: _each(_understand, timed, cold=True),
        "understand, caller seen before": lambda: _each(_understand, timed),
    }
    found = in_microseconds(works, size.rounds)
    table = Table("Region, class and validity of a caller's number", ("", "µs each", "ratio to the library's"))
    for name, figures in found.items():
        table.rows.append((name, figures.shown(1), ratio(figures, found[FLOOR], 3)))
    agreeing = sum(_agrees(number) for number in sample)
    table.notes.append(
        f"{len(timed):,} different valid numbers of all regions and classes. Of {len(sample):,} valid numbers, "
        f"{agreeing:,} come out as the library says: same E.164, same country, valid."
    )
    return [table]


def _each(work: Callable[[str], object], sample: list[str], *, cold: bool = False) -> int:
    if cold:
        numbers.forget()
    for number in sample:
        work(number)
    return len(sample)


def _full(number: str) -> object:
    parsed = phonenumbers.parse(number, None)
    return phonenumbers.region_code_for_number(parsed), phonenumbers.number_type(parsed)


def _full_and_valid(number: str) -> object:
    parsed = phonenumbers.parse(number, None)
    return (
        phonenumbers.region_code_for_number(parsed),
        phonenumbers.number_type(parsed),
        phonenumbers.is_valid_number(parsed),
    )


def _understand(number: str) -> object:
    return numbers.understand(number, role="caller")


def _agrees(number: str) -> bool:
    """The console knows Ascension and Tristan da Cunha as parts of Saint Helena, and no country behind 001."""
    region = phonenumbers.region_code_for_number(phonenumbers.parse(number, None))
    country = {"AC": "SH", "TA": "SH", "001": None}.get(region, region)
    peer = numbers.understand(number, role="caller")
    return (peer.e164, peer.country, peer.problem) == (number, country, None)
