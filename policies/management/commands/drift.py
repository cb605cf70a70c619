"""`manage.py drift`: compares all numbers with UponAI now, puts right what is wider there, and says what differs."""

from __future__ import annotations

import json
import time
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from accounts.models import Workspace
from policies.sync import connection, drift
from policies.sync.connection import Standing
from policies.sync.drift import Report
from policies.uponai.client import UponaiTrouble

POLL_SECONDS = 0.5
WORDS = {
    "re_asserted": "put right",
    "left": "left to you: adopt it or re-assert ours",
    "given_up": "not put right any more: somebody keeps changing it",
    "sent": "sent, since what is wanted has changed",
}


class Command(BaseCommand):
    help = "Compare all phone numbers with UponAI, and say what somebody changed there."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--workspace", metavar="SLUG", help="only this one; else all that are connected")
        parser.add_argument("--timeout", type=float, default=120, metavar="SECONDS", help="for a turn; 120")
        parser.add_argument("--json", action="store_true", help="print what was found as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        reports, troubles = {}, {}
        for workspace in self._workspaces(options["workspace"]):
            try:
                reports[workspace.slug] = self._check(workspace, options["timeout"])
            except (UponaiTrouble, drift.Busy) as trouble:
                troubles[workspace.slug] = str(trouble)
        if options["json"]:
            told = {slug: asdict(report) for slug, report in reports.items()}
            self.stdout.write(json.dumps({"workspaces": told, "troubles": troubles}))
        else:
            self._tell(reports)
        if troubles:
            raise CommandError(" ".join(f"{slug}: {trouble}" for slug, trouble in troubles.items()))

    def _workspaces(self, slug: str | None) -> list[Workspace]:
        if slug is None:
            return [workspace for workspace in Workspace.objects.order_by("slug") if self._is_connected(workspace)]
        workspace = Workspace.objects.filter(slug=slug).first()
        if workspace is None:
            raise CommandError(f"There is no workspace named {slug!r}.")
        return [workspace]

    def _is_connected(self, workspace: Workspace) -> bool:
        """Whether there is anything to compare with."""
        said = connection.standing(workspace.pk, now=timezone.now())
        return said.standing not in (Standing.NO_KEY, Standing.DISCONNECTED)

    def _check(self, workspace: Workspace, timeout: float) -> Report:
        """Waits for its turn where a worker is at it."""
        ends_at = time.monotonic() + timeout
        while True:
            try:
                return drift.check(workspace.pk, clock=timezone.now)
            except drift.Busy:
                if time.monotonic() > ends_at:
                    raise
            time.sleep(POLL_SECONDS)

    def _tell(self, reports: dict[str, Report]) -> None:
        for slug, report in reports.items():
            self.stdout.write(
                f"{slug}: UponAI has {report.numbers} numbers: {report.as_wanted} as wanted, "
                f"{len(report.found)} not, {report.waiting} on their way, {report.added} new, "
                f"{report.missing} of ours are no longer there."
            )
            for found in report.found:
                self.stdout.write(f"  {found.phone_number}: {found.sentence}; {WORDS[found.outcome]}.")
