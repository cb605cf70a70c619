"""What was decided, dialled and turned away, and what became of it."""

from __future__ import annotations

import uuid

from django.db import models
from django.utils import timezone

from accounts.scoping import WorkspaceModel


class Decision(WorkspaceModel):
    """A verdict with its attempt and trace. Written by `gate.recorder` in bulk, once per `decision_id`.

    It keeps facts, not references, so that it says the same for ever: the policy and number may change or go.
    """

    id = models.BigAutoField(primary_key=True)
    decision_id = models.UUIDField(unique=True, default=uuid.uuid4)
    at = models.DateTimeField()
    direction = models.CharField(max_length=10)
    channel = models.CharField(max_length=10)
    verdict = models.CharField(max_length=10)
    reason = models.CharField(max_length=40, blank=True)
    reasons = models.JSONField(default=list)
    phone_number = models.CharField(max_length=64, help_text="Our side.")
    peer = models.CharField(max_length=64, blank=True, help_text="The other side in E.164, or empty.")
    peer_text = models.CharField(max_length=64, blank=True, help_text="The other side as it was given.")
    country = models.CharField(max_length=3, blank=True)
    number_class = models.CharField(max_length=24, blank=True)
    flags = models.JSONField(default=list)
    ip = models.GenericIPAddressField(null=True)
    public_key = models.CharField(max_length=120, blank=True)
    subject = models.CharField(max_length=120, blank=True)
    call_reference = models.CharField(max_length=120, blank=True, help_text="UponAI's id of the call or chat.")
    policy_id = models.BigIntegerField(null=True)
    policy_revision = models.PositiveIntegerField(null=True)
    hold_id = models.BigIntegerField(null=True, help_text="The hold that it failed for.")
    trace = models.JSONField(default=list)
    counterfactuals = models.JSONField(default=list)
    would_be = models.CharField(
        max_length=10, blank=True, help_text="What it would have been, were what failed not only observed."
    )
    would_be_reason = models.CharField(max_length=40, blank=True)
    credential = models.CharField(
        max_length=40, blank=True, help_text='What was shown at the gate: "key:5" or "token:7", by row.'
    )
    origin = models.CharField(max_length=255, blank=True, help_text="The web page's, as its browser told.")
    call_seconds = models.PositiveIntegerField(null=True, help_text="The cap on the call's length that it got.")
    reserved_micro = models.PositiveBigIntegerField(
        default=0, help_text="Millionths of a US dollar that it was let through to cost at most."
    )
    degraded = models.BooleanField(default=False)
    left_declared_use = models.BooleanField(
        default=False,
        help_text="Not what the subject's KYC record was approved for, and its reviewers are yet to know.",
    )
    metadata_version = models.CharField(max_length=20, blank=True)
    latency_us = models.PositiveIntegerField(null=True)
    recorded_at = models.DateTimeField(default=timezone.now)

    class Meta:
        indexes = [
            models.Index(fields=["workspace", "-at", "-id"], name="decision_newest"),
            models.Index(
                fields=["workspace", "-at", "-id"],
                condition=models.Q(verdict="block"),
                name="decision_newest_blocked",
            ),
            models.Index(fields=["workspace", "phone_number", "-at"], name="decision_of_phone_number"),
            models.Index(fields=["workspace", "peer", "-at"], name="decision_of_peer"),
            models.Index(
                fields=["workspace", "-at"], condition=~models.Q(would_be=""), name="decision_newest_observed"
            ),
            models.Index(
                fields=["workspace", "-at"],
                condition=models.Q(direction="inbound", credential=""),
                name="decision_from_uponai",
            ),
            models.Index(
                fields=["workspace", "subject", "-at"], condition=~models.Q(subject=""), name="decision_of_subject"
            ),
            models.Index(fields=["at"], condition=models.Q(left_declared_use=True), name="decision_left_declared_use"),
        ]

    def __str__(self) -> str:
        return f"{self.verdict} {self.reason} {self.peer or self.peer_text}".strip()


