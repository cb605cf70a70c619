"""The rules of one direction, said to people who may read them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from accounts.admin.display import country_facts
from accounts.admin.rule_fields import CHANNEL_TITLES, LEVELS, TIER_TITLES
from policies.admin.rule_fields import ACTION_WORDS, class_label
from policies.engine.names import NumberClass, RuleAction
from policies.limit_input import limits_of
from policies.limit_words import TITLES, in_words


def rules_shown(rules: Mapping[str, Any]) -> dict[str, Any]:
    """What policies/_rules.html takes."""
    return {
        "unrestricted": rules["mode"] == "unrestricted",
        "countries": country_facts(rules["countries"]),
        "rules": [*_conditions(rules), *_numbers(rules), *_limits(rules)],
    }


def _conditions(rules: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if rules.get("observing"):
        yield "All of these rules", "only observed"
    if rules.get("withheld"):
        yield "Callers who show no number", _action(rules["withheld"])
    if rules.get("captcha"):
        yield "Captcha", "asked for, where a public key is used"
    levels, titles = dict(LEVELS), {**CHANNEL_TITLES, **{tier.value: title for tier, title in TIER_TITLES.items()}}
    for group in (rules.get("kyc_rules") or {}).values():
        for name, level in group.items():
            yield f"KYC: {titles.get(name, name)}", f"level {levels.get(level, level)}"


def _numbers(rules: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    observed = set(rules.get("observed_classes") or ())
    for name in sorted(observed | set(rules["class_rules"])):
        action = rules["class_rules"].get(name)
        words = _action(action) if action else "as usual"
        yield class_label(NumberClass(name)), f"{words}, only observed" if name in observed else words
    for rule in rules["prefix_rules"]:
        words = _action(rule["action"])
        yield rule["prefix"], f"{words}, only observed" if rule.get("observing") else words


def _limits(rules: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, limit in limits_of(rules.get("limits") or {}).items():
        yield TITLES[name], in_words(name, limit)


def _action(action: str) -> str:
    return ACTION_WORDS[RuleAction(action)].partition(":")[0]
