"""The pages of relays: where UponAI's events are passed on to, how that goes, trying again, stopping."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextInputWidget

from accounts.admin.base import ConsoleAdmin, VerbForm, acting
from accounts.admin.display import badge, time_cell
from accounts.components import Action, Sentence
from monitoring import relays
from monitoring.models import Relay, RelayDelivery

MOST_SHOWN: Final = 20


class RelayForm(VerbForm):
    url = forms.CharField(
        label="Address",
        max_length=500,
        widget=UnfoldAdminTextInputWidget({"placeholder": "https://"}),
        help_text=(
            "The webhook that took in UponAI's events before this console: the account's, from UponAI's dashboard, "
            "or an agent's own. It gets every event from now on, byte for byte, with UponAI's signature."
        ),
    )

    class Meta:
        model = Relay
        fields: tuple[str, ...] = ()


@admin.register(Relay)
class RelayAdmin(ConsoleAdmin):
    form = RelayForm
    fieldsets = ((None, {"fields": ("url",)}),)
    list_display = ("address", "state", "waits", "gave_up", "delivered", "added")
    list_display_links = ("address",)
    ordering = ("stopped_at", "-created_at", "-pk")
    sortable_by = ()
    list_before_template = "policies/exception_list_before.html"
    empty_words = {
        "icon": "forward",
        "title": "Events are passed on to nobody",
        "text": "Where your own system takes in UponAI's events would be here: it goes on getting them behind us.",
    }

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return relays.with_figures()

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        context = {"title": "Relays", "sentences": [_of_all(list(relays.with_figures().filter(stopped_at=None)))]}
        return super().changelist_view(request, context | (extra_context or {}))

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return super().add_view(request, form_url, {"title": "Pass events on"} | (extra_context or {}))

    def run_verb(self, request: HttpRequest, row: Any, form: Any, *, creating: bool) -> Relay:
        workspace = request.workspace  # type: ignore[attr-defined]
        return relays.add_relay(workspace=workspace, url=form.cleaned_data["url"], **acting(request))

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        messages.success(request, "From now on every event is passed on to this address as well.")
        return redirect("admin:monitoring_relay_changelist")

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        row = self.found(request, object_id)
        undelivered = row.deliveries.exclude(state=RelayDelivery.State.DELIVERED).select_related("event")
        context = {
            "title": relays.shown_url(row.url),
            "relay": row,
            "sentence": _sentence(row, may=self.has_change_permission(request)),
            "deliveries": undelivered.order_by("-pk")[:MOST_SHOWN],
            "more": max(0, row.waiting + row.given_up - MOST_SHOWN),
        }
        return self.page(request, "monitoring/relay.html", context)

    def own_urls(self) -> list[tuple[str, str, Callable[..., HttpResponse]]]:
        return [
            ("<int:object_id>/retry/", "retry", self.retry_view),
            ("<int:object_id>/stop/", "stop", self.stop_view),
        ]

    def retry_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        row = self.found_to_change(request, object_id)
        try:
            count = relays.retry(relay=row, **acting(request))
        except ValidationError as refusal:
            messages.error(request, " ".join(refusal.messages))
        else:
            messages.success(request, f"{count} event{'s are' if count != 1 else ' is'} sent again now.")
        return redirect(self.change_url(row))

    def stop_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        row = self.found_to_change(request, object_id)
        relays.stop_relay(relay=row, **acting(request))
        messages.success(request, "Nothing is passed on to this address any more.")
        return redirect("admin:monitoring_relay_changelist")

    # --- The list -----------------------------------------------------------------------------------

    @display(description="Address")
    def address(self, row: Relay) -> str:
        return relays.shown_url(row.url)

    @display(description="State")
    def state(self, row: Relay) -> str:
        if row.stopped_at:
            return badge("Stopped", "", row.last_error)
        return badge("Failing", "failed", row.last_error) if row.failing_since else badge("Works", "synced")

    @display(description="Waiting")
    def waits(self, row: Any) -> str:
        return f"{row.waiting:,}"

    @display(description="Given up")
    def gave_up(self, row: Any) -> str:
        return f"{row.given_up:,}"

    @display(description="Last delivered")
    def delivered(self, row: Relay) -> str:
        return time_cell(row.last_delivered_at)

    @display(description="Added")
    def added(self, row: Relay) -> str:
        return time_cell(row.created_at)


def _of_all(rows: list[Any]) -> Sentence:
    failing = [row for row in rows if row.failing_since]
    if not rows:
        text = "UponAI's events come to this console alone."
        return Sentence("quiet", text, "If another system of yours needs them too, pass them on.")
    addresses = f"{len(rows)} address{'es' * (len(rows) != 1)}"
    if failing:
        names = ", ".join(relays.shown_url(row.url) for row in failing)
        return Sentence("warning", f"Events cannot be passed on to {len(failing)} of {addresses}: {names}.")
    return Sentence("quiet", f"Every event is passed on to {addresses}.", "Their order is not promised.")


def _sentence(row: Any, *, may: bool) -> Sentence:
    behind = row.waiting + row.given_up
    if row.stopped_at:
        return Sentence("notice", "Nothing is passed on to this address any more.", row.last_error)
    retry = Action(
        "Send again now",
        reverse("admin:monitoring_relay_retry", args=[row.pk]),
        "primary",
        post=True,
        confirm=f"{behind:,} event{'s are' if behind != 1 else ' is'} sent again, signed anew where they are old.",
    )
    stop = Action(
        "Stop",
        reverse("admin:monitoring_relay_stop", args=[row.pk]),
        "danger",
        post=True,
        confirm=f"New events are not passed on any more, and {row.waiting:,} that wait are given up.",
    )
    actions = ((retry, stop) if behind else (stop,)) if may else ()
    if row.failing_since:
        detail = f"{row.waiting:,} wait, {row.given_up:,} were given up."
        return Sentence("warning", f"Events cannot be passed on: {row.last_error}", detail, actions)
    if row.last_delivered_at is None:
        return Sentence("notice", "No event has come since this address was added.", "", actions)
    waiting = f"{row.waiting:,} on the way." if row.waiting else "Nothing waits."
    return Sentence("quiet", "Every event is passed on to this address.", waiting, actions)
