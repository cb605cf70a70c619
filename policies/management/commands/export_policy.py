"""`manage.py export_policy`: a workspace's policies, numbers and keys as a policy file, on standard output."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.models import Workspace
from policies.policy_file.exporting import content_of, export


class Command(BaseCommand):
    help = "Print a workspace's country policies, phone numbers and public keys as a policy file."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--workspace", required=True, metavar="SLUG")
        parser.add_argument("--json", action="store_true", help="the same in JSON, which plan and apply take as well")

    def handle(self, *args: Any, **options: Any) -> None:
        workspace = Workspace.objects.filter(slug=options["workspace"]).first()
        if workspace is None:
            raise CommandError(f"There is no workspace {options['workspace']!r}.")
        if options["json"]:
            self.stdout.write(json.dumps(content_of(workspace), ensure_ascii=False, indent=2))
        else:
            self.stdout.write(export(workspace), ending="")
