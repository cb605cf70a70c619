"""`rotate_encryption`: wraps every data key by the newest of ENCRYPTION_KEYS, so that the older ones may go."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

import orjson
from django.core.management.base import BaseCommand, CommandError

from accounts import encryption


class Command(BaseCommand):
    help = (
        "Wraps the data keys of all workspaces by the newest of ENCRYPTION_KEYS. Run it after a new key was put in "
        "front and every process was started again with it; then the older keys may go. It may be broken off, and "
        "run again, at any time. Exit code 1: some data keys open with none of ENCRYPTION_KEYS."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="One JSON object instead of a sentence.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            done = encryption.rewrap_data_keys()
        except encryption.CannotOpen as problem:
            raise CommandError(str(problem)) from None
        if options["json"]:
            counts = {"rewrapped": done.rewrapped, "already": done.already, "lost": [str(pk) for pk in done.lost]}
            self.stdout.write(orjson.dumps(counts).decode())
        elif not done.lost:
            self.stdout.write(
                f"{done.rewrapped} data keys were wrapped anew, {done.already} were already. "
                "No data key needs the older ENCRYPTION_KEYS any more."
            )
        if done.lost:
            raise CommandError(
                f"{len(done.lost)} data keys open with none of ENCRYPTION_KEYS, {done.lost[0]} among them. Put the "
                f"key back that was removed too early. {done.rewrapped} others were wrapped anew."
            )
