"""`verify_audit`: reads the audit log's chain and says whether anything in it was altered or is missing."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

import orjson
from django.core.management.base import BaseCommand, CommandError

from accounts import audit
from accounts.models import Workspace


class Command(BaseCommand):
    help = "Verifies the audit log. Exit code 0: every entry is as it was written; 1: the first bad one is named."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--workspace", metavar="SLUG", help="Only this one; otherwise all.")
        parser.add_argument("--json", action="store_true", help="One JSON object instead of sentences.")

    def handle(self, *args: Any, **options: Any) -> None:
        workspaces = Workspace.objects.order_by("slug")
        if options["workspace"]:
            workspaces = workspaces.filter(slug=options["workspace"])
            if not workspaces:
                raise CommandError(f"There is no workspace {options['workspace']!r}.")
        found = {workspace.slug: audit.verify(workspace.pk) for workspace in workspaces}
        bad = [slug for slug, verification in found.items() if verification.problem]
        if options["json"]:
            self._write_json(found, is_intact=not bad)
        else:
            for slug, verification in found.items():
                self.stdout.write(_sentence(slug, verification))
        if bad:
            raise CommandError(f"The audit log of {', '.join(bad)} is not as it was written.")

    def _write_json(self, found: dict[str, audit.Verification], *, is_intact: bool) -> None:
        workspaces = [
            {
                "workspace": slug,
                "entries": verification.entries,
                "intact": not verification.problem,
                "bad_sequence": verification.bad_sequence,
                "problem": verification.problem or None,
            }
            for slug, verification in found.items()
        ]
        self.stdout.write(orjson.dumps({"intact": is_intact, "workspaces": workspaces}).decode())


def _sentence(slug: str, verification: audit.Verification) -> str:
    if verification.problem:
        return f"{slug}: entry {verification.bad_sequence}: {verification.problem}."
    count = "1 entry" if verification.entries == 1 else f"{verification.entries} entries"
    return f"{slug}: {count}, all as they were written."
