"""The form of a public key. Parsing only: what is acceptable is said by the verbs."""

from __future__ import annotations

from typing import Any

from django import forms
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminPasswordWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from accounts import gate_rules, keys
from accounts.admin.base import VerbForm
from accounts.admin.rule_fields import LEVELS, KycRulesField, LimitsField
from accounts.models import PublicKey
from accounts.scoping import current_workspace_id

SECRET_KEPT = "One is kept. Left empty, it stays; what is entered takes its place."  # noqa: S105


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
        help_text="One of this workspace's numbers: calls and SMS started with the key come from it.",
    )
    agent = forms.CharField(
        required=False,
        widget=UnfoldAdminTextInputWidget({"placeholder": "agent_…"}),
        help_text="The agent that talks. A web page cannot choose another.",
    )
    agent_version = forms.CharField(
        required=False,
        max_length=40,
        widget=UnfoldAdminTextInputWidget({"placeholder": "3"}),
        help_text="A number or a tag; empty for what UponAI takes by itself.",
    )
    allowed_fields = LinesField(
        label="Fields the page may choose",
        placeholder="first_name",
        rows=2,
        help_text="Dynamic variables, one a line. Anything else that a page sends is refused.",
    )
    limits = LimitsField(label="Limits")
    new_captcha_secret = forms.CharField(
        label="Captcha secret",
        required=False,
        max_length=200,
        widget=UnfoldAdminPasswordWidget({"autocomplete": "new-password"}),
        help_text="Kept encrypted, and never shown again.",
    )
    captcha_threshold = forms.FloatField(
        label="Lowest captcha score",
        required=False,
        min_value=0,
        max_value=1,
        widget=UnfoldAdminDecimalFieldWidget({"step": "0.05"}),
        help_text="0 to 1, for captchas that give a score.",
    )
    kyc_level = forms.TypedChoiceField(
        label="KYC level",
        coerce=int,
        choices=[(0, "None"), *LEVELS],
        widget=UnfoldAdminSelectWidget(),
        help_text="What the end user must have reached before anything starts.",
    )
    kyc_rules = KycRulesField(
        label="A higher KYC level", help_text="For single channels and destinations; the highest that applies counts."
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
            "agent_version",
            "allowed_fields",
            "fraud_protection",
            "limits",
            "captcha",
            "captcha_site_key",
            "captcha_threshold",
            "kyc_level",
            "kyc_rules",
            "mode",
        )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        stored = self.instance if self.instance.pk else None
        if "limits" in self.fields:
            rows = gate_rules.of_the_gate().key_limit_rows(current_workspace_id(), stored)
            self.fields["limits"].show(rows)  # type: ignore[attr-defined]
        if "new_captcha_secret" in self.fields and stored and stored.captcha_secret:
            self.fields["new_captcha_secret"].help_text = SECRET_KEPT

    def clean_captcha_threshold(self) -> float:
        given = self.cleaned_data["captcha_threshold"]
        return float(self.instance.captcha_threshold if given is None else given)
