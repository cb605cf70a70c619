"""The checks `captcha` and `kyc`: what whoever asks has to show first. Outbound and on web channels only."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from accounts.countries import name_of
from policies.engine import counterfactuals
from policies.engine.declared import NOT_DECLARED
from policies.engine.question import LEVEL_OF_A_PERSON, Question
from policies.engine.sentences import CHANNEL_WORDS
from policies.engine.types import (
    WEB_CHANNELS,
    CaptchaAnswer,
    Check,
    CheckResult,
    Reason,
    TraceOutcome,
    VerdictKind,
)

DEFAULT_THRESHOLD: Final = 0.5
_PROBLEMS: Final = frozenset(
    {"unreachable", "replayed", "expired", "rejected", "wrong_hostname", "wrong_action", "low_score"}
)
_NONE: Final = "none"

_NO_CAPTCHA: Final = CheckResult(Check.CAPTCHA, TraceOutcome.SKIPPED, None, "none is asked for")
_NOT_INBOUND: Final = CheckResult(Check.CAPTCHA, TraceOutcome.SKIPPED, None, "not asked of callers")
_TRUSTED: Final = CheckResult(Check.CAPTCHA, TraceOutcome.SKIPPED, "trusted", "none is asked for")
_NOT_GIVEN: Final = CheckResult(Check.CAPTCHA, TraceOutcome.SKIPPED, None, "not given")
_VOUCHED: Final = CheckResult(
    Check.CAPTCHA, TraceOutcome.PASS, "the end user has an approved KYC record", "a captcha or a KYC record"
)
_UNASKED: Final = CheckResult(Check.CAPTCHA, TraceOutcome.NOT_EVALUATED)
_NO_LEVEL: Final = CheckResult(Check.KYC, TraceOutcome.SKIPPED, None, "no level is asked for")
_DECLARED_ONLY: Final = "the use that was declared"
_DECLARED: Final = CheckResult(Check.KYC, TraceOutcome.PASS, "declared", _DECLARED_ONLY)
_NO_LEVEL_INBOUND: Final = CheckResult(Check.KYC, TraceOutcome.SKIPPED, None, "not asked of callers")


def is_accepted(question: Question, answer: CaptchaAnswer) -> bool:
    return answer.is_accepted and _scores_enough(question, answer)


def answer_of(question: Question) -> CaptchaAnswer | None:
    """What the verifier said; a question without a door may carry such an answer itself."""
    if question.counts.captcha is not None:
        return question.counts.captcha
    given = question.attempt.captcha
    if question.counts.at_door or not isinstance(given, Mapping):
        return None
    problem, score = given.get("problem"), given.get("score")
    return CaptchaAnswer(
        kind=question.key.captcha if question.key else "",
        problem="" if not problem else problem if isinstance(problem, str) and problem in _PROBLEMS else "rejected",
        score=score if isinstance(score, int | float) and not isinstance(score, bool) else None,
    )


def is_unverified(question: Question) -> bool:
    """Whether there is a token of which nobody has told yet what it is worth."""
    given = question.attempt.captcha
    return isinstance(given, str) and given != "" and question.counts.captcha is None


def check_captcha(question: Question) -> CheckResult:
    """Has a captcha been solved, where the key, the policy or a rule about such numbers asks for one?

    A backend has no widget whose captcha could be verified unless it passes a token on; where a policy asks for one,
    an end user with an approved KYC record, whom it vouches for, will do instead.
    """
    if question.is_inbound:
        return _NOT_INBOUND
    key, rules = question.key, question.rules
    by_key = key is not None and key.captcha != _NONE
    by_policy = rules is not None and rules.captcha
    if not (by_key or by_policy or question.is_challenged):
        return _NO_CAPTCHA
    if question.is_trusted:
        return _TRUSTED
    if question.attempt.public_key is None and question.is_person:
        return _VOUCHED
    answer = answer_of(question)
    if answer is not None:
        return _judged(question, answer)
    if is_unverified(question):
        return _UNASKED
    return _withheld(question, challenged_only=not (by_key or by_policy))


def _withheld(question: Question, *, challenged_only: bool) -> CheckResult:
    given = question.attempt.captcha
    is_absent = given is None or (isinstance(given, str) and given == "")
    if is_absent and (challenged_only or not question.counts.at_door):
        return _NOT_GIVEN  # where a rule asks for it, the rule's own line says so
    if is_absent:
        return _failed("none", Reason.CAPTCHA_REQUIRED)
    return _failed("not a token", Reason.CAPTCHA_FAILED)


def _judged(question: Question, answer: CaptchaAnswer) -> CheckResult:
    if answer.problem == "unreachable":
        return _unreachable(question)
    if not answer.is_accepted:
        return _failed(answer.problem, Reason.CAPTCHA_FAILED, score=answer.score, threshold=_threshold(question))
    if not _scores_enough(question, answer):
        return _failed("low_score", Reason.CAPTCHA_FAILED, score=answer.score, threshold=_threshold(question))
    if answer.score is None:
        return CheckResult(Check.CAPTCHA, TraceOutcome.PASS, "solved", "solved")
    return CheckResult(Check.CAPTCHA, TraceOutcome.PASS, answer.score, _threshold(question))


def _unreachable(question: Question) -> CheckResult:
    """Nobody is dialled without it; a chat or web call may begin for somebody who is known."""
    if question.attempt.channel in WEB_CHANNELS and question.is_person:
        value = "unreachable; the end user has an approved KYC record"
        return CheckResult(Check.CAPTCHA, TraceOutcome.PASS, value, "a captcha or a KYC record")
    change = counterfactuals.solve_captcha("if the captcha could be verified")
    return CheckResult(
        Check.CAPTCHA, TraceOutcome.FAIL, "unreachable", "solved", Reason.CAPTCHA_FAILED, VerdictKind.BLOCK, change
    )


def _failed(problem: str, reason: Reason, *, score: float | None = None, threshold: float | None = None) -> CheckResult:
    value = problem if score is None else f"{problem}: {score}"
    asked: Any = "solved" if score is None else threshold
    sentence = "if a captcha were solved" if score is None else f"if a captcha were solved with a score of {threshold}"
    change = counterfactuals.solve_captcha(sentence)
    return CheckResult(Check.CAPTCHA, TraceOutcome.FAIL, value, asked, reason, VerdictKind.CHALLENGE, change)


def _threshold(question: Question) -> float:
    return question.key.captcha_threshold if question.key else DEFAULT_THRESHOLD


def _scores_enough(question: Question, answer: CaptchaAnswer) -> bool:
    return answer.score is None or _threshold(question) <= answer.score <= 1


def check_kyc(question: Question) -> CheckResult:
    """Has the end user the KYC level that this channel and destination ask for, to the millisecond?"""
    if question.is_inbound:
        return _NO_LEVEL_INBOUND
    asked = level_asked(question)
    if not question.approvals:
        return _NO_LEVEL if asked == 0 else _not_enough(question, 0, asked)
    counting, covering = question.counting, question.covering
    level = max((one.level for one in covering), default=0)
    if counting and (not covering or level < asked <= question.level):
        return _not_declared(question, max(asked, LEVEL_OF_A_PERSON))
    if asked == 0 and counting:
        return _DECLARED
    if asked == 0:
        return _ended(question) if any(one.is_held_to for one in question.approvals) else _NO_LEVEL
    if level >= asked:
        return CheckResult(Check.KYC, TraceOutcome.PASS, f"level {level}", f"level {asked}")
    return _not_enough(question, level, asked)


def level_asked(question: Question) -> int:
    key, rules = question.key, question.rules
    asked = key.kyc_level if key else 0
    for kyc_rules in (key.kyc_rules if key else None, rules.kyc_rules if rules else None):
        if kyc_rules:
            asked = max(asked, kyc_rules.level(question.attempt.channel, question.tier))
    return asked


def _not_enough(question: Question, level: int, asked: int) -> CheckResult:
    subject = question.attempt.subject
    threshold = f"level {asked}"
    ended = max((one.expires_at_ms or 0 for one in question.approvals if one.level >= asked), default=None)
    if ended is not None:
        until = f"level {asked} until {datetime.fromtimestamp(ended / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"
        change = counterfactuals.approve_subject(subject, asked, "if the subject's approval were renewed")
        return _kyc_failed(until, threshold, Reason.KYC_EXPIRED, change)
    if not isinstance(subject, str) or not subject:
        change = counterfactuals.name_subject(asked)
        return _kyc_failed("no end user", threshold, Reason.KYC_REQUIRED, change)
    value = f"level {level}" if level else "no approved record"
    change = counterfactuals.approve_subject(subject, asked, f"if the subject had level {asked}")
    return _kyc_failed(value, threshold, Reason.KYC_REQUIRED, change)


def _ended(question: Question) -> CheckResult:
    """The subject was approved for some use and is no more. To let it do as strangers may would reward the end."""
    level = max(one.level for one in question.approvals)
    was_suspended = any(one.suspended for one in question.approvals)
    value = "suspended" if was_suspended else "the approval has ended"
    change = counterfactuals.approve_subject(question.attempt.subject, level, "if the subject were approved again")
    return _kyc_failed(value, _DECLARED_ONLY, Reason.KYC_EXPIRED, change)


def _not_declared(question: Question, level: int) -> CheckResult:
    """The subject is approved, and not for this. What was declared holds whether a level is asked for or not."""
    channel, country = question.attempt.channel, question.peer.country if question.has_peer else None
    what = CHANNEL_WORDS[channel]
    if question.has_peer:
        what += f" to {name_of(country) if country else 'an unknown country'}"
    change = counterfactuals.declare_use(question.attempt.subject, level, channel, country, what)
    return _kyc_failed(NOT_DECLARED + what, _DECLARED_ONLY, Reason.KYC_REQUIRED, change)


def _kyc_failed(value: str, threshold: str, reason: Reason, change: counterfactuals.Counterfactual) -> CheckResult:
    return CheckResult(Check.KYC, TraceOutcome.FAIL, value, threshold, reason, VerdictKind.CHALLENGE, change)
