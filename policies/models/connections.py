"""How a workspace's conversation with UponAI goes."""

from __future__ import annotations

from django.db import models

from accounts.scoping import WorkspaceModel


class UponaiConnection(WorkspaceModel):
    """One row a workspace: whether UponAI may be asked now, how fast, and what it last said.

    Closed, open, half open: `blocked_until` empty, in the future, in the past. Written by `sync.connection` alone,
    but for drift's own columns (`sync.drift`).
    """

    org_name = models.CharField(max_length=200, blank=True, help_text="What UponAI calls the account.")
    org_id = models.CharField(max_length=120, blank=True, help_text="UponAI's id of the account.")
    connected_at = models.DateTimeField(null=True)
    disconnect_asked_at = models.DateTimeField(
        null=True, help_text="From then on it ends; what is to be put back at UponAI is put back first."
    )
    disconnected_at = models.DateTimeField(null=True)
    key_refused_at = models.DateTimeField(
        null=True, help_text="UponAI refuses the key in use: nothing is sent until there is another."
    )
    refused_key = models.UUIDField(null=True, help_text="Which key that is: a newer one is tried at once.")
    failures = models.PositiveIntegerField(default=0, help_text="In a row, of any request of the workspace.")
    blocked_until = models.DateTimeField(null=True, help_text="The breaker: until then nothing is sent.")
    next_request_at = models.DateTimeField(null=True, help_text="The budget: when the next request may leave.")
    last_answer_at = models.DateTimeField(null=True)
    last_trouble = models.TextField(blank=True)
    last_trouble_at = models.DateTimeField(null=True)
    drift_due_at = models.DateTimeField(null=True, help_text="When all numbers are to be looked at again.")
    drift_lease_until = models.DateTimeField(null=True)
    drift_lease_token = models.UUIDField(null=True)
    drift_checked_at = models.DateTimeField(null=True, help_text="When all numbers had last been looked at.")
    drift_error = models.TextField(blank=True)

    class Meta:
        verbose_name = verbose_name_plural = "UponAI connection"
        constraints = [models.UniqueConstraint(fields=["workspace"], name="uponai_connection_once")]
        indexes = [models.Index(fields=["drift_due_at"], name="uponai_connection_drift_due")]

    def __str__(self) -> str:
        return self.org_name or "UponAI"
