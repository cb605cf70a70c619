"""`manage.py import_calls`: brings a workspace's calls and chats of before from UponAI. May be killed at any time."""

from __future__ import annotations

import json
import re
import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from accounts.models import Workspace
from monitoring.ingest import history
from policies.uponai.client import UponaiTrouble

UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


class Command(BaseCommand):
    help = "Bring the calls and chats of a time from UponAI's lists. Run again, it goes on where it was broken off."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--workspace", required=True, metavar="SLUG")
        parser.add_argument("--since", required=True, help="30d, 12h, 2w, or a day such as 2026-01-31")
        parser.add_argument("--again", action="store_true", help="read all of it, also what was read before")
        parser.add_argument("--json", action="store_true", help="print the counts as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        workspace = Workspace.objects.filter(slug=options["workspace"]).first()
        if workspace is None:
            raise CommandError(f"There is no workspace named {options['workspace']!r}.")
        now, started = timezone.now(), time.monotonic()
        since = _since(options["since"], now)
        try:
            with _progress() as tell:
                report = history.import_calls(
                    workspace.pk, since=since, clock=timezone.now, again=options["again"], tell=tell
                )
        except UponaiTrouble as trouble:
            raise CommandError(f"{trouble} Run it again, and it goes on from there.") from None
        seconds = round(time.monotonic() - started, 1)
        facts = {"listed": report.listed, "new": report.new, "changed": report.changed, "seconds": seconds}
        if options["json"]:
            self.stdout.write(json.dumps(facts))
        else:
            self.stdout.write(
                f"UponAI lists {report.listed:,} calls and chats since {since:%Y-%m-%d %H:%M} UTC that were not read "
                f"before: {report.new:,} are new here, of {report.changed:,} more became known ({seconds} s)."
            )


def _since(text: str, now: datetime) -> datetime:
    if match := re.fullmatch(r"(\d{1,5})([mhdw])", text.strip()):
        since = now - int(match[1]) * UNITS[match[2]]
    else:
        since = _instant(text.strip())
    if since >= now:
        raise CommandError("--since must be before now.")
    return since


def _instant(text: str) -> datetime:
    try:
        moment = parse_datetime(text)
        day = None if moment else parse_date(text)
    except ValueError:
        moment = day = None
    if day is not None:
        moment = datetime.combine(day, datetime.min.time())
    if moment is None:
        raise CommandError(f"--since {text!r} is neither a length such as 30d or 12h nor a day such as 2026-01-31.")
    return moment if timezone.is_aware(moment) else timezone.make_aware(moment)


@contextmanager
def _progress() -> Iterator[history.Tell]:
    """A bar on a terminal, nothing in a pipe."""
    if not sys.stderr.isatty():
        yield lambda step, done, listed: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("Calls", total=1.0)
        yield lambda step, done, listed: progress.update(task, description=f"{step}: {listed:,}", completed=done)
