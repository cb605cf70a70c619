"""The pages of public keys: minted gate keys, and the register of UponAI's own."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.loader import render_to_string
from unfold.contrib.filters.admin import ChoicesRadioFilter
from unfold.decorators import display
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from accounts import keys
from accounts.admin.base import ConsoleAdmin, VerbForm, acting
from accounts.admin.display import as_people_write, badge, panel_url, time_cell
from accounts.models import PublicKey

REGISTER_NOTE = (
    "A register entry: what people wrote down about a key in UponAI's dashboard. UponAI offers no way to "
    "read it, so nothing here is measured, and revoking it here does not stop it there."
)


class LinesField(forms.CharField):
    """Several values, one a line."""

    def __init__(self, *, placeholder: str, rows: int = 3, **options: Any) -> None:
        widget = UnfoldAdminTextareaWidget({"rows": rows, "placeholder": placeholder, "spellcheck": "false"})
        super().__init__(widget=widget, required=False, **options)

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> list[str]:  # type: ignore[override]
        return [line for line in (super().to_python(value) or "").replace(",", "\n").split() if line]


class PublicKeyForm(VerbForm):
    domains = LinesField(
        label="Web sites",
        placeholder="www.example.com",
        help_text="Host names, one a line. Only pages of these may use the key.",
    )
    channels = forms.MultipleChoiceField(
        choices=list(keys.CHANNELS.items()),
        widget=UnfoldAdminCheckboxSelectMultipleWidget(),
        required=False,
        help_text="What may be started with the key.",
    )
    phone_number = forms.CharField(
        required=False,
        widget=UnfoldAdminTextInputWidget({"placeholder": "+14155550100"}),
        help_text="The number that calls and SMS started with the key come from.",
    )
    agent = forms.CharField(
        required=False,
        widget=UnfoldAdminTextInputWidget({"placeholder": "agent_…"}),
        help_text="The agent that talks. A web page cannot choose another.",
    )
    allowed_fields = LinesField(
        label="Fields the page may choose",
        placeholder="first_name",
        rows=2,
        help_text="Dynamic variables, one a line. Anything else that a page sends is refused.",
    )
    kyc_level = forms.TypedChoiceField(
        label="KYC level",
        coerce=int,
        choices=[(0, "None"), (1, "1 · basic"), (2, "2 · verified identity"), (3, "3 · enhanced")],
        widget=UnfoldAdminSelectWidget(),
        help_text="What the end user must have reached before anything starts.",
    )
    uponai_key = forms.CharField(
        label="UponAI's key",
        required=False,
        max_length=120,
        widget=UnfoldAdminTextInputWidget({"placeholder": "public_key_…"}),
        help_text="Only to note a key that exists in UponAI's dashboard. Left empty, a new gate key is minted.",
    )

    class Meta:
        model = PublicKey
        fields = (
            "name",
            "domains",
            "channels",
            "phone_number",
            "agent",
            "allowed_fields",
            "fraud_protection",
            "captcha",
            "kyc_level",
            "mode",
        )


@admin.register(PublicKey)
class PublicKeyAdmin(ConsoleAdmin):
    form = PublicKeyForm
    empty_words = {
        "icon": "vpn_key",
        "title": "No public keys yet",
        "text": "The keys that your web pages show would be here, each with its web sites, channels and protection.",
    }
    list_display = ("name", "shown_key", "may_start", "protection", "sites", "state", "used")
    list_filter = (("status", ChoicesRadioFilter), ("kind", ChoicesRadioFilter), ("mode", ChoicesRadioFilter))
    list_filter_submit = True
    search_fields = ("name", "key", "phone_number")
    search_help_text = "Name, key or phone number"
    ordering = ("status", "name")
    change_form_before_template = "accounts/_public_key_head.html"
    change_form_outer_after_template = "accounts/_public_key_actions.html"
    radio_fields = {"mode": admin.VERTICAL}
    fieldsets = (
        (None, {"fields": ("name", ("domains", "channels"))}),
        ("What it starts", {"fields": (("phone_number", "agent"), "allowed_fields")}),
        ("Protection", {"fields": ("fraud_protection", ("captcha", "kyc_level"), "mode")}),
    )
    add_fieldsets = (*fieldsets, ("A key of UponAI's own", {"fields": ("uponai_key",)}))

    fieldsets_to_read = (
        (None, {"fields": ("name", "may_start", "all_sites", "agent", "all_allowed_fields")}),
        ("Protection", {"fields": ("protection", "mode", "used")}),
    )

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if self.has_change_permission(request, obj):
            return super().get_fieldsets(request, obj)
        return self.fieldsets_to_read

    def run_verb(self, request: HttpRequest, row: Any, form: Any, *, creating: bool) -> PublicKey:
        facts = {name: form.cleaned_data[name] for name in form.cleaned_data if name in keys.EDITABLE}
        if not creating:
            stored = PublicKey.objects.get(pk=row.pk)
            return keys.edit_public_key(public_key=stored, **facts, **acting(request))
        workspace = request.workspace  # type: ignore[attr-defined]
        key = form.cleaned_data["uponai_key"].strip()
        if key:
            return keys.register_public_key(workspace=workspace, key=key, **facts, **acting(request))
        return keys.mint_public_key(workspace=workspace, **facts, **acting(request))

    def problems_of(self, refusal: Any) -> Any:
        found = dict(super().problems_of(refusal))
        if "key" in found:
            found["uponai_key"] = found.pop("key")
        return found

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        row = self.found(request, object_id)
        context = {
            "public_key": row,
            "register_note": REGISTER_NOTE if row.kind == PublicKey.Kind.UPONAI else "",
            "may_change": self.has_change_permission(request, row),
            "observed_panel_url": panel_url("observed", "public-key", row.pk),
        }
        return super().change_view(request, object_id, form_url, context | (extra_context or {}))

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        messages.success(request, f"{obj.name} is ready. Copy the key into your web page.")
        return redirect(self.change_url(obj))

    # --- Buttons ------------------------------------------------------------------------------------

    def own_urls(self) -> list[Any]:
        return [
            ("<int:object_id>/rotate/", "rotate", self.rotate_view),
            ("<int:object_id>/revoke/", "revoke", self.revoke_view),
        ]

    def rotate_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        row = self.found_to_change(request, object_id)
        overlap = request.POST.get("overlap") == "yes"
        try:
            new = keys.rotate_public_key(public_key=row, overlap=overlap, **acting(request))
        except ValidationError as refusal:
            return self._refused(request, row, refusal)
        kept = "The old key works until you revoke it." if overlap else "The old key no longer works."
        messages.success(request, f"This is the new key of {new.name}. {kept}")
        return redirect(self.change_url(new))

    def revoke_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        row = self.found_to_change(request, object_id)
        exposed = request.POST.get("exposed") == "yes"
        reason = request.POST.get("reason", "").strip()
        try:
            new = keys.revoke_public_key(public_key=row, exposed=exposed, reason=reason, **acting(request))
        except ValidationError as refusal:
            return self._refused(request, row, refusal)
        if new:
            messages.success(request, f"The exposed key no longer works. This is the new key of {new.name}.")
        else:
            messages.success(request, f"{row.name} is revoked; whoever still shows it is refused.")
        return redirect(self.change_url(new or row))

    def _refused(self, request: HttpRequest, row: PublicKey, refusal: ValidationError) -> HttpResponse:
        messages.error(request, " ".join(refusal.messages))
        return redirect(self.change_url(row))

    # --- The list -----------------------------------------------------------------------------------

    @display(description="Key")
    def shown_key(self, row: PublicKey) -> str:
        return render_to_string("accounts/_key.html", {"key": row.key, "short": True})

    @display(description="May start")
    def may_start(self, row: PublicKey) -> str:
        words = ", ".join(keys.CHANNELS[channel] for channel in row.channels if channel in keys.CHANNELS) or "—"
        return f"{words} from {as_people_write(row.phone_number)}" if row.phone_number else words

    @display(description="Protection")
    def protection(self, row: PublicKey) -> str:
        on = "Fraud protection" if row.fraud_protection else "No fraud protection"
        captcha = "" if row.captcha == PublicKey.Captcha.NONE else f", {row.get_captcha_display()}"
        return f"{on}{captcha}" + (f", KYC level {row.kyc_level}" if row.kyc_level else "")

    @display(description="Web sites")
    def sites(self, row: PublicKey) -> str:
        return ", ".join(row.domains[:2]) + (f" and {len(row.domains) - 2} more" if len(row.domains) > 2 else "") or "—"

    @display(description="Web sites")
    def all_sites(self, row: PublicKey) -> str:
        return ", ".join(row.domains) or "—"

    @display(description="Fields the page may choose")
    def all_allowed_fields(self, row: PublicKey) -> str:
        return ", ".join(row.allowed_fields) or "none"

    @display(description="State", ordering="status")
    def state(self, row: PublicKey) -> str:
        if row.status == PublicKey.Status.REVOKED:
            return badge("Revoked", "failed", "It no longer opens anything.")
        if row.kind == PublicKey.Kind.UPONAI:
            return badge("Register", "unknown", REGISTER_NOTE)
        if row.mode == PublicKey.Mode.OBSERVING:
            return badge("Observing", "pending", "Judged and counted, not enforced.")
        return badge("Enforcing", "synced", "Works, and its rules are enforced.")

    @display(description="Last used", ordering="last_used_at")
    def used(self, row: PublicKey) -> str:
        return time_cell(row.last_used_at)
