"""The checks in their order. Each is a small function of one question and answers one line of the trace.

A check says what it found and what a failure means; which failure decides is for decide.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Self

from accounts.countries import SANCTIONED, SANCTIONED_SET
from policies.engine import counterfactuals, defaults
from policies.engine.holds import Holds, Subjects
from policies.engine.numbers import understand
from policies.engine.types import (
    NOBODY,
    WEB_CHANNELS,
    Attempt,
    Channel,
    Check,
    CheckResult,
    Counts,
    Direction,
    DirectionRules,
    NumberProblem,
    NumberSnapshot,
    Peer,
    PolicySnapshot,
    PrefixRule,
    Reason,
    RuleAction,
    Snapshot,
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
_REASONS: Final = MappingProxyType(
    {
        NumberProblem.UNASSIGNED: Reason.UNASSIGNED_NUMBER,
        NumberProblem.SIP_WITHOUT_NUMBER: Reason.SIP_WITHOUT_NUMBER,
        NumberProblem.EXTENSION: Reason.EXTENSION_NOT_ALLOWED,
        NumberProblem.EMERGENCY: Reason.EMERGENCY_NUMBER,
    }
)


@dataclass(frozen=True, slots=True)
class Question:
    """One attempt with everything the checks look at, resolved once."""

    attempt: Attempt
    counts: Counts
    peer: Peer
    has_peer: bool
    number: NumberSnapshot | None
    policy: PolicySnapshot | None
    holds: Holds
    at_ms: int | None

    @property
    def is_inbound(self) -> bool:
        return self.attempt.direction == Direction.INBOUND

    @property
    def rules(self) -> DirectionRules | None:
        return self.policy.rules(self.attempt.direction) if self.policy else None

    @classmethod
    def of(cls, attempt: Attempt, snapshot: Snapshot, counts: Counts, at_ms: int | None = None) -> Self:
        inbound = attempt.direction == Direction.INBOUND
        has_peer = attempt.channel not in WEB_CHANNELS or attempt.peer_number is not None
        peer = NOBODY
        if has_peer:
            peer = understand(attempt.peer_number, role="caller" if inbound else "destination")
        number = _own_number(attempt, snapshot)
        policy = snapshot.policies.get(number.policy_id) if number and number.policy_id is not None else None
        return cls(attempt, counts, peer, has_peer, number, policy, snapshot.holds, at_ms)


def _own_number(attempt: Attempt, snapshot: Snapshot) -> NumberSnapshot | None:
    value = attempt.own_number
    if not isinstance(value, str):
        return None
    known = snapshot.numbers.get(value)
    if known is not None:
        return known
    return snapshot.numbers.get(understand(value, role="caller").e164 or "")


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
    reason = _REASONS.get(problem, Reason.INVALID_NUMBER)
    return CheckResult(
        Check.NUMBER, TraceOutcome.FAIL, problem.value, "a complete number", reason, VerdictKind.BLOCK, change
    )


def _inbound_problem(question: Question, problem: NumberProblem) -> CheckResult:
    if problem == NumberProblem.EXTENSION:  # what follows the caller's number is not dialled by anyone
        return CheckResult(Check.NUMBER, TraceOutcome.PASS, question.peer.e164, "a complete number")
    rules = question.rules
    is_sender_name = problem == NumberProblem.ALPHANUMERIC and question.attempt.channel == Channel.SMS
    if problem not in _LEFT_TO_COUNTRY_LIST and not is_sender_name:
        return _outbound_problem(problem)
    if rules is not None and rules.is_unrestricted:
        return CheckResult(Check.NUMBER, TraceOutcome.PASS, problem.value, "unrestricted")
    withheld = problem == NumberProblem.WITHHELD
    reason = Reason.WITHHELD_NUMBER if withheld else _REASONS.get(problem, Reason.INVALID_NUMBER)
    change = counterfactuals.lift_country_list() if rules is not None else None
    threshold = "a number with a country"
    return CheckResult(Check.NUMBER, TraceOutcome.FAIL, problem.value, threshold, reason, VerdictKind.BLOCK, change)


def check_sanctions(question: Question) -> CheckResult:
    """Nothing overrides this check, so it offers no counterfactual."""
    country = question.peer.country
    if not question.has_peer:
        return CheckResult(Check.SANCTIONS, TraceOutcome.SKIPPED, None, _SANCTIONS_SHOWN)
    if country not in SANCTIONED_SET:
        return CheckResult(Check.SANCTIONS, TraceOutcome.PASS, country, _SANCTIONS_SHOWN)
    return CheckResult(
        Check.SANCTIONS,
        TraceOutcome.FAIL,
        country,
        _SANCTIONS_SHOWN,
        Reason.SANCTIONED_COUNTRY,
        VerdictKind.BLOCK,
    )


def check_holds(question: Question) -> CheckResult:
    """Does somebody temporarily want nothing of this kind to happen?"""
    attempt = question.attempt
    subjects = Subjects(
        phone_number=question.number.e164 if question.number else None,
        key=_text(attempt.public_key),
        peer=question.peer.e164,
        country=question.peer.country,
        ip=_text(attempt.ip),
        subject=_text(attempt.subject),
    )
    holds = question.holds.covering(subjects, attempt.direction, attempt.channel, question.at_ms)
    if not holds:
        return CheckResult(Check.HOLDS, TraceOutcome.PASS)
    return CheckResult(
        Check.HOLDS,
        TraceOutcome.FAIL,
        "; ".join(hold.in_words for hold in holds),
        "no hold",
        Reason.HELD,
        VerdictKind.BLOCK,
        counterfactuals.lift_holds(holds, question.at_ms),
        tuple(hold.id for hold in holds),
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def check_number_class(question: Question) -> CheckResult:
    """The longest prefix rule speaks; where none matches, the rule of the number's class."""
    if not question.has_peer:
        return CheckResult(Check.NUMBER_CLASS, TraceOutcome.SKIPPED)
    peer = question.peer
    rule = _longest_prefix_rule(question)
    if rule is not None:
        return _ruled(
            question,
            rule.action,
            value=peer.e164 or "",
            threshold=f"{rule.prefix}: {rule.action}",
            reason=Reason.PREFIX_BLOCKED,
            change=counterfactuals.allow_prefix(rule.prefix),
        )
    action = _class_action(question)
    return _ruled(
        question,
        action,
        value=peer.number_class.value,
        threshold=f"{peer.number_class}: {action}",
        reason=Reason.NUMBER_CLASS_BLOCKED,
        change=counterfactuals.allow_number_class(peer.number_class),
    )


