"""The list of UponAI's events as they came in, and the page of one: how far it is, and once more if somebody asks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.safestring import SafeString
from unfold.decorators import action, display
from unfold.paginator import InfinitePaginator

from accounts.admin.base import ConsoleAdmin, acting
from accounts.admin.display import badge
from accounts.components import Sentence
from accounts.encryption import CannotOpen
from monitoring.ingest import fold, inbox, redaction, replaying
from monitoring.models import WebhookEvent
from policies.admin.filters import CodeFilter, TimeRangeFilter

State = WebhookEvent.State
TONES: Mapping[str, str] = {State.DONE: "quiet", State.FAILED: "warning", State.DEAD: "danger"}
BADGES: Mapping[str, str] = {State.DONE: "synced", State.FAILED: "drift", State.DEAD: "failed"}
SAID: Mapping[str, str] = {
    State.RECEIVED: "It came in and is processed in a moment.",
    State.PROCESSING: "A worker is at it.",
    State.DONE: "It was processed.",
    State.FAILED: "It could not be processed yet and is tried again by itself.",
    State.DEAD: "It was given up: nothing it tells is in the calls and counts.",
}


class StateFilter(CodeFilter):
    title, field, parameter_name = "state", "state", "state__exact"

    @staticmethod
    def codes() -> Iterable[tuple[str, str]]:
        return State.choices


class EventFilter(CodeFilter):
    title, field, parameter_name = "event", "event", "event__exact"

    @staticmethod
    def codes() -> Iterable[tuple[str, str]]:
        return ((name, name) for name in inbox.KNOWN_EVENTS)


@admin.register(WebhookEvent)
class WebhookEventAdmin(ConsoleAdmin):
    # Counting all events would take longer than reading the newest fifty.
    paginator = InfinitePaginator
    show_facets = admin.ShowFacets.NEVER
    ordering = ("-id",)
    sortable_by = ()
    list_filter_submit = True
    list_before_template = "monitoring/event_list_before.html"
    list_display = ("when", "event", "call_reference", "how_far", "attempts", "error")
    list_display_links = ("when",)
    list_filter = (StateFilter, EventFilter, ("received_at", TimeRangeFilter))
    search_fields = ("call_reference",)
    search_help_text = "UponAI's id of the call or chat, whole"
    actions = ("replay_chosen",)
    empty_words = {
        "icon": "inbox",
        "title": "No event has come in yet",
        "text": "UponAI sends one when a call begins, ends and is analysed. The page UponAI says how to connect it.",
    }

    class Media:
        css = {"all": ["fraudconsole/dashboards.css"]}

    def get_queryset(self, request: HttpRequest) -> QuerySet[WebhookEvent]:
        return super().get_queryset(request).defer("sealed_body")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[WebhookEvent], search_term: str
    ) -> tuple[QuerySet[WebhookEvent], bool]:
        """By what is unique in an index, and whole: to look for a part would read every event there is."""
        wanted = search_term.replace("\0", "").strip()
        if wanted:
            queryset = queryset.filter(event_key__in=[f"{name}:{wanted}" for name in fold.RANKS])
        return queryset, False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def own_urls(self) -> list[tuple[str, str, Callable[..., HttpResponse]]]:
        return [
            ("<int:object_id>/replay/", "replay", self.replay_view),
            ("replay-given-up/", "replay_given_up", self.replay_given_up_view),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        context = {"title": "Events", "sentence": self._sentence(request)}
        return super().changelist_view(request, context | (extra_context or {}))

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        event = self.found(request, object_id)
        again = {"label": "Process it again", "href": self._url("replay", event.pk), "kind": "", "post": True}
        sentence = Sentence(
            tone=TONES.get(event.state, "notice"),
            text=SAID[event.state],
            detail=event.error,
            actions=(again,) if self.has_change_permission(request) and event.state != State.PROCESSING else (),
        )
        context = {"title": "Event", "opts": None, "event": event, "sentence": sentence, "body": _body(event)}
        return self.page(request, "monitoring/event.html", context)

    def replay_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        event = self.found_to_change(request, object_id)
        self._replay(request, replaying.Which(ids=[event.pk]))
        return redirect(self.change_url(event))

    def replay_given_up_view(self, request: HttpRequest) -> HttpResponse:
        if request.method != "POST" or not self.has_change_permission(request):
            raise PermissionDenied
        self._replay(request, replaying.Which(state=State.DEAD))
        return redirect(self._url("changelist"))

    @action(description="Process again", permissions=["change"])
    def replay_chosen(self, request: HttpRequest, queryset: QuerySet[WebhookEvent]) -> None:
        self._replay(request, replaying.Which(ids=list(queryset.values_list("pk", flat=True))))

    def _replay(self, request: HttpRequest, which: replaying.Which) -> None:
        done = replaying.replay(workspace_id=request.workspace.pk, which=which, **acting(request))  # type: ignore[attr-defined]
        if not done.events:
            messages.warning(request, "Nothing to do: a worker is at it, or it is gone.")
            return
        more = "" if done.is_all else " There are more; ask again for the next."
        what = "1 event is" if done.events == 1 else f"{done.events:,} events are"
        messages.success(request, f"{what} processed once more.{more}")

    def _sentence(self, request: HttpRequest) -> Sentence:
        """What came in and has no effect yet."""
        dead = WebhookEvent.objects.filter(state=State.DEAD)[:1000].count()
        failed = WebhookEvent.objects.filter(state=State.FAILED, due_at__isnull=False)[:1000].count()
        if dead:
            again = {"label": "Process them again", "href": self._url("replay_given_up"), "kind": "", "post": True}
            return Sentence(
                tone="danger",
                text=f"{_events(dead)} given up: what they tell is missing in the calls and counts.",
                detail="Each row says why. Once the cause is gone, have them processed again.",
                actions=(again,) if self.has_change_permission(request) else (),
            )
        if failed:
            return Sentence(tone="warning", text=f"{_events(failed)} not processed yet; they are tried again.")
        if not WebhookEvent.objects.exists():
            return Sentence(tone="unknown", text="No event has come in, or none that is still kept.")
        return Sentence(tone="quiet", text="Every event that came in was processed, or is about to be.")

    def _url(self, name: str, *args: Any) -> str:
        return reverse(f"admin:monitoring_webhookevent_{name}", args=args)

    @display(description="Received")
    def when(self, event: WebhookEvent) -> SafeString:
        return render_to_string("components/_time.html", {"at": event.received_at})

    @display(description="State")
    def how_far(self, event: WebhookEvent) -> SafeString:
        return badge(event.get_state_display(), BADGES.get(event.state, "pending"))


def _events(count: int) -> str:
    shown = f"{count:,}" if count < 1000 else "1,000 or more"
    return f"{shown} {'event is' if count == 1 else 'events are'}"


def _body(event: WebhookEvent) -> str:
    try:
        payload = orjson.loads(inbox.body_of(event))
    except CannotOpen as trouble:
        return f"The body cannot be opened: {trouble}"
    except orjson.JSONDecodeError:
        return "The body is not JSON."
    return orjson.dumps(redaction.redacted(payload), option=orjson.OPT_INDENT_2).decode()
