"""The audit trail: rows that are written once, chained, and never changed."""

from __future__ import annotations

from typing import Any

from django.db import models

from accounts.scoping import BindingManager, WorkspaceModel, WorkspaceQuerySet


class AuditIsForever(TypeError):
    """Somebody tried to change or delete an audit entry."""


class AuditQuerySet(WorkspaceQuerySet):
    def update(self, **kwargs: Any) -> int:
        raise AuditIsForever("Audit entries are never changed.")

    def delete(self) -> tuple[int, dict[str, int]]:
        raise AuditIsForever("Audit entries are never deleted.")

    delete.queryset_only = True  # type: ignore[attr-defined]

    def bulk_update(self, *args: Any, **kwargs: Any) -> int:
        raise AuditIsForever("Audit entries are never changed.")


AuditManager = BindingManager.from_queryset(AuditQuerySet, class_name="AuditManager")


class AuditEntry(WorkspaceModel):
    """Who changed what, when, from where, why. Written by `audit.record` alone.

    `digest` chains each entry to the one before. What may name a person stands in `detail` and enters the
    chain only as `detail_digest`, keyed by `detail_key`: erasing both leaves the chain verifiable.
    """

    id = models.BigAutoField(primary_key=True)
    sequence = models.PositiveBigIntegerField(help_text="1, 2, 3 … without gaps within a workspace.")
    at = models.DateTimeField()
    action = models.CharField(max_length=80)
    actor_id = models.BigIntegerField(null=True)
    actor_label = models.CharField(max_length=200)
    object_type = models.CharField(max_length=80)
    object_id = models.CharField(max_length=80)
    object_label = models.CharField(max_length=200)
    detail = models.JSONField(null=True, help_text="before, after, reason, origin")
    detail_key = models.CharField(max_length=64)
    detail_digest = models.CharField(max_length=64)
    previous_digest = models.CharField(max_length=64)
    digest = models.CharField(max_length=64)

    objects = AuditManager()

    class Meta:
        verbose_name_plural = "audit log"
        constraints = [models.UniqueConstraint(fields=["workspace", "sequence"], name="audit_entry_sequence_once")]
        indexes = [
            models.Index(fields=["workspace", "-at"], name="audit_entry_newest"),
            models.Index(fields=["workspace", "object_type", "object_id"], name="audit_entry_object"),
        ]

    def __str__(self) -> str:
        return f"{self.sequence}: {self.action} {self.object_label}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """The one override of `save` in this house: it refuses a second one."""
        if not self._state.adding:
            raise AuditIsForever("Audit entries are never changed.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        raise AuditIsForever("Audit entries are never deleted.")


class AuditHead(models.Model):
    """The newest link of a workspace's chain. Locking it makes writers take turns."""

    workspace = models.OneToOneField("accounts.Workspace", on_delete=models.CASCADE, primary_key=True)
    sequence = models.PositiveBigIntegerField(default=0)
    digest = models.CharField(max_length=64, default="0" * 64)

    def __str__(self) -> str:
        return f"entry {self.sequence} of workspace {self.workspace_id}"
