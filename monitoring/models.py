"""What happened: calls, chats and messages at UponAI, and their counts by the hour."""

from __future__ import annotations

from django.db import models

from accounts.scoping import WorkspaceModel


class Call(WorkspaceModel):
    """One call, web call, chat or SMS as UponAI tells of it. Unknown values are kept as they are."""

    id = models.BigAutoField(primary_key=True)
    call_reference = models.CharField(max_length=120, help_text="UponAI's id.")
    channel = models.CharField(max_length=10)
    direction = models.CharField(max_length=10)
    phone_number = models.CharField(max_length=64, blank=True, help_text="Our side.")
    peer = models.CharField(max_length=64, blank=True, help_text="The other side.")
    country = models.CharField(max_length=3, blank=True)
    number_class = models.CharField(max_length=24, blank=True)
    agent = models.CharField(max_length=80, blank=True)
    public_key = models.CharField(max_length=120, blank=True)
    status = models.CharField(max_length=20)
    disconnection_reason = models.CharField(max_length=60, blank=True)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    duration_ms = models.PositiveIntegerField(default=0)
    cost_cents = models.DecimalField(max_digits=12, decimal_places=4, default=0)
    decision_id = models.UUIDField(null=True)
    changed_at = models.DateTimeField()
    rank = models.PositiveSmallIntegerField(default=0, help_text="That of the latest event told of, see `ingest.fold`.")
    older_facts = models.JSONField(default=dict, help_text="{column: rank} of what an earlier event told, or none.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["workspace", "call_reference"], name="call_reference_once")]
        indexes = [
            models.Index(fields=["workspace", "-started_at", "-id"], name="call_newest"),
            models.Index(fields=["workspace", "phone_number", "-started_at"], name="call_of_phone_number"),
            models.Index(fields=["workspace", "changed_at"], name="call_changed"),
        ]

    def __str__(self) -> str:
        return f"{self.direction} {self.channel} {self.peer}"


class WebhookEvent(WorkspaceModel):
    """An event as UponAI sent it, and how far its processing is. Written by `ingest.inbox` alone.

    The row is the queue: it exists before UponAI is answered, and `due_at` says when somebody may take it. While it
    is processed, that is when the lease of `lease_token` ends. None: nothing is to be done.
    """

    class State(models.TextChoices):
        RECEIVED = "received", "Received"
        PROCESSING = "processing", "Processing"
        DONE = "done", "Done"
        FAILED = "failed", "Failed, to be tried again"
        DEAD = "dead", "Given up"

    id = models.BigAutoField(primary_key=True)
    event_key = models.CharField(max_length=200, help_text="Equal for all deliveries of one event.")
    event = models.CharField(max_length=40, blank=True)
    call_reference = models.CharField(max_length=120, blank=True, help_text="UponAI's id of the call or chat.")
    sealed_body = models.TextField(help_text="The raw body, which may hold a transcript.")
    received_at = models.DateTimeField()
    state = models.CharField(max_length=10, choices=State.choices, default=State.RECEIVED)
    attempts = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField(null=True)
    lease_token = models.UUIDField(null=True)
    processed_at = models.DateTimeField(null=True)
    error = models.TextField(blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["workspace", "event_key"], name="webhook_event_once")]
        indexes = [
            models.Index(
                fields=["due_at", "workspace"], condition=models.Q(due_at__isnull=False), name="webhook_event_due"
            ),
            models.Index(fields=["received_at"], name="webhook_event_oldest"),
        ]

    def __str__(self) -> str:
        return f"{self.event} {self.call_reference}: {self.get_state_display()}"


class UsageBucket(WorkspaceModel):
    """The count of one hour for one combination of facts. Written by `ingest.rollups` alone.

    Outcome `blocked` counts decisions, with their reason; outcome `connected` and `not_connected` count calls.
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


class RollupProgress(WorkspaceModel):
    """Up to which rows the rollups of a workspace have counted."""

    decisions_until = models.BigIntegerField(default=0, help_text="The highest Decision.id seen.")
    calls_until = models.DateTimeField(null=True, help_text="The newest Call.changed_at seen.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["workspace"], name="rollup_progress_once")]
