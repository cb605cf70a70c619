"""The list and the page of phone numbers. Countries are edited in place: each change saves at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.utils import timezone
from unfold.contrib.filters.admin import ChoicesCheckboxFilter, RelatedDropdownFilter
from unfold.decorators import display

from accounts.admin.base import acting, is_htmx
from accounts.admin.display import countries_cell, panel_url, phone_cell, phone_facts, searched_digits
from accounts.workspaces import NoUponaiKey
from policies import actions, flagged
from policies.actions import Refused, StaleEdit
from policies.admin import answering_page, drift_page
from policies.admin import phone_number_page as page
from policies.admin.bulk_page import BulkPage
from policies.admin.country_input import in_words, options, understood
from policies.admin.filters import FlaggedFilter
from policies.models import CountryPolicy, PhoneNumber, SyncTarget
from policies.sync import drift, push

LAST_ONE = (
    "A list cannot be empty: UponAI reads an empty list as “every country”. Add the country you want first, "
    "then remove this one. To close the direction fully, put a hold on the number, or unbind its agents at UponAI."
)
LONGEST_CODE = 3
"""Longer than a code, something was meant as a name; up to here the verb knows better what is wrong with it."""

STALE = "Somebody else changed this number meanwhile. This is how it is now; your change was not made."


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an edit came to, in words. `repeat`: what would make the edit again on the fresh state."""

    text: str
    tone: str = "quiet"
    focus: str = ""
    repeat: dict[str, str] = field(default_factory=dict)
    typed: str = ""


