"""The checks in their order. Each is a small function of one question and answers one line of the trace.

A check says what it found and what a failure means; which failure decides is for decide.py.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

from accounts.countries import SANCTIONED, SANCTIONED_SET
from policies.engine import counterfactuals, defaults, proofs
from policies.engine.door import check_door
from policies.engine.question import Question
from policies.engine.types import (
    Channel,
    Check,
    CheckResult,
    Direction,
    HoldSnapshot,
    NumberClass,
    NumberProblem,
    PrefixRule,
    Reason,
    RuleAction,
    TraceOutcome,
    VerdictKind,
)

_SANCTIONS_SHOWN: Final = " ".join(SANCTIONED)
_COUNTRIES_SHOWN: Final = 12  # a longer list is shown by its length

# A caller's number can be missing or spoofed without the caller's doing, so for these the direction's country
# list decides: with one, an unknown country is not on it; without one, they are let in and flagged.
_LEFT_TO_COUNTRY_LIST: Final = frozenset(
    {
        NumberProblem.WITHHELD,
        NumberProblem.SIP_WITHOUT_NUMBER,
        NumberProblem.INVALID,
        NumberProblem.UNASSIGNED,
        NumberProblem.NOT_INTERNATIONAL,
        NumberProblem.SHORT_CODE,
        NumberProblem.EMERGENCY,
    }
)
_PLATFORM_PREFIXES: Final = {
    direction: tuple(rule.prefix for rule in defaults.PREFIX_RULES[direction]) for direction in Direction
}
_SHOWS_NO_NUMBER: Final = frozenset({NumberProblem.WITHHELD, NumberProblem.SIP_WITHOUT_NUMBER})
_REASONS: Final = MappingProxyType(
    {
        NumberProblem.UNASSIGNED: Reason.UNASSIGNED_NUMBER,
        NumberProblem.SIP_WITHOUT_NUMBER: Reason.SIP_WITHOUT_NUMBER,
        NumberProblem.EXTENSION: Reason.EXTENSION_NOT_ALLOWED,
        NumberProblem.EMERGENCY: Reason.EMERGENCY_NUMBER,
    }
)


def check_number(question: Question) -> CheckResult:
    """Is the peer's number understood? Under a sanctioned calling code that check speaks, valid or not."""
    if question.attempt.unrecognised:
        return _unrecognised(question.attempt.unrecognised)
    peer, problem = question.peer, question.peer.problem
    if not question.has_peer:
        return CheckResult(Check.NUMBER, TraceOutcome.SKIPPED, None, "this channel dials no number")
    if problem is None:
        return CheckResult(Check.NUMBER, TraceOutcome.PASS, peer.e164, "a complete number")
    if peer.country in SANCTIONED_SET:
        return CheckResult(Check.NUMBER, TraceOutcome.SKIPPED, problem.value, "its calling code decides")
    return _inbound_problem(question, problem) if question.is_inbound else _outbound_problem(problem)


def _unrecognised(names: tuple[str, ...]) -> CheckResult:
    reason = Reason.INVALID_NUMBER if "direction" in names else Reason.CHANNEL_DISABLED
    value = f"{' and '.join(names)} not recognised"
    return CheckResult(Check.NUMBER, TraceOutcome.FAIL, value, None, reason, VerdictKind.BLOCK)


def _outbound_problem(problem: NumberProblem) -> CheckResult:
    change = counterfactuals.remove_extension() if problem == NumberProblem.EXTENSION else None
    reason = (
        Reason.INVALID_NUMBER if problem == NumberProblem.WITHHELD else _REASONS.get(problem, Reason.INVALID_NUMBER)
    )
    return CheckResult(
        Check.NUMBER, TraceOutcome.FAIL, problem.value, "a complete number", reason, VerdictKind.BLOCK, change
    )


def _inbound_problem(question: Question, problem: NumberProblem) -> CheckResult:
    if problem == NumberProblem.EXTENSION:  # what follows the caller's number is not dialled by anyone
        return CheckResult(Check.NUMBER, TraceOutcome.PASS, question.peer.e164, "a complete number")
    rules = question.rules
    if rules is not None and rules.withheld is not None and problem in _SHOWS_NO_NUMBER:
        return _withheld(problem, rules.withheld)
    is_sender_name = problem == NumberProblem.ALPHANUMERIC and question.attempt.channel == Channel.SMS
    if problem not in _LEFT_TO_COUNTRY_LIST and not is_sender_name:
        return _outbound_problem(problem)
    if rules is not None and rules.is_unrestricted:
        return CheckResult(Check.NUMBER, TraceOutcome.PASS, problem.value, "unrestricted")
    reason = _caller_reason(problem)
    change = counterfactuals.lift_country_list() if rules is not None else None
    threshold = "a number with a country"
    return CheckResult(Check.NUMBER, TraceOutcome.FAIL, problem.value, threshold, reason, VerdictKind.BLOCK, change)


