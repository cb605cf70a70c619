"""The check `door`: may whoever asks ask at all? What a signature or a token proves is proved before the judgement."""

from __future__ import annotations

import re
from typing import Any, Final

from policies.engine import counterfactuals
from policies.engine.question import Question
from policies.engine.types import WEB_CHANNELS, Check, CheckResult, KeySnapshot, Reason, TraceOutcome, VerdictKind

_ORIGIN: Final = re.compile(
    r"https?://(?P<host>[a-z0-9](?:[a-z0-9.\-]*[a-z0-9])?|\[[0-9a-f:.]{2,45}\])(?P<port>:[0-9]{1,5})?", re.IGNORECASE
)
_LONGEST_SHOWN: Final = 100

_SIGNED: Final = CheckResult(Check.DOOR, TraceOutcome.PASS, "a signed webhook")
_TOKEN: Final = CheckResult(Check.DOOR, TraceOutcome.PASS, "a token")
_NOT_ASKED: Final = CheckResult(Check.DOOR, TraceOutcome.SKIPPED, None, "not given")


def check_door(question: Question) -> CheckResult:
    at_door = question.counts.at_door
    if question.is_inbound:
        return _SIGNED if at_door else _NOT_ASKED
    if question.attempt.public_key is None:
        return _TOKEN if at_door else _NOT_ASKED
    key = question.key
    if key is None:
        return _refused(Reason.UNKNOWN_KEY, _shown(question.attempt.public_key), "a gate key of this workspace")
    if not key.works_at(question.at_ms):
        return _refused(Reason.KEY_DISABLED, key.key, "a key that is in use")
    return _origin(question, key) or _channel(question, key) or _pinned(question, key) or _passed(key)


def _passed(key: KeySnapshot) -> CheckResult:
    return CheckResult(Check.DOOR, TraceOutcome.PASS, key.key, "a gate key of this workspace")


def _origin(question: Question, key: KeySnapshot) -> CheckResult | None:
    """A browser always tells; its absence at the door is a refusal, in a question it was just not mentioned."""
    origin = question.attempt.origin
    if origin is None and not question.counts.at_door:
        return None
    host = host_of(origin)
    if host is not None and host in key.domains:
        return None
    change = counterfactuals.allow_origin(host, key.key) if host else None
    threshold = " ".join(sorted(key.domains))[:_LONGEST_SHOWN] or "no web site"
    return _refused(Reason.ORIGIN_NOT_ALLOWED, "no origin" if origin is None else _shown(origin), threshold, change)


def host_of(origin: Any) -> str | None:
    """The host of a web page's origin, in small letters; None where that is no origin of a web page."""
    match = _ORIGIN.fullmatch(origin) if isinstance(origin, str) and len(origin) <= 300 else None
    return match["host"].lower() if match else None


def _channel(question: Question, key: KeySnapshot) -> CheckResult | None:
    channel = question.attempt.channel
    if channel in key.channels:
        return None
    change = counterfactuals.allow_channel(channel, key.key)
    threshold = " ".join(sorted(key.channels)) or "no channel"
    return _refused(Reason.CHANNEL_DISABLED, channel.value, threshold, change)


def _pinned(question: Question, key: KeySnapshot) -> CheckResult | None:
    """A key that has a phone number calls from no other."""
    if not key.phone_number or (question.attempt.channel in WEB_CHANNELS and question.attempt.own_number is None):
        return None
    if question.number is not None and question.number.e164 == key.phone_number:
        return None
    change = counterfactuals.call_from(key.phone_number)
    return _refused(Reason.UNKNOWN_NUMBER, _shown(question.attempt.own_number), key.phone_number, change)


def _refused(
    reason: Reason, value: Any, threshold: str, change: counterfactuals.Counterfactual | None = None
) -> CheckResult:
    return CheckResult(Check.DOOR, TraceOutcome.FAIL, value, threshold, reason, VerdictKind.BLOCK, change)


def _shown(value: Any) -> str:
    """What a stranger sent is never repeated at length."""
    return value[:_LONGEST_SHOWN] if isinstance(value, str) else type(value).__name__