@admin.register(PhoneNumber)
class PhoneNumberAdmin(BulkPage):
    list_display = ("number", "nickname", "may_be_called_from", "may_call", "follows", "at_uponai")
    list_display_links = ("number",)
    list_filter = (("sync_target__state", ChoicesCheckboxFilter), ("policy", RelatedDropdownFilter), FlaggedFilter)
    list_filter_submit = True
    list_select_related = ("policy__current_revision", "sync_target")
    empty_words = {
        "icon": "dialpad",
        "title": "No phone numbers yet",
        "text": "Your numbers at UponAI would be here, each with the countries it may be called from and may call. "
        "Connect to UponAI on the page of that name, then import them.",
    }
    list_before_template = "policies/phone_number_list_before.html"
    search_fields = ("e164", "nickname")
    search_help_text = "Number or nickname"
    ordering = ("e164",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Numbers come from UponAI."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_search_results(self, request: HttpRequest, queryset: QuerySet[Any], search_term: str) -> Any:
        """A number is found however it is written."""
        digits = searched_digits(search_term)
        if digits:
            return queryset.filter(Q(e164__contains=digits) | Q(nickname__icontains=search_term)), False
        return super().get_search_results(request, queryset, search_term)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        context = {"may_import": self.has_change_permission(request), "title": "Phone numbers"}
        return super().changelist_view(request, context | (extra_context or {}))

    # --- The page -----------------------------------------------------------------------------------

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        if object_id is None or request.method == "POST":
            raise Http404("A number is edited by the buttons of its page.")
        number = self._loaded(request, object_id)
        context = self._body(request, number) | {
            "original": number,
            "title": phone_facts(number.e164)["display"],
            "options": options(),
            "traffic_panel_url": page.traffic_panel_url(number),
            "observed_panel_url": panel_url("observed", "phone-number", number.pk),
        }
        return self.page(request, "policies/phone_number.html", context)

    def own_urls(self) -> list[Any]:
        one = "<int:object_id>/"
        return [
            ("bulk/", "bulk", self.bulk_view),
            (one + "countries/", "countries", self.countries_view),
            (one + "nickname/", "nickname", self.nickname_view),
            (one + "policy/", "policy", self.policy_view),
            (one + "answering/", "answering", self.answering_view),
            (one + "when-down/", "when_down", self.when_down_view),
            (one + "asking/", "asking", self.asking_view),
            (one + "retry/", "retry", self.retry_view),
            (one + "confirm/", "confirm", self.confirm_view),
            (one + "re-assert/", "re_assert", self.re_assert_view),
            (one + "adopt/", "adopt", self.adopt_view),
            ("check/", "check", self.check_view),
            (one + "sync-state/", "sync_state", self.sync_state_view),
            (one + "sync-facts/", "sync_facts", self.sync_facts_view),
        ]

    def _loaded(self, request: HttpRequest, object_id: Any) -> PhoneNumber:
        number = page.loaded(self.found(request, object_id).pk)
        if number is None:
            raise Http404("This number was removed a moment ago.")
        return number

    def _loaded_to_change(self, request: HttpRequest, object_id: Any) -> PhoneNumber:
        return self._loaded(request, self.found_to_change(request, object_id).pk)

    def _body(self, request: HttpRequest, number: PhoneNumber) -> dict[str, Any]:
        return page.body(
            number,
            now=timezone.now(),
            may_change=self.has_change_permission(request, number),
            may_see_audit=request.user.has_perm("accounts.view_auditentry"),
            may_hold=request.user.has_perm("policies.add_hold"),
        )

    def _answer(self, request: HttpRequest, number: PhoneNumber, outcome: Outcome) -> HttpResponse:
        """The fresh panel in place; without JavaScript the whole page with the same words."""
        if not is_htmx(request):
            level = messages.SUCCESS if outcome.tone == "quiet" else messages.WARNING
            messages.add_message(request, level, outcome.text)
            return redirect(self.change_url(number))
        context = self._body(request, self._loaded(request, number.pk)) | {"outcome": outcome}
        return TemplateResponse(request, "policies/_phone_number_body.html", context)

    # --- Countries, edited in place -----------------------------------------------------------------

    def countries_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        number = self._loaded_to_change(request, object_id)
        if "home_only" in request.POST:
            return self._answer(request, number, self._keep_at_home(request, number))
        direction = request.POST.get("direction", "")
        if direction not in page.TITLES:
            raise Http404("There is no such direction.")
        if "unrestricted" in request.POST:
            outcome = self._lift(request, number, direction)
        elif request.POST.get("remove"):
            outcome = self._remove(request, number, direction, request.POST["remove"])
        else:
            outcome = self._add(request, number, direction, request.POST.get("add", ""))
        return self._answer(request, number, outcome)

    def _add(self, request: HttpRequest, number: PhoneNumber, direction: str, typed: str) -> Outcome:
        wanted, present = understood(typed), page.codes_of(number, direction)
        if not wanted:
            return Outcome("Write or choose a country first.", "warning", f"{direction}-add")
        unknown = [word for word in wanted if len(word) > LONGEST_CODE]
        if unknown:
            text = f"“{unknown[0][:40]}” is not a country. Choose one of the list, or write its two letters."
            return Outcome(text, "warning", f"{direction}-add", typed=typed)
        if present is not None and set(wanted) <= set(present):
            return Outcome(f"{in_words(wanted)}: on the list already.", "notice", f"{direction}-add")
        return self._save(
            request,
            number,
            direction,
            [*(present or ()), *wanted],
            done=f"Added {in_words(wanted)}." if present is not None else f"Only {in_words(wanted)} from now on.",
            focus=f"{direction}-add",
            repeat={"name": "add", "value": typed, "label": f"Add {in_words(wanted)} now"},
            typed=typed,
        )

    def _remove(self, request: HttpRequest, number: PhoneNumber, direction: str, code: str) -> Outcome:
        present = page.codes_of(number, direction) or []
        if code not in present:
            return Outcome(f"{in_words([code])} is not on the list any more.", "notice", f"{direction}-list")
        if present == [code]:
            return Outcome(LAST_ONE, "warning", f"{direction}-add")
        return self._save(
            request,
            number,
            direction,
            [kept for kept in present if kept != code],
            done=f"Removed {in_words([code])}.",
            focus=f"{direction}-list",
            repeat={"name": "remove", "value": code, "label": f"Remove {in_words([code])} now"},
        )

    def _keep_at_home(self, request: HttpRequest, number: PhoneNumber) -> Outcome:
        """No international calls: both lists become the workspace's home country."""
        home = [str(request.workspace.home_country)]  # type: ignore[attr-defined]
        return self._save(
            request,
            number,
            "inbound",
            home,
            done=f"No international calls: only {in_words(home)} from now on, in and out.",
            focus="inbound-list",
            repeat={"name": "home_only", "value": "yes", "label": "Switch it on now"},
            outbound_countries=home,
        )

    def _lift(self, request: HttpRequest, number: PhoneNumber, direction: str) -> Outcome:
        reason = request.POST.get("reason", "").strip()
        confirmed = request.POST.get("confirm") == "yes"
        if not (confirmed and reason):
            text = "Nothing was changed: to allow every country, tick the box and say why."
            return Outcome(text, "warning", f"{direction}-list")
        return self._save(
            request,
            number,
            direction,
            None,
            done="Every country is allowed now, except the seven that are always blocked.",
            focus=f"{direction}-list",
            confirm_unrestricted=True,
            reason=reason,
        )

    def _save(
        self,
        request: HttpRequest,
        number: PhoneNumber,
        direction: str,
        countries: list[str] | None,
        *,
        done: str,
        focus: str,
        repeat: dict[str, str] | None = None,
        typed: str = "",
        **more: Any,
    ) -> Outcome:
        change = {f"{direction}_countries": countries, **more}
        try:
            edit = actions.edit_phone_number(
                phone_number=number,
                expected_version=request.POST.get("version", ""),
                **change,
                **acting(request),
            )
        except StaleEdit:
            return Outcome(STALE, "warning", focus, (repeat or {}) | {"direction": direction}, typed)
        except Refused as refusal:
            return Outcome(" ".join(problem.detail for problem in refusal.problems), "warning", focus, typed=typed)
        return Outcome(f"{done} {edit.notice}".strip(), "quiet", focus)

    # --- The other things one can do ----------------------------------------------------------------

    def nickname_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        number = self._loaded_to_change(request, object_id)
        nickname = request.POST.get("nickname", "").strip()
        try:
            edit = actions.edit_phone_number(
                phone_number=number,
                nickname=nickname,
                expected_version=request.POST.get("version", ""),
                **acting(request),
            )
        except StaleEdit:
            return self._answer(request, number, Outcome(STALE, "warning", "nickname", typed=nickname))
        except Refused as refusal:
            return self._answer(request, number, Outcome(str(refusal), "warning", "nickname", typed=nickname))
        text = "The nickname is saved." if edit.changed else "The nickname is as it was."
        return self._answer(request, number, Outcome(text, "quiet", "nickname"))

    def policy_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        number = self._loaded_to_change(request, object_id)
        chosen = request.POST.get("policy", "")
        policy = CountryPolicy.objects.filter(pk=chosen).first() if chosen.isdecimal() else None
        if policy is None:
            return self._answer(request, number, Outcome("Choose a country policy first.", "warning", "policy"))
        if request.POST.get("version") != actions.version_of(number):
            return self._answer(request, number, Outcome(STALE, "warning", "policy"))
        actions.assign_country_policy(phone_number=number, policy=policy, **acting(request))
        return self._answer(request, number, Outcome(f"This number follows “{policy.name}” now.", "quiet", "policy"))

    def answering_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        number = self._loaded_to_change(request, object_id)
        if request.POST.get("version") != actions.version_of(number):
            return self._answer(request, number, Outcome(STALE, "warning", "answering"))
        text, tone = answering_page.change_answering(number, request.POST, **acting(request))
        return self._answer(request, number, Outcome(text, tone, "answering"))

    def when_down_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        number = self._loaded_to_change(request, object_id)
        text, tone = answering_page.change_when_down(number, request.POST.get("wanted", ""), **acting(request))
        return self._answer(request, number, Outcome(text, tone, "when-down"))

    def asking_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        number = self._loaded_to_change(request, object_id)
        text, tone = answering_page.change_asking(number, request.POST.get("wanted", ""), **acting(request))
        return self._answer(request, number, Outcome(text, tone, "asking"))

    def retry_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        number = self._loaded_to_change(request, object_id)
        target = SyncTarget.objects.filter(phone_number=number).first()
        if target is None:
            return self._answer(request, number, Outcome("There is nothing to be tried.", "warning", "retry"))
        push.retry(sync_target=target, **acting(request))
        return self._answer(request, number, Outcome("It is tried again now.", "quiet", "retry"))

    def confirm_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        number = self._loaded_to_change(request, object_id)
        done = flagged.confirm(phone_number=number, **acting(request))
        text = "It may stay as it is." if done else "Somebody has said so already."
        return self._answer(request, number, Outcome(text, "quiet" if done else "notice", "confirm"))

    def re_assert_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        number = self._loaded_to_change(request, object_id)
        text, tone = drift_page.re_asserted(number, **acting(request))
        return self._answer(request, number, Outcome(text, tone, "drift"))

    def adopt_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        number = self._loaded_to_change(request, object_id)
        try:
            text, tone = drift_page.adopted(number, request.POST, **acting(request))
        except StaleEdit:
            text, tone = STALE, "warning"
        return self._answer(request, number, Outcome(text, tone, "drift"))

    def check_view(self, request: HttpRequest) -> HttpResponse:
        """Has all numbers compared with UponAI; what differs shows up by itself."""
        if request.method != "POST" or not self.has_change_permission(request):
            raise PermissionDenied
        try:
            drift.ask(workspace_id=request.workspace.pk, **acting(request))  # type: ignore[attr-defined]
        except NoUponaiKey as missing:
            messages.error(request, str(missing))
        else:
            messages.success(request, "All numbers are being compared with UponAI now.")
        back = request.POST.get("number", "")
        if back.isdecimal():
            return redirect("admin:policies_phonenumber_change", back)
        return redirect("admin:policies_phonenumber_changelist")

    # --- Parts that the page fetches ------------------------------------------------------------------

    def sync_state_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        number = self._loaded(request, object_id)
        sync = page.sync_state(number, timezone.now())
        if request.GET.get("version", sync["version"]) != sync["version"]:
            return HttpResponse(status=204, headers={"HX-Trigger": "number-changed"})
        if request.GET.get("seen") == sync["seen"]:
            return HttpResponse(status=204)
        response = TemplateResponse(request, "policies/_sync_state.html", {"number": number, "sync": sync})
        response.headers["HX-Trigger"] = "sync-changed"
        return response

    def sync_facts_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        number = self._loaded(request, object_id)
        context = {
            "number": number,
            "facts": page.sync_facts(
                number, timezone.now(), may_see_audit=request.user.has_perm("accounts.view_auditentry")
            ),
            "may_change": self.has_change_permission(request, number),
        }
        return TemplateResponse(request, "policies/_sync_facts.html", context)

    # --- The list -----------------------------------------------------------------------------------

    @display(description="Number", ordering="e164")
    def number(self, row: PhoneNumber) -> str:
        return phone_cell(row.e164)

    @display(description="May be called from")
    def may_be_called_from(self, row: PhoneNumber) -> str:
        return countries_cell(page.codes_of(row, "inbound"))

    @display(description="May call")
    def may_call(self, row: PhoneNumber) -> str:
        return countries_cell(page.codes_of(row, "outbound"))

    @display(description="Country policy", ordering="policy__name")
    def follows(self, row: PhoneNumber) -> str:
        return render_to_string("policies/_policy_link.html", {"policy": row.policy})

    @display(description="At UponAI", ordering="sync_target__state")
    def at_uponai(self, row: PhoneNumber) -> str:
        context = {"state": page.state_of(row), "title": page.badge_sentence(row)}
        return render_to_string("components/_state_badge.html", context)