def _withheld(problem: NumberProblem, action: RuleAction) -> CheckResult:
    """The policy says what becomes of callers who show no number; a caller cannot be challenged, only guarded."""
    threshold = f"withheld: {action}"
    if action == RuleAction.ALLOW:
        return CheckResult(Check.NUMBER, TraceOutcome.PASS, problem.value, threshold)
    effect = VerdictKind.BLOCK if action == RuleAction.BLOCK else VerdictKind.GUARD
    reason, change = _caller_reason(problem), counterfactuals.allow_withheld()
    return CheckResult(Check.NUMBER, TraceOutcome.FAIL, problem.value, threshold, reason, effect, change)


def _caller_reason(problem: NumberProblem) -> Reason:
    """A destination that is withheld is just no number; a caller may withhold theirs."""
    return Reason.WITHHELD_NUMBER if problem == NumberProblem.WITHHELD else _REASONS.get(problem, Reason.INVALID_NUMBER)


def check_sanctions(question: Question) -> CheckResult:
    """Nothing overrides this check, so it offers no counterfactual."""
    country = question.peer.country
    if not question.has_peer:
        return CheckResult(Check.SANCTIONS, TraceOutcome.SKIPPED, None, _SANCTIONS_SHOWN)
    if country not in SANCTIONED_SET:
        return _passed(Check.SANCTIONS, country, _SANCTIONS_SHOWN)
    return CheckResult(
        Check.SANCTIONS,
        TraceOutcome.FAIL,
        country,
        _SANCTIONS_SHOWN,
        Reason.SANCTIONED_COUNTRY,
        VerdictKind.BLOCK,
    )


def check_holds(question: Question) -> CheckResult:
    """Does somebody want nothing of this kind to happen, for a time (a hold) or for good (a list)?"""
    snapshot = question.snapshot
    if not (snapshot.holds.every or snapshot.blocked.every):
        return _NOTHING_HELD
    attempt, subjects, at_ms = question.attempt, question.subjects, question.at_ms
    holds = snapshot.holds.covering(subjects, attempt.direction, attempt.channel, at_ms)
    listed = snapshot.blocked.covering(subjects, attempt.direction, attempt.channel, at_ms)
    if not (holds or listed):
        return _NOTHING_HELD
    said = [hold.in_words for hold in holds] + [f"block list: {entry.in_words}" for entry in listed]
    return CheckResult(
        Check.HOLDS,
        TraceOutcome.FAIL,
        "; ".join(said),
        "no hold" if holds else "not on the block list",
        Reason.HELD if holds else Reason.LISTED,
        VerdictKind.BLOCK,
        counterfactuals.lift_holds(holds, at_ms, listed),
        tuple(hold.id for hold in holds),
    )


_NOTHING_HELD: Final = CheckResult(Check.HOLDS, TraceOutcome.PASS)


def check_number_class(question: Question) -> CheckResult:
    """The longest prefix rule speaks; where none matches, the rule of the number's class."""
    if not question.has_peer:
        return CheckResult(Check.NUMBER_CLASS, TraceOutcome.SKIPPED)
    peer = question.peer
    rule = _longest_prefix_rule(question)
    if rule is not None:
        value, threshold = peer.e164 or "", f"{rule.prefix}: {rule.action}"
        if rule.action == RuleAction.ALLOW:
            return _passed(Check.NUMBER_CLASS, value, threshold)
        change = counterfactuals.allow_prefix(rule.prefix)
        return _ruled(question, rule.action, value, threshold, Reason.PREFIX_BLOCKED, change, rule.observing)
    action, observing = _class_action(question)
    value, threshold = peer.number_class.value, _class_rule(peer.number_class, action)
    if action == RuleAction.ALLOW:
        return _passed(Check.NUMBER_CLASS, value, threshold)
    change = counterfactuals.allow_number_class(peer.number_class)
    return _ruled(question, action, value, threshold, Reason.NUMBER_CLASS_BLOCKED, change, observing)


def _longest_prefix_rule(question: Question) -> PrefixRule | None:
    e164 = question.peer.e164
    if e164 is None:
        return None
    own = question.rules.prefix_rules if question.rules else ()
    if not own and not e164.startswith(_PLATFORM_PREFIXES[question.attempt.direction]):
        return None
    rules = (*own, *defaults.PREFIX_RULES[question.attempt.direction])
    matching = [rule for rule in rules if e164.startswith(rule.prefix)]
    # max keeps the first of equals, so the policy's own rule wins over a platform rule of the same prefix
    return max(matching, key=lambda rule: len(rule.prefix), default=None)


def _class_action(question: Question) -> tuple[RuleAction, bool]:
    """The rule of the number's class, and whether it is only observed."""
    number_class, rules = question.peer.number_class, question.rules
    own = rules.class_rules.get(number_class) if rules else None
    if rules is not None and own is not None:
        return own, number_class in rules.observed_classes
    if not question.is_inbound and question.attempt.public_key is not None:
        by_key = defaults.PUBLIC_KEY_CLASS_RULES.get(number_class)
        if by_key is not None:
            return by_key, False
    return defaults.CLASS_RULES[question.attempt.direction].get(number_class, RuleAction.ALLOW), False


