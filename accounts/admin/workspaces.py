"""The settings page of the current workspace, its UponAI key, and changing to another workspace."""

from __future__ import annotations

import zoneinfo
from decimal import Decimal, InvalidOperation
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from unfold.widgets import UnfoldAdminSelect2Widget, UnfoldAdminTextareaWidget

from accounts import countries, gate_rules, leaks, workspaces
from accounts.admin.base import ConsoleAdmin, VerbForm, acting
from accounts.admin.display import CountryField
from accounts.admin.kyc import settings_fields
from accounts.admin.rule_fields import LimitsField
from accounts.kyc import provider_results
from accounts.middleware import SESSION_KEY
from accounts.models import ApiToken, Membership, UponaiKey, Workspace

LIMITS_MEAN = "For every number and key. What a country policy or a public key says itself comes before these."
FOUR_EYES_MEAN = (
    "Opening a country of the chosen exposure waits for another owner or policy editor, wherever it is asked for. "
    "Closing, holds and the brake never wait. To ask for less here waits in the same way."
)
RETENTION_MEANS = (
    "What is older is deleted for good, a little at a time and within hours. Counts by the hour stay for ever, so "
    "charts and usage go on showing that time; lists, pages of single calls and replays do not. KYC records go by "
    "their own settings, and the audit log stays."
)


def time_zone_choices() -> list[tuple[str, str]]:
    names = (
        name for name in zoneinfo.available_timezones() if "/" in name and not name.startswith(("Etc/", "SystemV/"))
    )
    return [("UTC", "UTC"), *((name, name.replace("_", " ")) for name in sorted(names))]


class PricesField(forms.CharField):
    """Prices by country, one "GB 0.05" a line."""

    widget = UnfoldAdminTextareaWidget({"rows": 4, "placeholder": "GB 0.05", "spellcheck": "false"})

    def prepare_value(self, value: Any) -> Any:
        return (
            "\n".join(f"{code} {price}" for code, price in sorted(value.items())) if isinstance(value, dict) else value
        )

    def to_python(self, value: Any) -> dict[str, float]:  # type: ignore[override]
        if isinstance(value, dict):
            return value
        lines = [line.split() for line in (value or "").splitlines() if line.strip()]
        return dict(self._price(line) for line in lines)

    def _price(self, words: list[str]) -> tuple[str, float]:
        code = words[0].upper()
        if len(words) != 2 or code not in countries.CODES:
            raise ValidationError(
                f"“{' '.join(words)[:40]}”: write a country's two letters and a price, such as GB 0.05."
            )
        try:
            price = Decimal(words[1])
        except InvalidOperation:
            price = Decimal(-1)
        if not price.is_finite() or not 0 <= price < 1000:
            raise ValidationError(f"{code}: “{words[1][:20]}” is not a price in US dollars a minute.")
        return code, float(price)


class WorkspaceForm(settings_fields.KycSettingsFields, VerbForm):  # type: ignore[misc,name-defined]
    home_country = CountryField(help_text="Calls elsewhere count as international.")
    time_zone = forms.ChoiceField(
        choices=time_zone_choices,
        widget=UnfoldAdminSelect2Widget(),
        help_text="Days, hours and charts are counted in it.",
    )
    carrier_prices = PricesField(
        required=False,
        label="Your carrier's prices",
        help_text="US dollars a minute where they differ from the built-in table, one country a line: GB 0.05",
    )

    limits = LimitsField(label="Limits")

    class Meta:
        model = Workspace
        fields = (
            *("name", "home_country", "time_zone", "agent_minute_price", "carrier_prices", "limits", "kyc_fallback"),
            *("new_numbers", "requests_per_second", "approval_tier", "approval_hours", "digest_period"),
            *("keep_events_days", "keep_calls_days"),
        )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial |= settings_fields.initial(self.instance)
        if "limits" in self.fields:
            rows = gate_rules.of_the_gate().workspace_limit_rows()
            self.fields["limits"].show(rows)  # type: ignore[attr-defined]


