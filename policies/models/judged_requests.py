"""Requests to judge attempts that are dialled elsewhere."""

from __future__ import annotations

from django.db import models

from accounts.scoping import WorkspaceModel


class JudgedRequest(WorkspaceModel):
    """A request to judge that came with an idempotency key, and its answer. Written by `gate.judging` alone.

    It is claimed before anything is judged, and forgotten after a day.
    """

    credential = models.CharField(max_length=40)
    idempotency_key = models.CharField(max_length=255)
    body_sha256 = models.CharField(max_length=64)
    at = models.DateTimeField()
    answer = models.TextField(blank=True, help_text="As it was given; empty while it is being judged.")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["workspace", "credential", "idempotency_key"], name="judged_request_once_per_key"
            )
        ]
        indexes = [models.Index(fields=["workspace", "at"], name="judged_request_oldest")]

    def __str__(self) -> str:
        return self.idempotency_key