def _ruled(
    question: Question,
    action: RuleAction,
    value: str,
    threshold: str,
    reason: Reason,
    change: counterfactuals.Counterfactual,
    observing: bool,
) -> CheckResult:
    """What a rule that does not simply allow comes to, unless an open lets it through."""
    opens = question.opens
    if opens:
        return _opened(Check.NUMBER_CLASS, value, threshold, opens)
    effect = VerdictKind(action.value)
    if effect == VerdictKind.CHALLENGE:
        if question.is_trusted:
            return CheckResult(Check.NUMBER_CLASS, TraceOutcome.PASS, f"{value}; trusted", threshold)
        if not question.is_inbound:
            return _challenged(question, value, threshold, change, observing)
        effect = VerdictKind.GUARD  # a caller cannot be challenged
    return CheckResult(
        Check.NUMBER_CLASS, TraceOutcome.FAIL, value, threshold, reason, effect, change, observed=observing
    )


def _challenged(
    question: Question, value: str, threshold: str, change: counterfactuals.Counterfactual, observing: bool
) -> CheckResult:
    """Whoever solved a captcha, or is known by name, has met the challenge."""
    if question.is_person:
        shown = f"{value}; the end user has an approved KYC record"
        return CheckResult(Check.NUMBER_CLASS, TraceOutcome.PASS, shown, threshold)
    question.is_challenged = True
    answer = proofs.answer_of(question)
    if answer is not None and proofs.is_accepted(question, answer):
        return CheckResult(Check.NUMBER_CLASS, TraceOutcome.PASS, f"{value}; a captcha was solved", threshold)
    if answer is None and proofs.is_unverified(question):
        return CheckResult(Check.NUMBER_CLASS, TraceOutcome.NOT_EVALUATED, value, threshold)
    reason = Reason.CAPTCHA_REQUIRED if answer is None else Reason.CAPTCHA_FAILED
    return CheckResult(
        Check.NUMBER_CLASS,
        TraceOutcome.FAIL,
        value,
        threshold,
        reason,
        VerdictKind.CHALLENGE,
        change,
        observed=observing,
    )


def _opened(check: Check, value: Any, threshold: Any, opens: tuple[HoldSnapshot, ...]) -> CheckResult:
    return CheckResult(check, TraceOutcome.PASS, f"{value}; open: {opens[0].in_words}", threshold)


def check_country(question: Question) -> CheckResult:
    """Is the peer's country on the list of the policy that our own number follows?"""
    if not question.has_peer:
        return CheckResult(Check.COUNTRY, TraceOutcome.SKIPPED)
    if question.number is None:
        return _no_list("a phone number of this workspace", Reason.UNKNOWN_NUMBER)
    rules = question.rules
    if rules is None:
        return _no_list("a country policy", Reason.NO_POLICY)
    country = question.peer.country
    if rules.is_unrestricted:
        return _passed(Check.COUNTRY, country, "unrestricted")
    shown = _shown(rules.countries)
    if country is None and question.peer.problem is not None:
        return CheckResult(Check.COUNTRY, TraceOutcome.SKIPPED, None, shown)
    if country in rules.countries:
        return _passed(Check.COUNTRY, country, shown)
    opens = question.opens
    if opens:
        return _opened(Check.COUNTRY, country, shown, opens)
    change = counterfactuals.open_country(country) if country else None
    reason = Reason.COUNTRY_NOT_ALLOWED
    return CheckResult(Check.COUNTRY, TraceOutcome.FAIL, country, shown, reason, VerdictKind.BLOCK, change)


def _no_list(threshold: str, reason: Reason) -> CheckResult:
    return CheckResult(Check.COUNTRY, TraceOutcome.FAIL, None, threshold, reason, VerdictKind.BLOCK)


@lru_cache(maxsize=1024)
def _shown(countries: frozenset[str]) -> str:
    return f"{len(countries)} countries" if len(countries) > _COUNTRIES_SHOWN else " ".join(sorted(countries))


@lru_cache(maxsize=256)
def _class_rule(number_class: NumberClass, action: RuleAction) -> str:
    return f"{number_class}: {action}"


@lru_cache(maxsize=4096)
def _passed(check: Check, value: str | None, threshold: str) -> CheckResult:
    """The same few lines are in every trace."""
    return CheckResult(check, TraceOutcome.PASS, value, threshold)


CheckFunction = Callable[[Question], CheckResult]

# Those that look at the attempt and the snapshot alone, in the order in which they decide. What is counted comes after.
CHECKS: Final[tuple[tuple[Check, CheckFunction], ...]] = (
    (Check.DOOR, check_door),
    (Check.NUMBER, check_number),
    (Check.SANCTIONS, check_sanctions),
    (Check.HOLDS, check_holds),
    (Check.NUMBER_CLASS, check_number_class),
    (Check.COUNTRY, check_country),
    (Check.CAPTCHA, proofs.check_captcha),
    (Check.KYC, proofs.check_kyc),
)
