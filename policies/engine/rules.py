"""What a country policy says about one direction: country list, class rules, prefix rules.

Owns the JSON shape stored in a policy revision; it refuses a malformed one, and never widens it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from policies.engine.limits import Limit, LimitName
from policies.engine.names import NumberClass, RuleAction, RulesMode

_PREFIX = re.compile(r"\+[0-9]{1,15}")
_COUNTRY = re.compile(r"[A-Z]{2}")


class MalformedRules(ValueError):
    """The stored or submitted rules do not have the shape of a policy direction."""


@dataclass(frozen=True, slots=True)
class PrefixRule:
    """`observing`: what it would have done is noted, and not done."""

    prefix: str
    action: RuleAction
    observing: bool = False


@dataclass(frozen=True, slots=True)
class KycRules:
    """The KYC level an end user must have reached: by channel, and by exposure tier of the destination."""

    channels: Mapping[str, int] = field(default_factory=dict)
    exposure_tiers: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DirectionRules:
    """`withheld`: what becomes of callers who show no number; None leaves it to the country list.
    `observing`: all of these rules are only observed. `observed_classes`: these class rules are."""

    mode: RulesMode = RulesMode.LIST
    countries: frozenset[str] = frozenset()
    class_rules: Mapping[NumberClass, RuleAction] = field(default_factory=dict)
    prefix_rules: tuple[PrefixRule, ...] = ()
    observing: bool = False
    observed_classes: frozenset[NumberClass] = frozenset()
    captcha: bool = False
    kyc_rules: KycRules = field(default_factory=KycRules)
    limits: Mapping[LimitName, Limit | None] = field(default_factory=dict)
    withheld: RuleAction | None = None

    @property
    def is_unrestricted(self) -> bool:
        return self.mode == RulesMode.UNRESTRICTED

    @property
    def country_list(self) -> tuple[str, ...] | None:
        """The sorted list, or None for "no restriction"."""
        return None if self.is_unrestricted else tuple(sorted(self.countries))

    @classmethod
    def from_dict(cls, value: Any) -> Self:
        """Read the stored JSON shape; raise MalformedRules with a sentence when it is not that shape."""
        if not isinstance(value, Mapping):
            raise MalformedRules("The rules of a direction must be an object.")
        return cls(
            mode=_mode(value.get("mode", RulesMode.LIST)),
            countries=_countries(value.get("countries") or ()),
            class_rules=_class_rules(value.get("class_rules") or {}),
            prefix_rules=_prefix_rules(value.get("prefix_rules") or ()),
        )

    def as_dict(self) -> dict[str, Any]:
        return {
            "mode": self.mode.value,
            "countries": sorted(self.countries),
            "class_rules": {name.value: action.value for name, action in sorted(self.class_rules.items())},
            "prefix_rules": [{"prefix": rule.prefix, "action": rule.action.value} for rule in self.prefix_rules],
        }


def _mode(value: Any) -> RulesMode:
    if value not in ("list", "unrestricted"):
        raise MalformedRules('mode must be "list" or "unrestricted".')
    return RulesMode(value)


def _countries(value: Any) -> frozenset[str]:
    if not isinstance(value, list | tuple | set | frozenset):
        raise MalformedRules("countries must be a list of two-letter country codes.")
    for code in value:
        if not (isinstance(code, str) and _COUNTRY.fullmatch(code)):
            raise MalformedRules("countries must hold two-letter country codes in capitals.")
    return frozenset(value)


def _action(value: Any, where: str) -> RuleAction:
    try:
        return RuleAction(value)
    except ValueError:
        raise MalformedRules(f"{where}: the action must be allow, guard, challenge or block.") from None


def _class_rules(value: Any) -> dict[NumberClass, RuleAction]:
    if not isinstance(value, Mapping):
        raise MalformedRules("class_rules must be an object of number class and action.")
    rules: dict[NumberClass, RuleAction] = {}
    for name, action in value.items():
        try:
            number_class = NumberClass(name)
        except ValueError:
            raise MalformedRules("class_rules names a number class that does not exist.") from None
        rules[number_class] = _action(action, f"class_rules.{number_class}")
    return rules


def _prefix_rules(value: Any) -> tuple[PrefixRule, ...]:
    if not isinstance(value, list | tuple):
        raise MalformedRules("prefix_rules must be a list.")
    rules: dict[str, PrefixRule] = {}
    for entry in value:
        prefix = entry.get("prefix") if isinstance(entry, Mapping) else None
        if not (isinstance(prefix, str) and _PREFIX.fullmatch(prefix)):
            raise MalformedRules("prefix_rules: a prefix is a plus sign and 1 to 15 digits.")
        if prefix in rules:
            raise MalformedRules(f"prefix_rules names {prefix} twice.")
        rules[prefix] = PrefixRule(prefix, _action(entry.get("action"), f"prefix_rules {prefix}"))
    return tuple(rules.values())
