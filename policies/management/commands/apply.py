"""`manage.py apply FILE`: makes a workspace as its policy file says. Exit code 0 done or nothing to do, 1 an error."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

import orjson
from django.core.management.base import CommandError
from django.utils import timezone

from accounts.models import Workspace
from policies import approvals
from policies.models import ProposedChange
from policies.policy_file.applying import Outcome, carry_through
from policies.policy_file.command import STANDARD_INPUT, PolicyFileCommand, read_file
from policies.policy_file.reading import Source
from policies.widening import NeedsApproval


class Command(PolicyFileCommand):
    help = "Make a workspace as its policy file says. Exit code 0: done, proposed or nothing to do; 1: an error."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--plan",
            metavar="PLANFILE",
            help="what plan --json printed: refuse if anything that it looked at has changed since",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["plan"] == options["file"] == STANDARD_INPUT:
            raise CommandError("The file and the plan cannot both come from standard input.")
        super().handle(*args, **options)

    def answer(self, workspace: Workspace, source: Source, options: dict[str, Any]) -> None:
        made_of = None if options["plan"] is None else _plan(options["plan"])
        try:
            outcome = carry_through(
                workspace=workspace, source=source, made_of=made_of, acting_user=None, now=timezone.now()
            )
        except NeedsApproval as needs:
            self._tell_who_is_asked(approvals.propose(needs), options)
        else:
            self._tell(outcome, options)

    def _tell(self, outcome: Outcome, options: dict[str, Any]) -> None:
        if options["json"]:
            self.print_json(outcome.as_json())
            return
        self.print_plan(outcome.plan)
        if outcome.plan:
            self.stdout.write("Done. UponAI gets the country lists within seconds; manage.py sync --wait waits for it.")

    def _tell_who_is_asked(self, proposal: ProposedChange, options: dict[str, Any]) -> None:
        if options["json"]:
            self.print_json({"state": proposal.state, "approval": proposal.pk})
            return
        self.stdout.write(
            f"Nothing was changed yet: this opens something that needs a second person. It waits as approval "
            f"{proposal.pk} until {proposal.expires_at:%Y-%m-%d %H:%M} UTC."
        )


def _plan(path: str) -> Any:
    """The whole plan as JSON, or its fingerprint alone."""
    text = read_file(path)
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text.decode("utf-8", "replace").strip()
