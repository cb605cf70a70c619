"""Fields of the policy form that are more than one input: prefix rules, and what becomes of a kind of number."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError
from unfold.widgets import UnfoldAdminSelectWidget

from accounts.admin.rule_fields import TableWidget
from policies.engine.defaults import CLASS_RULES
from policies.engine.names import Direction, NumberClass, RuleAction

ACTION_WORDS: Final = {
    RuleAction.ALLOW: "allowed",
    RuleAction.CHALLENGE: "challenged: captcha or KYC first",
    RuleAction.GUARD: "guarded: short, cautious agent",
    RuleAction.BLOCK: "blocked",
}
OBSERVED = "observed"
BLANK_ROWS = 2


def class_label(number_class: NumberClass) -> str:
    return number_class.value.replace("_", " ").capitalize().replace("Uan", "UAN").replace("Voip", "VoIP")


class ClassRuleField(forms.ChoiceField):
    """What becomes of one kind of number: an action or the default, with ":observed" where it is only observed."""

    def __init__(self, direction: str, number_class: NumberClass) -> None:
        default = CLASS_RULES[Direction(direction)].get(number_class)
        usual = f"{default.value}ed" if default else "as its country"
        choices = [("", f"— ({usual})")]
        if default is not None:
            choices.append((f":{OBSERVED}", f"— ({usual}), only observed"))
        choices += [(action.value, words) for action, words in ACTION_WORDS.items()]
        choices += [
            (f"{action.value}:{OBSERVED}", f"{words.partition(':')[0]}, only observed")
            for action, words in ACTION_WORDS.items()
            if action is not RuleAction.ALLOW
        ]
        super().__init__(
            label=class_label(number_class), choices=choices, required=False, widget=UnfoldAdminSelectWidget()
        )


class PrefixRulesWidget(TableWidget):
    template = "policies/_prefix_rules.html"

    def value_from_datadict(self, data: Any, files: Any, name: str) -> list[dict[str, str]]:
        """The rows as they were typed; the three columns are sent as lists of the same length."""
        columns = [data.getlist(f"{name}-{part}") for part in _PARTS]
        return [dict(zip(_PARTS, row, strict=True)) for row in zip(*columns, strict=False)]

    def shown(self, name: str, value: Any) -> dict[str, Any]:
        typed = [row for row in value or [] if row["prefix"]]
        blank = {"prefix": "", "action": RuleAction.BLOCK.value, "enforced": "yes"}
        return {
            "name": name,
            "rows": [*typed, *([blank] * BLANK_ROWS)],
            "actions": [(action.value, words) for action, words in ACTION_WORDS.items()],
        }


_PARTS = ("prefix", "action", "enforced")


class PrefixRulesField(forms.Field):
    """[{"prefix": "+4470", "action": "block", "observing": true}]; the longest prefix that fits decides."""

    widget = PrefixRulesWidget

    def __init__(self, **options: Any) -> None:
        super().__init__(required=False, **options)

    def prepare_value(self, value: Any) -> Any:
        return [row if "enforced" in row else _typed(row) for row in value or []]

    def to_python(self, value: Any) -> list[dict[str, Any]]:
        rules = []
        for row in value or []:
            prefix = "".join(letter for letter in row["prefix"] if letter not in " -()")
            if not prefix:
                continue
            if not (prefix.startswith("+") and prefix[1:].isascii() and prefix[1:].isdecimal() and len(prefix) <= 16):
                shown = row["prefix"].strip()[:40]
                raise ValidationError(f"“{shown}”: write a prefix with its plus and country, such as +4470.")
            observing = {"observing": True} if row["enforced"] == "no" else {}
            rules.append({"prefix": prefix, "action": row["action"]} | observing)
        return sorted(rules, key=lambda rule: rule["prefix"])


def _typed(rule: dict[str, Any]) -> dict[str, str]:
    return {
        "prefix": rule["prefix"],
        "action": rule["action"],
        "enforced": "no" if rule.get("observing") else "yes",
    }
