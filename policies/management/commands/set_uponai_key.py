"""`set_uponai_key`: gives a workspace another private key of its UponAI account, without showing it to anybody."""

from __future__ import annotations

import getpass
import sys
from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from accounts.models import Workspace
from policies import connecting
from policies.management.commands.create_workspace import KEY_VARIABLE, first_line, from_environment
from policies.rules_input import Refused

LONGEST_OVERLAP = timedelta(days=30)


class Command(BaseCommand):
    help = (
        "Tries a new UponAI key and uses it from now on. The key is read from standard input, or from the file that "
        f"{KEY_VARIABLE}_FILE names, and never from the command line, where others on this machine can read it."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--workspace", required=True, metavar="SLUG")
        parser.add_argument(
            "--overlap-hours",
            type=int,
            default=24,
            metavar="HOURS",
            help="for how long webhooks signed with the key before are still believed; 24, and 0 when it leaked",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        workspace = Workspace.objects.filter(slug=options["workspace"]).first()
        if workspace is None:
            raise CommandError(f"There is no workspace {options['workspace']!r}.")
        overlap = options["overlap_hours"]
        if not 0 <= overlap <= LONGEST_OVERLAP // timedelta(hours=1):
            raise CommandError(f"--overlap-hours is 0 to {LONGEST_OVERLAP // timedelta(hours=1)}.")
        key, now = _given_key(), timezone.now()
        try:
            account = connecting.connect(
                workspace=workspace,
                key=key,
                acting_user=None,
                now=now,
                old_verifies_until=now + timedelta(hours=overlap),
            )
        except Refused as refusal:
            raise CommandError(f"Nothing was changed. {refusal}") from None
        self.stdout.write(
            f"The key ending in {key[-4:]} is in use for {workspace.slug} from now on; "
            f"it belongs to {account.org_name or account.org_id}."
        )


def _given_key() -> str:
    key = from_environment(KEY_VARIABLE)
    if not key:
        key = getpass.getpass("UponAI key: ").strip() if sys.stdin.isatty() else first_line(sys.stdin.readline())
    if not key:
        raise CommandError(
            f"The UponAI key is missing: write it to standard input, or {KEY_VARIABLE}_FILE with the path of a file "
            "that holds it."
        )
    return key
