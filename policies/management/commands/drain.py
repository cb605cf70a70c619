"""`manage.py drain`: does by hand, once, what the workers do: decisions to rows, due lists to UponAI."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from redis.exceptions import RedisError

from policies.gate import recorder, snapshots
from policies.gate.outbound import unresolved
from policies.sync import management, push, schedule

MANAGED_SECONDS = 60.0


class Command(BaseCommand):
    help = "Do by hand what the workers do, once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print the counts as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        sent = [push.push(target, clock=timezone.now) for target in schedule.due_targets(now=timezone.now())]
        managed = management.sweep(clock=timezone.now, seconds=MANAGED_SECONDS)
        looked = [unresolved.resolve(dial, clock=timezone.now) for dial in unresolved.due_dials(now=timezone.now())]
        try:
            snapshots.publish_all()
            recorded = recorder.drain(now=timezone.now())
            recorder.drain_refused(now=timezone.now())
        except RedisError as trouble:
            raise CommandError(f"{sum(sent)} numbers synced. The live store does not answer: {trouble}") from None
        if options["json"]:
            self.stdout.write(
                json.dumps(
                    {
                        "synced": sum(sent),
                        "due": len(sent),
                        "managed": managed,
                        "recorded": recorded,
                        "resolved": sum(looked),
                    }
                )
            )
        else:
            self.stdout.write(f"{sum(sent)} of {len(sent)} due numbers synced, {recorded} decisions recorded.")
