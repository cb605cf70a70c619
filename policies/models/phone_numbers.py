"""Numbers that the workspace owns at UponAI, and how far their lists are on their way there."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from accounts.scoping import WorkspaceModel
from policies.models.country_policies import CountryPolicy


class PhoneNumber(WorkspaceModel):
    """A number the workspace owns at UponAI, and what UponAI last told about it."""

    class Mode(models.TextChoices):
        ENFORCING = "enforcing", "Enforcing"
        OBSERVING = "observing", "Observing: judged and counted, not enforced"

    e164 = models.CharField("number", max_length=20, editable=False)
    nickname = models.CharField(max_length=120, blank=True)
    policy = models.ForeignKey(CountryPolicy, on_delete=models.PROTECT, related_name="phone_numbers")
    number_type = models.CharField(max_length=40, blank=True, editable=False)
    inbound_agents = models.JSONField(default=list, editable=False)
    outbound_agents = models.JSONField(default=list, editable=False)
    inbound_webhook_url = models.CharField(max_length=500, blank=True, editable=False)
    inbound_sms_webhook_url = models.CharField(max_length=500, blank=True, editable=False)
    asks_console = models.BooleanField(
        default=False,
        editable=False,
        help_text="UponAI is to ask this console about its calls and messages; see `policies.connecting`.",
    )
    found = models.JSONField(
        default=dict,
        editable=False,
        help_text="As UponAI had it before this console, for disconnecting: the two lists and the two webhooks.",
    )
    put_back = models.JSONField(
        default=dict,
        editable=False,
        help_text="What UponAI is to get back instead of what is otherwise wanted: lists, webhooks, or nothing of it.",
    )
    flagged_since = models.DateTimeField(
        null=True, editable=False, help_text="It appeared at UponAI, and nobody has said yet what it may do."
    )
    mode = models.CharField(max_length=10, choices=Mode.choices, default=Mode.ENFORCING)
    guarded_agent = models.CharField(
        max_length=80, blank=True, help_text="The agent that answers guarded calls; empty for the usual one."
    )
    chained_webhook_url = models.CharField(
        max_length=500, blank=True, help_text="Your own inbound webhook, asked after the console's own verdict."
    )
    chained_sms_webhook_url = models.CharField(max_length=500, blank=True, help_text="The same for SMS.")
    closed_when_down = models.BooleanField(
        default=False,
        help_text="No agent is bound at UponAI: the console names the agent with every answer, so silence means no.",
    )
    answering_agents = models.JSONField(
        default=list, blank=True, editable=False, help_text="The inbound agents that were bound before it was closed."
    )
    imported_at = models.DateTimeField(default=timezone.now, editable=False)
    missing_since = models.DateTimeField(
        null=True, editable=False, help_text="Since when UponAI no longer lists the number."
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["workspace", "e164"], name="phone_number_once")]

    def __str__(self) -> str:
        return f"{self.e164} {self.nickname}".strip()

    @property
    def inbound_when_console_down(self) -> str:
        """UponAI lets the bound agent answer when our webhook fails; without one the call is dropped."""
        return "answered" if self.inbound_agents else "dropped"


class SyncTarget(WorkspaceModel):
    """How far a phone number's lists are on their way to UponAI. The row is the schedule of `sync.push`.

    Desired: what the number's policy says, counted by `desired_generation`. Applied: what we know we sent.
    Observed: what we read back. `due_at` None: nothing is to be done.
    """

    class State(models.TextChoices):
        PENDING = "pending", "Pending"
        SYNCED = "synced", "Synced"
        FAILED = "failed", "Failed"
        DRIFT = "drift", "Drift"
        UNKNOWN = "unknown", "Unknown"

    phone_number = models.OneToOneField(PhoneNumber, on_delete=models.CASCADE, related_name="sync_target")
    state = models.CharField(max_length=10, choices=State.choices, default=State.PENDING)
    desired_generation = models.PositiveIntegerField(default=1)
    desired_at = models.DateTimeField(default=timezone.now)
    applied_generation = models.PositiveIntegerField(default=0)
    applied_at = models.DateTimeField(null=True)
    applied = models.JSONField(null=True, help_text='{"inbound": [ISO] or null, "outbound": [ISO] or null}')
    observed = models.JSONField(null=True, help_text="The same shape, as UponAI answered.")
    verified_at = models.DateTimeField(null=True)
    attempts = models.PositiveIntegerField(default=0, help_text="Failed ones since the last success.")
    due_at = models.DateTimeField(null=True)
    lease_until = models.DateTimeField(null=True)
    lease_token = models.UUIDField(null=True)
    error = models.TextField(blank=True)
    urgent = models.BooleanField(
        default=False, help_text="Goes before the others: it closes something, or somebody waits for this one."
    )
    unsure_since = models.DateTimeField(
        null=True, help_text="When a request was last left unanswered, which UponAI may still carry out."
    )
    verify_at = models.DateTimeField(null=True, help_text="When to look at UponAI again although nothing is due.")
    verify_step = models.PositiveSmallIntegerField(default=0, help_text="How many of these looks there were.")
    drift_since = models.DateTimeField(null=True, help_text="When UponAI was first seen to have something else.")
    reasserted_at = models.JSONField(
        default=list, help_text="When it was put right after a foreign change: times of the last hour, ISO 8601."
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(applied_generation__lte=models.F("desired_generation")),
                name="sync_target_applied_not_ahead",
            )
        ]
        indexes = [
            models.Index(fields=["due_at"], name="sync_target_due"),
            models.Index(
                fields=["verify_at"], condition=models.Q(verify_at__isnull=False), name="sync_target_to_verify"
            ),
            models.Index(fields=["workspace", "state"], name="sync_target_state"),
        ]

    def __str__(self) -> str:
        return f"{self.phone_number}: {self.get_state_display()}"
