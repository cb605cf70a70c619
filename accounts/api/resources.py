"""The read-only part of a workspace: its audit log."""

from __future__ import annotations

from typing import Any

from django_filters import rest_framework as filters
from rest_framework import serializers
from rest_framework.mixins import ListModelMixin

from accounts.api.inputs import filter_set, period
from accounts.api.views import ApiViewSet
from accounts.kyc import masking
from accounts.models import AuditEntry


class AuditEntrySerializer(serializers.ModelSerializer):
    actor = serializers.CharField(source="actor_label")
    object_label = serializers.SerializerMethodField()
    before = serializers.SerializerMethodField()
    after = serializers.SerializerMethodField()
    reason = serializers.SerializerMethodField()
    origin = serializers.SerializerMethodField()

    class Meta:
        model = AuditEntry
        fields = (
            "sequence",
            "at",
            "action",
            "actor",
            "object_type",
            "object_id",
            "object_label",
            "before",
            "after",
            "reason",
            "origin",
            "digest",
        )

    def get_object_label(self, entry: AuditEntry) -> str:
        return self._shown(entry).label

    def get_before(self, entry: AuditEntry) -> dict[str, Any] | None:
        return self._shown(entry).before

    def get_after(self, entry: AuditEntry) -> dict[str, Any] | None:
        return self._shown(entry).after

    def get_reason(self, entry: AuditEntry) -> str:
        return self._shown(entry).reason

    def get_origin(self, entry: AuditEntry) -> dict[str, str]:
        return self._shown(entry).origin

    def _shown(self, entry: AuditEntry) -> masking.Shown:
        return masking.shown(entry, self.context["request"].auth)


class AuditLog(ListModelMixin, ApiViewSet):
    """Who changed what, when, from where and why; newest first. What is told of subjects takes `subjects:read` as well:
    without it, their data are dots."""

    scope_resource = "audit-log"
    queryset = AuditEntry.objects.all()
    serializer_class = AuditEntrySerializer
    lookup_field = "sequence"
    filterset_class = filter_set(
        "AuditEntryFilters",
        action=filters.CharFilter(label="Exactly this action, such as country_policy.edit."),
        object_type=filters.CharFilter(),
        object_id=filters.CharFilter(),
        **period("at"),
    )
    cursor_ordering = ("-sequence",)
