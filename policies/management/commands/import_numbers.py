"""`manage.py import_numbers`: brings the phone numbers of a workspace's UponAI account."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from accounts.models import Workspace
from accounts.scoping import scoped
from accounts.workspaces import NoUponaiKey
from policies.sync.importing import ImportPlan, import_numbers, preview_import
from policies.uponai.client import UponaiTrouble


class Command(BaseCommand):
    help = "Bring all phone numbers, with their country lists, from UponAI."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--workspace", required=True, metavar="SLUG")
        parser.add_argument("--dry-run", action="store_true", help="only say what would change")
        parser.add_argument("--json", action="store_true", help="print the counts as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        workspace = Workspace.objects.filter(slug=options["workspace"]).first()
        if workspace is None:
            raise CommandError(f"There is no workspace named {options['workspace']!r}.")
        try:
            if options["dry_run"]:
                with scoped(workspace.pk):
                    plan = preview_import(workspace=workspace)
                self._tell_plan(plan, as_json=options["json"])
                return
            report = import_numbers(workspace=workspace, acting_user=None, now=timezone.now())
        except (UponaiTrouble, NoUponaiKey) as trouble:
            raise CommandError(str(trouble)) from None
        if options["json"]:
            self.stdout.write(json.dumps(asdict(report)))
        else:
            self.stdout.write(
                f"UponAI has {report.found} numbers: {report.added} added, {report.changed} changed, "
                f"{report.missing} of ours are no longer there."
                + (f" {report.back} are there again." if report.back else "")
                + (f" {report.flagged} are flagged until somebody confirms them." if report.flagged else "")
            )

    def _tell_plan(self, plan: ImportPlan, *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps(plan.as_json()))
            return
        for change in plan.changes:
            self.stdout.write(f"{change.change} {change.phone_number} {change.nickname}".rstrip())
            for told in change.details:
                self.stdout.write(f"  {'! ' if told.is_warning else ''}{told.text}")
        self.stdout.write(plan.sentence)
