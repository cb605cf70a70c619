"""`manage.py replay_events`: has UponAI's events of a range processed once more. What they did right stays as it is."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from accounts import audit
from accounts.models import Workspace
from monitoring.ingest import replaying


class Command(BaseCommand):
    help = "Have UponAI's events of a range processed once more, by the workers. All that is said must fit."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--workspace", required=True, metavar="SLUG")
        parser.add_argument("--since", metavar="TIME", help="received at or after, ISO 8601 (UTC)")
        parser.add_argument("--until", metavar="TIME", help="received before")
        parser.add_argument("--state", default="", help="received, done, failed or dead")
        parser.add_argument("--event", default="", help="such as call_ended")
        parser.add_argument("--call", default="", metavar="ID", help="UponAI's id of a call or chat")
        parser.add_argument("--json", action="store_true", help="print the count as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        workspace = Workspace.objects.filter(slug=options["workspace"]).first()
        if workspace is None:
            raise CommandError(f"There is no workspace named {options['workspace']!r}.")
        which = replaying.Which(
            since=_moment("--since", options["since"]),
            until=_moment("--until", options["until"]),
            state=options["state"],
            event=options["event"],
            call_reference=options["call"],
        )
        try:
            with audit.origin(via="replay_events"):
                total = self._replay(workspace, which)
        except ValidationError as refusal:
            raise CommandError(" ".join(refusal.messages)) from None
        if options["json"]:
            self.stdout.write(json.dumps({"events": total}))
        else:
            self.stdout.write(f"{total:,} events are processed once more.")

    def _replay(self, workspace: Workspace, which: replaying.Which) -> int:
        total, after_id, is_all = 0, 0, False
        while not is_all:
            done = replaying.replay(
                workspace_id=workspace.pk, which=which, acting_user=None, now=timezone.now(), after_id=after_id
            )
            total, after_id, is_all = total + done.events, done.last_id, done.is_all
            if self.stderr.isatty() and not is_all:
                self.stderr.write(f"{total:,} events …")
        return total


def _moment(option: str, text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        moment = parse_datetime(text)
    except ValueError:  # 31 February
        moment = None
    if moment is None:
        raise CommandError(f"{option}: {text!r} is no time. Write 2026-11-21T10:00 or 2026-11-21.")
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
