"""The list of calls as UponAI tells of them, and the page of one. Read only."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.decorators import display

from accounts import keys
from accounts.admin.exporting import ExportedList
from accounts.exports import Facts
from monitoring.api.calls import CallSerializer
from monitoring.dashboards.call_page import call_page, decision_href, whole_call_page
from monitoring.models import Call
from policies import words
from policies.admin.filters import (
    ChannelFilter,
    CountryFilter,
    DirectionFilter,
    PhoneNumberFilter,
    TimeRangeFilter,
)
from policies.admin.listed_peer import listed_peer
from policies.exception_input import LONGEST_REASON

AS_BY_REST = CallSerializer()


@admin.register(Call)
class CallAdmin(ExportedList):
    ordering = ("-started_at", "-id")
    sortable_by = ()
    actions = None
    list_filter_submit = True
    change_list_template = "policies/decision_list.html"
    list_display = ("when", "from_and_to", "what", "outcome", "length", "cost")
    list_display_links = ("when",)
    search_fields = ("peer", "phone_number", "call_reference", "agent", "public_key")
    search_help_text = "Number, agent, key or UponAI's id of the call"
    empty_words = {
        "icon": "call",
        "title": "No call yet",
        "text": "Calls, SMS and chats would be here as UponAI tells of them, by its events and its lists.",
    }
    export_columns = CallSerializer.Meta.fields
    list_filter = (
        DirectionFilter,
        ChannelFilter,
        CountryFilter,
        PhoneNumberFilter,
        ("started_at", TimeRangeFilter),
    )

    class Media:
        css = {"all": ["fraudconsole/dashboards.css"]}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Call]:
        return keys.with_names(super().get_queryset(request))

    def export_facts(self, call: Call) -> Facts:
        return AS_BY_REST.to_representation(call)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        call = self.found(request, object_id)
        context = {
            "title": "Call",
            "opts": None,
            "call": call,
            "page": whole_call_page(call),
            "decision_href": decision_href(call),
            "listed_peer": listed_peer(
                peer=call.peer,
                country=call.country,
                direction=call.direction,
                source=f"Because of call {call.call_reference}"[:LONGEST_REASON],
                back=request.path,
                may_edit=request.user.has_perm("policies.add_blockedcaller"),
                now=timezone.now(),
            ),
        }
        return self.page(request, "monitoring/call.html", context)

    @display(description="Started")
    def when(self, call: Call) -> SafeString:
        return render_to_string("components/_time.html", {"at": call.started_at})

    @display(description="From → to")
    def from_and_to(self, call: Call) -> SafeString:
        return render_to_string("policies/decision_from_and_to.html", words.sides(call))

    @display(description="What")
    def what(self, call: Call) -> str:
        return words.attempt(call.direction, call.channel)

    @display(description="Outcome")
    def outcome(self, call: Call) -> str:
        return call_page(call).outcome

    @display(description="Length")
    def length(self, call: Call) -> str:
        return call_page(call).length

    @display(description="Cost")
    def cost(self, call: Call) -> str:
        return call_page(call).cost
