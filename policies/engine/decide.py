"""From an attempt and a snapshot to a verdict. Total and pure: it never raises and asks no clock.

The same function judges live traffic, previews, replays and drills.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from policies.engine.checks import CHECKS, CheckFunction, Question
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

_STRENGTH: Final = MappingProxyType(
    {VerdictKind.BLOCK: 0, VerdictKind.CHALLENGE: 1, VerdictKind.GUARD: 2, VerdictKind.ALLOW: 3}
)


def decide(attempt: Attempt, snapshot: Snapshot, counts: Counts = NO_COUNTS, *, at_ms: int | None = None) -> Verdict:
    """Judge one attempt. The first failed check decides, except that a block goes before a challenge and a
    challenge before a guard; the other checks are still traced, and `reasons` begins with the deciding one.

    `at_ms`: when it is made, in milliseconds since 1970; without it, every hold is taken to be in force.
    """
    try:
        question = Question.of(attempt, snapshot, counts, at_ms)
    except Exception:  # what cannot be judged is blocked, and marked as our fault
        return _unjudged(attempt)
    trace = tuple(_run(check, function, question) for check, function in CHECKS)
    failed = sorted(
        (result for result in trace if result.outcome == TraceOutcome.FAIL),
        key=lambda result: _STRENGTH[result.effect],
    )
    reasons = tuple(result.reason for result in failed if result.reason is not None)
    policy = question.policy
    return Verdict(
        verdict=failed[0].effect if failed else VerdictKind.ALLOW,
        reason=reasons[0] if reasons else None,
        reasons=reasons,
        peer=question.peer,
        trace=trace,
        counterfactuals=_counterfactuals(failed),
        policy=PolicyReference(policy.id, policy.revision) if policy else None,
        degraded=Reason.DEGRADED in reasons,
        direction=attempt.direction,
        number=question.number,
        hold_id=next((hold for result in failed for hold in result.holds), None),
    )


def _run(check: Check, function: CheckFunction, question: Question) -> CheckResult:
    try:
        return function(question)
    except Exception:  # a check that breaks must not open the gate
        return _broken(check)


def _broken(check: Check) -> CheckResult:
    return CheckResult(check, TraceOutcome.FAIL, None, None, Reason.DEGRADED, VerdictKind.BLOCK)


def _unjudged(attempt: Attempt) -> Verdict:
    first, *others = (check for check, _function in CHECKS)
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
