"""`manage.py seed_demo`: the demo's workspaces, seeded or brought up to date. May be run and killed at any time."""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from accounts import audit
from monitoring.demo.phone_numbers import NoSandbox
from monitoring.demo.seeding import CannotSeed, SeedReport, Tell, seed
from policies.rules_input import Refused
from policies.uponai.client import UponaiTrouble


class Command(BaseCommand):
    help = "Seeds the demo: two workspaces, phone numbers at the sandbox UponAI, and 30 days of traffic."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print what was added as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        started = time.monotonic()
        try:
            with _progress() as tell, audit.origin(via="seed_demo"):
                report = seed(now=timezone.now(), tell=tell)
        except (CannotSeed, NoSandbox, Refused, UponaiTrouble) as trouble:
            raise CommandError(str(trouble)) from None
        seconds = round(time.monotonic() - started, 1)
        if options["json"]:
            self.stdout.write(json.dumps({**dataclasses.asdict(report), "seconds": seconds}))
        elif sys.stdout.isatty():
            self.stdout.write(_sentence(report, seconds))


def _sentence(report: SeedReport, seconds: float) -> str:
    if not (report.phone_numbers or report.calls or report.decisions):
        return "The demo is up to date."
    return f"The demo has {report.calls:,} more calls and {report.decisions:,} more decisions ({seconds} s)."


@contextmanager
def _progress() -> Iterator[Tell]:
    """A bar on a terminal, nothing in a pipe."""
    if not sys.stderr.isatty():
        yield lambda step, done, total: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("Demo", total=None)
        yield lambda step, done, total: progress.update(
            task, description=f"Demo: {step.lower()}", completed=done, total=total
        )
