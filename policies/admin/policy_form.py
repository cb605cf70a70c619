"""The form of a country policy: per direction a mode, countries, kinds of numbers and prefixes. Parsing only."""

from __future__ import annotations

import re
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from unfold.widgets import (
    UnfoldAdminRadioSelectWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldBooleanWidget,
)

from accounts.admin.base import VerbForm
from accounts.admin.display import CountriesField
from accounts.countries import GROUPS
from policies.engine.defaults import CLASS_RULES
from policies.engine.names import Direction, NumberClass, RuleAction, RulesMode
from policies.models import CountryPolicy

DIRECTIONS = {"inbound": "Who may call", "outbound": "Where it may call"}
MODES = [
    (RulesMode.LIST.value, "Only these countries"),
    (RulesMode.UNRESTRICTED.value, "Every country (no restriction)"),
]
ACTIONS = (RuleAction.ALLOW, RuleAction.CHALLENGE, RuleAction.BLOCK)
PRESETS = (
    "us_and_canada",
    "north_american_plan",
    "gb_and_crown_dependencies",
    "european_union",
    "european_economic_area",
    "australia_and_new_zealand",
)
_PREFIX_LINE = re.compile(r"(\+[0-9]{1,15})\s+(allow|guard|challenge|block)", re.IGNORECASE)


class PrefixRulesField(forms.CharField):
    """One "+4470 block" a line."""

    def __init__(self, **options: Any) -> None:
        widget = UnfoldAdminTextareaWidget({"rows": 3, "placeholder": "+4470 block", "spellcheck": "false"})
        super().__init__(required=False, widget=widget, **options)

    def prepare_value(self, value: Any) -> Any:
        if not isinstance(value, list):
            return value
        return "\n".join(f"{rule['prefix']} {rule['action']}" for rule in value)

    def to_python(self, value: Any) -> list[dict[str, str]]:  # type: ignore[override]
        lines = [line.strip() for line in (value or "").splitlines() if line.strip()]
        return [self._rule(line) for line in lines]

    def _rule(self, line: str) -> dict[str, str]:
        parts = _PREFIX_LINE.fullmatch(line)
        if parts is None:
            raise ValidationError(f"“{line[:40]}”: write a prefix and what to do with it, such as +4470 block.")
        return {"prefix": parts[1], "action": parts[2].lower()}


def class_label(number_class: NumberClass) -> str:
    return number_class.value.replace("_", " ").capitalize().replace("Uan", "UAN").replace("Voip", "VoIP")


def class_choices(direction: str, number_class: NumberClass) -> list[tuple[str, str]]:
    default = CLASS_RULES[Direction(direction)].get(number_class, RuleAction.ALLOW)
    return [("", f"— ({default.value} by default)"), *((action.value, action.value) for action in ACTIONS)]


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
            label="Prefixes", help_text="One a line; the longest that fits decides: +4470 block"
        ),
    }
    for number_class in NumberClass:
        fields[f"{direction}_class_{number_class.value}"] = forms.ChoiceField(
            label=class_label(number_class),
            choices=class_choices(direction, number_class),
            required=False,
            widget=UnfoldAdminSelectWidget(),
        )
    return fields


def class_rows(direction: str) -> list[tuple[str, ...]]:
    names = [f"{direction}_class_{number_class.value}" for number_class in NumberClass]
    return [tuple(names[start : start + 2]) for start in range(0, len(names), 2)]


class _PolicyFormBase(VerbForm):
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
        revision = self.instance.current_revision if self.instance.pk else None
        if revision is not None:
            for direction in DIRECTIONS:
                self._show(direction, getattr(revision, direction))

    def _show(self, direction: str, rules: dict[str, Any]) -> None:
        self.initial |= {
            f"{direction}_mode": rules["mode"],
            f"{direction}_countries": rules["countries"],
            f"{direction}_prefix_rules": rules["prefix_rules"],
        }
        for number_class, action in rules["class_rules"].items():
            self.initial[f"{direction}_class_{number_class}"] = action

    def rules(self, direction: str) -> dict[str, Any]:
        """The direction's rules as the verbs take them."""
        given = self.cleaned_data
        preset = given[f"{direction}_preset"]
        countries = sorted(GROUPS[preset].countries) if preset else given[f"{direction}_countries"]
        mode = RulesMode.LIST.value if preset else given[f"{direction}_mode"]
        classes = {entry.value: given[f"{direction}_class_{entry.value}"] for entry in NumberClass}
        return {
            "mode": mode,
            "countries": countries if mode == RulesMode.LIST.value else [],
            "class_rules": {name: action for name, action in classes.items() if action},
            "prefix_rules": given[f"{direction}_prefix_rules"],
        }


CountryPolicyForm = type(
    "CountryPolicyForm",
    (_PolicyFormBase,),
    {"__module__": __name__, **direction_fields("inbound"), **direction_fields("outbound")},
)
