"""The pages of public keys: minted gate keys, and the register of UponAI's own."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.utils import timezone
from unfold.contrib.filters.admin import ChoicesRadioFilter, DropdownFilter
from unfold.decorators import display

from accounts import keys
from accounts.admin import key_words
from accounts.admin.base import ConsoleAdmin, acting
from accounts.admin.display import as_people_write, badge, panel_url, time_cell
from accounts.admin.key_form import PublicKeyForm
from accounts.models import PublicKey

UNUSED_AFTER = timedelta(days=30)
OVERLAPS = {"no": keys.NO_OVERLAP, "day": timedelta(days=1), "week": keys.OVERLAP, "month": timedelta(days=30)}
REGISTER_NOTE = (
    "A register entry: what people wrote down about a key in UponAI's dashboard. UponAI offers no way to "
    "read it, so nothing here is measured, and revoking it here does not stop it there."
)


NOTED = "As people saw it in UponAI's dashboard. The console can neither read nor change it there. Look again at times."


def unused(now: datetime) -> Q:
    """Gate keys that open something and that nobody has used for a month, or ever since they were minted."""
    since = now - UNUSED_AFTER
    active = Q(kind=PublicKey.Kind.GATE_KEY, status=PublicKey.Status.ACTIVE)
    return active & (Q(last_used_at__lt=since) | Q(last_used_at=None, created_at__lt=since))


class UseFilter(DropdownFilter):
    title, parameter_name = "use", "use"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("unused", f"Not used for {UNUSED_AFTER.days} days"), ("never", "Never used")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() == "unused":
            return queryset.filter(unused(timezone.now()))
        if self.value() == "never":
            return queryset.filter(kind=PublicKey.Kind.GATE_KEY, last_used_at=None)
        return queryset


@admin.register(PublicKey)
class PublicKeyAdmin(ConsoleAdmin):
    form = PublicKeyForm
    empty_words = {
        "icon": "vpn_key",
        "title": "No public keys yet",
        "text": "The keys that your web pages show would be here, each with its web sites, channels and protection.",
    }
    list_display = ("name", "shown_key", "may_start", "protection", "sites", "state", "used")
    list_filter = (
        ("status", ChoicesRadioFilter),
        ("kind", ChoicesRadioFilter),
        ("mode", ChoicesRadioFilter),
        UseFilter,
    )
    list_filter_submit = True
    search_fields = ("name", "key", "phone_number")
    search_help_text = "Name, key or phone number"
    ordering = ("status", "name")
    list_before_template = "accounts/_public_key_list_before.html"
    change_form_before_template = "accounts/_public_key_head.html"
    change_form_outer_after_template = "accounts/_public_key_actions.html"
    radio_fields = {"mode": admin.VERTICAL}
    fieldsets = (
        (None, {"fields": ("name", ("domains", "channels"))}),
        ("What it starts", {"fields": (("phone_number", "agent"), ("agent_version", "allowed_fields"))}),
        ("Protection", {"fields": ("fraud_protection", "mode")}),
        (
            "Captcha",
            {"fields": (("captcha", "captcha_threshold"), ("captcha_site_key", "new_captcha_secret"))},
        ),
        ("KYC", {"fields": ("kyc_level", "kyc_rules")}),
        ("Limits of this key alone", {"fields": ("limits",), "classes": ["collapse"]}),
    )
    register_fieldsets = (
        (None, {"fields": ("name", ("domains", "channels"))}),
        ("What it starts", {"fields": (("phone_number", "agent"), "allowed_fields")}),
        (
            "Its protection, as noted",
            {"fields": ("fraud_protection", ("captcha", "kyc_level")), "description": NOTED},
        ),
    )
    add_fieldsets = (*fieldsets, ("A key of UponAI's own", {"fields": ("uponai_key",)}))

    fieldsets_to_read = (
        (None, {"fields": ("name", "may_start", "all_sites", "agent", "all_allowed_fields")}),
        ("Protection", {"fields": ("protection", "mode", "used")}),
    )

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if not self.has_change_permission(request, obj):
            return self.fieldsets_to_read
        if obj is not None and obj.kind == PublicKey.Kind.UPONAI:
            return self.register_fieldsets
        return super().get_fieldsets(request, obj)

    def run_verb(self, request: HttpRequest, row: Any, form: Any, *, creating: bool) -> PublicKey:
        facts = {name: form.cleaned_data[name] for name in form.cleaned_data if name in keys.EDITABLE}
        if "new_captcha_secret" in form.cleaned_data:
            facts["captcha_secret"] = form.cleaned_data["new_captcha_secret"]
        if not creating:
            stored = PublicKey.objects.get(pk=row.pk)
            return keys.edit_public_key(public_key=stored, **facts, **acting(request))
        workspace = request.workspace  # type: ignore[attr-defined]
        key = form.cleaned_data["uponai_key"].strip()
        if key:
            facts = {name: value for name, value in facts.items() if name not in ("limits", "kyc_rules") or value}
            return keys.register_public_key(workspace=workspace, key=key, **facts, **acting(request))
        return keys.mint_public_key(workspace=workspace, **facts, **acting(request))

    def problems_of(self, refusal: Any) -> Any:
        found = dict(super().problems_of(refusal))
        renamed = {"key": "uponai_key", "captcha_secret": "new_captcha_secret"}
        return {renamed.get(name, name): sentences for name, sentences in found.items()}

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        row = self.found(request, object_id)
        context = {
            "public_key": row,
            "register_note": REGISTER_NOTE if row.kind == PublicKey.Kind.UPONAI else "",
            "may_change": self.has_change_permission(request, row),
            "traffic_panel_url": panel_url("public-key", row.pk),
            "observed_panel_url": panel_url("observed", "public-key", row.pk),
            "overlap_days": keys.OVERLAP.days,
            "sentences": [],
        }
        if row.kind == PublicKey.Kind.GATE_KEY and row.status == PublicKey.Status.ACTIVE:
            context["sentences"] = key_words.sentences(row, timezone.now(), unused_after=UNUSED_AFTER)
            context["protection"] = key_words.protection(row, timezone.now())
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
        overlap = OVERLAPS.get(request.POST.get("overlap", ""), keys.NO_OVERLAP)
        try:
            new = keys.rotate_public_key(public_key=row, overlap=overlap, **acting(request))
        except ValidationError as refusal:
            return self._refused(request, row, refusal)
        ends_at = timezone.localtime(acting(request)["now"] + overlap)
        kept = f"The old key works until {ends_at:%-d %B, %H:%M}." if overlap else "The old key no longer works."
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
        if row.kind == PublicKey.Kind.UPONAI:
            on = f"Noted: {on[:1].lower()}{on[1:]}"
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
        if row.retires_at is not None:
            over = row.retires_at <= timezone.now()
            return badge(
                "Retired" if over else "Retiring", "drift", "It was rotated; see its page for how long it works."
            )
        if row.mode == PublicKey.Mode.OBSERVING:
            return badge("Observing", "pending", "Judged and counted, not enforced.")
        return badge("Enforcing", "synced", "Works, and its rules are enforced.")

    @display(description="Last used", ordering="last_used_at")
    def used(self, row: PublicKey) -> str:
        if row.kind == PublicKey.Kind.UPONAI:
            return badge("Not known", "unknown", "What is started with UponAI's own key does not pass this console.")
        if row.last_used_at is None:
            return badge("Never", "drift" if row.status == PublicKey.Status.ACTIVE else "", "Nobody has used it yet.")
        return time_cell(row.last_used_at)
