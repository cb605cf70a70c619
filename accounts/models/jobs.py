"""Periodic work that must happen once in each of its periods, whoever rings for it."""

from django.db import models


class JobSlot(models.Model):
    """One period of one periodic job, claimed by whoever came first; see `accounts.jobs`. Belongs to no workspace."""

    job = models.CharField(max_length=60)
    slot = models.DateTimeField(help_text="When the period began.")
    claimed_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["job", "slot"], name="job_slot_once")]

    def __str__(self) -> str:
        return f"{self.job} {self.slot:%Y-%m-%d %H:%M:%S}"
