"""What a country policy says about one direction: country list, class and prefix rules, captcha, KYC, limits.

Owns the JSON shape stored in a policy revision; it refuses a malformed one, and never widens it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from accounts.countries import ExposureTier
from policies.engine.limits import Limit, LimitName
from policies.engine.names import Channel, NumberClass, RuleAction, RulesMode
from policies.engine.reading import MalformedRules, read_levels, read_limits, read_switch, write_limits

__all__ = ["DirectionRules", "KycRules", "MalformedRules", "PrefixRule", "read_kyc_rules", "read_limits"]

_PREFIX = re.compile(r"\+[0-9]{1,15}")
_COUNTRY = re.compile(r"[A-Z]{2}")
_CHANNELS = frozenset(channel.value for channel in Channel)
_TIERS = frozenset(tier.value for tier in ExposureTier)


@dataclass(frozen=True, slots=True)
class PrefixRule:
    """`observing`: what it would have done is noted, and not done."""

    prefix: str
    action: RuleAction
    observing: bool = False

    def as_dict(self) -> dict[str, Any]:
        rule: dict[str, Any] = {"prefix": self.prefix, "action": self.action.value}
        return rule | {"observing": True} if self.observing else rule


@dataclass(frozen=True, slots=True)
class KycRules:
    """The KYC level an end user must have reached: by channel, and by exposure tier of the destination."""

    channels: Mapping[str, int] = field(default_factory=dict)
    exposure_tiers: Mapping[str, int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.channels or self.exposure_tiers)

    def level(self, channel: str, tier: str | None) -> int:
        """What is asked for on that channel towards such a destination; 0 for nothing."""
        by_tier = self.exposure_tiers.get(tier, 0) if tier is not None else 0
        return max(self.channels.get(channel, 0), by_tier)

    @classmethod
    def from_dict(cls, value: Any, *, where: str = "kyc_rules") -> Self:
        """Raises MalformedRules naming the part."""
        if not isinstance(value, Mapping) or not set(value) <= {"channels", "exposure_tiers"}:
            raise MalformedRules(f"{where} must be an object with channels and exposure_tiers.")
        return cls(
            read_levels(value.get("channels", {}), _CHANNELS, f"{where}.channels"),
            read_levels(value.get("exposure_tiers", {}), _TIERS, f"{where}.exposure_tiers"),
        )

    def as_dict(self) -> dict[str, Any]:
        parts = {"channels": dict(self.channels), "exposure_tiers": dict(self.exposure_tiers)}
        return {name: levels for name, levels in parts.items() if levels}


read_kyc_rules = KycRules.from_dict


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
            observing=read_switch(value.get("observing", False), "observing"),
            observed_classes=_observed_classes(value.get("observed_classes", ())),
            captcha=read_switch(value.get("captcha", False), "captcha"),
            kyc_rules=KycRules.from_dict(value.get("kyc_rules", {})),
            limits=read_limits(value.get("limits", {})),
            withheld=None if value.get("withheld") is None else _action(value["withheld"], "withheld"),
        )

    def as_dict(self) -> dict[str, Any]:
        """The stored JSON shape. What came later is written only where it is set, so that stored revisions stay
        as they are."""
        later = {
            "observing": self.observing,
            "observed_classes": sorted(name.value for name in self.observed_classes),
            "captcha": self.captcha,
            "kyc_rules": self.kyc_rules.as_dict(),
            "limits": write_limits(self.limits),
            "withheld": self.withheld.value if self.withheld is not None else None,
        }
        return {
            "mode": self.mode.value,
            "countries": sorted(self.countries),
            "class_rules": {name.value: action.value for name, action in sorted(self.class_rules.items())},
            "prefix_rules": [rule.as_dict() for rule in self.prefix_rules],
        } | {name: part for name, part in later.items() if part}


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


def _observed_classes(value: Any) -> frozenset[NumberClass]:
    if not isinstance(value, list | tuple | set | frozenset):
        raise MalformedRules("observed_classes must be a list of number classes.")
    try:
        return frozenset(NumberClass(name) for name in value)
    except ValueError:
        raise MalformedRules("observed_classes names a number class that does not exist.") from None


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
        observing = read_switch(entry.get("observing", False), f"prefix_rules {prefix}: observing")
        rules[prefix] = PrefixRule(prefix, _action(entry.get("action"), f"prefix_rules {prefix}"), observing)
    return tuple(rules.values())
