"""What would have to change for one failed check to pass: in words, and as a change that can be tried out.

Each kind can be applied to an attempt and a snapshot, so that the claim is proved by deciding again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final

from accounts.countries import name_of
from policies.engine.numbers import understand
from policies.engine.sentences import CLASS_WORDS
from policies.engine.types import (
    Attempt,
    Direction,
    DirectionRules,
    HoldSnapshot,
    NumberClass,
    PrefixRule,
    RuleAction,
    RulesMode,
    Snapshot,
)

Counterfactual = Mapping[str, Any]


def open_country(code: str) -> Counterfactual:
    sentence = f"if {name_of(code)} were open on this policy"
    return {"change": "open_country", "country": code, "sentence": sentence}


def allow_number_class(number_class: NumberClass) -> Counterfactual:
    sentence = f"if {CLASS_WORDS[number_class]} were allowed on this policy"
    return {"change": "allow_number_class", "number_class": number_class.value, "sentence": sentence}


def allow_prefix(prefix: str) -> Counterfactual:
    sentence = f"if numbers beginning with {prefix} were allowed on this policy"
    return {"change": "allow_prefix", "prefix": prefix, "sentence": sentence}


def lift_country_list() -> Counterfactual:
    sentence = "if this policy did not restrict callers to listed countries"
    return {"change": "lift_country_list", "sentence": sentence}


def lift_holds(holds: Sequence[HoldSnapshot], at_ms: int | None) -> Counterfactual:
    """What covers the attempt has to go, all of it: by itself in time, or by hand."""
    several = len(holds) > 1
    which, lifted = ("the last of these holds", "all were lifted") if several else ("the hold", "it were lifted")
    sentence = f"if {'these holds' if several else 'the hold'} were lifted"
    if at_ms is not None:
        seconds = -(-(max(hold.expires_at_ms or at_ms for hold in holds) - at_ms) // 1000)
        sentence = f"when {which} ends in {length_of(seconds)}, or if {lifted}"
    return {"change": "lift_holds", "holds": [hold.id for hold in holds], "sentence": sentence}


def length_of(seconds: int) -> str:
    """250 → "4 min 10 s": the two largest units that are not nothing."""
    parts = []
    for unit, size in (("days", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        amount, seconds = divmod(seconds, size)
        if amount:
            parts.append(f"{amount} {'day' if (unit, amount) == ('days', 1) else unit}")
    return " ".join(parts[:2]) or "0 s"


def remove_extension() -> Counterfactual:
    return {"change": "remove_extension", "sentence": "if the number were given without its extension"}


def apply(change: Counterfactual, attempt: Attempt, snapshot: Snapshot, policy_id: int) -> tuple[Attempt, Snapshot]:
    """Return attempt and snapshot as they would be had the change been made to that policy.

    Raises KeyError when there is no such kind of change or no such policy.
    """
    if change["change"] == "remove_extension":
        return replace(attempt, to_number=understand(attempt.to_number, role="destination").e164), snapshot
    if change["change"] == "lift_holds":
        return attempt, replace(snapshot, holds=snapshot.holds.without(change["holds"]))
    edit = _RULE_EDITS[change["change"]]
    policy = snapshot.policies[policy_id]
    if attempt.direction == Direction.INBOUND:
        policy = replace(policy, inbound=edit(change, policy.inbound))
    else:
        policy = replace(policy, outbound=edit(change, policy.outbound))
    return attempt, replace(snapshot, policies={**snapshot.policies, policy_id: policy})


def _with_country(change: Counterfactual, rules: DirectionRules) -> DirectionRules:
    return replace(rules, countries=rules.countries | {change["country"]})


def _with_class(change: Counterfactual, rules: DirectionRules) -> DirectionRules:
    allowed = {NumberClass(change["number_class"]): RuleAction.ALLOW}
    return replace(rules, class_rules={**rules.class_rules, **allowed})


def _with_prefix(change: Counterfactual, rules: DirectionRules) -> DirectionRules:
    others = tuple(rule for rule in rules.prefix_rules if rule.prefix != change["prefix"])
    return replace(rules, prefix_rules=(*others, PrefixRule(change["prefix"], RuleAction.ALLOW)))


def _unrestricted(_change: Counterfactual, rules: DirectionRules) -> DirectionRules:
    return replace(rules, mode=RulesMode.UNRESTRICTED)


_RULE_EDITS: Final[Mapping[str, Callable[[Counterfactual, DirectionRules], DirectionRules]]] = MappingProxyType(
    {
        "open_country": _with_country,
        "allow_number_class": _with_class,
        "allow_prefix": _with_prefix,
        "lift_country_list": _unrestricted,
    }
)
