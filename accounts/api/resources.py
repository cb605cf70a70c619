"""Read-only parts of a workspace: subjects, KYC records, audit log."""

from __future__ import annotations

from typing import Any

from django_filters import rest_framework as filters
from rest_framework import serializers
from rest_framework.mixins import ListModelMixin

from accounts.api.inputs import filter_set, one_of, period
from accounts.api.views import ApiViewSet
from accounts.models import AuditEntry, KycRecord, Subject


class SubjectSerializer(serializers.ModelSerializer):
    nationalities = serializers.SerializerMethodField()
    country_of_residence = serializers.CharField(source="country_of_residence.code")

    class Meta:
        model = Subject
        fields = (
            "id",
            "reference",
            "name",
            "phone",
            "email",
            "nationalities",
            "country_of_residence",
            "date_of_birth",
            "created_at",
        )

    def get_nationalities(self, subject: Subject) -> list[str]:
        return [country.code for country in subject.nationalities]


class Subjects(ListModelMixin, ApiViewSet):
    """The end users that KYC records are about."""

    scope_resource = "subjects"
    queryset = Subject.objects.all()
    serializer_class = SubjectSerializer
    filterset_class = filter_set("SubjectFilters", reference=filters.CharFilter(label="Exactly this reference."))
    cursor_ordering = ("-id",)


class KycRecordSerializer(serializers.ModelSerializer):
    subject = serializers.CharField(source="subject.reference", help_text="What your systems call the person.")
    level = serializers.IntegerField(min_value=1, max_value=3)
    declared_countries = serializers.SerializerMethodField()

    class Meta:
        model = KycRecord
        fields = (
            "id",
            "subject",
            "level",
            "state",
            "expires_at",
            "declared_countries",
            "declared_purpose",
            "created_at",
            "submitted_at",
            "decided_at",
        )

    def get_declared_countries(self, record: KycRecord) -> list[str]:
        return [country.code for country in record.declared_countries]


class KycRecords(ListModelMixin, ApiViewSet):
    """Identity checks and how far each is."""

    scope_resource = "kyc-records"
    queryset = KycRecord.objects.select_related("subject")
    serializer_class = KycRecordSerializer
    filterset_class = filter_set(
        "KycRecordFilters",
        state=one_of(KycRecord.State.values),
        level=one_of("123"),
        subject=filters.CharFilter(field_name="subject__reference", label="The subject's reference."),
    )
    cursor_ordering = ("-id",)


class AuditEntrySerializer(serializers.ModelSerializer):
    actor = serializers.CharField(source="actor_label")
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

    def get_before(self, entry: AuditEntry) -> dict[str, Any] | None:
        return _detail(entry).get("before")

    def get_after(self, entry: AuditEntry) -> dict[str, Any] | None:
        return _detail(entry).get("after")

    def get_reason(self, entry: AuditEntry) -> str:
        return _detail(entry).get("reason") or ""

    def get_origin(self, entry: AuditEntry) -> dict[str, str]:
        return _detail(entry).get("origin") or {}


def _detail(entry: AuditEntry) -> dict[str, Any]:
    """Empty once a person's details were erased."""
    return entry.detail or {}


class AuditLog(ListModelMixin, ApiViewSet):
    """Who changed what, when, from where and why; newest first."""

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
