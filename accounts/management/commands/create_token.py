"""`create_token`: mints an API token and prints it, and nothing else, on standard output."""

from __future__ import annotations

import re
from argparse import ArgumentParser
from datetime import datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from accounts import tokens
from accounts.models import Workspace

LONGEST_NAME = 80
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_SPAN = re.compile(r"([0-9]{1,6})([mhdw])")


class Command(BaseCommand):
    help = "Makes an API token. It is shown once and cannot be had again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--workspace", required=True, metavar="SLUG")
        parser.add_argument(
            "--scope",
            required=True,
            action="append",
            metavar="SCOPE",
            help=f"What it may do; may be repeated. One of: {', '.join(tokens.SCOPES)}.",
        )
        parser.add_argument("--name", default="made by create_token", help="What the token is for.")
        parser.add_argument("--expires", metavar="SPAN", help="After how long it ends, such as 90d, 12h or 8w.")

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        workspace = Workspace.objects.filter(slug=options["workspace"]).first()
        if workspace is None:
            raise CommandError(f"There is no workspace {options['workspace']!r}.")
        name = options["name"].strip()
        if not 1 <= len(name) <= LONGEST_NAME:
            raise CommandError(f"--name must have 1 to {LONGEST_NAME} characters.")
        try:
            token = tokens.create_token(
                workspace=workspace,
                name=name,
                scopes=options["scope"],
                acting_user=None,
                now=now,
                expires_at=_expiry(options["expires"], now),
            )
        except tokens.UnknownScope as unknown:
            raise CommandError(str(unknown)) from None
        self.stdout.write(token)


def _expiry(span: str | None, now: datetime) -> datetime | None:
    if span is None:
        return None
    match = _SPAN.fullmatch(span)
    if match is None or int(match[1]) == 0:
        raise CommandError(f"--expires must be a span such as 90d, 12h or 8w, not {span!r}.")
    try:
        return now + timedelta(**{_UNITS[match[2]]: int(match[1])})
    except OverflowError:
        raise CommandError(f"--expires {span} lies too far ahead.") from None
