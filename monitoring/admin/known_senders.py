"""The pages of known senders: who may pass the gate by and why, declaring, removing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from django import forms
from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from unfold.contrib.filters.admin import ChoicesRadioFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from accounts.admin.base import VerbForm, acting
from accounts.admin.display import as_people_write, badge, time_cell
from accounts.components import Action, Sentence
from monitoring import senders
from monitoring.models import KnownSender
from policies.admin.exception_pages import MOST_SHOWN, ExceptionAdmin

LENGTHS: Final = ((0, "For good"), (24 * 60, "1 day"), (7 * 24 * 60, "7 days"), (30 * 24 * 60, "30 days"))
NOTE: Final = (
    "Declaring a sender blocks and opens nothing: the gate still does not see its calls. It only says that they are "
    "no surprise, those of before too, so that what remains under ungated traffic is."
)


class KnownSenderForm(VerbForm):
    value = forms.CharField(
        required=False,
        widget=UnfoldAdminTextInputWidget(),
        help_text="A number like +14155550100, or an agent's id at UponAI. Nothing for all batches or all trunks.",
    )
    minutes = forms.TypedChoiceField(
        label="For", coerce=int, choices=LENGTHS, initial=0, widget=UnfoldAdminSelectWidget()
    )
    reason = forms.CharField(
        widget=UnfoldAdminTextareaWidget({"rows": 2}), help_text="So that others know whether it may stay."
    )

    class Meta:
        model = KnownSender
        fields = ("kind",)
        labels = {"kind": "Sender"}


@admin.register(KnownSender)
class KnownSenderAdmin(ExceptionAdmin):
    form = KnownSenderForm
    empty_words = {
        "icon": "badge",
        "title": "No sender was declared",
        "text": "Who starts calls at UponAI without asking the gate, and is expected to, would be here.",
    }
    list_display = ("thing", "state", "reason", "made", "ends")
    list_filter = (("kind", ChoicesRadioFilter),)
    moment, maker = "declared_at", "declared_by"
    search_fields = ("value", "reason", "declared_by")
    search_help_text = "Number, agent, why or by whom"
    ordering = ("-declared_at", "-pk")
    fieldsets = ((None, {"fields": ("kind", "value")}), ("For how long, and why", {"fields": ("minutes", "reason")}))
    fields_to_read = list_display

    def run_verb(self, request: HttpRequest, row: Any, form: Any, *, creating: bool) -> KnownSender:
        given, actor = form.cleaned_data, acting(request)
        ends = actor["now"] + timedelta(minutes=given["minutes"]) if given["minutes"] else None
        sender, _ = senders.declare(
            workspace_id=request.workspace.pk,  # type: ignore[attr-defined]
            kind=given["kind"],
            value=given["value"],
            reason=given["reason"],
            expires_at=ends,
            **actor,
        )
        return sender

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        may_remove = self.has_add_permission(request)
        rows = _in_force().order_by("-declared_at")[:MOST_SHOWN]
        sentences = [_sentence(row, may_remove=may_remove) for row in rows]
        context = {"title": "Known senders", "sentences": sentences, "note": NOTE}
        return super().changelist_view(request, context | (extra_context or {}))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        row = self.found(request, object_id)
        may_remove = self.has_add_permission(request) and _in_force().filter(pk=row.pk).exists()
        context = {"title": f"Known sender: {what(row)}", "sentence": _sentence(row, may_remove=may_remove)}
        return super().change_view(request, object_id, form_url, context | (extra_context or {}))

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        context = {"title": "Declare a sender", "note": NOTE}
        return super().add_view(request, form_url, context | (extra_context or {}))

    def say_made(self, request: HttpRequest, row: Any) -> None:
        sender = KnownSender.objects.get(pk=row.pk)
        messages.success(request, f"Declared: {what(sender)}. Its calls of before are marked as known, too.")

    def own_urls(self) -> list[Any]:
        return [("<int:object_id>/remove/", "remove", self.ending(self._remove))]

    def _remove(self, request: HttpRequest, row: KnownSender) -> None:
        senders.remove(sender=row, **acting(request))
        messages.success(request, f"Removed: {what(row)}. Its calls count as ungated again.")

    @display(description="Who")
    def thing(self, row: Any) -> str:
        return what(row)

    @display(description="State")
    def state(self, row: KnownSender) -> str:
        if row.removed_at is not None:
            return badge("Removed", "", "Its calls count as ungated.")
        if row.expires_at is not None and row.expires_at <= timezone.now():
            return badge("Ended", "", "Later calls count as ungated.")
        return badge("Declared", "pending", "Its calls are marked as known.")

    @display(description="Ends", ordering="expires_at")
    def ends(self, row: KnownSender) -> str:
        ends_at = row.removed_at or row.expires_at
        return time_cell(ends_at) if ends_at else "—"


def what(row: KnownSender) -> str:
    """ "Agent agent_7", "All batch calls"."""
    if row.kind == KnownSender.Kind.PHONE_NUMBER:
        return f"Number {as_people_write(row.value)}"
    return f"Agent {row.value}" if row.kind == KnownSender.Kind.AGENT else str(row.get_kind_display())


def _in_force() -> QuerySet[KnownSender]:
    rows: QuerySet[KnownSender] = KnownSender.objects.filter(
        Q(expires_at=None) | Q(expires_at__gt=timezone.now()), removed_at=None
    )
    return rows


def _sentence(row: KnownSender, *, may_remove: bool) -> Sentence:
    remove = Action(
        "Remove",
        reverse("admin:monitoring_knownsender_remove", args=[row.pk]),
        post=True,
        confirm=f"{what(row)} is no known sender any more, and its calls count as ungated again, those of before too.",
    )
    text = f"{what(row)} may pass the gate by: {row.reason}"
    return Sentence("notice", text, f"Declared by {row.declared_by}.", (remove,) if may_remove else ())
