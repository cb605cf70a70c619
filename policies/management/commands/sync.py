"""`manage.py sync`: sends what is due to UponAI; with --wait, until nothing is left that can be sent.

With the lists go public keys and KYC statuses, where an API for these is assumed.
"""

from __future__ import annotations

import json
import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db.models import Count
from django.utils import timezone

from accounts.scoping import unscoped
from policies.models import SyncTarget
from policies.sync import management, push, schedule

STILL_MOVING = (SyncTarget.State.PENDING, SyncTarget.State.UNKNOWN, SyncTarget.State.DRIFT)
POLL_SECONDS = 0.5


class Command(BaseCommand):
    help = "Send the country lists that are due to UponAI."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--wait", action="store_true", help="until every number is synced or has failed; exits 1 if one failed"
        )
        parser.add_argument("--timeout", type=float, default=120, metavar="SECONDS", help="with --wait; 120")
        parser.add_argument("--json", action="store_true", help="print the counts as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        deadline = time.monotonic() + options["timeout"]
        while True:
            schedule.recover(now=timezone.now())
            for sync_target_id in schedule.due_targets(now=timezone.now()):
                push.push(sync_target_id, clock=timezone.now)
            management.sweep(clock=timezone.now, seconds=max(0.0, deadline - time.monotonic()))
            counts = self._counts()
            moving = self._moving()
            if not options["wait"] or not moving:
                break
            if time.monotonic() > deadline:
                raise CommandError(f"{moving} still wait for UponAI after {options['timeout']:.0f} s.")
            time.sleep(POLL_SECONDS)
        if options["json"]:
            self.stdout.write(json.dumps(counts))
        else:
            words = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
            self.stdout.write(words or "There are no phone numbers yet.")
        failed = counts.get(SyncTarget.State.FAILED, 0)
        if options["wait"] and failed:
            raise CommandError(f"{failed} number{'s' * (failed != 1)} failed: UponAI refuses what is wanted.")

    def _moving(self) -> int:
        """What has no due time waits for a person or another key, not for UponAI."""
        with unscoped(reason="the command serves every workspace"):
            numbers = SyncTarget.objects.filter(state__in=STILL_MOVING, due_at__isnull=False).count()
        return numbers + management.waiting(now=timezone.now())

    def _counts(self) -> dict[str, int]:
        with unscoped(reason="the command serves every workspace"):
            rows = SyncTarget.objects.values_list("state").annotate(numbers=Count("pk")).order_by("state")
            return dict(rows)
