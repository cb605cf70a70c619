"""The pages of opens: what is let through for a time and why, opening, closing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from accounts.admin.base import VerbForm, acting
from accounts.admin.display import badge, time_cell
from policies import opens
from policies.admin import hold_words, open_words
from policies.admin.exception_pages import MOST_SHOWN, ExceptionAdmin
from policies.held import opens_now
from policies.models import Hold, Open

LENGTHS: Final = (
    (60, "1 hour"),
    (4 * 60, "4 hours"),
    (24 * 60, "1 day"),
    (7 * 24 * 60, "7 days"),
    (30 * 24 * 60, "30 days"),
)
USUAL_LENGTH: Final = 24 * 60
_SCOPES = [choice for choice in Hold.Scope.choices if choice[0] != Hold.Scope.WORKSPACE]
_VALUE_HELP = (
    "A country's two letters, a number like +447400123456, a prefix like +4474, a public key, an IP address or range, "
    "or your system's name of an end user. Sanctioned countries cannot be opened."
)


class OpenForm(VerbForm):
    scope = forms.ChoiceField(
        label="Open", choices=_SCOPES, initial=Hold.Scope.COUNTRY, widget=UnfoldAdminSelectWidget()
    )
    value = forms.CharField(widget=UnfoldAdminTextInputWidget(), help_text=_VALUE_HELP)
    minutes = forms.TypedChoiceField(
        label="For",
        coerce=int,
        choices=LENGTHS,
        initial=USUAL_LENGTH,
        widget=UnfoldAdminSelectWidget(),
        help_text="It ends by itself then, and can be closed at any time before. What must last belongs into a policy.",
    )
    reason = forms.CharField(
        widget=UnfoldAdminTextareaWidget({"rows": 2}), help_text="So that others know what this was opened for."
    )

    class Meta:
        model = Open
        fields = ("direction", "channel")
        labels = {"direction": "Direction", "channel": "Channel"}
        help_texts = {"direction": "Nothing chosen: both.", "channel": "Nothing chosen: all."}


@admin.register(Open)
class OpenAdmin(ExceptionAdmin):
    form = OpenForm
    empty_words = {
        "icon": "lock_open",
        "title": "Nothing was opened yet",
        "text": "An open lets through for a time what a country or kind-of-number rule would not, and ends by itself.",
    }
    list_display = ("thing", "let_through", "state", "reason", "made", "ends")
    moment, maker = "opened_at", "opened_by"
    search_fields = ("value", "reason", "opened_by")
    search_help_text = "What is open, why or by whom"
    ordering = ("-opened_at", "-pk")
    fieldsets = (
        (None, {"fields": ("scope", "value", ("direction", "channel"))}),
        ("For how long, and why", {"fields": ("minutes", "reason")}),
    )
    fields_to_read = list_display

    def run_verb(self, request: HttpRequest, row: Any, form: Any, *, creating: bool) -> Open:
        given, actor = form.cleaned_data, acting(request)
        return opens.open_temporarily(
            workspace_id=request.workspace.pk,  # type: ignore[attr-defined]
            scope=given["scope"],
            value=given["value"],
            direction=given["direction"],
            channel=given["channel"],
            reason=given["reason"],
            expires_at=actor["now"] + timedelta(minutes=given["minutes"]),
            **actor,
        )

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        now, may_close = timezone.now(), self.has_add_permission(request)
        rows = opens_now(now).order_by("expires_at", "pk")[:MOST_SHOWN]
        context = {
            "title": "Opens",
            "sentences": [open_words.sentence(row, now=now, may_close=may_close) for row in rows],
        }
        return super().changelist_view(request, context | (extra_context or {}))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        row = self.found(request, object_id)
        may_close = self.has_add_permission(request)
        context = {
            "title": f"Open: {hold_words.what(row)}",
            "sentence": open_words.sentence(row, now=timezone.now(), may_close=may_close, back=self.change_url(row)),
        }
        return super().change_view(request, object_id, form_url, context | (extra_context or {}))

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        context = {"title": "Open something for a time", "note": open_words.NOTE}
        return super().add_view(request, form_url, context | (extra_context or {}))

    def say_made(self, request: HttpRequest, row: Any) -> None:
        open_ = Open.objects.get(pk=row.pk)
        messages.success(request, f"{open_words.headline(open_)} {open_words.at_uponai(open_)}")

    # --- Buttons ------------------------------------------------------------------------------------

    def own_urls(self) -> list[Any]:
        return [("<int:object_id>/close/", "close", self.ending(self._close))]

    def _close(self, request: HttpRequest, row: Open) -> None:
        open_ = opens.close(open_=row, **acting(request))
        if open_.closed_at is None:
            messages.info(request, f"It had ended already: {hold_words.what(open_)}.")
        else:
            messages.success(request, f"Closed: {hold_words.what(open_)}.")

    # --- The list -----------------------------------------------------------------------------------

    @display(description="Lets through")
    def let_through(self, row: Open) -> str:
        return open_words.lets(row)

    @display(description="State")
    def state(self, row: Open) -> str:
        if opens.ends_soon(row, timezone.now()):
            return badge("Ends soon", "unknown", open_words.ENDS_SOON)
        return {
            "in_force": badge("Open", "pending", "It lets through now."),
            "closed": badge("Closed", "", f"By {row.closed_by}."),
            "expired": badge("Ended", "", "By itself, in time."),
        }[row.state(timezone.now())]

    @display(description="Ends", ordering="expires_at")
    def ends(self, row: Open) -> str:
        return time_cell(row.closed_at or row.expires_at)
