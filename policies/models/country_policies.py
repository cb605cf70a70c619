"""Named sets of rules, and every version of each."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models
from django.utils import timezone

from accounts.scoping import WorkspaceModel


def every_country() -> dict[str, Any]:
    """Rules that restrict nothing, in the shape of `PolicyRevision.inbound` and `.outbound`."""
    return {"mode": "unrestricted", "countries": [], "class_rules": {}, "prefix_rules": []}


class CountryPolicy(WorkspaceModel):
    """A named set of rules that phone numbers follow. The rules themselves are its current revision."""

    name = models.CharField(max_length=80)
    current_revision = models.ForeignKey(
        "PolicyRevision", null=True, editable=False, on_delete=models.PROTECT, related_name="+"
    )
    is_default = models.BooleanField(
        "default policy",
        default=False,
        help_text="Kept for numbers that appear at UponAI later; an import gives each number a policy of its own.",
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name_plural = "country policies"
        constraints = [
            models.UniqueConstraint(fields=["workspace", "name"], name="country_policy_name_once"),
            models.UniqueConstraint(
                fields=["workspace"], condition=models.Q(is_default=True), name="country_policy_one_default"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class PolicyRevision(WorkspaceModel):
    """One immutable version of a country policy. Written by `actions` alone.

    `inbound` and `outbound`: {"mode": "list" | "unrestricted", "countries": [ISO alpha-2, sorted],
    "class_rules": {number class: action}, "prefix_rules": [{"prefix": "+4470", "action": "block"}]}.
    """

    policy = models.ForeignKey(CountryPolicy, on_delete=models.CASCADE, related_name="revisions")
    number = models.PositiveIntegerField(help_text="1, 2, 3 … within the policy.")
    inbound = models.JSONField(default=every_country)
    outbound = models.JSONField(default=every_country)
    reason = models.TextField(blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["policy", "number"], name="policy_revision_number_once")]

    def __str__(self) -> str:
        return f"revision {self.number}"
