"""Everything that was blocked, from every source that can be seen."""

from __future__ import annotations

from django.db import models

from accounts.scoping import WorkspaceModel


class BlockedCall(WorkspaceModel):
    """One attempt that did not come about because somebody blocked it. Written by `ingest.blocked_calls` alone.

    A copy of what the lists ask for; decision, dial and call have the rest.
    """

    class Source(models.TextChoices):
        GATE = "gate", "Refused at the gate"
        INBOUND = "inbound", "Rejected by our answer to UponAI"
        TRANSFER = "transfer", "A running call, transferred to where it may not go"
        REFUSED = "refused", "Refused by UponAI when it was to be started"
        NOT_CONNECTED = "not_connected", "Not connected, for a reason that means a block"

    id = models.BigAutoField(primary_key=True)
    source = models.CharField(max_length=14, choices=Source.choices)
    reference = models.CharField(max_length=120, help_text="The decision's id, or UponAI's of the call.")
    at = models.DateTimeField()
    direction = models.CharField(max_length=10)
    channel = models.CharField(max_length=10)
    reason = models.CharField(
        max_length=40, help_text="One of the reasons of a verdict; for UponAI's own blocks: uponai_…, see `words`."
    )
    said = models.CharField(max_length=200, blank=True, help_text="What UponAI said of it.")
    phone_number = models.CharField(max_length=64, blank=True, help_text="Our side.")
    peer = models.CharField(max_length=64, blank=True, help_text="The other side.")
    country = models.CharField(max_length=3, blank=True)
    number_class = models.CharField(max_length=24, blank=True)
    public_key = models.CharField(max_length=120, blank=True)
    decision_id = models.UUIDField(null=True)
    call_reference = models.CharField(max_length=120, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["workspace", "source", "reference"], name="blocked_call_once")]
        indexes = [
            models.Index(fields=["workspace", "-at", "-id"], name="blocked_call_newest"),
            models.Index(fields=["workspace", "reason", "-at"], name="blocked_call_of_reason"),
            models.Index(fields=["workspace", "country", "-at"], name="blocked_call_of_country"),
            models.Index(fields=["workspace", "phone_number", "-at"], name="blocked_call_of_number"),
            models.Index(fields=["workspace", "peer", "-at"], name="blocked_call_of_peer"),
            # Of these, a value may be so rare that it is in no row for months, while the newest rows are walked along.
            models.Index(fields=["workspace", "source", "-at"], name="blocked_call_of_source"),
            models.Index(fields=["workspace", "channel", "-at"], name="blocked_call_of_channel"),
            models.Index(fields=["workspace", "direction", "-at"], name="blocked_call_of_direction"),
            models.Index(
                fields=["workspace", "public_key", "-at"],
                condition=~models.Q(public_key=""),
                name="blocked_call_of_public_key",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.reason} {self.peer}".strip()
