"""The list and the form of subjects: the end users whose identity is checked."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, QuerySet
from django.http import FileResponse, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.loader import render_to_string
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSingleDateWidget, UnfoldAdminTextInputWidget

from accounts import countries
from accounts.admin.base import ConsoleAdmin, VerbForm, acting
from accounts.admin.display import CountriesField, CountryField, phone_facts, searched_digits
from accounts.kyc import privacy, records
from accounts.models import KycDocument, Subject


class SubjectForm(VerbForm):
    nationalities = CountriesField(required=False, with_stateless=True)
    country_of_residence = CountryField(required=False)
    phone = forms.CharField(
        required=False, widget=UnfoldAdminTextInputWidget({"placeholder": "+14155550100"}), max_length=40
    )
    date_of_birth = forms.DateField(required=False, widget=UnfoldAdminSingleDateWidget())

    class Meta:
        model = Subject
        fields = records.SUBJECT_FIELDS


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

    change_form_outer_after_template = "accounts/kyc/_subject_actions.html"

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        subject = self.found(request, object_id)
        is_there = subject.erased_at is None
        context = {
            "may_export": is_there and privacy.may_see_documents(request.user),
            "may_erase": is_there and request.user.has_perm(privacy.MAY_ERASE),
            "document_count": KycDocument.objects.filter(record__subject=subject, removed_at=None).count(),
        }
        return super().change_view(request, object_id, form_url, context)  # type: ignore[no-any-return]

    def own_urls(self) -> list[Any]:
        one = "<int:object_id>/"
        return [(one + "export/", "export", self.export_view), (one + "erase/", "erase", self.erase_view)]

    def export_view(self, request: HttpRequest, object_id: int) -> Any:
        """Everything that is kept about the person, as one file."""
        subject = self.found_to_change(request, object_id)
        if not privacy.may_see_documents(request.user):
            raise PermissionDenied
        bundle = privacy.export(subject=subject, **acting(request))
        answer = FileResponse(bundle, as_attachment=True, filename=f"subject-{subject.pk}.zip")
        answer["Cache-Control"] = "no-store"
        return answer

    def erase_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """For good, after the reference was typed once more."""
        subject = self.found_to_change(request, object_id)
        if not request.user.has_perm(privacy.MAY_ERASE):
            raise PermissionDenied
        reason = request.POST.get("reason", "").strip()[:200]
        if request.POST.get("reference", "").strip() != subject.reference or not reason:
            messages.warning(request, "Nothing was erased: type the reference as it stands here, and say why.")
            return redirect(self.change_url(subject))
        privacy.erase(subject=subject, reason=reason, **acting(request))
        messages.success(request, "The person is erased. What was decided about them stays without their name.")
        return redirect("admin:accounts_subject_changelist")

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
        return f"{countries.flag(code)} {countries.name_of(code)}" if code else "—"

    @display(description="KYC records", ordering="records")
    def shown_records(self, row: Subject) -> str:
        return render_to_string(
            "accounts/_count_link.html",
            {
                "count": row.records,  # type: ignore[attr-defined]
                "url": "admin:accounts_kycrecord_changelist",
                "query": f"subject={row.pk}",
            },
        )
