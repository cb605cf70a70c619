"""The pages of country policies: what they say, who follows them, how they came to be, and going back."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import NON_FIELD_ERRORS, PermissionDenied, ValidationError
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.utils.html import format_html
from unfold.decorators import display

from accounts import audit
from accounts.admin.audit import differences
from accounts.admin.base import ConsoleAdmin, Problems, acting, is_htmx
from accounts.admin.display import badge, countries_cell, panel_url
from accounts.models import AuditEntry, Workspace
from accounts.models.people import NewNumbers
from accounts.scoping import current_workspace_id
from policies import actions, cloning
from policies.actions import Refused, StaleEdit
from policies.admin.plan_words import fingerprint, shown
from policies.admin.policy_form import DIRECTIONS, CountryPolicyForm, class_rows, parts_of
from policies.admin.rule_words import rules_shown
from policies.models import CountryPolicy, PolicyRevision
from policies.sync import preview, progress

NEWEST_REVISIONS = 20
OBSERVED_MEANS = "What these rules would have done is noted, and not done."
CONDITIONS = {"inbound": "withheld numbers, observing", "outbound": "captcha, KYC, observing"}
DEFAULT_MEANS = {
    NewNumbers.DEFAULT_POLICY: "Numbers that appear at UponAI later follow it at once, as the settings say.",
    NewNumbers.FLAGGED: "The workspace's first choice. As the settings say, numbers that appear at UponAI later get a "
    "policy of their own, as found there, and are flagged.",
}
"""By `Workspace.new_numbers`."""


STILL_HERE = "Nothing was saved. Your entries are still here."


class BackToForm(Exception):
    """Whoever saw what the edit would change wants to go on editing; nothing was changed."""


class LookFirst(Exception):
    """What the edit would change has not been looked at; nothing was changed."""

    def __init__(self, plan: preview.Preview) -> None:
        super().__init__()
        self.plan = plan


def direction_fieldsets(direction: str, title: str) -> tuple[Any, ...]:
    return (
        (title, {"fields": (f"{direction}_mode", (f"{direction}_countries", f"{direction}_preset"))}),
        (
            f"{title}: kinds of numbers and prefixes",
            {"classes": ["collapse"], "fields": (*class_rows(direction), f"{direction}_prefix_rules")},
        ),
        (
            f"{title}: {CONDITIONS[direction]}",
            {"classes": ["collapse"], "fields": parts_of(direction)},
        ),
        (f"{title}: limits", {"classes": ["collapse"], "fields": (f"{direction}_limits",)}),
    )


@admin.register(CountryPolicy)
class CountryPolicyAdmin(ConsoleAdmin):
    form = CountryPolicyForm
    empty_words = {
        "icon": "public",
        "title": "No country policies yet",
        "text": "Named sets of rules would be here. Imported numbers bring one each; make one that they can share.",
    }
    refusals = (ValidationError, Refused, StaleEdit)
    list_display = ("name", "revision", "followers", "inbound", "outbound", "default")
    list_select_related = ("current_revision",)
    search_fields = ("name",)
    ordering = ("name",)
    change_form_before_template = "policies/country_policy_before.html"
    change_form_outer_after_template = "policies/country_policy_after.html"
    fieldsets = (
        (None, {"fields": ("name", ("home_only", "home_territories"))}),
        *direction_fieldsets("inbound", DIRECTIONS["inbound"]),
        *direction_fieldsets("outbound", DIRECTIONS["outbound"]),
        ("Saving", {"fields": ("confirm_unrestricted", "reason")}),
    )

    fieldsets_to_read = (
        (None, {"fields": ("name",)}),
        *((title, {"fields": (f"{direction}_in_words",)}) for direction, title in DIRECTIONS.items()),
    )

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        editable = self.has_change_permission(request, obj)
        return self.fieldsets if editable else self.fieldsets_to_read

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[CountryPolicy]:
        return super().get_queryset(request).annotate(numbers=Count("phone_numbers"))

    # --- The form -----------------------------------------------------------------------------------

    def run_verb(self, request: HttpRequest, row: Any, form: Any, *, creating: bool) -> CountryPolicy:
        given = {
            "name": form.cleaned_data["name"],
            "inbound": form.rules("inbound"),
            "outbound": form.rules("outbound"),
            "confirm_unrestricted": form.cleaned_data["confirm_unrestricted"],
            "reason": form.cleaned_data["reason"],
            **acting(request),
        }
        if creating:
            return actions.create_country_policy(workspace_id=request.workspace.pk, **given)  # type: ignore[attr-defined]
        policy = CountryPolicy.objects.select_related("current_revision").get(pk=row.pk)
        self._require_look(request, policy, given)
        expected = request.POST.get("expected_revision", "")
        actions.edit_country_policy(
            policy=policy, expected_revision=int(expected) if expected.isdecimal() else 0, **given
        )
        return policy

    def _require_look(self, request: HttpRequest, policy: CountryPolicy, given: dict[str, Any]) -> None:
        """What changes several numbers is saved by somebody who has seen what it changes."""
        if "edit_again" in request.POST:
            raise BackToForm
        if policy.phone_numbers.count() < 2:
            return
        rules = actions.edited_rules(
            policy.current_revision,
            given["inbound"],
            given["outbound"],
            confirm_unrestricted=given["confirm_unrestricted"],
            reason=given["reason"],
        )
        plan = preview.of_policy(policy=policy, now=given["now"], **rules)
        if plan.groups and request.POST.get("planned") != fingerprint(plan):
            raise LookFirst(plan)

    def problems_of(self, refusal: Any) -> Problems:
        if isinstance(refusal, StaleEdit):
            return {NON_FIELD_ERRORS: [self.stale_words()]}
        if isinstance(refusal, Refused):
            found: dict[str, list[str]] = {}
            for problem in refusal.problems:
                found.setdefault(self._form_field(problem.field), []).append(problem.detail)
            return found
        return super().problems_of(refusal)

    def _form_field(self, name: str) -> str:
        direction, _, part = name.partition(".")
        if direction not in DIRECTIONS:
            return name
        return f"{direction}_{part or 'mode'}"

    def stale_words(self) -> str:
        return (
            "Somebody else saved a newer revision meanwhile; see what it changed at the end of this page. Your "
            "entries are still here and not saved. Save again to put them in place of that revision."
        )

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        context = extra_context or {}
        if object_id is not None:
            context = self._page(request, self.found(request, object_id)) | context
        try:
            return super().changeform_view(request, object_id, form_url, context)
        except LookFirst as wanted:
            return self._plan_page(request, context["policy"], wanted.plan)
        except BackToForm:
            return self._form_again(request, object_id, form_url, context)

    def _form_again(
        self, request: HttpRequest, object_id: str | None, form_url: str, context: dict[str, Any]
    ) -> HttpResponse:
        """The form with what was entered. Nothing is wrong with it, so nothing says so."""
        request.problems = {NON_FIELD_ERRORS: [STILL_HERE]}  # type: ignore[attr-defined]
        answer: Any = super().changeform_view(request, object_id, form_url, context)
        form = answer.context_data["adminform"].form
        if form.errors == {NON_FIELD_ERRORS: [STILL_HERE]}:
            form.errors.clear()
            answer.context_data["errors"] = None
            messages.info(request, STILL_HERE)
        return answer  # type: ignore[no-any-return]

    def _plan_page(self, request: HttpRequest, policy: CountryPolicy, plan: preview.Preview) -> HttpResponse:
        """What saving would change; the entries travel along."""
        ours = {"csrfmiddlewaretoken", "planned", "edit_again"}
        context = {
            "title": f"Before “{policy.name}” is saved",
            "original": policy,
            "plan": shown(plan),
            "overtaken_by": _overtaking(request, policy),
            "entries": [(name, value) for name, values in request.POST.lists() if name not in ours for value in values],
        }
        return self.page(request, "policies/country_policy_plan.html", context)

    def _page(self, request: HttpRequest, policy: CountryPolicy) -> dict[str, Any]:
        newest = PolicyRevision.objects.filter(policy=policy).select_related("created_by").order_by("-number")
        revisions = list(newest[: NEWEST_REVISIONS + 1])
        authors = _authors(policy, revisions)
        earlier = {revision.number: revision for revision in revisions}
        history = [
            {
                "revision": revision,
                "by": revision.created_by or authors.get(revision.created_at, audit.SYSTEM),
                "changes": _changes(earlier.get(revision.number - 1), revision),
            }
            for revision in revisions[:NEWEST_REVISIONS]
        ]
        return {
            "policy": policy,
            "default_means": _default_means(),
            "history": history,
            "followers": policy.phone_numbers.count(),
            "progress": progress.of_policy(policy.pk),
            "may_change": self.has_change_permission(request, policy),
            "observed_panel_url": panel_url("observed", "country-policy", policy.pk),
        }

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        policy = context.get("policy")
        if policy is not None:
            # A stale edit may be saved over the newer revision once it was shown; any other refusal keeps its basis.
            posted = request.POST.get("expected_revision")
            stale = self.stale_words() in getattr(request, "problems", {}).get(NON_FIELD_ERRORS, [])
            context["expected_revision"] = posted if posted and not stale else policy.current_revision.number
        return super().render_change_form(request, context, *args, **kwargs)

    def response_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        policy = self.found(request, obj.pk)
        numbers = policy.phone_numbers.count()
        told = f"UponAI is being told for {numbers} number{'s' if numbers != 1 else ''}." if numbers else ""
        messages.success(request, f"“{policy.name}” is at revision {policy.current_revision.number}. {told}".strip())
        return redirect(self.change_url(policy))

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        messages.success(request, f"“{obj.name}” is made. Let numbers follow it on their pages.")
        return redirect(self.change_url(obj))

    # --- Buttons and panels ---------------------------------------------------------------------------

    def own_urls(self) -> list[Any]:
        return [
            ("default-panel/", "default_panel", self.default_panel_view),
            ("<int:object_id>/revert/", "revert", self.revert_view),
            ("<int:object_id>/clone/", "clone", self.clone_view),
            ("<int:object_id>/make-default/", "make_default", self.make_default_view),
        ]

    def revert_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        policy = self.found_to_change(request, object_id)
        number = request.POST.get("revision", "")
        try:
            revision = actions.revert_country_policy(
                policy=policy, revision_number=int(number) if number.isdecimal() else 0, **acting(request)
            )
        except Refused as refusal:
            messages.error(request, str(refusal))
        else:
            messages.success(request, f"Back to revision {number}, as revision {revision.number}.")
        return redirect(self.change_url(policy))

    def clone_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        policy = self.found_to_change(request, object_id)
        clone = cloning.clone_country_policy(policy=policy, **acting(request))
        messages.success(request, f"“{clone.name}” begins with the same rules. No number follows it yet.")
        return redirect(self.change_url(clone))

    def make_default_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        policy = self.found_to_change(request, object_id)
        actions.make_default(policy=policy, **acting(request))
        messages.success(request, f"“{policy.name}” is the default policy.")
        return redirect(self.change_url(policy))

    def default_panel_view(self, request: HttpRequest) -> HttpResponse:
        """The part of the settings page in which the default policy is chosen."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        saved = False
        if request.method == "POST":
            chosen = request.POST.get("policy", "")
            policy = self.found_to_change(request, chosen if chosen.isdecimal() else 0)
            actions.make_default(policy=policy, **acting(request))
            saved = True
            if not is_htmx(request):
                messages.success(request, f"“{policy.name}” is the default policy.")
                return redirect("admin:accounts_workspace_changelist")
        policies = list(CountryPolicy.objects.order_by("name"))
        context = {
            "policies": policies,
            "default_means": _default_means(),
            "has_default": any(policy.is_default for policy in policies),
            "may_change": self.has_change_permission(request),
            "saved": saved,
        }
        return TemplateResponse(request, "policies/_default_policy.html", context)

    # --- The rules, to be read ------------------------------------------------------------------------

    @display(description="Rules")
    def inbound_in_words(self, row: CountryPolicy) -> str:
        return render_to_string("policies/_rules.html", rules_shown(row.current_revision.inbound))

    @display(description="Rules")
    def outbound_in_words(self, row: CountryPolicy) -> str:
        return render_to_string("policies/_rules.html", rules_shown(row.current_revision.outbound))

    # --- The list -----------------------------------------------------------------------------------

    @display(description="Revision")
    def revision(self, row: CountryPolicy) -> int:
        return row.current_revision.number

    @display(description="Numbers", ordering="numbers")
    def followers(self, row: CountryPolicy) -> str:
        context = {
            "count": row.numbers,  # type: ignore[attr-defined]
            "url": "admin:policies_phonenumber_changelist",
            "query": f"policy__id__exact={row.pk}",
        }
        return render_to_string("accounts/_count_link.html", context)

    @display(description="May be called from")
    def inbound(self, row: CountryPolicy) -> str:
        return _summary(row.current_revision.inbound)

    @display(description="May call")
    def outbound(self, row: CountryPolicy) -> str:
        return _summary(row.current_revision.outbound)

    @display(description="Default")
    def default(self, row: CountryPolicy) -> str:
        return badge("Default", "pending", _default_means()) if row.is_default else ""


