"""The list of everything that was blocked, from every source, and the page of what UponAI blocked. Read only."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.decorators import display

from accounts import keys
from accounts.exports import Facts
from monitoring.api.blocked_calls import as_by_rest
from monitoring.dashboards.blocked_call_page import SOURCES, blocked_call_page, decision_href
from monitoring.models import BlockedCall
from policies import words
from policies.admin.filters import (
    ChannelFilter,
    CodeFilter,
    CountryFilter,
    DirectionFilter,
    PhoneNumberFilter,
    PublicKeyFilter,
    TimeRangeFilter,
)
from policies.admin.listed_peer import listed_peer
from policies.admin.transfers import ListWithTransfers
from policies.exception_input import LONGEST_REASON
from policies.models import PhoneNumber
from policies.uponai import refusals

SEARCHED = 50_000
"""Among so many of the newest rows a part of a number is looked for; a whole one has an index."""

MOST_NUMBERS = 100

_WHOLE_NUMBER = re.compile(r"\+?[0-9]{7,15}")
_SEPARATORS = re.compile(r"[ ().\-]+")


class BlockedReasonFilter(CodeFilter):
    title, field, parameter_name = "reason", "reason", "reason__exact"

    @staticmethod
    def codes() -> Iterable[tuple[str, str]]:
        return [*words.REASONS.items(), *refusals.WORDS.items()]


class OurNumberFilter(PhoneNumberFilter):
    """A part is looked for among the workspace's numbers, not in every row."""

    def with_part(self, queryset: QuerySet[Any], part: str) -> QuerySet[Any]:
        numbers = PhoneNumber.objects.filter(e164__contains=part).values_list("e164", flat=True)
        return queryset.filter(phone_number__in=list(numbers[:MOST_NUMBERS]))


class SourceFilter(CodeFilter):
    title, field, parameter_name = "who blocked it", "source", "source__exact"

    @staticmethod
    def codes() -> Iterable[tuple[str, str]]:
        return SOURCES.items()


@admin.register(BlockedCall)
class BlockedCallAdmin(ListWithTransfers):
    ordering = ("-at", "-id")
    sortable_by = ()
    actions = None
    list_filter_submit = True
    list_display = ("when", "from_and_to", "what", "why", "who")
    list_display_links = ("when",)
    change_list_template = "policies/decision_list.html"
    list_before_template = "monitoring/blocked_call_list_before.html"
    empty_words = {
        "icon": "gpp_good",
        "title": "Nothing was blocked",
        "text": "Each attempt that was turned away would be here within seconds, with its reason.",
    }
    search_fields = ("peer", "phone_number", "public_key", "call_reference")
    search_help_text = f"A number, key or UponAI's id of the call; parts of them among the newest {SEARCHED:,}"
    export_columns = (
        *("at", "source", "reason", "uponai_reason", "reasons", "said", "direction", "channel", "phone_number"),
        *("peer.e164", "peer_text", "peer.country", "peer.number_class", "public_key", "ip", "subject"),
        *("decision_id", "call_reference", "policy.id", "policy.revision", "degraded", "sentence"),
    )
    list_filter = (
        BlockedReasonFilter,
        SourceFilter,
        CountryFilter,
        OurNumberFilter,
        PublicKeyFilter,
        ChannelFilter,
        DirectionFilter,
        ("at", TimeRangeFilter),
    )

    class Media:
        css = {"all": ["fraudconsole/dashboards.css"]}

    def get_queryset(self, request: HttpRequest) -> QuerySet[BlockedCall]:
        return keys.with_names(super().get_queryset(request))

    def export_chunk(self, rows: list[BlockedCall]) -> list[Facts]:
        return list(as_by_rest(rows))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()
        number = _SEPARATORS.sub("", term)
        if _WHOLE_NUMBER.fullmatch(number):
            # One after the other: each has an index, which "or" would not use.
            for side in ("peer", "phone_number"):
                whole = queryset.filter(**{side: f"+{number.removeprefix('+')}"})
                if whole.order_by().exists():
                    return whole, False
        if decision_id := _decision_id(term):
            return queryset.filter(reference=str(decision_id), source__in=BlockedCall.Source.values), False
        parts = number if number.removeprefix("+").isdecimal() else term
        return super().get_search_results(request, _newest(queryset) if parts else queryset, parts)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        row = self.found(request, object_id)
        if trace := decision_href(row):
            return redirect(trace)
        context = {
            "title": "Blocked call",
            "opts": None,
            "row": row,
            "page": blocked_call_page(row),
            "listed_peer": listed_peer(
                peer=row.peer,
                country=row.country,
                direction=row.direction,
                source=f"Because of blocked call {row.reference}"[:LONGEST_REASON],
                back=request.path,
                may_edit=request.user.has_perm("policies.add_blockedcaller"),
                now=timezone.now(),
            ),
        }
        return self.page(request, "monitoring/blocked_call.html", context)

    @display(description="When")
    def when(self, row: BlockedCall) -> SafeString:
        return render_to_string("components/_time.html", {"at": row.at})

    @display(description="From → to")
    def from_and_to(self, row: BlockedCall) -> SafeString:
        return render_to_string("policies/decision_from_and_to.html", words.sides(row))

    @display(description="What")
    def what(self, row: BlockedCall) -> str:
        return self.transfer(row) or words.attempt(row.direction, row.channel)

    @display(description="Reason")
    def why(self, row: BlockedCall) -> str:
        return words.reason(row.reason)

    @display(description="Blocked by")
    def who(self, row: BlockedCall) -> str:
        return SOURCES.get(BlockedCall.Source(row.source), row.source)


def _decision_id(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


def _newest(rows: QuerySet[Any]) -> QuerySet[Any]:
    oldest = rows.order_by("-at").values_list("at", flat=True)[SEARCHED : SEARCHED + 1].first()
    return rows.filter(at__gte=oldest) if oldest else rows