class Dial(WorkspaceModel):
    """One outbound attempt that was let through, written before UponAI is asked. Written by `gate.outbound`;
    what became of the call, by `gate.settlement`.

    The row is what makes a repeated request the same request, and the schedule of finding out what became of one
    that UponAI did not answer. It is also what the limits are counted from while the live store is away.
    """

    class State(models.TextChoices):
        RUNNING = "running", "UponAI is being asked"
        DONE = "done", "UponAI answered"
        UNKNOWN = "unknown", "UponAI did not answer; the list of calls will tell"
        NEVER = "never", "UponAI has no such call"

    decision_id = models.UUIDField(unique=True)
    at = models.DateTimeField()
    channel = models.CharField(max_length=10)
    credential = models.CharField(max_length=40)
    idempotency_key = models.CharField(max_length=255)
    body_sha256 = models.CharField(max_length=64)
    state = models.CharField(max_length=10, choices=State.choices, default=State.RUNNING)
    from_number = models.CharField(max_length=64, blank=True)
    to_number = models.CharField(max_length=64, blank=True)
    country = models.CharField(max_length=3, blank=True)
    ip = models.GenericIPAddressField(null=True)
    public_key = models.CharField(max_length=120, blank=True)
    subject = models.CharField(max_length=120, blank=True)
    charges = models.JSONField(default=list, help_text="The counters it was held against.")
    call_seconds = models.PositiveIntegerField(null=True)
    reserved_micro = models.PositiveBigIntegerField(default=0)
    counted_by_database = models.BooleanField(
        default=False, help_text="Let through while the live store was away; the store is yet to be told."
    )
    call_id = models.CharField(max_length=120, blank=True, help_text="UponAI's id of the call or chat.")
    answer_status = models.PositiveSmallIntegerField(null=True)
    answer = models.TextField(blank=True, help_text="UponAI's body, or the refusal, as it was passed on.")
    ended_at = models.DateTimeField(null=True, help_text="When an event told that the call is over.")
    seconds = models.PositiveIntegerField(null=True, help_text="How long it lasted.")
    cost_micro = models.PositiveBigIntegerField(null=True, help_text="Millionths of a US dollar that it did cost.")
    due_at = models.DateTimeField(null=True, help_text="When to look for it in UponAI's list; null: no need.")
    attempts = models.PositiveIntegerField(default=0)
    error = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["workspace", "credential", "idempotency_key"], name="dial_once_per_key")
        ]
        indexes = [
            models.Index(fields=["workspace", "-at"], name="dial_newest"),
            models.Index(fields=["due_at"], condition=models.Q(due_at__isnull=False), name="dial_due"),
            models.Index(
                fields=["workspace"], condition=models.Q(counted_by_database=True), name="dial_counted_by_database"
            ),
            models.Index(fields=["workspace", "call_id"], name="dial_of_call"),
        ]

    def __str__(self) -> str:
        return f"{self.get_state_display()}: {self.to_number or self.channel}"


class DecisionOutcome(WorkspaceModel):
    """What became of an attempt that was let through, as the customer's own systems tell."""

    class Outcome(models.TextChoices):
        VERIFIED = "verified", "Verified"
        UNVERIFIED = "unverified", "Unverified"
        COMPLAINT = "complaint", "Complaint"
        GOOD = "good", "Good"

    decision_id = models.UUIDField()
    outcome = models.CharField(max_length=10, choices=Outcome.choices)
    at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["workspace", "decision_id"], name="decision_outcome_once")]

    def __str__(self) -> str:
        return f"{self.outcome} {self.decision_id}"


class KnownPrefix(WorkspaceModel):
    """Destinations that the workspace has called, by E.164 without the last four digits."""

    prefix = models.CharField(max_length=20)
    first_at = models.DateTimeField()
    confirmed = models.BooleanField(default=False, help_text="A call to it was reported as good.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["workspace", "prefix"], name="known_prefix_once")]

    def __str__(self) -> str:
        return self.prefix


class RefusedWebhook(WorkspaceModel):
    """How many webhooks were turned away unread in one hour. Written by `gate.recorder` from the live store."""

    hour = models.DateTimeField(help_text="When the hour began.")
    problem = models.CharField(max_length=20)
    requests = models.PositiveBigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["workspace", "hour", "problem"], name="refused_webhook_once")]

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H}h {self.problem}: {self.requests}"
