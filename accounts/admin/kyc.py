"""The pages of subjects and their KYC records: the queue with the oldest first. Decisions are not made here."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Case, Count, F, IntegerField, QuerySet, Value, When
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils import timezone
from unfold.contrib.filters.admin import ChoicesCheckboxFilter, ChoicesDropdownFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSingleDateWidget, UnfoldAdminTextInputWidget

from accounts.admin.base import ConsoleAdmin, VerbForm, acting
from accounts.admin.display import (
    CountriesField,
    CountryField,
    badge,
    countries_cell,
    phone_facts,
    searched_digits,
    time_cell,
)
from accounts.kyc import records
from accounts.models import KycRecord, Subject

State = KycRecord.State
OPEN_STATES = (State.SUBMITTED, State.IN_REVIEW, State.PROPOSED_APPROVE, State.PROPOSED_REJECT)
TONES = {
    State.SUBMITTED: "pending",
    State.IN_REVIEW: "pending",
    State.PROPOSED_APPROVE: "pending",
    State.PROPOSED_REJECT: "pending",
    State.NEEDS_INFORMATION: "drift",
    State.APPROVED: "synced",
    State.REJECTED: "failed",
    State.SUSPENDED: "failed",
    State.EXPIRED: "drift",
}


class SubjectForm(VerbForm):
    nationalities = CountriesField(required=False)
    country_of_residence = CountryField(required=False)
    phone = forms.CharField(
        required=False, widget=UnfoldAdminTextInputWidget({"placeholder": "+14155550100"}), max_length=40
    )
    date_of_birth = forms.DateField(required=False, widget=UnfoldAdminSingleDateWidget())

    class Meta:
        model = Subject
        fields = records.SUBJECT_FIELDS


class KycRecordForm(VerbForm):
    declared_countries = CountriesField(
        required=False, help_text="Where this subject says they will call; the gate compares."
    )

    class Meta:
        model = KycRecord
        fields = ("subject", *records.RECORD_FIELDS)


@admin.register(Subject)
class SubjectAdmin(ConsoleAdmin):
    form = SubjectForm
    empty_words = {
        "icon": "person_search",
        "title": "No subjects yet",
        "text": "The end users whose identity is checked would be here, by name, reference and phone number.",
    }
    list_display = ("name", "reference", "shown_phone", "email", "residence", "shown_records")
    search_fields = ("name", "reference", "phone", "email")
    search_help_text = "Name, reference, phone or e-mail"
    ordering = ("name",)
    fieldsets = (
        (None, {"fields": (("name", "reference"), ("phone", "email"))}),
        ("Person", {"fields": (("country_of_residence", "nationalities"), "date_of_birth")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Subject]:
        return super().get_queryset(request).annotate(records=Count("kyc_records"))

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> Any:
        """A number is found however it is written."""
        digits = searched_digits(search_term)
        if digits:
            return queryset.filter(phone__contains=digits) | queryset.filter(reference__icontains=search_term), False
        return super().get_search_results(request, queryset, search_term)

    def run_verb(self, request: HttpRequest, row: Any, form: Any, *, creating: bool) -> Subject:
        facts = {name: form.cleaned_data[name] for name in records.SUBJECT_FIELDS if name in form.cleaned_data}
        if creating:
            return records.create_subject(workspace=request.workspace, **facts, **acting(request))  # type: ignore[attr-defined]
        return records.edit_subject(subject=Subject.objects.get(pk=row.pk), **facts, **acting(request))

    @display(description="Phone", ordering="phone")
    def shown_phone(self, row: Subject) -> str:
        if not row.phone:
            return "—"
        return render_to_string("components/_phone_number.html", {"number": phone_facts(row.phone)})

    @display(description="Lives in", ordering="country_of_residence")
    def residence(self, row: Subject) -> str:
        code = row.country_of_residence.code
        return countries_cell([code]) if code else "—"

    @display(description="KYC records", ordering="records")
    def shown_records(self, row: Subject) -> str:
        return render_to_string(
            "accounts/_count_link.html",
            {
                "count": row.records,  # type: ignore[attr-defined]
                "url": "admin:accounts_kycrecord_changelist",
                "query": f"subject__id__exact={row.pk}",
            },
        )


@admin.register(KycRecord)
class KycRecordAdmin(ConsoleAdmin):
    form = KycRecordForm
    empty_words = {
        "icon": "badge",
        "title": "No KYC records yet",
        "text": "Identity checks would be here, the longest waiting first. Open one for a subject.",
    }
    list_display = ("shown_subject", "shown_level", "shown_state", "waiting", "declared", "expires")
    list_display_links = ("shown_subject",)
    list_filter = (("state", ChoicesCheckboxFilter), ("level", ChoicesDropdownFilter))
    list_filter_submit = True
    list_select_related = ("subject",)
    search_fields = ("subject__name", "subject__reference", "subject__phone", "declared_purpose")
    search_help_text = "Subject's name, reference or phone"
    autocomplete_fields = ("subject",)
    readonly_fields = ("shown_state", "created", "submitted", "decided", "expires")
    change_form_before_template = "accounts/_kyc_note.html"
    fieldsets = (
        (None, {"fields": (("subject", "level"),)}),
        ("Declared", {"fields": ("declared_countries", "declared_purpose")}),
        ("For colleagues", {"fields": ("note_for_colleagues",)}),
    )
    facts = ("Where it stands", {"fields": (("shown_state", "created"), ("submitted", "decided", "expires"))})

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        return (self.facts, *self.fieldsets) if obj else self.fieldsets

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return (*self.readonly_fields, "subject") if obj else self.readonly_fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[KycRecord]:
        """What waits for somebody comes first, the longest waiting at the top."""
        waits = Case(When(state__in=OPEN_STATES, then=Value(0)), default=Value(1), output_field=IntegerField())
        rows = super().get_queryset(request).annotate(waits=waits)
        return rows.order_by("waits", F("submitted_at").asc(nulls_last=True), "pk")

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        return lookup == "subject__id__exact" or super().lookup_allowed(lookup, value, request)

    def run_verb(self, request: HttpRequest, row: Any, form: Any, *, creating: bool) -> KycRecord:
        facts = {name: form.cleaned_data[name] for name in records.RECORD_FIELDS if name in form.cleaned_data}
        if creating:
            workspace = request.workspace  # type: ignore[attr-defined]
            subject = form.cleaned_data["subject"]
            return records.create_kyc_record(workspace=workspace, subject=subject, **facts, **acting(request))
        return records.edit_kyc_record(record=KycRecord.objects.get(pk=row.pk), **facts, **acting(request))

    @display(description="Subject", ordering="subject__name")
    def shown_subject(self, row: KycRecord) -> str:
        return row.subject.name

    @display(description="Level", ordering="level")
    def shown_level(self, row: KycRecord) -> str:
        return row.get_level_display()

    @display(description="State", ordering="state")
    def shown_state(self, row: KycRecord) -> str:
        return badge(row.get_state_display(), TONES.get(State(row.state), "unknown"))

    @display(description="Waiting", ordering="submitted_at")
    def waiting(self, row: KycRecord) -> str:
        if row.state not in OPEN_STATES or row.submitted_at is None:
            return "—"
        return _days(row.submitted_at, timezone.now())

    @display(description="Declared countries")
    def declared(self, row: KycRecord) -> str:
        codes = [country.code for country in row.declared_countries]
        return countries_cell(codes) if codes else "—"

    @display(description="Created")
    def created(self, row: KycRecord) -> str:
        return time_cell(row.created_at)

    @display(description="Submitted")
    def submitted(self, row: KycRecord) -> str:
        return time_cell(row.submitted_at)

    @display(description="Decided")
    def decided(self, row: KycRecord) -> str:
        return time_cell(row.decided_at)

    @display(description="Expires", ordering="expires_at")
    def expires(self, row: KycRecord) -> str:
        return time_cell(row.expires_at) if row.expires_at else "—"


def _days(since: datetime, now: datetime) -> str:
    hours = int((now - since).total_seconds() // 3600)
    if hours < 48:
        return "1 hour" if hours == 1 else f"{hours} hours"
    return f"{hours // 24} days"