def _overtaking(request: HttpRequest, policy: CountryPolicy) -> PolicyRevision | None:
    """The revision that somebody saved after the form was opened."""
    newest = policy.current_revision
    assert newest is not None  # noqa: S101  (a policy is created together with its first revision)
    return newest if request.POST.get("expected_revision", str(newest.number)) != str(newest.number) else None


def _default_means() -> str:
    new_numbers = Workspace.objects.values_list("new_numbers", flat=True).get(pk=current_workspace_id())
    return DEFAULT_MEANS[NewNumbers(new_numbers)]


def _authors(policy: CountryPolicy, revisions: list[PolicyRevision]) -> dict[Any, str]:
    """Who made the revisions that no person made, by their time, as the audit log knows it: a token has a name."""
    times = [revision.created_at for revision in revisions if revision.created_by_id is None]
    entries = AuditEntry.objects.filter(object_type=policy._meta.label_lower, object_id=str(policy.pk), at__in=times)
    return dict(entries.values_list("at", "actor_label"))


def _summary(rules: dict[str, Any]) -> str:
    cell = countries_cell(None if rules["mode"] == "unrestricted" else rules["countries"])
    return format_html("{} {}", cell, badge("Observed", "pending", OBSERVED_MEANS)) if rules.get("observing") else cell


def _changes(before: PolicyRevision | None, after: PolicyRevision) -> list[dict[str, Any]]:
    facts = [
        {name: getattr(revision, name) for name in DIRECTIONS} if revision else None for revision in (before, after)
    ]
    return differences(*facts)
