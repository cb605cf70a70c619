"""Counts of what happened, by the hour and by the minute."""

from __future__ import annotations

from datetime import datetime

from django.db import models

from accounts.scoping import WorkspaceModel


class UsageBucket(WorkspaceModel):
    """The count of one hour for one combination of facts. Written by `ingest.rollups` alone.

    Outcome `blocked` counts what is in the list of blocked calls, with its reason; outcome `connected` and
    `not_connected` count calls. What UponAI started and a network then blocked is both.
    """

    class Outcome(models.TextChoices):
        BLOCKED = "blocked", "Blocked"
        CONNECTED = "connected", "Connected"
        NOT_CONNECTED = "not_connected", "Not connected"

    id = models.BigAutoField(primary_key=True)
    hour = models.DateTimeField(help_text="When the hour began.")
    direction = models.CharField(max_length=10)
    channel = models.CharField(max_length=10)
    country = models.CharField(max_length=3, blank=True)
    number_class = models.CharField(max_length=24, blank=True)
    outcome = models.CharField(max_length=14, choices=Outcome.choices)
    reason = models.CharField(max_length=40, blank=True)
    calls = models.PositiveIntegerField()
    seconds = models.PositiveBigIntegerField(default=0)
    cost_cents = models.DecimalField(max_digits=14, decimal_places=4, default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=[
                    "workspace",
                    "hour",
                    "direction",
                    "channel",
                    "country",
                    "number_class",
                    "outcome",
                    "reason",
                ],
                name="usage_bucket_once",
            )
        ]

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H}h {self.outcome} {self.country}: {self.calls}"


class HourTotal(WorkspaceModel):
    """The sums of an hour's buckets by outcome and reason alone: what a chart of months reads. Written by
    `ingest.rollups` alone.
    """

    id = models.BigAutoField(primary_key=True)
    hour = models.DateTimeField(help_text="When the hour began.")
    outcome = models.CharField(max_length=14, choices=UsageBucket.Outcome.choices)
    reason = models.CharField(max_length=40, blank=True)
    calls = models.PositiveIntegerField()
    seconds = models.PositiveBigIntegerField(default=0)
    cost_cents = models.DecimalField(max_digits=14, decimal_places=4, default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["workspace", "hour", "outcome", "reason"], name="hour_total_once")
        ]

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H}h {self.outcome}: {self.calls}"


class MinuteBucket(WorkspaceModel):
    """The same for one minute, more coarsely, for the last day. Written by `ingest.rollups` alone."""

    id = models.BigAutoField(primary_key=True)
    minute = models.DateTimeField(help_text="When the minute began.")
    direction = models.CharField(max_length=10)
    channel = models.CharField(max_length=10)
    outcome = models.CharField(max_length=14, choices=UsageBucket.Outcome.choices)
    reason = models.CharField(max_length=40, blank=True)
    calls = models.PositiveIntegerField()
    seconds = models.PositiveBigIntegerField(default=0)
    cost_cents = models.DecimalField(max_digits=14, decimal_places=4, default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["workspace", "minute", "direction", "channel", "outcome", "reason"], name="minute_bucket_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.minute:%Y-%m-%d %H:%M} {self.outcome}: {self.calls}"


class PartyBucket(WorkspaceModel):
    """The count of one hour, or of one day of UTC, for one of our numbers, one public key, or one number of the other
    side.

    Of the other sides only the busiest of each hour are kept, see `ingest.parties`, so sums over them are lower
    bounds. Written by `ingest.parties` alone.
    """

    class Step(models.TextChoices):
        HOUR = "hour", "Hour"
        DAY = "day", "Day"

    class Kind(models.TextChoices):
        PHONE_NUMBER = "phone_number", "Our number"
        PUBLIC_KEY = "public_key", "Public key"
        PEER = "peer", "The other side"

    id = models.BigAutoField(primary_key=True)
    step = models.CharField(max_length=4, choices=Step.choices, default=Step.HOUR)
    hour = models.DateTimeField(help_text="When the hour, or the day, began.")
    kind = models.CharField(max_length=12, choices=Kind.choices)
    value = models.CharField(max_length=120)
    country = models.CharField(max_length=3, blank=True, help_text="Of the other side.")
    outcome = models.CharField(max_length=14, choices=UsageBucket.Outcome.choices)
    calls = models.PositiveIntegerField()
    seconds = models.PositiveBigIntegerField(default=0)
    cost_cents = models.DecimalField(max_digits=14, decimal_places=4, default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["workspace", "step", "hour", "kind", "value", "outcome"], name="party_bucket_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.step} {self.hour:%Y-%m-%d %H}h {self.kind} {self.value} {self.outcome}: {self.calls}"


class ConcurrencySample(WorkspaceModel):
    """How many calls were running at one moment: as UponAI says, and as we know of. Written by `ingest.concurrency`."""

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField()
    running = models.PositiveIntegerField(
        null=True, help_text="UponAI's current_concurrency; empty: it did not answer."
    )
    limit = models.PositiveIntegerField(null=True, help_text="UponAI's concurrency_limit.")
    reserved_inbound = models.PositiveIntegerField(null=True)
    ours = models.PositiveIntegerField(help_text="Calls that began and have not ended, as events told.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["workspace", "at"], name="concurrency_sample_once")]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S}: {self.running} of {self.limit}"


class RollupProgress(WorkspaceModel):
    """Up to which rows the rollups of a workspace have counted."""

    usage_blocked_until = models.BigIntegerField(default=0, help_text="The highest BlockedCall.id in UsageBucket.")
    calls_until = models.DateTimeField(null=True, help_text="The newest Call.changed_at seen.")

    rests_until = models.DateTimeField(
        null=True, help_text="An hour with many calls takes long to count; nobody counts again before."
    )

    blocked_until = models.BigIntegerField(default=0, help_text="The highest Decision.id in the list of blocked calls.")
    refused_until = models.BigIntegerField(default=0, help_text="The highest Dial.id looked at for it.")
    ended_until = models.DateTimeField(null=True, help_text="The newest Call.changed_at looked at for it.")
    parties_blocked_until = models.BigIntegerField(default=0, help_text="The highest BlockedCall.id in PartyBucket.")
    parties_calls_until = models.DateTimeField(null=True, help_text="The newest Call.changed_at in PartyBucket.")
    forgotten_until = models.DateTimeField(
        null=True, help_text="Rows of before may be gone, see `ingest.retention`: their hours are not counted anew."
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["workspace"], name="rollup_progress_once")]

    def countable(self, hours: list[datetime]) -> list[datetime]:
        """Those of the hours whose rows are all there still."""
        return [hour for hour in hours if self.forgotten_until is None or hour >= self.forgotten_until]
