"""The agents, and whether their events arrive. Read only: it is UponAI's settings that decide it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from unfold.decorators import display

from accounts.admin.base import ConsoleAdmin
from accounts.admin.display import badge, time_cell
from accounts.components import Sentence
from monitoring.ingest import agents
from monitoring.models import AgentSeen

MOST_SHOWN = 10
WHAT_TO_DO = (
    "Take the URL out of the agent's own settings at UponAI, so that the account's counts again; its previous "
    "receiver can get every event from here, as a relay. Until then its calls are seen by UponAI's list alone, "
    "half a minute late."
)


@admin.register(AgentSeen)
class AgentSeenAdmin(ConsoleAdmin):
    empty_words = {
        "icon": "smart_toy",
        "title": "UponAI told of no agent yet",
        "text": "An agent appears here by itself with the first call or chat that UponAI names it for.",
    }
    list_display = ("agent", "state", "last_event", "last_call", "seen_only_in_list")
    list_display_links = None
    list_before_template = "policies/exception_list_before.html"
    search_fields = ("agent",)
    search_help_text = "The agent's id at UponAI"
    ordering = ("-missed", "agent")
    sortable_by = ()

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        context = {"title": "Agents", "sentences": _sentences()}
        return super().changelist_view(request, context | (extra_context or {}))

    @display(description="Events")
    def state(self, row: AgentSeen) -> str:
        if row.missed:
            return badge("Missing", "failed", agents.sentence(row, timezone.now()))
        if row.last_event_at is None:
            return badge("None yet", "unknown", agents.sentence(row, timezone.now()))
        return badge("Arrive", "synced", agents.sentence(row, timezone.now()))

    @display(description="Last event", ordering="last_event_at")
    def last_event(self, row: AgentSeen) -> str:
        return time_cell(row.last_event_at) if row.last_event_at else "never"

    @display(description="Last call", ordering="last_call_at")
    def last_call(self, row: AgentSeen) -> str:
        return time_cell(row.last_call_at) if row.last_call_at else "—"

    @display(description="Calls of 24 h seen only in UponAI's list", ordering="missed")
    def seen_only_in_list(self, row: AgentSeen) -> str:
        return f"{row.missed:,}" if row.missed else "—"


def _sentences() -> list[Sentence]:
    """Those whose events are missing, first; else one that all is well."""
    missing = agents.silent(timezone.now())
    if missing:
        said = [Sentence("warning", one.sentence) for one in missing[1:MOST_SHOWN]]
        return [Sentence("warning", missing[0].sentence, WHAT_TO_DO), *said]
    count = AgentSeen.objects.count()
    if not count:
        return []
    whose = "The one agent's" if count == 1 else f"All {count} agents'"
    return [Sentence("quiet", f"{whose} events arrive: no call of the last 24 hours was seen only in UponAI's list.")]
