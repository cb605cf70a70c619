"""From an attempt and a snapshot to a verdict. Total and pure: it never raises and asks no clock.

The same function judges live traffic, previews, replays and drills.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from policies.engine import charging, settling
from policies.engine.checks import CHECKS, CheckFunction
from policies.engine.limits import Charge
from policies.engine.question import Question
from policies.engine.settling import LOST, NO_ADDRESS, STRENGTH, Pending
from policies.engine.types import (
    NO_COUNTS,
    NOBODY,
    Attempt,
    Check,
    CheckResult,
    Counts,
    PolicyReference,
    Reason,
    Snapshot,
    TraceOutcome,
    Verdict,
    VerdictKind,
)

_OBSERVABLE: Final = frozenset({Check.NUMBER_CLASS, Check.COUNTRY, Check.CAPTCHA, Check.KYC, Check.LIMITS, Check.CAPS})
_CAPTCHA_LINE: Final = [check for check, _function in CHECKS].index(Check.CAPTCHA)
_UNCOUNTED: Final = (
    CheckResult(Check.LIMITS, TraceOutcome.NOT_EVALUATED),
    CheckResult(Check.CAPS, TraceOutcome.NOT_EVALUATED),
)


def decide(attempt: Attempt, snapshot: Snapshot, counts: Counts = NO_COUNTS, *, at_ms: int | None = None) -> Verdict:
    """Judge one attempt. The first failed check decides, except that a block goes before a challenge and a
    challenge before a guard; the other checks are still traced, and `reasons` begins with the deciding one.

    `at_ms`: when it is made, in milliseconds since 1970; without it, every hold is taken to be in force.
    """
    try:
        question = Question.of(attempt, snapshot, counts, at_ms)
        is_observed = question.is_observed
    except Exception:  # what cannot be judged is blocked, and marked as our fault
        return _unjudged(attempt)
    trace = [_run(check, function, question, is_observed) for check, function in CHECKS]
    failed = [result for result in trace if result.outcome is TraceOutcome.FAIL]
    guarded = False
    for result in failed:
        if not result.observed:
            if result.effect in LOST:
                return _verdict(question, [*trace, *_UNCOUNTED], failed, *_NO_CHARGES)
            guarded = True
    try:
        seconds = charging.call_seconds(question, guarded=guarded)
        micro = charging.reserved_micro(question, seconds)
        charges = charging.charges_of(question, micro)
        counted = _counted(question, charges)
    except Exception:
        broken = _broken(Check.LIMITS)
        return _verdict(question, [*trace, broken, _UNCOUNTED[1]], [*failed, broken], *_NO_CHARGES)
    failed += [result for result in counted if result.outcome is TraceOutcome.FAIL]
    return _verdict(question, [*trace, *counted], failed, charges, seconds, micro)


_NO_CHARGES: Final[tuple[tuple[Charge, ...], int | None, int]] = ((), None, 0)


def _run(check: Check, function: CheckFunction, question: Question, is_observed: bool) -> CheckResult:
    try:
        result = function(question)
    except Exception:  # a check that breaks must not open the gate
        return _broken(check)
    if is_observed and result.outcome is TraceOutcome.FAIL and check in _OBSERVABLE:
        return replace(result, observed=True)
    return result


def _counted(question: Question, charges: tuple[Charge, ...]) -> tuple[CheckResult, CheckResult]:
    limits, caps = _pending(question, charges)
    usages = question.counts.usages
    if usages is None:
        return limits.line, caps.line
    return settling.counted(limits, charges, usages), settling.counted(caps, charges, usages)


def _pending(question: Question, charges: tuple[Charge, ...]) -> tuple[Pending, Pending]:
    """What is there to be counted at all. Limits come first among the charges, caps last."""
    caps = settling.pending(Check.CAPS, is_skipped=not charges or charges[-1].measure not in charging.CAPS)
    if question.is_trusted:
        return settling.pending(Check.LIMITS, is_skipped=True, note="trusted"), caps
    is_skipped = not charges or charges[0].measure in charging.CAPS
    no_address = not question.is_inbound and not charging.address_networks(question)
    return settling.pending(Check.LIMITS, is_skipped=is_skipped, note=NO_ADDRESS if no_address else None), caps


def _verdict(
    question: Question,
    trace: list[CheckResult],
    failed: list[CheckResult],
    charges: tuple[Charge, ...],
    seconds: int | None,
    micro: int,
) -> Verdict:
    policy, usages = question.policy, question.counts.usages
    enforced = [result for result in failed if not result.observed] if failed else failed
    if len(enforced) > 1:
        enforced.sort(key=_strength)
    kind = enforced[0].effect if enforced else VerdictKind.ALLOW
    reasons = tuple(dict.fromkeys([result.reason for result in enforced if result.reason is not None]))
    would_be = min(failed, key=_strength) if len(enforced) < len(failed) else None
    if would_be is not None and _strength(would_be) >= STRENGTH[kind]:
        would_be = None  # what was merely observed changes nothing
    if kind in LOST:
        seconds, micro = None, 0
    elif kind is VerdictKind.GUARD:
        seconds = charging.call_seconds(question, guarded=True)
    return Verdict(
        verdict=kind,
        reason=reasons[0] if reasons else None,
        reasons=reasons,
        peer=question.peer,
        trace=tuple(trace),
        counterfactuals=_counterfactuals(enforced) if enforced else (),
        policy=PolicyReference(policy.id, policy.revision) if policy else None,
        degraded=Reason.DEGRADED in reasons or any(result.held_back for result in failed),
        direction=question.attempt.direction,
        number=question.number,
        hold_id=_first_hold(enforced) if enforced else None,
        would_be=would_be.effect if would_be else None,
        would_be_reason=would_be.reason if would_be else None,
        charges=charges,
        needs_captcha=kind not in LOST and _awaits_captcha(trace),
        call_seconds=seconds,
        reserved_micro=micro,
        retry_after_seconds=settling.wait_seconds(charges, usages) if usages and charges else None,
    )


def _first_hold(failed: Sequence[CheckResult]) -> int | None:
    return next((hold for result in failed for hold in result.holds), None)


def _strength(result: CheckResult) -> int:
    return STRENGTH[result.effect]


def _awaits_captcha(trace: Sequence[CheckResult]) -> bool:
    """Its token has not been judged. (A lost attempt's is never judged, so that nobody is asked in vain.)"""
    return trace[_CAPTCHA_LINE].outcome is TraceOutcome.NOT_EVALUATED


def _broken(check: Check) -> CheckResult:
    return CheckResult(check, TraceOutcome.FAIL, None, None, Reason.DEGRADED, VerdictKind.BLOCK)


def _unjudged(attempt: Attempt) -> Verdict:
    first, *others = Check
    trace = (_broken(first), *(CheckResult(check, TraceOutcome.NOT_EVALUATED) for check in others))
    return Verdict(
        verdict=VerdictKind.BLOCK,
        reason=Reason.DEGRADED,
        reasons=(Reason.DEGRADED,),
        peer=NOBODY,
        trace=trace,
        degraded=True,
        direction=attempt.direction,
    )


def _counterfactuals(failed: Sequence[CheckResult]) -> tuple[Mapping[str, Any], ...]:
    """One for each failed check, or none at all when something failed that nothing could change."""
    changes = [result.counterfactual for result in failed]
    return tuple(change for change in changes if change is not None) if None not in changes else ()
