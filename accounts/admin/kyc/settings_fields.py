"""The workspace's settings for its reviews as fields of a form; what is left empty is the factory's."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from unfold.widgets import UnfoldAdminIntegerFieldWidget

from accounts.kyc import rules
from accounts.models import Workspace

WORDS: Final = {
    "valid_days": ("An approval at level {} counts for", "Days. It ends sooner where a document does."),
    "retention_days": ("What ended at level {} is kept for", "Days; then it is erased."),
    "review_hours": ("A review is due after", "Hours. The clock stands while the subject is asked."),
    "second_review_hours": ("A second reviewer's is due after", "Hours."),
    "reverify_days": ("Identity is checked again", "Days before an approval ends."),
    "claim_minutes": ("A claim lasts", "Minutes; the page of who works on it renews it."),
}
PREFIX: Final = "kyc_"


def _places() -> dict[str, tuple[str, str]]:
    """The name of each field, with the setting it is of and its level, or none."""
    return {
        f"{PREFIX}{name}_{level}" if level else f"{PREFIX}{name}": (name, level)
        for name, usual in rules.FACTORY.items()
        for level in (rules.LEVELS if isinstance(usual, dict) else ("",))
    }


PLACES: Final = _places()


def _field(name: str, level: str) -> forms.IntegerField:
    usual = rules.FACTORY[name][level] if level else rules.FACTORY[name]
    label, help_text = WORDS[name]
    return forms.IntegerField(
        label=label.format(level),
        help_text=f"{help_text} Empty for {usual}.",
        required=False,
        min_value=1,
        max_value=rules.LARGEST[name],
        widget=UnfoldAdminIntegerFieldWidget(attrs={"placeholder": str(usual)}),
    )


FIELDS: Final = {field: _field(*place) for field, place in PLACES.items()}


def initial(workspace: Workspace) -> dict[str, Any]:
    """What the workspace set itself."""
    own = workspace.kyc_settings
    return {field: own.get(name, {}).get(level) if level else own.get(name) for field, (name, level) in PLACES.items()}


def settings_of(cleaned: dict[str, Any]) -> dict[str, Any]:
    """The settings as the workspace keeps them."""
    found: dict[str, Any] = {}
    for field, (name, level) in PLACES.items():
        value = cleaned.get(field)
        if value is None:
            continue
        if level:
            found.setdefault(name, {})[level] = value
        else:
            found[name] = value
    return found


KycSettingsFields: Final = type("KycSettingsFields", (forms.Form,), dict(FIELDS))
ROWS: Final = (
    tuple(f"{PREFIX}valid_days_{level}" for level in rules.LEVELS),
    tuple(f"{PREFIX}retention_days_{level}" for level in rules.LEVELS),
    (f"{PREFIX}review_hours", f"{PREFIX}second_review_hours"),
    (f"{PREFIX}reverify_days", f"{PREFIX}claim_minutes"),
)
