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
from policies.engine.sentences import CHANNEL_WORDS, CLASS_WORDS
from policies.engine.types import (
    Approval,
    Attempt,
    Channel,
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


def lift_holds(holds: Sequence[HoldSnapshot], at_ms: int | None, listed: Sequence[HoldSnapshot] = ()) -> Counterfactual:
    """What covers the attempt has to go, all of it: a hold by itself in time or by hand, a list's entry by hand."""
    off_list = "taken off the block list"
    if not holds:
        which = "these entries were" if len(listed) > 1 else f"the {listed[0].in_words} were"
        return {"change": "lift_holds", "holds": [], "listed": _ids(listed), "sentence": f"if {which} {off_list}"}
    several = len(holds) > 1
    which, lifted = ("the last of these holds", "all were lifted") if several else ("the hold", "it were lifted")
    sentence = f"if {'these holds' if several else 'the hold'} were lifted"
    ends = [hold.expires_at_ms for hold in holds if hold.expires_at_ms is not None]
    if at_ms is not None and len(ends) == len(holds):
        sentence = f"when {which} ends in {length_of(-(-(max(ends) - at_ms) // 1000))}, or if {lifted}"
    change: dict[str, Any] = {"change": "lift_holds", "holds": _ids(holds)}
    if listed:
        change["listed"] = _ids(listed)
        sentence += f", and {listed[0].in_words} {off_list}"
    return change | {"sentence": sentence}


def _ids(holds: Sequence[HoldSnapshot]) -> list[int]:
    return [hold.id for hold in holds]


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


def allow_withheld() -> Counterfactual:
    return {"change": "allow_withheld", "sentence": "if callers who show no number were allowed on this policy"}


def allow_origin(host: str, key: str) -> Counterfactual:
    return {"change": "allow_origin", "domain": host, "key": key, "sentence": f"if {host} were a web site of this key"}


def allow_channel(channel: Channel, key: str) -> Counterfactual:
    sentence = f"if {CHANNEL_WORDS[channel]} were allowed on this key"
    return {"change": "allow_channel", "channel": channel.value, "key": key, "sentence": sentence}


def call_from(e164: str) -> Counterfactual:
    sentence = f"if it came from {e164}, as all does that is started with this key"
    return {"change": "call_from", "phone_number": e164, "sentence": sentence}


def solve_captcha(sentence: str) -> Counterfactual:
    return {"change": "solve_captcha", "sentence": sentence}


def approve_subject(subject: str, level: int, sentence: str) -> Counterfactual:
    return {"change": "approve_subject", "subject": subject, "level": level, "sentence": sentence}


def declare_use(subject: str, level: int, channel: Channel, country: str | None, what: str) -> Counterfactual:
    sentence = f"if {what} were declared in the subject's KYC record, and approved"
    place = {"channel": channel.value, "country": country}
    return {"change": "declare_use", "subject": subject, "level": level, **place, "sentence": sentence}


def name_subject(level: int) -> Counterfactual:
    sentence = f"if it were for an end user who has level {level}"
    return {"change": "name_subject", "level": level, "sentence": sentence}


def wait(wait_ms: int, sentence: str = "in {}") -> Counterfactual:
    """`sentence` with {} where the time is to be told."""
    seconds = max(-(-wait_ms // 1000), 1)
    return {"change": "wait", "seconds": seconds, "sentence": sentence.replace("{}", length_of(seconds))}


def apply(change: Counterfactual, attempt: Attempt, snapshot: Snapshot, policy_id: int) -> tuple[Attempt, Snapshot]:
    """Return attempt and snapshot as they would be had the change been made to that policy.

    Raises KeyError when there is no such kind of change or no such policy.
    """
    kind = change["change"]
    if kind in _ATTEMPT_EDITS:
        return _ATTEMPT_EDITS[kind](change, attempt), _with_somebody(change, snapshot)
    if kind in _SNAPSHOT_EDITS:
        return attempt, _SNAPSHOT_EDITS[kind](change, snapshot)
    edit = _RULE_EDITS[kind]
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


def _withheld_allowed(_change: Counterfactual, rules: DirectionRules) -> DirectionRules:
    return replace(rules, withheld=RuleAction.ALLOW)


def _without_extension(_change: Counterfactual, attempt: Attempt) -> Attempt:
    return replace(attempt, to_number=understand(attempt.to_number, role="destination").e164)


def _with_captcha(_change: Counterfactual, attempt: Attempt) -> Attempt:
    """As a question says it that comes through no door."""
    return replace(attempt, captcha={"score": 1.0})


def _with_number(change: Counterfactual, attempt: Attempt) -> Attempt:
    return replace(attempt, from_number=change["phone_number"])


_SOMEBODY: Final = "somebody-with-the-level"


def _for_somebody(_change: Counterfactual, attempt: Attempt) -> Attempt:
    return replace(attempt, subject=_SOMEBODY)


def _with_somebody(change: Counterfactual, snapshot: Snapshot) -> Snapshot:
    if change["change"] != "name_subject":
        return snapshot
    return _with_approval({**change, "subject": _SOMEBODY}, snapshot)


def _with_approval(change: Counterfactual, snapshot: Snapshot) -> Snapshot:
    subject, approval = change["subject"], Approval(change["level"])
    approvals = (*snapshot.subjects.get(subject, ()), approval)
    return replace(snapshot, subjects={**snapshot.subjects, subject: approvals})


def _with_use(change: Counterfactual, snapshot: Snapshot) -> Snapshot:
    countries = frozenset({change["country"]} if change["country"] else ())
    approval = Approval(change["level"], countries=countries, channels=frozenset({change["channel"]}))
    subject = change["subject"]
    approvals = (*snapshot.subjects.get(subject, ()), approval)
    return replace(snapshot, subjects={**snapshot.subjects, subject: approvals})


def _without_holds(change: Counterfactual, snapshot: Snapshot) -> Snapshot:
    holds, blocked = snapshot.holds.without(change["holds"]), snapshot.blocked.without(change.get("listed", ()))
    return replace(snapshot, holds=holds, blocked=blocked)


def _with_origin(change: Counterfactual, snapshot: Snapshot) -> Snapshot:
    key = snapshot.keys[change["key"]]
    return replace(snapshot, keys={**snapshot.keys, key.key: replace(key, domains=key.domains | {change["domain"]})})


def _with_channel(change: Counterfactual, snapshot: Snapshot) -> Snapshot:
    key = snapshot.keys[change["key"]]
    return replace(snapshot, keys={**snapshot.keys, key.key: replace(key, channels=key.channels | {change["channel"]})})


def _later(_change: Counterfactual, snapshot: Snapshot) -> Snapshot:
    """Waiting changes what is counted, and nothing else."""
    return snapshot


_ATTEMPT_EDITS: Final[Mapping[str, Callable[[Counterfactual, Attempt], Attempt]]] = MappingProxyType(
    {
        "remove_extension": _without_extension,
        "solve_captcha": _with_captcha,
        "call_from": _with_number,
        "name_subject": _for_somebody,
    }
)
_SNAPSHOT_EDITS: Final[Mapping[str, Callable[[Counterfactual, Snapshot], Snapshot]]] = MappingProxyType(
    {
        "lift_holds": _without_holds,
        "approve_subject": _with_approval,
        "declare_use": _with_use,
        "allow_origin": _with_origin,
        "allow_channel": _with_channel,
        "wait": _later,
    }
)
_RULE_EDITS: Final[Mapping[str, Callable[[Counterfactual, DirectionRules], DirectionRules]]] = MappingProxyType(
    {
        "open_country": _with_country,
        "allow_number_class": _with_class,
        "allow_prefix": _with_prefix,
        "lift_country_list": _unrestricted,
        "allow_withheld": _withheld_allowed,
    }
)
OF_THE_POLICY: Final = frozenset(_RULE_EDITS)
"""Those that are a change of the policy our number follows."""
