"""`preview`: verdicts on attempts from standard input, one JSON line out per line in. Records and counts nothing."""

from __future__ import annotations

import json
import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterable, Iterator
from typing import Any

import orjson
from django.core.management.base import BaseCommand, CommandError

from accounts.models import Workspace
from policies.engine.decide import decide
from policies.engine.types import Attempt
from policies.gate import snapshots

RECHECK_SECONDS = 1.0


class Command(BaseCommand):
    help = (
        "Says what the gate would decide. Reads attempts as JSON lines, answers each with its verdict. The live store "
        "is not asked for each line, so limits and caps are not_evaluated: for one attempt with its counts, use "
        "POST /api/v1/decisions/preview/ or the page “Test a call”."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--workspace", required=True, metavar="SLUG")
        parser.add_argument("--stream", action="store_true", required=True, help="JSON lines in, JSON lines out.")

    def handle(self, *args: Any, **options: Any) -> None:
        workspace = Workspace.objects.filter(slug=options["workspace"]).first()
        if workspace is None:
            raise CommandError(f"There is no workspace {options['workspace']!r}.")
        try:
            for line in verdicts(sys.stdin.buffer, workspace.pk):
                self.stdout.write(line.decode())
                self.stdout.flush()
        except (BrokenPipeError, KeyboardInterrupt):
            # Whoever listened has gone. Closing here keeps Python from complaining at its end.
            sys.stderr.close()


def verdicts(lines: Iterable[bytes], workspace_id: int) -> Iterator[bytes]:
    """One line of JSON for each of `lines`, judged by the workspace's policies as they are then."""
    loaded, checked_at = snapshots.load(workspace_id), time.monotonic()
    for line in lines:
        if time.monotonic() - checked_at > RECHECK_SECONDS:
            loaded, checked_at = _newest(loaded), time.monotonic()
        try:
            attempt = Attempt.from_json(_parsed(line))
        except ValueError as problem:
            yield orjson.dumps({"error": {"code": "malformed", "detail": f"This line is not JSON: {problem}."}})
            continue
        yield _encoded(decide(attempt, loaded.engine, at_ms=time.time_ns() // 1_000_000).as_dict())


def _parsed(line: bytes) -> Any:
    """Any JSON value. What the fast parser refuses, such as half of a surrogate pair, the patient one may take."""
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        try:
            return json.loads(line, parse_constant=_refuse)
        except RecursionError:
            raise ValueError("it is nested too deeply") from None


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not a value of JSON")


def _encoded(verdict: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(verdict)
    except orjson.JSONEncodeError:
        return json.dumps(verdict).encode()


def _newest(loaded: snapshots.LoadedSnapshot) -> snapshots.LoadedSnapshot:
    version = Workspace.objects.values_list("snapshot_version", flat=True).get(pk=loaded.workspace_id)
    return loaded if version == loaded.version else snapshots.load(loaded.workspace_id)
