"""The pages of the trusted and of the blocked callers: who is listed and why, adding, removing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from accounts.admin.base import Actor, VerbForm, acting
from accounts.admin.display import badge, time_cell
from policies import lists
from policies.admin import hold_words, list_words
from policies.admin.exception_pages import ExceptionAdmin
from policies.blast_radius import BlastRadius, blast_radius
from policies.engine.names import Direction
from policies.list_input import scopes_of, wanted_entry
from policies.models import BlockedCaller, Hold, ListEntry, Trusted
from policies.rules_input import Refused

FOR_GOOD: Final = 0
LENGTHS: Final = ((FOR_GOOD, "For good"), (1, "1 day"), (7, "7 days"), (30, "30 days"), (365, "1 year"))
BOTH: Final = [("", "Both"), *Hold.Direction.choices]


class EntryForm(VerbForm):
    value = forms.CharField(widget=UnfoldAdminTextInputWidget())
    days = forms.TypedChoiceField(
        label="How long", coerce=int, choices=LENGTHS, initial=FOR_GOOD, widget=UnfoldAdminSelectWidget()
    )
    reason = forms.CharField(
        widget=UnfoldAdminTextareaWidget({"rows": 2}), help_text="So that others know whether they may remove it."
    )
    direction = forms.ChoiceField(required=False, choices=BOTH, widget=UnfoldAdminSelectWidget())

    class Meta:
        model = ListEntry
        fields = ("channel",)
        help_texts = {"channel": "Nothing chosen: all."}


class TrustedForm(EntryForm):
    scope = forms.ChoiceField(
        label="Trust", choices=scopes_of(ListEntry.List.TRUSTED), widget=UnfoldAdminSelectWidget()
    )
    value = forms.CharField(
        widget=UnfoldAdminTextInputWidget(),
        help_text="A number like +447400123456, an IP address or range, or your system's name of an end user.",
    )


class BlockedCallerForm(EntryForm):
    scope = forms.ChoiceField(
        label="Block", choices=scopes_of(ListEntry.List.BLOCKED), widget=UnfoldAdminSelectWidget()
    )
    value = forms.CharField(
        widget=UnfoldAdminTextInputWidget(), help_text="A number like +447400123456, or a prefix like +4474."
    )
    direction = forms.ChoiceField(
        required=False, choices=BOTH, initial=Direction.INBOUND.value, widget=UnfoldAdminSelectWidget()
    )


class ListEntryAdmin(ExceptionAdmin):
    """`which` list, and `verb`: how one gets on it."""

    which: str
    verb: Any
    title, add_title = "", ""
    list_display = ("thing", "does", "reason", "made", "ends")
    moment, maker = "added_at", "added_by"
    end_field = "days"
    search_fields = ("value", "reason", "added_by")
    search_help_text = "Who is listed, why or by whom"
    ordering = ("-added_at", "-pk")
    fieldsets = (
        (None, {"fields": ("scope", "value", ("direction", "channel"))}),
        ("For how long, and why", {"fields": ("days", "reason")}),
    )
    fields_to_read = list_display

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).filter(list=self.which)

    def run_verb(self, request: HttpRequest, row: Any, form: Any, *, creating: bool) -> ListEntry:
        given, actor = form.cleaned_data, acting(request)
        return self.add(
            request,
            actor,
            scope=given["scope"],
            value=given["value"],
            direction=given["direction"] or None,
            channel=given["channel"],
            reason=given["reason"],
            expires_at=actor["now"] + timedelta(days=given["days"]) if given["days"] else None,
        )

    def add(self, request: HttpRequest, actor: Actor, **given: Any) -> ListEntry:
        entry: ListEntry = type(self).verb(workspace_id=request.workspace.pk, **given, **actor)  # type: ignore[attr-defined]
        return entry

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        context = {"title": self.title, "note": list_words.NOTES[ListEntry.List(self.which)]}
        return super().changelist_view(request, context | (extra_context or {}))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        entry = self.found(request, object_id)
        may_remove = self.has_add_permission(request)
        context = {
            "title": f"{ListEntry.List(self.which).label}: {hold_words.what(entry)}",
            "sentence": list_words.sentence(entry, now=timezone.now(), may_remove=may_remove),
        }
        return super().change_view(request, object_id, form_url, context | (extra_context or {}))

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        context = {"title": self.add_title, "note": list_words.NOTES[ListEntry.List(self.which)]}
        return super().add_view(request, form_url, context | (extra_context or {}))

    def say_made(self, request: HttpRequest, row: Any) -> None:
        messages.success(request, list_words.headline(ListEntry.objects.get(pk=row.pk)))

    # --- Buttons ------------------------------------------------------------------------------------

    def own_urls(self) -> list[Any]:
        return [
            ("at-once/", "at_once", self.at_once_view),
            ("<int:object_id>/remove/", "remove", self.ending(self._remove)),
        ]

    def at_once_view(self, request: HttpRequest) -> HttpResponse:
        """Lists the number that a button of another page names."""
        self.to_edit(request)
        given = {name: request.GET.get(name, "") for name in ("value", "direction", "reason")}
        try:
            entry = self.add(request, acting(request), scope=ListEntry.Scope.PEER, **given)
        except Refused as refusal:
            messages.error(request, str(refusal))
        else:
            self.say_made(request, entry)
        return self.back_from(request)

    def _remove(self, request: HttpRequest, row: ListEntry) -> None:
        lists.remove(entry=row, **acting(request))
        messages.success(request, f"Removed from the list: {hold_words.what(row)}.")

    # --- The list -----------------------------------------------------------------------------------

    @display(description="Effect")
    def does(self, row: ListEntry) -> str:
        return hold_words.capital(list_words.effect(row.list, row.direction))

    @display(description="Ends", ordering="expires_at")
    def ends(self, row: ListEntry) -> str:
        return time_cell(row.expires_at) if row.expires_at else badge("For good", "", "Until somebody removes it.")


@admin.register(Trusted)
class TrustedAdmin(ListEntryAdmin):
    form = TrustedForm
    which = ListEntry.List.TRUSTED
    verb = staticmethod(lists.trust)
    title, add_title = "Trusted", "Trust somebody"
    empty_words = {
        "icon": "verified_user",
        "title": "Nobody is trusted yet",
        "text": "Own offices, test numbers and partners' networks would be here, spared captcha and limits.",
    }


@admin.register(BlockedCaller)
class BlockedCallerAdmin(ListEntryAdmin):
    form = BlockedCallerForm
    which = ListEntry.List.BLOCKED
    verb = staticmethod(lists.block_caller)
    title, add_title = "Blocked callers", "Block a caller"
    change_form_outer_after_template = "policies/blocked_caller_after.html"
    empty_words = {
        "icon": "phone_disabled",
        "title": "No caller is blocked",
        "text": "Numbers and prefixes that are never let through would be here. A decision's page blocks in one click.",
    }

    def own_urls(self) -> list[Any]:
        return [*super().own_urls(), ("blast-radius/", "blast_radius", self.blast_radius_view)]

    def say_made(self, request: HttpRequest, row: Any) -> None:
        entry = ListEntry.objects.get(pk=row.pk)
        radius = _radius_of(entry)
        said = list_words.would_have_hit(radius, entry.direction)
        messages.success(request, f"{list_words.headline(entry)} {said}")
        if warning := list_words.own_numbers_warning(radius):
            messages.warning(request, warning)

    def blast_radius_view(self, request: HttpRequest) -> HttpResponse:
        """The part of the form that says whom the entry would have hit, as far as it is filled in."""
        if not self.has_add_permission(request):
            return HttpResponse(status=403)
        given: dict[str, Any] = {name: request.GET.get(name, "") for name in ("scope", "value", "direction", "channel")}
        try:
            asked = wanted_entry(self.which, **given, reason="asked", expires_at=None, now=timezone.now())
        except Refused:
            return HttpResponse()
        radius = _radius_of(asked)
        context = {
            "would_have_hit": list_words.would_have_hit(radius, asked.direction),
            "warning": list_words.own_numbers_warning(radius),
        }
        return TemplateResponse(request, "policies/_blast_radius.html", context)


def _radius_of(entry: Any) -> BlastRadius:
    return blast_radius(
        scope=entry.scope,
        value=entry.value,
        direction=entry.direction,
        channel=entry.channel,
        now=timezone.now(),
    )
