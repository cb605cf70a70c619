"""What a change newly lets through: countries, kinds of numbers and prefixes, each with its exposure tier. Pure.

Only what is added counts. Taking away, and adding and taking away at once, is told apart country by country.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from accounts.countries import CODES, SANCTIONED_SET, ExposureTier, exposure_tier
from policies.engine import defaults
from policies.engine.names import Direction, NumberClass, RuleAction
from policies.engine.prefix_classes import classes_of
from policies.engine.prefixes import countries_of
from policies.engine.rules import DirectionRules

EVERY_COUNTRY: Final = CODES - SANCTIONED_SET
_STRICTNESS: Final = (RuleAction.ALLOW, RuleAction.GUARD, RuleAction.CHALLENGE, RuleAction.BLOCK)
_NOTHING: Final = DirectionRules()


@dataclass(frozen=True, slots=True)
class Other:
    """A kind of number or a prefix that is newly let through, in words, with the tier of what it reaches."""

    words: str
    tier: str


@dataclass(frozen=True, slots=True)
class Widening:
    """What one direction of something newly lets through. `before` and `after`: its countries, None for every one."""

    about: str
    direction: str
    tiers: Mapping[str, str]  # the newly allowed countries, each with its tier
    others: tuple[Other, ...] = ()
    before: tuple[str, ...] | None = ()
    after: tuple[str, ...] | None = ()

    @property
    def removed(self) -> tuple[str, ...]:
        """The countries that the same change takes away: who agrees to the rest agrees to that."""
        if self.after is None:
            return ()
        had = EVERY_COUNTRY if self.before is None else frozenset(self.before)
        return tuple(sorted(had - frozenset(self.after)))

    def asks(self, from_tier: str) -> bool:
        """Whether something of it lies in that exposure tier or in a more exposed one. T1 is more exposed than T3."""
        return any(tier <= from_tier for tier in (*self.tiers.values(), *(other.tier for other in self.others)))

    def as_dict(self) -> dict[str, Any]:
        return {
            "about": self.about,
            "direction": self.direction,
            "countries": [{"code": code, "tier": tier} for code, tier in sorted(self.tiers.items())],
            "others": [{"words": other.words, "tier": other.tier} for other in self.others],
            "removed": list(self.removed),
            "before": None if self.before is None else list(self.before),
            "after": None if self.after is None else list(self.after),
        }


def tier_of(code: str | None, home_country: str) -> str:
    """Calls at home are normal, wherever that is."""
    return (ExposureTier.NORMAL if code is not None and code == home_country else exposure_tier(code)).value


def of_countries(codes: Iterable[str], *, about: str, direction: str, home_country: str, prefix: str = "") -> Widening:
    """What lets these countries through, whatever rules say; none of them for numbers that no country has.

    `prefix`: where it is only the numbers that begin so, and of every kind.
    """
    allowed = sorted(set(codes) - SANCTIONED_SET)
    tiers = {code: tier_of(code, home_country) for code in allowed}
    costly = _costly(prefix, _NOTHING, direction)
    others = [Other(_in_words(costly), ExposureTier.DENIED_BY_DEFAULT.value)] if costly else []
    if not allowed:
        others.append(Other("numbers of no country", tier_of(None, home_country)))
    return Widening(about, direction, tiers, tuple(others), after=tuple(allowed))


def between(
    before: Mapping[str, Any] | None, after: Mapping[str, Any], *, about: str, direction: str, home_country: str
) -> Widening | None:
    """What `after` lets through and `before` did not, both in the shape of a revision. None where that is nothing."""
    old = _NOTHING if before is None else DirectionRules.from_dict(before)
    new = DirectionRules.from_dict(after)
    added = _allowed(new) - _allowed(old)
    others = (*_classes(old, new, direction, home_country), *_prefixes(old, new, direction, home_country))
    if not added and not others:
        return None
    tiers = {code: tier_of(code, home_country) for code in added}
    return Widening(about, direction, tiers, others, old.country_list, new.country_list)


def unjudged(rules: Mapping[str, Any], *, about: str, direction: str, home_country: str, words: str) -> Widening:
    """What is let through where nobody applies the rules any more but for their country list. `words`: what that is."""
    old = DirectionRules.from_dict(rules)
    new = DirectionRules.from_dict({**rules, "observing": True})
    others = (
        Other(words, _reached(old, home_country)),
        *_classes(old, new, direction, home_country),
        *_prefixes(old, new, direction, home_country),
    )
    return Widening(about, direction, {}, others, old.country_list, old.country_list)


def narrowing(before: Mapping[str, Any], after: Mapping[str, Any], *, about: str, direction: str) -> Widening | None:
    """What only takes countries away, to be told beside what lets others through. None where that is nothing."""
    old, new = DirectionRules.from_dict(before), DirectionRules.from_dict(after)
    found = Widening(about, direction, {}, (), old.country_list, new.country_list)
    return found if found.removed else None


def _allowed(rules: DirectionRules) -> frozenset[str]:
    return EVERY_COUNTRY if rules.is_unrestricted else rules.countries - SANCTIONED_SET


def _reached(rules: DirectionRules, home_country: str) -> str:
    """The most exposed tier that the rules let through."""
    if rules.is_unrestricted:
        return ExposureTier.DENIED_BY_DEFAULT.value
    tiers = (tier_of(code, home_country) for code in _allowed(rules))
    return min(tiers, default=ExposureTier.NORMAL.value)


def _classes(old: DirectionRules, new: DirectionRules, direction: str, home_country: str) -> list[Other]:
    platform = defaults.CLASS_RULES[Direction(direction)]
    found = []
    for number_class in NumberClass:
        if _weaker(_class_action(new, number_class, direction), _class_action(old, number_class, direction)):
            costly = platform.get(number_class) == RuleAction.BLOCK
            tier = ExposureTier.DENIED_BY_DEFAULT.value if costly else _reached(new, home_country)
            found.append(Other(_in_words([number_class]), tier))
    return found


def _class_action(rules: DirectionRules, number_class: NumberClass, direction: str) -> RuleAction:
    if rules.observing or number_class in rules.observed_classes:
        return RuleAction.ALLOW
    platform = defaults.CLASS_RULES[Direction(direction)].get(number_class, RuleAction.ALLOW)
    return rules.class_rules.get(number_class, platform)


def _prefixes(old: DirectionRules, new: DirectionRules, direction: str, home_country: str) -> list[Other]:
    """A prefix rule that lets through stands above the rules for kinds of numbers, so it widens where none blocked."""
    named = {rule.prefix for rule in (*old.prefix_rules, *new.prefix_rules)}
    found = []
    for prefix in sorted(named):
        was, is_now = _prefix_action(old, prefix, direction), _prefix_action(new, prefix, direction)
        lets = is_now in (RuleAction.ALLOW, RuleAction.GUARD) and was != is_now
        unblocked = was == RuleAction.BLOCK and is_now != RuleAction.BLOCK
        tier = _tier_of_prefix(prefix, new, home_country)
        if tier and (unblocked or (lets and (was is None or _weaker(is_now, was)))):
            costly = _costly(prefix, old, direction)
            kinds = f", among them {_in_words(costly)}" if costly else ""
            tier = ExposureTier.DENIED_BY_DEFAULT.value if costly else tier
            found.append(Other(f"numbers that begin with {prefix}{kinds}", tier))
    return found


def _costly(prefix: str, before: DirectionRules, direction: str) -> list[NumberClass]:
    """The kinds of numbers behind a prefix that the platform blocks, and that nobody had let through before."""
    platform = defaults.CLASS_RULES[Direction(direction)]
    return [
        number_class
        for number_class in sorted(classes_of(prefix))
        if platform.get(number_class) == RuleAction.BLOCK
        and _class_action(before, number_class, direction) == RuleAction.BLOCK
    ]


def _in_words(number_classes: Iterable[NumberClass]) -> str:
    return f"{' and '.join(one.replace('_', ' ') for one in number_classes)} numbers"


def _prefix_action(rules: DirectionRules, prefix: str, direction: str) -> RuleAction | None:
    """What the longest rule says that covers the whole prefix; None where none does."""
    every = (*rules.prefix_rules, *defaults.PREFIX_RULES[Direction(direction)])
    covering = [rule for rule in every if prefix.startswith(rule.prefix)]
    longest = max(covering, key=lambda rule: len(rule.prefix), default=None)
    if longest is None:
        return None
    return RuleAction.ALLOW if rules.observing or longest.observing else longest.action


def _tier_of_prefix(prefix: str, rules: DirectionRules, home_country: str) -> str:
    """Empty where the country list lets nothing of it through."""
    countries = countries_of(prefix)
    if not countries:
        return ExposureTier.DENIED_BY_DEFAULT.value if rules.is_unrestricted else ""
    return min((tier_of(code, home_country) for code in countries & _allowed(rules)), default="")


def _weaker(action: RuleAction | None, than: RuleAction | None) -> bool:
    return _STRICTNESS.index(action or RuleAction.ALLOW) < _STRICTNESS.index(than or RuleAction.ALLOW)
