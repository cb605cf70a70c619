"""`manage.py import_numbers`: brings the phone numbers of a workspace's UponAI account."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from accounts.models import Workspace
from accounts.workspaces import NoUponaiKey
from policies.sync.importing import import_numbers
from policies.uponai.client import UponaiTrouble


class Command(BaseCommand):
    help = "Bring all phone numbers, with their country lists, from UponAI."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--workspace", required=True, metavar="SLUG")
        parser.add_argument("--json", action="store_true", help="print the counts as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        workspace = Workspace.objects.filter(slug=options["workspace"]).first()
        if workspace is None:
            raise CommandError(f"There is no workspace named {options['workspace']!r}.")
        try:
            report = import_numbers(workspace=workspace, acting_user=None, now=timezone.now())
        except (UponaiTrouble, NoUponaiKey) as trouble:
            raise CommandError(str(trouble)) from None
        if options["json"]:
            self.stdout.write(json.dumps(asdict(report)))
        else:
            self.stdout.write(
                f"UponAI has {report.found} numbers: {report.added} added, {report.changed} changed, "
                f"{report.missing} of ours are no longer there."
            )
