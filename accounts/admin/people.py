"""The pages of a workspace's members. Only owners see them."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from unfold.contrib.filters.admin import ChoicesCheckboxFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminEmailInputWidget, UnfoldAdminPasswordWidget, UnfoldAdminTextInputWidget

from accounts import members
from accounts.admin.base import ConsoleAdmin, VerbForm, acting
from accounts.admin.display import badge, time_cell
from accounts.models import Membership
from accounts.roles import Role

WHAT_ROLES_DO = (
    "Owner: everything, members and keys included. Policy editor: numbers, policies and public keys. "
    "KYC reviewer and second reviewer: KYC records and subjects. Analyst: reads traffic and the audit log. "
    "Viewer: reads traffic."
)


class MemberForm(VerbForm):
    email = forms.EmailField(label="E-mail address", widget=UnfoldAdminEmailInputWidget())
    name = forms.CharField(required=False, max_length=120, widget=UnfoldAdminTextInputWidget())
    password = forms.CharField(
        required=False,
        label="First password",
        widget=UnfoldAdminPasswordWidget({"autocomplete": "new-password"}),
        help_text="Only for somebody who has no account yet: at least 12 characters. Who has one keeps their own.",
    )

    class Meta:
        model = Membership
        fields = ("role",)
        help_texts = {"role": WHAT_ROLES_DO}


class RoleForm(VerbForm):
    class Meta:
        model = Membership
        fields = ("role",)
        help_texts = {"role": WHAT_ROLES_DO}


@admin.register(Membership)
class MembershipAdmin(ConsoleAdmin):
    counted = ("member", "members")
    list_display = ("person", "address", "shown_role", "since")
    list_display_links = ("person", "address")
    list_filter = (("role", ChoicesCheckboxFilter),)
    list_filter_submit = True
    list_select_related = ("user",)
    search_fields = ("user__name", "user__email")
    search_help_text = "Name or e-mail address"
    ordering = ("user__email",)
    radio_fields = {"role": admin.VERTICAL}
    fieldsets = ((None, {"fields": ("person", "address", "role")}),)
    add_fieldsets = ((None, {"fields": (("email", "name"), "role", "password")}),)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        return super().get_form(request, obj, change=change, **kwargs | {"form": RoleForm if obj else MemberForm})

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("person", "address") if obj else ()

    def run_verb(self, request: HttpRequest, row: Any, form: Any, *, creating: bool) -> Membership:
        role = Role(form.cleaned_data["role"])
        if not creating:
            stored = Membership.objects.get(pk=row.pk)
            return members.change_role(membership=stored, role=role, **acting(request))
        facts = {name: form.cleaned_data[name] for name in ("email", "name", "password")}
        membership = members.admit_member(
            workspace=request.workspace,  # type: ignore[attr-defined]
            role=role,
            **facts,
            **acting(request),
        )
        row.user = membership.user
        return membership

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        members.remove_member(membership=obj, **acting(request))

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        try:
            return super().delete_view(request, object_id, extra_context)
        except ValidationError as refusal:
            messages.error(request, " ".join(refusal.messages))
            return redirect(self.change_url(self.found(request, object_id)))

    @display(description="Person", ordering="user__name")
    def person(self, row: Membership) -> str:
        return row.user.name or row.user.email

    @display(description="E-mail address", ordering="user__email")
    def address(self, row: Membership) -> str:
        return row.user.email

    @display(description="Role", ordering="role")
    def shown_role(self, row: Membership) -> str:
        return badge(row.get_role_display(), "pending" if row.role == Role.OWNER else "")

    @display(description="Since", ordering="created_at")
    def since(self, row: Membership) -> str:
        return time_cell(row.created_at)
