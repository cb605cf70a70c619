"""What the console tells people and other systems by itself."""

from __future__ import annotations

from django.db import models

from accounts.scoping import WorkspaceModel


class Alert(WorkspaceModel):
    """Something that somebody should know now. One row as long as it lasts; written by `monitoring.alerts` alone."""

    class Kind(models.TextChoices):
        KEY_REFUSED = "key_refused", "UponAI refuses our key"
        SYNC_STOPPED = "sync_stopped", "Somebody else keeps changing a number at UponAI"
        SYNC_FAILED = "sync_failed", "A number cannot be brought to UponAI"
        OPEN_ENDS = "open_ends", "An open is about to end"
        NUMBER_FLAGGED = "number_flagged", "A number appeared at UponAI"
        UNGATED = "ungated_traffic", "Calls that did not pass the gate"
        EVENTS_MISSING = "events_missing", "An agent's events do not arrive"
        RELAY_FAILED = "relay_failed", "Events could not be passed on"
        UPONAI = "uponai", "UponAI's own alert"

    kind = models.CharField(max_length=20, choices=Kind.choices)
    about = models.CharField(max_length=200, blank=True, help_text="What tells it from others of its kind.")
    sentence = models.TextField()
    path = models.CharField(max_length=300, blank=True, help_text="The page that says more.")
    details = models.JSONField(default=dict)
    raised_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True)
    seen_by = models.CharField(max_length=200, blank=True, help_text="Who said that they know.")
    seen_at = models.DateTimeField(null=True)
    mail_due_at = models.DateTimeField(null=True, help_text="When to mail it; empty: done, or nobody to mail it to.")
    mailed_at = models.DateTimeField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    error = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["workspace", "kind", "about"], condition=models.Q(resolved_at=None), name="alert_once"
            )
        ]
        indexes = [
            models.Index(fields=["workspace", "-raised_at"], name="alert_newest"),
            models.Index(fields=["mail_due_at"], condition=models.Q(mail_due_at__isnull=False), name="alert_to_mail"),
        ]

    def __str__(self) -> str:
        return self.sentence


class Relay(WorkspaceModel):
    """A webhook of the customer's that goes on getting UponAI's events. Written by `monitoring.relays` alone."""

    url = models.URLField(max_length=500)
    created_at = models.DateTimeField()
    stopped_at = models.DateTimeField(null=True)
    failing_since = models.DateTimeField(null=True)
    last_delivered_at = models.DateTimeField(null=True)
    last_error = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["workspace", "url"], condition=models.Q(stopped_at=None), name="relay_once")
        ]

    def __str__(self) -> str:
        return self.url


class RelayDelivery(WorkspaceModel):
    """One event on its way to one relay. The row is the schedule."""

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        DELIVERED = "delivered", "Delivered"
        GIVEN_UP = "given_up", "Given up"

    id = models.BigAutoField(primary_key=True)
    relay = models.ForeignKey(Relay, on_delete=models.CASCADE, related_name="deliveries")
    event = models.ForeignKey("monitoring.WebhookEvent", on_delete=models.CASCADE, related_name="deliveries")
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    signature = models.CharField(max_length=200, blank=True, help_text="UponAI's, as it came with the event.")
    attempts = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField(null=True)
    lease_token = models.UUIDField(null=True)
    delivered_at = models.DateTimeField(null=True)
    status = models.PositiveSmallIntegerField(null=True)
    error = models.TextField(blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["relay", "event"], name="relay_delivery_once")]
        indexes = [
            models.Index(
                fields=["relay", "due_at"], condition=models.Q(due_at__isnull=False), name="relay_delivery_due"
            )
        ]

    def __str__(self) -> str:
        return f"{self.event} → {self.relay}: {self.get_state_display()}"


class Digest(WorkspaceModel):
    """What happened in a day or a week, as it was mailed. Written by `monitoring.digests` alone."""

    period = models.CharField(max_length=8)
    start = models.DateTimeField()
    end = models.DateTimeField()
    content = models.JSONField(default=dict)
    created_at = models.DateTimeField()
    mail_due_at = models.DateTimeField(null=True)
    mailed_at = models.DateTimeField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    error = models.TextField(blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["workspace", "period", "start"], name="digest_once")]

    def __str__(self) -> str:
        return f"{self.period} {self.start:%Y-%m-%d}"
