"""Running calls that have to be ended at UponAI."""

from __future__ import annotations

from django.db import models

from accounts.scoping import WorkspaceModel


class CallToEnd(WorkspaceModel):
    """One call that was judged while it ran and must not go on. The row is the schedule of `calls_to_end`.

    `due_at` None: nothing is to be done any more.
    """

    call_id = models.CharField(max_length=120, help_text="UponAI's id of the call.")
    decision_id = models.UUIDField(help_text="The decision for which it is ended.")
    asked_at = models.DateTimeField()
    due_at = models.DateTimeField(null=True)
    attempts = models.PositiveIntegerField(default=0)
    error = models.TextField(blank=True)
    ended_at = models.DateTimeField(null=True, help_text="When UponAI said that it is over.")

    class Meta:
        verbose_name_plural = "calls to end"
        constraints = [models.UniqueConstraint(fields=["workspace", "decision_id"], name="call_to_end_once")]
        indexes = [models.Index(fields=["due_at"], condition=models.Q(due_at__isnull=False), name="call_to_end_due")]

    def __str__(self) -> str:
        return self.call_id
