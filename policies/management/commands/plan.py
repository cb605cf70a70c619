"""`manage.py plan FILE`: what applying a policy file would change. Exit code 0 nothing, 2 something, 1 an error."""

from __future__ import annotations

from typing import Any

from accounts.models import Workspace
from policies.policy_file.command import PolicyFileCommand
from policies.policy_file.difference import plan
from policies.policy_file.reading import Source

CHANGES = 2


class Command(PolicyFileCommand):
    help = "Say what applying a policy file would change. Exit code 0: nothing; 2: something; 1: an error."

    def answer(self, workspace: Workspace, source: Source, options: dict[str, Any]) -> None:
        found = plan(workspace=workspace, source=source)
        if options["json"]:
            self.print_json(found.as_json())
        else:
            self.print_plan(found)
            if found:
                self.stdout.write("Nothing was changed. To carry out exactly this: plan --json, then apply --plan.")
        if found:
            raise SystemExit(CHANGES)
