"""Widenings that wait for a second person."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from accounts.scoping import WorkspaceModel


class ProposedChange(WorkspaceModel):
    """A widening that somebody asked for and that nobody has agreed to yet. Written by `policies.approvals` alone.

    It keeps the verb and its arguments; agreeing calls the verb, which refuses if the world moved meanwhile.
    """

    class State(models.TextChoices):
        AWAITING = "awaiting_approval", "Awaiting approval"
        APPROVED = "approved", "Approved"
        REJECTED = "rejected", "Rejected"
        EXPIRED = "expired", "Expired unanswered"
        STALE = "stale", "Overtaken by another change"
        WITHDRAWN = "withdrawn", "Withdrawn"

    verb = models.CharField(max_length=40, help_text="Such as edit_country_policy, as `policies.approvals` knows it.")
    about_model = models.CharField(max_length=40, blank=True)
    about_id = models.BigIntegerField(null=True)
    about = models.CharField(max_length=200, help_text="What it would change, in words.")
    arguments = models.JSONField(default=dict)
    base_version = models.CharField(max_length=80, blank=True, help_text="What the proposer had before them.")
    difference = models.JSONField(default=dict, help_text="Before and after, as the page shows them.")
    exposure = models.JSONField(
        default=dict, help_text='{"tiers": {ISO: tier}, "before_usd_per_hour", "after_usd_per_hour"}'
    )
    reason = models.TextField(blank=True)
    proposed_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    proposed_by_token = models.BigIntegerField(null=True, help_text="The API token, where no person asked.")
    proposed_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    state = models.CharField(max_length=20, choices=State.choices, default=State.AWAITING)
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    decided_by_token = models.BigIntegerField(null=True)
    decided_at = models.DateTimeField(null=True)
    answer = models.TextField(blank=True, help_text="What the second person wrote.")

    class Meta:
        verbose_name_plural = "approvals"
        constraints = [
            models.CheckConstraint(
                condition=~Q(state="approved")
                | Q(decided_by__isnull=False, proposed_by__isnull=True)
                | Q(decided_by__isnull=True)
                | ~Q(decided_by=F("proposed_by")),
                name="proposed_change_another_person",
            ),
            models.CheckConstraint(
                condition=~Q(state="approved")
                | Q(decided_by_token__isnull=True)
                | Q(proposed_by_token__isnull=True)
                | ~Q(decided_by_token=F("proposed_by_token")),
                name="proposed_change_another_token",
            ),
        ]
        indexes = [models.Index(fields=["workspace", "state", "-proposed_at"], name="proposed_change_newest")]

    def __str__(self) -> str:
        return f"{self.about}: {self.get_state_display()}"
