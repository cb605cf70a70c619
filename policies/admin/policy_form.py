"""The form of a country policy: per direction a mode, countries, kinds of numbers and prefixes. Parsing only."""

from __future__ import annotations

from typing import Any

from django import forms
from django.template.loader import render_to_string
from unfold.widgets import (
    UnfoldAdminRadioSelectWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldBooleanWidget,
)

from accounts.admin.base import VerbForm
from accounts.admin.display import CountriesField
from accounts.admin.rule_fields import KycRulesField, LimitsField
from accounts.countries import GROUPS, name_of
from accounts.models import Workspace
from accounts.scoping import current_workspace_id
from policies import limit_rows
from policies.admin.country_input import families_shown, family_of, in_words
from policies.admin.rule_fields import OBSERVED, ClassRuleField, PrefixRulesField
from policies.engine.names import Direction, NumberClass, RuleAction, RulesMode
from policies.models import CountryPolicy

DIRECTIONS = {"inbound": "Who may call", "outbound": "Where it may call"}
MODES = [
    (RulesMode.LIST.value, "Only these countries"),
    (RulesMode.UNRESTRICTED.value, "Every country (no restriction)"),
]
PRESETS = (
    "us_and_canada",
    "north_american_plan",
    "gb_and_crown_dependencies",
    "european_union",
    "european_economic_area",
    "australia_and_new_zealand",
)
WITHHELD = [
    ("", "— (turned away, where only some countries may call)"),
    (RuleAction.ALLOW.value, "let in"),
    (RuleAction.GUARD.value, "guarded: short, cautious agent"),
    (RuleAction.BLOCK.value, "turned away"),
]
"""A caller cannot be challenged."""


def direction_fields(direction: str) -> dict[str, forms.Field]:
    presets = [("", "—"), *((key, f"{GROUPS[key].name} only") for key in PRESETS)]
    fields: dict[str, forms.Field] = {
        f"{direction}_mode": forms.ChoiceField(
            label="Countries", choices=MODES, initial="list", widget=UnfoldAdminRadioSelectWidget()
        ),
        f"{direction}_countries": CountriesField(
            label="These countries", required=False, without_sanctioned=True, help_text="Type to search."
        ),
        f"{direction}_preset": forms.ChoiceField(
            label="Or a ready-made list",
            choices=presets,
            required=False,
            widget=UnfoldAdminSelectWidget(),
            help_text="Takes the place of the countries beside it.",
        ),
        f"{direction}_prefix_rules": PrefixRulesField(
            label="Prefixes", help_text="The longest that fits decides. A row without a prefix is left out."
        ),
        f"{direction}_observing": forms.BooleanField(
            label="Only observe all of this",
            required=False,
            widget=UnfoldBooleanWidget(),
            help_text="What these rules would have done is noted, and not done. Sanctions and holds are always done.",
        ),
        f"{direction}_limits": LimitsField(label="Limits"),
    }
    for number_class in NumberClass:
        fields[f"{direction}_class_{number_class.value}"] = ClassRuleField(direction, number_class)
    return fields | (inbound_fields() if direction == Direction.INBOUND else outbound_fields())


def inbound_fields() -> dict[str, forms.Field]:
    return {
        "inbound_withheld": forms.ChoiceField(
            label="Callers who show no number are", choices=WITHHELD, required=False, widget=UnfoldAdminSelectWidget()
        )
    }


def outbound_fields() -> dict[str, forms.Field]:
    return {
        "outbound_captcha": forms.BooleanField(
            label="A captcha first",
            required=False,
            widget=UnfoldBooleanWidget(),
            help_text="For what web pages start with a public key. The key says which captcha.",
        ),
        "outbound_kyc_rules": KycRulesField(
            label="KYC first",
            help_text="The level the end user must have reached; the highest that applies counts.",
        ),
    }


def parts_of(direction: str) -> tuple[str, ...]:
    """The fields of one direction that are neither countries, classes, prefixes nor limits."""
    if direction == Direction.INBOUND:
        return ("inbound_withheld", "inbound_observing")
    return ("outbound_captcha", "outbound_kyc_rules", "outbound_observing")


def class_rows(direction: str) -> list[tuple[str, ...]]:
    names = [f"{direction}_class_{number_class.value}" for number_class in NumberClass]
    return [tuple(names[start : start + 2]) for start in range(0, len(names), 2)]


