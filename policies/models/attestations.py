"""What UponAI keeps where no API reaches: what people saw there, and what an assumed API would be told."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from accounts.models import PublicKey
from accounts.scoping import WorkspaceModel


class Attestation(WorkspaceModel):
    """What a person saw in UponAI's dashboard. Never a measurement, and never shown as one.

    Each look is a row of its own; the newest of a topic counts.
    """

    class Topic(models.TextChoices):
        FRAUD_PROTECTION = "fraud_protection", "Fraud Protection"
        ABUSE_PREVENTION = "abuse_prevention", "Abuse Prevention (reCAPTCHA)"
        ALLOWED_DOMAINS = "allowed_domains", "Allowed domains"
        KYC = "kyc", "KYC of the account"

    class Seen(models.TextChoices):
        ON = "on", "On"
        OFF = "off", "Off"
        NOT_FOUND = "not_found", "Not found there"

    topic = models.CharField(max_length=20, choices=Topic.choices)
    public_key = models.ForeignKey(
        PublicKey, null=True, blank=True, on_delete=models.CASCADE, related_name="attestations"
    )
    seen = models.CharField(max_length=10, choices=Seen.choices)
    checked_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    checked_label = models.CharField(max_length=200, help_text="Who looked, as they were called then.")
    checked_at = models.DateTimeField()
    due_at = models.DateTimeField(help_text="When somebody should look again.")
    link = models.URLField(max_length=500, blank=True, help_text="Where it was seen.")
    note = models.CharField(max_length=300, blank=True)

    class Meta:
        indexes = [models.Index(fields=["workspace", "topic", "public_key", "-checked_at"], name="attestation_newest")]

    def __str__(self) -> str:
        return f"{self.get_topic_display()}: {self.get_seen_display()}"


class ManagedRecord(WorkspaceModel):
    """How far a public key or a KYC status is on its way to UponAI, where an API for it is assumed.

    The row is the schedule, as SyncTarget is for numbers. Written by `sync.management` alone.
    """

    class Kind(models.TextChoices):
        PUBLIC_KEY = "public_key", "Public key"
        KYC_STATUS = "kyc_status", "KYC status"

    kind = models.CharField(max_length=12, choices=Kind.choices)
    record_id = models.BigIntegerField(help_text="The row of PublicKey or Subject.")
    name = models.CharField(max_length=120, help_text="What UponAI calls it: the key, or the subject's reference.")
    wanted = models.JSONField(null=True, help_text="What UponAI is to have since `wanted_at`; null for nothing.")
    wanted_at = models.DateTimeField()
    applied = models.JSONField(null=True, help_text="What UponAI was last seen to have.")
    applied_at = models.DateTimeField(null=True, help_text="When it was last seen there.")
    attempts = models.PositiveIntegerField(default=0)
    due_at = models.DateTimeField(null=True)
    lease_until = models.DateTimeField(null=True)
    lease_token = models.UUIDField(null=True)
    error = models.TextField(blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["workspace", "kind", "record_id"], name="managed_record_once")]
        indexes = [models.Index(fields=["due_at"], condition=models.Q(due_at__isnull=False), name="managed_record_due")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.record_id}"
