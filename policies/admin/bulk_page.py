"""Changing many numbers from their list: what is wanted, what it would change, then the change."""

from __future__ import annotations

import copy
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone

from accounts.admin.base import ConsoleAdmin, acting
from policies import bulk
from policies.actions import Refused, StaleEdit
from policies.admin.country_input import options, understood
from policies.admin.plan_words import shown
from policies.bulk_input import BulkEdit
from policies.models import CountryPolicy, PhoneNumber

LONGEST_SELECTION = 8_000
WHAT = {
    "policy": "Follow another country policy",
    "countries": "Open or close countries",
    "mode": "Observe or enforce",
    "when_down": "When the console is down",
}
CHANGED_MEANWHILE = "Somebody else changed one of these numbers meanwhile. Look again at what would change."
MOST_SHOWN = 50


class BulkPage(ConsoleAdmin):
    """What the list of numbers adds for many of them at once."""

    actions = ["change_many"]

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        found = super().get_actions(request)
        return found if self.has_change_permission(request) else {}

    def change_many(self, request: HttpRequest, queryset: Any) -> HttpResponse:
        across = request.POST.get("select_across") == "1"
        ids = "" if across else ",".join(str(pk) for pk in queryset.values_list("pk", flat=True))
        chosen = {"list": request.GET.urlencode(), "all": "yes"} if across else {"ids": ids}
        return redirect(f"{reverse('admin:policies_phonenumber_bulk')}?{urlencode(chosen)}")

    change_many.short_description = "Change these numbers…"  # type: ignore[attr-defined]

    def bulk_view(self, request: HttpRequest) -> HttpResponse:
        """GET shows what would change, POST changes it. Both say whom it is about in the same way."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        given = request.POST if request.method == "POST" else request.GET
        context: dict[str, Any] = {
            "title": "Change many numbers",
            "given": given,
            "selection": [(name, given[name]) for name in ("ids", "list", "all") if given.get(name)],
            "what": given.get("what", ""),
            "choices": WHAT,
            "options": options(),
            "bulk_url": reverse("admin:policies_phonenumber_bulk"),
        }
        try:
            ids = self._chosen(request, given)
            context["count"] = len(ids)
            wanted = wanted_of(given)
            if wanted is not None and request.method == "POST":
                return self._change(request, ids, wanted, given.get("planned", ""))
            if wanted is not None:
                context |= self._plan(ids, bulk.read(wanted))
        except Refused as refused:
            context |= {"problems": [problem.detail for problem in refused.problems]}
        except StaleEdit:
            context |= {"problems": [CHANGED_MEANWHILE]}
        context["policies"] = CountryPolicy.objects.order_by("name") if context["what"] == "policy" else ()
        return self.page(request, "policies/bulk.html", context)

    def _change(self, request: HttpRequest, ids: list[int], wanted: dict[str, Any], planned: str) -> HttpResponse:
        plan = bulk.edit_phone_numbers(
            workspace_id=request.workspace.pk,  # type: ignore[attr-defined]
            phone_number_ids=ids,
            wanted=wanted,
            expected=planned,
            **acting(request),
        )
        copies = f" {len(plan.forked)} new polic{'y' if len(plan.forked) == 1 else 'ies'}." if plan.forked else ""
        numbers = f"{plan.changed:,} number{'s' * (plan.changed != 1)}"
        messages.success(request, f"Changed {numbers}.{copies} The sync page shows how far UponAI is.")
        return redirect("admin:policies_phonenumber_changelist")

    def _plan(self, ids: list[int], edit: BulkEdit) -> dict[str, Any]:
        plan = bulk.plan_edit(phone_number_ids=ids, edit=edit)
        problems = [problem.detail for problem in plan.problems]
        return {
            "plan": shown(plan.preview(now=timezone.now())) | {"fingerprint": plan.fingerprint},
            "changed": plan.changed,
            "copies": [
                (plan.policies[policy_id], len(plan.followers_of({policy_id: None}))) for policy_id in plan.forked
            ],
            "revisions": len(plan.edited),
            "problems": problems[:MOST_SHOWN],
            "more_problems": len(problems) - MOST_SHOWN,
        }

    def _chosen(self, request: HttpRequest, given: QueryDict) -> list[int]:
        """The ticked rows, or all that the list showed with its search and filters."""
        if given.get("all") == "yes":
            looking = copy.copy(request)
            looking.GET = QueryDict(given.get("list", "")[:LONGEST_SELECTION])  # type: ignore[assignment]
            try:
                rows = self.get_changelist_instance(looking).get_queryset(looking)
            except IncorrectLookupParameters:
                sentence = "The list's filter is not understood. Choose the numbers again."
                raise Refused.one("phone_numbers", "invalid", sentence) from None
            return list(rows.order_by().values_list("pk", flat=True)[: bulk.MOST_NUMBERS + 1])
        ids = [int(pk) for pk in given.get("ids", "").split(",") if pk.isascii() and pk.isdecimal() and len(pk) < 19]
        return list(PhoneNumber.objects.filter(pk__in=ids[: bulk.AT_ONCE]).values_list("pk", flat=True))


def wanted_of(given: QueryDict) -> dict[str, Any] | None:
    """What the form says, with the names of `bulk_input`; None until it says anything."""
    what, reason = given.get("what", ""), given.get("reason", "").replace("\0", "").strip()[:500]
    if what not in WHAT or "look" not in given:
        return None
    if what == "policy":
        policy = given.get("policy", "")
        if not (policy.isascii() and policy.isdecimal() and len(policy) < 19):
            raise Refused.one("policy", "required", "Choose a country policy first.")
        return {"policy": int(policy), "reason": reason}
    if what == "mode":
        return {"mode": given.get("mode", ""), "reason": reason}
    if what == "when_down":
        return {"inbound_when_console_down": given.get("when_down", ""), "reason": reason}
    return _countries(given) | {"reason": reason}


def _countries(given: QueryDict) -> dict[str, Any]:
    wanted: dict[str, Any] = {}
    for direction in ("inbound", "outbound"):
        if given.get(f"every_{direction}") == "yes":
            wanted |= {f"allowed_{direction}_country_list": None, "confirm_unrestricted": True}
            continue
        for verb in ("add", "remove"):
            codes = understood(given.get(f"{verb}_{direction}", ""))
            if codes:
                wanted[f"{verb}_{direction}_countries"] = codes
    return wanted
