"""Where a customer is told of KYC records, and each telling as a row."""

import uuid

from django.db import models
from django.utils import timezone

from accounts.models.kyc import KycRecord
from accounts.scoping import WorkspaceModel


class KycWebhook(WorkspaceModel):
    """A customer's address, told of every change of state, signed with a secret of its own."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    url = models.URLField(max_length=500)
    secret = models.TextField(editable=False, help_text="Sealed.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    stopped_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        verbose_name = "KYC webhook"

    def __str__(self) -> str:
        return self.url


class KycDelivery(WorkspaceModel):
    """One telling of one event to one webhook. The row is the schedule."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    webhook = models.ForeignKey(KycWebhook, on_delete=models.CASCADE, related_name="deliveries")
    record = models.ForeignKey(KycRecord, on_delete=models.CASCADE, related_name="deliveries")
    body = models.TextField(help_text="As it is sent.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    due_at = models.DateTimeField(null=True, help_text="Empty once it is delivered or given up.")
    leased_until = models.DateTimeField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    delivered_at = models.DateTimeField(null=True)
    gave_up_at = models.DateTimeField(null=True)
    trouble = models.CharField(max_length=200, blank=True)

    class Meta:
        verbose_name = "KYC delivery"
        verbose_name_plural = "KYC deliveries"
        indexes = [models.Index(fields=["due_at"], name="kyc_delivery_due")]

    def __str__(self) -> str:
        return f"delivery {self.pk}"
