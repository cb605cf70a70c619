"""What a workspace set for its reviews, and what holds where it set nothing; the checklists of the levels."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from django.core.exceptions import ValidationError

from accounts.models import Workspace

LEVELS: Final = ("1", "2", "3")
FACTORY: Final[dict[str, Any]] = {
    "valid_days": {"1": 365, "2": 365, "3": 180},
    "retention_days": {"1": 365, "2": 1825, "3": 1825},
    "review_hours": 24,
    "second_review_hours": 8,
    "reverify_days": 30,
    "claim_minutes": 30,
}
LARGEST: Final = {
    "valid_days": 3650,
    "retention_days": 36500,
    "review_hours": 8760,
    "second_review_hours": 8760,
    "reverify_days": 365,
    "claim_minutes": 1440,
}

CHECKLISTS: Final = {
    1: {
        "contact_reached": "The phone number or e-mail address belongs to the person",
        "use_plausible": "The declared use is plausible",
    },
    2: {
        "document_genuine": "The document looks genuine and is valid",
        "data_matches": "Name, date of birth and nationality are those of the document",
        "photo_matches": "The photo is of the same person",
        "duplicates_seen": "Other subjects with the same traits were looked at",
        "use_plausible": "The declared use is plausible",
    },
    3: {
        "document_genuine": "The document looks genuine and is valid",
        "data_matches": "Name, date of birth and nationality are those of the document",
        "photo_matches": "The photo is of the same person",
        "address_proved": "The address is proved",
        "duplicates_seen": "Other subjects with the same traits were looked at",
        "use_justified": "Countries and volume of the declared use are justified",
        "traffic_seen": "What the subject tried to call was looked at",
    },
}


def of(workspace: Workspace) -> dict[str, Any]:
    """Every setting: the workspace's own over the factory's."""
    return {
        name: usual | own if isinstance(usual, dict) and isinstance(own, dict) else own
        for name, usual in FACTORY.items()
        for own in [workspace.kyc_settings.get(name, usual)]
    }


def valid_for(workspace: Workspace, level: int) -> timedelta:
    return timedelta(days=of(workspace)["valid_days"][str(level)])


def read(value: Any) -> dict[str, Any]:
    """The settings as they are stored. Raises ValidationError, which names the setting."""
    if not isinstance(value, dict):
        raise ValidationError('KYC settings are an object, such as {"review_hours": 24}.')
    for name, given in value.items():
        if name not in FACTORY:
            raise ValidationError(f"There is no KYC setting “{str(name)[:40]}”; there are: {', '.join(FACTORY)}.")
        by_level = isinstance(FACTORY[name], dict)
        numbers = given if by_level and isinstance(given, dict) else {"": given}
        if by_level and (not isinstance(given, dict) or set(given) - set(LEVELS)):
            raise ValidationError(f'{name} are given by level, such as {{"1": 365}}.')
        for number in numbers.values():
            if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= LARGEST[name]:
                raise ValidationError(f"{name} must be whole numbers from 1 to {LARGEST[name]}.")
    return value


def missing(level: int, checklist: dict[str, Any]) -> list[str]:
    """What is not ticked yet, in words."""
    return [words for item, words in CHECKLISTS[level].items() if not checklist.get(item)]