def _longest_prefix_rule(question: Question) -> PrefixRule | None:
    e164 = question.peer.e164
    if e164 is None:
        return None
    own = question.rules.prefix_rules if question.rules else ()
    rules = (*own, *defaults.PREFIX_RULES[question.attempt.direction])
    matching = [rule for rule in rules if e164.startswith(rule.prefix)]
    # max keeps the first of equals, so the policy's own rule wins over a platform rule of the same prefix
    return max(matching, key=lambda rule: len(rule.prefix), default=None)


def _class_action(question: Question) -> RuleAction:
    number_class = question.peer.number_class
    own = question.rules.class_rules.get(number_class) if question.rules else None
    if own is not None:
        return own
    if not question.is_inbound and question.attempt.public_key is not None:
        by_key = defaults.PUBLIC_KEY_CLASS_RULES.get(number_class)
        if by_key is not None:
            return by_key
    return defaults.CLASS_RULES[question.attempt.direction].get(number_class, RuleAction.ALLOW)


def _ruled(
    question: Question,
    action: RuleAction,
    *,
    value: str,
    threshold: str,
    reason: Reason,
    change: counterfactuals.Counterfactual,
) -> CheckResult:
    """Turn a rule's action into a result. A caller cannot be challenged, so inbound that means guard."""
    effect = VerdictKind(action.value)
    if effect == VerdictKind.ALLOW:
        return CheckResult(Check.NUMBER_CLASS, TraceOutcome.PASS, value, threshold)
    if effect == VerdictKind.CHALLENGE:
        if question.is_inbound:
            effect = VerdictKind.GUARD
        else:
            reason = Reason.CAPTCHA_REQUIRED
    return CheckResult(Check.NUMBER_CLASS, TraceOutcome.FAIL, value, threshold, reason, effect, change)


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
        return CheckResult(Check.COUNTRY, TraceOutcome.PASS, country, "unrestricted")
    shown = _shown(rules)
    if country is None and question.peer.problem is not None:
        return CheckResult(Check.COUNTRY, TraceOutcome.SKIPPED, None, shown)
    if country in rules.countries:
        return CheckResult(Check.COUNTRY, TraceOutcome.PASS, country, shown)
    change = counterfactuals.open_country(country) if country else None
    reason = Reason.COUNTRY_NOT_ALLOWED
    return CheckResult(Check.COUNTRY, TraceOutcome.FAIL, country, shown, reason, VerdictKind.BLOCK, change)


def _no_list(threshold: str, reason: Reason) -> CheckResult:
    return CheckResult(Check.COUNTRY, TraceOutcome.FAIL, None, threshold, reason, VerdictKind.BLOCK)


def _shown(rules: DirectionRules) -> str:
    if len(rules.countries) > _COUNTRIES_SHOWN:
        return f"{len(rules.countries)} countries"
    return " ".join(sorted(rules.countries))


CheckFunction = Callable[[Question], CheckResult]

# In the order in which they decide; a further check is one more line at its place.
CHECKS: Final[tuple[tuple[Check, CheckFunction], ...]] = (
    (Check.NUMBER, check_number),
    (Check.SANCTIONS, check_sanctions),
    (Check.HOLDS, check_holds),
    (Check.NUMBER_CLASS, check_number_class),
    (Check.COUNTRY, check_country),
)
