"""The list of decisions, and the page that tells why one was made. Read only."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.decorators import display

from accounts import keys
from accounts.admin.base import acting, is_htmx
from accounts.exports import Facts
from accounts.kyc.states import SuspendReason
from policies import fraud, words
from policies.admin import test_call
from policies.admin.decision_page import decision_page
from policies.admin.filters import (
    ChannelFilter,
    CountryFilter,
    DirectionFilter,
    PhoneNumberFilter,
    ReasonFilter,
    TimeRangeFilter,
    VerdictFilter,
    WouldBeFilter,
)
from policies.admin.listed_peer import listed_peer
from policies.admin.transfers import ListWithTransfers
from policies.api.decisions import DecisionSerializer
from policies.models import Decision

AS_BY_REST = DecisionSerializer()


@admin.register(Decision)
class DecisionAdmin(ListWithTransfers):
    ordering = ("-at", "-id")
    sortable_by = ()
    actions = None
    list_filter_submit = True
    list_display = ("when", "from_and_to", "what", "why", "badge")
    list_display_links = ("when",)
    change_list_template = "policies/decision_list.html"
    list_before_template = "policies/decision_list_before.html"
    search_fields = ("peer", "peer_text", "phone_number", "public_key", "call_reference", "ip")
    search_help_text = "Number, key, IP address or UponAI's id of the call"
    empty_words = {
        "icon": "fact_check",
        "title": "No decision yet",
        "text": "Every attempt that the gate judges would be here within seconds, with all that was checked.",
    }
    export_columns = (
        *("decision_id", "at", "verdict", "reason", "reasons", "direction", "channel", "phone_number"),
        *("peer.e164", "peer_text", "peer.country", "peer.number_class", "public_key", "ip", "subject"),
        *("call_reference", "policy.id", "policy.revision", "would_be.verdict", "would_be.reason"),
        *("degraded", "sentence"),
    )
    list_filter = (
        VerdictFilter,
        ReasonFilter,
        WouldBeFilter,
        DirectionFilter,
        ChannelFilter,
        CountryFilter,
        PhoneNumberFilter,
        ("at", TimeRangeFilter),
    )

    class Media:
        css = {"all": ["fraudconsole/dashboards.css"]}

    def list_name(self, request: HttpRequest) -> str:
        if request.GET.get("would_be__exact"):
            return "Observed only"
        return "Decisions"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Decision]:
        return keys.with_names(super().get_queryset(request))

    def export_facts(self, decision: Decision) -> Facts:
        return AS_BY_REST.to_representation(decision)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        if object_id is None:
            raise Http404("A decision is made by the gate, not written by hand.")
        decision = self.found(request, object_id)
        page = decision_page(decision, now=timezone.now())
        context = {"title": "Decision", "opts": None, "decision": decision, "page": page, "judgement": page.judgement}
        context["listed_peer"] = listed_peer(
            peer=decision.peer,
            country=decision.country,
            direction=decision.direction,
            source=f"Because of decision {decision.decision_id}",
            back=request.path,
            may_edit=request.user.has_perm("policies.add_blockedcaller"),
            now=timezone.now(),
        )
        if request.user.has_perm(fraud.MAY_SUSPEND):
            context["fraud_subject"] = fraud.approved_subject(decision.subject)
            context["fraud_href"] = reverse("admin:policies_decision_suspend_subject", args=[decision.pk])
        return self.page(request, "policies/decision.html", context)

    def own_urls(self) -> list[Any]:
        return [
            *super().own_urls(),
            ("test-call/", "test_call", self.test_call_view),
            ("<int:object_id>/suspend-subject/", "suspend_subject", self.suspend_subject_view),
        ]

    def suspend_subject_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """It was fraud: whoever it was made for is suspended, and their case is queued."""
        if request.method != "POST" or not request.user.has_perm(fraud.MAY_SUSPEND):
            raise PermissionDenied
        decision = self.found(request, object_id)
        suspended = fraud.suspend(
            reference=decision.subject,
            decision_id=decision.decision_id,
            reason=SuspendReason.FRAUD_INCIDENT,
            **acting(request),
        )
        if not suspended:
            messages.info(request, "Nothing was changed: this subject has no approval any more.")
            return redirect(self.change_url(decision))
        messages.success(request, f"{suspended[0].subject.name} is suspended, and the case is in the queue.")
        return redirect("admin:accounts_kycrecord_change", suspended[0].pk)

    def test_call_view(self, request: HttpRequest) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        page = test_call.test_call_page(request.GET, workspace=request.workspace, now=timezone.now())  # type: ignore[attr-defined]
        if is_htmx(request) and "HX-History-Restore-Request" not in request.headers:
            return TemplateResponse(request, "policies/_test_call_verdict.html", {"page": page, "fragment": True})
        context = {"title": "Test a call", "opts": None, "page": page, "test_url": request.path}
        return self.page(request, "policies/test_call.html", context | test_call.choices(page.typed))

    @display(description="When")
    def when(self, decision: Decision) -> SafeString:
        return render_to_string("components/_time.html", {"at": decision.at})

    @display(description="From → to")
    def from_and_to(self, decision: Decision) -> SafeString:
        return render_to_string("policies/decision_from_and_to.html", words.sides(decision))

    @display(description="What")
    def what(self, decision: Decision) -> str:
        return self.transfer(decision) or words.attempt(decision.direction, decision.channel)

    @display(description="Reason")
    def why(self, decision: Decision) -> str:
        if decision.would_be:
            return f"Observed only: {words.inside(words.reason(decision.would_be_reason))}"
        return words.reason(decision.reason) if decision.reason else "–"

    @display(description="Verdict")
    def badge(self, decision: Decision) -> SafeString:
        return render_to_string("components/_verdict_badge.html", {"verdict": decision.verdict})