@admin.register(Workspace)
class WorkspaceAdmin(ConsoleAdmin):
    form = WorkspaceForm
    fieldsets = (
        (None, {"fields": ("name", ("home_country", "time_zone"))}),
        ("Prices", {"fields": ("agent_minute_price", "carrier_prices")}),
        ("KYC", {"fields": ("kyc_fallback", *settings_fields.ROWS)}),
        ("At UponAI", {"fields": ("new_numbers", "requests_per_second")}),
        ("Four eyes", {"fields": (("approval_tier", "approval_hours"),), "description": FOUR_EYES_MEAN}),
        ("Mail", {"fields": ("digest_period",)}),
        ("What is kept", {"fields": (("keep_events_days", "keep_calls_days"),), "description": RETENTION_MEANS}),
        (
            "Limits of the whole workspace",
            {"fields": ("limits",), "classes": ["collapse"], "description": LIMITS_MEAN},
        ),
    )
    change_form_outer_after_template = "accounts/_workspace_sections.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Workspace]:
        workspace = getattr(request, "workspace", None)
        return super().get_queryset(request).filter(pk=workspace.pk if workspace else None)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        workspace = getattr(request, "workspace", None)
        if workspace is None:
            raise PermissionDenied
        return redirect(self.change_url(workspace))

    def run_verb(self, request: HttpRequest, row: Any, form: Any, *, creating: bool) -> Workspace:
        stored = Workspace.objects.get(pk=row.pk)
        given = {name: form.cleaned_data[name] for name in workspaces.SETTINGS_FIELDS if name in form.cleaned_data}
        given["kyc_settings"] = settings_fields.settings_of(form.cleaned_data)
        changes = {name: value for name, value in given.items() if getattr(stored, name) != value}
        if changes:
            workspaces.change_settings(workspace=stored, **changes, **acting(request))
        return stored

    def response_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        messages.success(request, "The settings are saved.")
        return redirect(self.change_url(obj))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        workspace = self.found(request, object_id)
        return super().change_view(request, object_id, form_url, self._sections(request, workspace))

    def _sections(self, request: HttpRequest, workspace: Workspace) -> dict[str, Any]:
        user, context = request.user, {"workspace": workspace, "title": "Settings"}
        if user.has_perm("accounts.view_uponaikey"):
            hooks = f"{settings.CONSOLE_URL}/hooks/{workspace.endpoint}"
            context |= {
                "uponai_keys": UponaiKey.objects.order_by("-created_at")[:5],
                "key_leaks": leaks.open_leaks()[:5],
                "webhooks": {"inbound": f"{hooks}/inbound", "events": f"{hooks}/events"},
            }
        if user.has_perm("accounts.view_membership"):
            context["provider"] = self._provider(workspace)
            context["members"] = Membership.objects.select_related("user").order_by("user__email")
        if user.has_perm("accounts.view_apitoken"):
            context["tokens"] = ApiToken.objects.filter(revoked_at=None).order_by("name")
        return context

    # --- Buttons ------------------------------------------------------------------------------------

    def own_urls(self) -> list[Any]:
        return [
            ("enter/", "enter", self.enter_view),
            ("provider-secret/", "provider_secret", self.provider_secret_view),
        ]

    def provider_secret_view(self, request: HttpRequest) -> HttpResponse:
        """A new secret for the results of identity providers, on the page this once."""
        workspace = request.workspace  # type: ignore[attr-defined]
        if request.method != "POST" or not request.user.has_perm("accounts.change_workspace"):
            raise PermissionDenied
        secret = provider_results.new_secret(workspace=workspace, **acting(request))
        workspace.refresh_from_db(fields=["provider_secret"])
        context = {
            "title": "Results of identity providers",
            "provider": self._provider(workspace) | {"new_secret": secret},
        }
        answer = self.page(request, "accounts/provider_secret.html", context)
        answer["Cache-Control"] = "no-store"
        return answer

    def _provider(self, workspace: Workspace) -> dict[str, Any]:
        address = f"{settings.CONSOLE_URL}{reverse('kyc_provider_results', args=[workspace.endpoint])}"
        return {"address": address, "has_secret": bool(workspace.provider_secret)}

    def enter_view(self, request: HttpRequest) -> HttpResponse:
        """Works in another of one's workspaces from now on."""
        if request.method != "POST":
            raise PermissionDenied
        slug = request.POST.get("workspace", "")
        if slug not in {workspace.slug for workspace in request.workspaces}:  # type: ignore[attr-defined]
            raise Http404("You do not work in this workspace.")
        request.session[SESSION_KEY] = slug
        back = request.POST.get("next", "")
        here = url_has_allowed_host_and_scheme(back, allowed_hosts=None)
        return redirect(back if here else reverse("admin:index"))