class _PolicyFormBase(VerbForm):
    home_only = forms.BooleanField(required=False, widget=UnfoldBooleanWidget(), label="No international calls")
    home_territories = forms.BooleanField(required=False, widget=UnfoldBooleanWidget(), label="With its territories")
    confirm_unrestricted = forms.BooleanField(
        required=False,
        widget=UnfoldBooleanWidget(),
        label="Every country is what I want",
        help_text="Only asked for when a list is lifted; then a reason is needed too.",
    )
    reason = forms.CharField(
        required=False,
        label="Why",
        max_length=500,
        widget=UnfoldAdminTextareaWidget({"rows": 2}),
        help_text="Kept with the revision and in the audit log.",
    )

    class Meta:
        model = CountryPolicy
        fields = ("name",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._ask_about_home()
        revision = self.instance.current_revision if self.instance.pk else None
        for direction in DIRECTIONS:
            if f"{direction}_limits" in self.fields:
                rows = limit_rows.of_direction(current_workspace_id(), direction)
                self.fields[f"{direction}_limits"].show(rows)  # type: ignore[attr-defined]
            if revision is not None:
                self._show(direction, getattr(revision, direction))
            if f"{direction}_countries" in self.fields:
                self.fields[f"{direction}_countries"].help_text = self._what_is_left_out(direction)

    def _ask_about_home(self) -> None:
        if "home_only" not in self.fields:
            return
        self.home = str(Workspace.objects.values_list("home_country", flat=True).get(pk=current_workspace_id()))
        family = family_of(self.home)
        self.fields[
            "home_only"
        ].help_text = f"One switch: only {name_of(self.home)}, in and out. It takes the place of both lists below."
        if family is None:
            del self.fields["home_territories"]
            return
        words = f"{name_of(self.home)} does not include {in_words(family.others)}. Ticked, they are allowed as well."
        self.fields["home_territories"].help_text = words

    def _what_is_left_out(self, direction: str) -> str:
        name = f"{direction}_countries"
        # Not from the bound field: that would keep the help text as it is now.
        chosen = self.data.getlist(name) if self.is_bound else self.initial.get(name) or ()  # type: ignore[attr-defined]
        context = {"field": f"id_{direction}_countries", "families": families_shown(chosen)}
        return "Type to search." + render_to_string("policies/_left_out_options.html", context)

    def _show(self, direction: str, rules: dict[str, Any]) -> None:
        self.initial |= {
            f"{direction}_mode": rules["mode"],
            f"{direction}_countries": rules["countries"],
            f"{direction}_prefix_rules": rules["prefix_rules"],
            f"{direction}_limits": rules.get("limits") or {},
            f"{direction}_observing": rules.get("observing", False),
            f"{direction}_captcha": rules.get("captcha", False),
            f"{direction}_kyc_rules": rules.get("kyc_rules") or {},
            f"{direction}_withheld": rules.get("withheld") or "",
        }
        observed = set(rules.get("observed_classes") or ())
        for name in observed | rules["class_rules"].keys():
            mark = f":{OBSERVED}" if name in observed else ""
            self.initial[f"{direction}_class_{name}"] = f"{rules['class_rules'].get(name, '')}{mark}"

    def rules(self, direction: str) -> dict[str, Any]:
        """The direction's rules as the verbs take them."""
        given = self.cleaned_data
        mode, countries = self._countries(direction)
        classes = {entry.value: given[f"{direction}_class_{entry.value}"].split(":") for entry in NumberClass}
        return {
            "mode": mode,
            "countries": countries if mode == RulesMode.LIST.value else [],
            "class_rules": {name: action for name, (action, *_) in classes.items() if action},
            "observed_classes": [name for name, (_, *observed) in classes.items() if observed],
            "prefix_rules": given[f"{direction}_prefix_rules"],
            "limits": given[f"{direction}_limits"],
        } | {name.removeprefix(f"{direction}_"): given[name] or None for name in parts_of(direction)}

    def _countries(self, direction: str) -> tuple[str, list[str]]:
        given = self.cleaned_data
        if given.get("home_only"):
            family = family_of(self.home)
            with_others = family is not None and given.get("home_territories")
            return RulesMode.LIST.value, sorted({self.home, *(family.others if family and with_others else ())})
        preset = given[f"{direction}_preset"]
        if preset:
            return RulesMode.LIST.value, sorted(GROUPS[preset].countries)
        return given[f"{direction}_mode"], given[f"{direction}_countries"]


CountryPolicyForm = type(
    "CountryPolicyForm",
    (_PolicyFormBase,),
    {"__module__": __name__, **direction_fields("inbound"), **direction_fields("outbound")},
)
