"""Answers that a REST client may ask for once more."""

from django.db import models

from accounts.models.keys import ApiToken
from accounts.scoping import WorkspaceModel


class KeptAnswer(WorkspaceModel):
    """A POST that came with an idempotency key, and its answer. Written by `accounts.api.repeats` alone.

    It is claimed before anything is done, and forgotten after a day.
    """

    token = models.ForeignKey(ApiToken, on_delete=models.CASCADE)
    idempotency_key = models.CharField(max_length=255)
    request_sha256 = models.CharField(max_length=64)
    at = models.DateTimeField()
    status = models.PositiveSmallIntegerField(null=True, help_text="Empty while it is being answered.")
    answer = models.TextField(blank=True, help_text="Sealed: secrets are in answers that are given once.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["token", "idempotency_key"], name="kept_answer_once_per_key")]
        indexes = [models.Index(fields=["at"], name="kept_answer_oldest")]

    def __str__(self) -> str:
        return self.idempotency_key
