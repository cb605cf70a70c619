"""`python -m fraudconsole.bench`: runs the sections and prints one Markdown table for each."""

from __future__ import annotations

import argparse
import platform
import random
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.metadata import version

from fraudconsole.bench import scratch
from fraudconsole.bench.measuring import FULL, QUICK, Size, Skipped, Table
from fraudconsole.env import PROJECT_ROOT, read_file

SECTIONS = {
    "numbers": "numbers",
    "decide": "decisions",
    "limiter": "limiter",
    "inbound": "inbound",
    "ingest": "ingest",
    "rollup": "rollup",
    "waiting": "waiting",
    "attack": "attack",
    "journeys": "journeys",
    "home": "home",
}
"""By name, the module whose `measure` it is."""
Measure = Callable[[scratch.Place, Size, random.Random], list[Table]]
PACKAGES = ("django", "redis", "phonenumbers", "orjson", "gunicorn")


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parse(arguments)
    if names := scratch.OURS & read_file(PROJECT_ROOT / ".env").keys():
        print(f".env would send the measurements to your own console ({', '.join(sorted(names))}). Move it away first.")
        return 1
    size = QUICK if options.quick else FULL
    chance = random.Random(options.seed)  # noqa: S311  (no secret)
    tables = []
    with scratch.place(options.database) as place:
        for name in options.only or SECTIONS:
            print(f"Measuring {name} …", file=sys.stderr, flush=True)
            try:
                tables += _section(name)(place, size, chance)
            except Skipped as reason:
                tables.append(Table(name, (), notes=[f"Not measured. {reason}"]))
    print(_machine(size))
    print("\n".join(map(str, tables)))
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make bench ARGS=…",
        description="Measures ratios, never times alone: run it on a machine that does nothing else.",
    )
    parser.add_argument("--quick", action="store_true", help="short rounds and small samples")
    parser.add_argument("--only", action="append", choices=SECTIONS, metavar="SECTION", help=", ".join(SECTIONS))
    parser.add_argument(
        "--database",
        default="",
        metavar="postgres://…",
        help="a PostgreSQL server on which a database may be made and dropped (default: a new SQLite)",
    )
    parser.add_argument("--seed", type=int, default=1, help="of everything chosen at random")
    return parser.parse_args(arguments)


def _section(name: str) -> Measure:
    """Imported late: what they measure needs the settings that the scratch place makes."""
    measure: Measure = import_module(f"fraudconsole.bench.{SECTIONS[name]}").measure
    return measure


def _machine(size: Size) -> str:
    versions = ", ".join(f"{package} {version(package)}" for package in PACKAGES)
    return (
        f"Python {platform.python_version()}, {versions}. Medians of {size.rounds} rounds in random order "
        "(lowest–highest). Only ratios within one table mean anything.\n"
    )


if __name__ == "__main__":
    sys.exit(main())
