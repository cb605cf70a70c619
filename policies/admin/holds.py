"""The pages of holds: what is held and why, imposing, lifting, and the emergency brake."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from accounts.admin.base import VerbForm, acting
from accounts.admin.display import badge, time_cell
from policies import holds
from policies.actions import Refused
from policies.admin import hold_words
from policies.admin.exception_pages import MOST_SHOWN, ExceptionAdmin
from policies.held import in_force
from policies.models import Hold

LENGTHS: Final = (
    (15, "15 minutes"),
    (60, "1 hour"),
    (4 * 60, "4 hours"),
    (24 * 60, "1 day"),
    (7 * 24 * 60, "7 days"),
    (30 * 24 * 60, "30 days"),
)
USUAL_LENGTH: Final = 60
_VALUE_HELP = (
    "A number like +14155550100, a public key, a prefix like +4474, a country's two letters, an IP address or range, "
    "or your system's name of an end user. Nothing for everything."
)


class HoldForm(VerbForm):
    value = forms.CharField(required=False, widget=UnfoldAdminTextInputWidget(), help_text=_VALUE_HELP)
    minutes = forms.TypedChoiceField(
        label="For",
        coerce=int,
        choices=LENGTHS,
        initial=USUAL_LENGTH,
        widget=UnfoldAdminSelectWidget(),
        help_text="It ends by itself then, and can be lifted at any time before.",
    )
    reason = forms.CharField(
        widget=UnfoldAdminTextareaWidget({"rows": 2}), help_text="So that others know whether they may lift it."
    )
    end_running_calls = forms.BooleanField(
        label="End running calls too",
        required=False,
        help_text="Stops the calls at UponAI that it covers. Works for everything, a number, a prefix and a country.",
    )

    class Meta:
        model = Hold
        fields = ("scope", "direction", "channel")
        labels = {"scope": "Hold", "direction": "Direction", "channel": "Channel"}
        help_texts = {"direction": "Nothing chosen: both.", "channel": "Nothing chosen: all."}


@admin.register(Hold)
class HoldAdmin(ExceptionAdmin):
    form = HoldForm
    empty_words = {
        "icon": "front_hand",
        "title": "Nothing was held yet",
        "text": "A hold blocks a number, key, country, prefix or address for a time, at once, and ends by itself.",
    }
    list_display = ("thing", "covered", "state", "reason", "made", "ends", "calls_ended")
    moment, maker = "imposed_at", "imposed_by"
    search_fields = ("value", "reason", "imposed_by")
    search_help_text = "What is held, why or by whom"
    ordering = ("-imposed_at", "-pk")
    fieldsets = (
        (None, {"fields": ("scope", "value", ("direction", "channel"))}),
        ("For how long, and why", {"fields": ("minutes", "reason", "end_running_calls")}),
    )
    fields_to_read = list_display

    def run_verb(self, request: HttpRequest, row: Any, form: Any, *, creating: bool) -> Hold:
        given, actor = form.cleaned_data, acting(request)
        return holds.impose(
            workspace_id=request.workspace.pk,  # type: ignore[attr-defined]
            scope=given["scope"],
            value=given["value"],
            direction=given["direction"],
            channel=given["channel"],
            reason=given["reason"],
            expires_at=actor["now"] + timedelta(minutes=given["minutes"]),
            end_running_calls=given["end_running_calls"],
            **actor,
        )

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        now, may_lift = timezone.now(), self.has_add_permission(request)
        rows = in_force(now).order_by("expires_at", "pk")[:MOST_SHOWN]
        context = {
            "title": "Holds",
            "sentences": [hold_words.sentence(hold, now=now, may_lift=may_lift) for hold in rows],
        }
        return super().changelist_view(request, context | (extra_context or {}))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        hold = self.found(request, object_id)
        may_lift = self.has_add_permission(request)
        context = {
            "title": f"Hold of {hold_words.what(hold)}",
            "sentence": hold_words.sentence(hold, now=timezone.now(), may_lift=may_lift, back=self.change_url(hold)),
        }
        return super().change_view(request, object_id, form_url, context | (extra_context or {}))

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        context = {"title": "Hold something", "note": hold_words.NOTE}
        return super().add_view(request, form_url, context | (extra_context or {}))

    def say_made(self, request: HttpRequest, row: Any) -> None:
        messages.success(request, hold_words.headline(Hold.objects.get(pk=row.pk)))

    # --- Buttons ------------------------------------------------------------------------------------

    def own_urls(self) -> list[Any]:
        return [
            ("brake/", "brake", self.brake_view),
            ("<int:object_id>/lift/", "lift", self.ending(self._lift)),
        ]

    def brake_view(self, request: HttpRequest) -> HttpResponse:
        self.to_edit(request)
        actor, minutes = acting(request), request.POST.get("minutes", "")
        try:
            holds.brake(
                workspace_id=request.workspace.pk,  # type: ignore[attr-defined]
                reason=request.POST.get("reason", ""),
                expires_at=actor["now"] + timedelta(minutes=min(int(minutes), 10**6) if minutes.isdecimal() else 0),
                end_running_calls=request.POST.get("end_running_calls") == "yes",
                **actor,
            )
        except Refused as refusal:
            messages.error(request, f"The brake was not pulled. {refusal}")
        else:
            messages.success(request, "The emergency brake is pulled.")
        return redirect("admin:index")

    def _lift(self, request: HttpRequest, row: Hold) -> None:
        hold = holds.lift(hold=row, **acting(request))
        if hold.lifted_at is None:
            messages.info(request, f"It had ended already: {hold_words.what(hold)}.")
        else:
            messages.success(request, f"Lifted: {hold_words.what(hold)}.")

    # --- The list -----------------------------------------------------------------------------------

    @display(description="Meanwhile")
    def covered(self, row: Hold) -> str:
        return hold_words.covers(row)

    @display(description="State")
    def state(self, row: Hold) -> str:
        return {
            "in_force": badge("In force", "failed", "It blocks now."),
            "lifted": badge("Lifted", "", f"By {row.lifted_by}."),
            "expired": badge("Ended", "", "By itself, in time."),
        }[row.state(timezone.now())]

    @display(description="Ends", ordering="expires_at")
    def ends(self, row: Hold) -> str:
        return time_cell(row.lifted_at or row.expires_at)
