"""The pages of API tokens. A new token's text is shown once, in the answer that made it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from unfold.decorators import display
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget, UnfoldAdminSelectWidget

from accounts import tokens
from accounts.admin.base import ConsoleAdmin, VerbForm, acting
from accounts.admin.display import badge, time_cell
from accounts.models import ApiToken

LIFETIMES = [("30", "30 days"), ("90", "90 days"), ("365", "a year"), ("", "never ends")]


def scope_choices() -> list[Any]:
    read = [(scope, scope) for scope in tokens.SCOPES if scope.endswith(":read")]
    write = [(scope, scope) for scope in tokens.SCOPES if scope.endswith(":write")]
    by_name = [(scope, f"{scope} (not in *)") for scope in tokens.BY_NAME_ONLY]
    return [(tokens.EVERYTHING, "* (everything)"), *read, *write, *by_name]


class ApiTokenForm(VerbForm):
    scopes = forms.MultipleChoiceField(
        choices=scope_choices,
        widget=UnfoldAdminCheckboxSelectMultipleWidget(),
        help_text="What the token may do; writing includes reading.",
    )
    lifetime = forms.ChoiceField(
        choices=LIFETIMES, initial="90", required=False, label="Ends after", widget=UnfoldAdminSelectWidget()
    )

    class Meta:
        model = ApiToken
        fields = ("name", "scopes")


@admin.register(ApiToken)
class ApiTokenAdmin(ConsoleAdmin):
    form = ApiTokenForm
    empty_words = {
        "icon": "token",
        "title": "No API tokens yet",
        "text": "A token lets your own systems use the REST API. Make one with only the scopes it needs.",
    }
    list_display = ("name", "prefix", "shown_scopes", "by", "used", "ends", "state")
    search_fields = ("name", "prefix")
    search_help_text = "Name, or how the token begins"
    list_select_related = ("created_by",)
    ordering = ("-revoked_at", "-created_at")
    add_fieldsets = ((None, {"fields": ("name", "lifetime", "scopes")}),)
    fieldsets = ((None, {"fields": ("name", "prefix", "shown_scopes", "by", "used", "ends", "state")}),)
    change_form_outer_after_template = "accounts/_token_actions.html"

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A token is revoked, never edited."""
        return False

    def run_verb(self, request: HttpRequest, row: Any, form: Any, *, creating: bool) -> ApiToken:
        who = acting(request)
        days = form.cleaned_data["lifetime"]
        text = tokens.create_token(
            workspace=request.workspace,  # type: ignore[attr-defined]
            name=form.cleaned_data["name"].strip(),
            scopes=form.cleaned_data["scopes"],
            expires_at=who["now"] + timedelta(days=int(days)) if days else None,
            **who,
        )
        request.new_token = text  # type: ignore[attr-defined]
        return ApiToken.objects.get(prefix=text[: len(tokens.MARK) + tokens.IDENTIFIER_LENGTH])

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        context = {"title": "Your new token", "token": request.new_token, "name": obj.name}  # type: ignore[attr-defined]
        response = self.page(request, "accounts/token_shown_once.html", context)
        response.headers["Cache-Control"] = "no-store"
        return response

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        row = self.found(request, object_id)
        may_revoke = request.user.has_perm("accounts.change_apitoken") and row.revoked_at is None
        return super().change_view(request, object_id, form_url, {"token": row, "may_revoke": may_revoke})

    def own_urls(self) -> list[Any]:
        return [("<int:object_id>/revoke/", "revoke", self.revoke_view)]

    def revoke_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        if request.method != "POST" or not request.user.has_perm("accounts.change_apitoken"):
            raise PermissionDenied
        row = self.found(request, object_id)
        tokens.revoke_token(token=row, **acting(request))
        messages.success(request, f"{row.name} is revoked; the next request with it is refused.")
        return redirect("admin:accounts_apitoken_changelist")

    @display(description="Scopes")
    def shown_scopes(self, row: ApiToken) -> str:
        return "everything" if tokens.EVERYTHING in row.scopes else ", ".join(row.scopes)

    @display(description="Made by", ordering="created_by__email")
    def by(self, row: ApiToken) -> str:
        return str(row.created_by) if row.created_by else "command line"

    @display(description="Last used", ordering="last_used_at")
    def used(self, row: ApiToken) -> str:
        return time_cell(row.last_used_at)

    @display(description="Ends", ordering="expires_at")
    def ends(self, row: ApiToken) -> str:
        return time_cell(row.expires_at) if row.expires_at else "never"

    @display(description="State")
    def state(self, row: ApiToken) -> str:
        if row.revoked_at:
            return badge("Revoked", "failed")
        return badge("Works", "synced") if row.is_valid(timezone.now()) else badge("Ended", "unknown")
