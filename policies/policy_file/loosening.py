"""What differs between two sets of rules, or two states of a key, and whether that lets more through. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from accounts.countries import CODES, SANCTIONED_SET, ExposureTier, exposure_tier, name_of
from policies.engine.defaults import CLASS_RULES, PREFIX_RULES
from policies.engine.names import Direction, RuleAction
from policies.engine.rules import DirectionRules

_STRICTNESS: Final = {action.value: place for place, action in enumerate(RuleAction)}
_PARTS: Final = ("observing", "observed_classes", "captcha", "kyc_rules", "limits", "withheld")
_SAYS_NOTHING: Final[Mapping[str, Any]] = {
    "observing": False,
    "observed_classes": [],
    "captcha": False,
    "kyc_rules": {},
    "limits": {},
}
ABSENT: Final = "absent"
"""In place of a limit or rule that is left to what is usual; None is a limit that is switched off."""


_OBSERVED: Final = ", only observed"


@dataclass(frozen=True, slots=True)
class PartChange:
    """One thing that differs, such as class_rules.premium_rate."""

    part: str
    before: Any
    after: Any
    widens: bool

    def as_json(self) -> dict[str, Any]:
        sides = {"before": self.before, "after": self.after}
        return {
            "part": self.part,
            **{name: None if side == ABSENT else side for name, side in sides.items()},
            "widens": self.widens,
        }


@dataclass(frozen=True, slots=True)
class DirectionChange:
    """`lifts`: there was a list and there will be none. `restricts`: the other way round."""

    opens: tuple[str, ...] = ()
    closes: tuple[str, ...] = ()
    lifts: bool = False
    restricts: bool = False
    parts: tuple[PartChange, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.opens or self.closes or self.lifts or self.restricts or self.parts)

    @property
    def widens(self) -> bool:
        return bool(self.opens) or self.lifts or any(part.widens for part in self.parts)

    def as_json(self, home_country: str) -> dict[str, Any]:
        return {
            "opens": [country(code, home_country) for code in self.opens],
            "closes": [country(code, home_country) for code in self.closes],
            "lifts_list": self.lifts,
            "restores_list": self.restricts,
            "parts": [part.as_json() for part in self.parts],
            "widens": self.widens,
        }


def country(code: str, home_country: str) -> dict[str, str]:
    return {"country": code, "name": name_of(code), "exposure_tier": tier_of(code, home_country).value}


def tier_of(code: str, home_country: str) -> ExposureTier:
    """Calls at home are normal, wherever that is."""
    return ExposureTier.NORMAL if code == home_country else exposure_tier(code)


def between(direction: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> DirectionChange:
    """Of two sets of rules as revisions have them."""
    had, gets = allowed(before), allowed(after)
    was_open, is_open = before["mode"] == "unrestricted", after["mode"] == "unrestricted"
    parts = [
        *_entries("class_rules", before["class_rules"], after["class_rules"], _usual_classes(direction)),
        *_entries("prefix_rules", _prefixes(before), _prefixes(after), _usual_prefixes(direction, before, after)),
        *_others(before, after),
    ]
    return DirectionChange(
        opens=tuple(sorted(gets - had)),
        closes=tuple(sorted(had - gets)),
        lifts=is_open and not was_open,
        restricts=was_open and not is_open,
        parts=tuple(parts),
    )


def allowed(rules: Mapping[str, Any]) -> frozenset[str]:
    listed = DirectionRules.from_dict(rules).country_list
    return (CODES if listed is None else frozenset(listed)) - SANCTIONED_SET


def of_key(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[PartChange, ...]:
    """Of two states of a public key, by field."""
    return tuple(
        PartChange(name, before[name], after[name], _key_field_widens(name, before[name], after[name]))
        for name in after
        if before[name] != after[name]
    )


def _key_field_widens(name: str, before: Any, after: Any) -> bool:
    if name in ("domains", "channels", "allowed_fields"):
        return bool(set(after) - set(before))
    if name == "fraud_protection":
        return before and not after
    if name in ("kyc_level", "captcha_threshold"):
        lower: bool = after < before
        return lower
    if name == "captcha":
        return bool(after == "none")
    if name == "mode":
        return bool(after == "observing")
    return _weakens(name, before, after)


def _weakens(name: str, before: Any, after: Any) -> bool:
    if name == "limits":
        return any(_limit_grows(before.get(key, ABSENT), after.get(key, ABSENT)) for key in {*before, *after})
    if name == "kyc_rules":
        levels = [(levels, key, after.get(group, {})) for group, levels in before.items() for key in levels]
        return any(later.get(key, 0) < levels[key] for levels, key, later in levels)
    return False


def _limit_grows(before: Any, after: Any) -> bool:
    """Unknown is counted as growing: what is left to wider limits may be more."""
    if before == after or before is None:
        return False
    if after is None or after == ABSENT:
        return True
    if before == ABSENT:
        return False
    more: bool = after["limit"] > before["limit"] or after.get("window", 0) < before.get("window", 0)
    return more


def _entries(
    part: str, before: Mapping[str, str], after: Mapping[str, str], usual: Mapping[str, str]
) -> list[PartChange]:
    changes = []
    for name in sorted({*before, *after}):
        was, becomes = before.get(name, ABSENT), after.get(name, ABSENT)
        if was != becomes:
            looser = _strictness(becomes, usual.get(name)) < _strictness(was, usual.get(name))
            is_exempted = becomes == RuleAction.ALLOW
            changes.append(PartChange(f"{part}.{name}", was, becomes, looser or is_exempted))
    return changes


def _strictness(action: str, usual: str | None) -> int:
    if action == ABSENT:
        return _STRICTNESS[usual] if usual else 0
    return -1 if action.endswith(_OBSERVED) else _STRICTNESS[action]


def _prefixes(rules: Mapping[str, Any]) -> dict[str, str]:
    return {
        rule["prefix"]: rule["action"] + (_OBSERVED if rule.get("observing") else "") for rule in rules["prefix_rules"]
    }


def _usual_classes(direction: str) -> dict[str, str]:
    return {name.value: action.value for name, action in CLASS_RULES[Direction(direction)].items()}


def _usual_prefixes(direction: str, *rules: Mapping[str, Any]) -> dict[str, str]:
    """What the platform says of the prefixes that these rules name."""
    named = {entry["prefix"] for side in rules for entry in side["prefix_rules"]}
    platform = sorted(PREFIX_RULES[Direction(direction)], key=lambda rule: len(rule.prefix))
    return {prefix: rule.action.value for prefix in named for rule in platform if prefix.startswith(rule.prefix)}


def _others(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[PartChange]:
    changes = []
    for part in _PARTS:
        was, becomes = before.get(part, _SAYS_NOTHING.get(part)), after.get(part, _SAYS_NOTHING.get(part))
        if was != becomes:
            changes.append(PartChange(part, was, becomes, _other_widens(part, was, becomes)))
    return changes


def _other_widens(part: str, was: Any, becomes: Any) -> bool:
    if part == "observing":
        return bool(becomes)
    if part == "observed_classes":
        return bool(set(becomes) - set(was))
    if part == "captcha":
        return not becomes
    if part == "withheld":
        return becomes == "allow" or _STRICTNESS.get(becomes, 0) < _STRICTNESS.get(was, 0)
    return _weakens(part, was, becomes)
