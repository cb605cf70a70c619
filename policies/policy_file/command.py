"""What the commands of policy files share: arguments whose misuse is an error and no change, files, coloured lines."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.models import Workspace
from policies.policy_file import words
from policies.policy_file.difference import Plan
from policies.policy_file.problems import BadPolicyFile
from policies.policy_file.reading import LARGEST_BYTES, Source, read_text

STANDARD_INPUT = "-"


class PolicyFileCommand(BaseCommand):
    """A command about one file. Wrong arguments end with 1, as every error does: 2 means that there are changes."""

    requires_system_checks: list[str] = []

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        usual = parser.error

        def error(message: str) -> NoReturn:
            try:
                usual(message)
            except SystemExit:
                raise SystemExit(1) from None
            raise SystemExit(1)

        parser.error = error  # type: ignore[method-assign]
        return parser

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", metavar="FILE", help="the policy file in YAML; - for standard input")
        parser.add_argument("--workspace", metavar="SLUG", help="refuse a file that is for another workspace")
        parser.add_argument("--json", action="store_true", help="answer in JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            source = read_text(read_file(options["file"]))
            self.answer(_workspace(source, options["workspace"]), source, options)
        except BadPolicyFile as bad:
            self._refuse(bad, options)

    def answer(self, workspace: Workspace, source: Source, options: dict[str, Any]) -> None:
        raise NotImplementedError

    def print_json(self, value: Any) -> None:
        self.stdout.write(json.dumps(value, ensure_ascii=False, indent=2))

    def print_lines(self, lines: Iterable[words.Line]) -> None:
        colours = {
            words.ADDED: self.style.SUCCESS,
            words.REMOVED: self.style.ERROR_OUTPUT,
            words.CHANGED: self.style.WARNING,
            words.WIDENS: self.style.ERROR,
        }
        for line in lines:
            colour = colours.get(line.mark)
            self.stdout.write(colour(line.text) if colour else line.text)

    def print_plan(self, plan: Plan) -> None:
        self.print_lines(words.lines(plan))

    def _refuse(self, bad: BadPolicyFile, options: dict[str, Any]) -> NoReturn:
        if options["json"]:
            self.print_json({"state": "error", "errors": [problem.as_dict() for problem in bad.problems]})
        name = "standard input" if options["file"] == STANDARD_INPUT else options["file"]
        raise CommandError(f"{name} was refused; nothing was changed.\n{bad}") from None


def read_file(path: str) -> bytes:
    """At most one byte more than a policy file may have: what is larger need not be read to be refused."""
    try:
        if path == STANDARD_INPUT:
            return sys.stdin.buffer.read(LARGEST_BYTES + 1)
        with Path(path).open("rb") as file:
            return file.read(LARGEST_BYTES + 1)
    except OSError as trouble:
        raise CommandError(f"{path} cannot be read: {trouble.strerror or trouble}.") from None


def _workspace(source: Source, wanted: str | None) -> Workspace:
    """The one that is asked for, else the one that the file names."""
    named = source.value.get("workspace") if isinstance(source.value, dict) else None
    slug = wanted if wanted is not None else named
    if not isinstance(slug, str) or not slug:
        raise BadPolicyFile.one("workspace", "required", "Name the workspace that the file is for: its slug.")
    workspace = Workspace.objects.filter(slug=slug).first()
    if workspace is None:
        detail = f"There is no workspace {slug[:60]!r}."
        if wanted is not None:
            raise CommandError(detail)
        raise BadPolicyFile.one("workspace", "unknown_workspace", detail, source.lines.get(("workspace",)))
    return workspace
