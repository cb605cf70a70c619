"""The nouns of the judgement: attempt, peer, check result, verdict; those of the snapshot are in `snapshot`.

Plain immutable data; it reads no clock, database or setting, and judges nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from policies.engine.declared import Approval
from policies.engine.holds import NO_HOLDS, Holds, HoldSnapshot
from policies.engine.limits import Charge, Usage
from policies.engine.names import (
    WEB_CHANNELS,
    Channel,
    Check,
    Direction,
    HoldScope,
    NumberClass,
    NumberProblem,
    Reason,
    RuleAction,
    RulesMode,
    TraceOutcome,
    VerdictKind,
)
from policies.engine.rules import DirectionRules, KycRules, MalformedRules, PrefixRule
from policies.engine.snapshot import NO_LIMITS, KeySnapshot, NumberSnapshot, PolicySnapshot, Snapshot

__all__ = [
    "NOBODY",
    "NO_COUNTS",
    "NO_HOLDS",
    "NO_LIMITS",
    "WEB_CHANNELS",
    "Approval",
    "Attempt",
    "CaptchaAnswer",
    "Channel",
    "Check",
    "CheckResult",
    "Counts",
    "Direction",
    "DirectionRules",
    "HoldScope",
    "HoldSnapshot",
    "Holds",
    "KeySnapshot",
    "KycRules",
    "MalformedRules",
    "NumberClass",
    "NumberProblem",
    "NumberSnapshot",
    "Peer",
    "PolicyReference",
    "PolicySnapshot",
    "PrefixRule",
    "Reason",
    "RuleAction",
    "RulesMode",
    "Snapshot",
    "TraceOutcome",
    "Verdict",
    "VerdictKind",
]


@dataclass(frozen=True, slots=True)
class Attempt:
    """Something someone wants to do. What the outside sent stays as it came: any JSON value."""

    direction: Direction
    channel: Channel
    from_number: Any = None
    to_number: Any = None
    ip: Any = None
    public_key: Any = None
    origin: Any = None
    subject: Any = None
    captcha: Any = None
    call_reference: Any = None
    unrecognised: tuple[str, ...] = ()  # of "direction" and "channel", those that said nothing we know

    @property
    def peer_number(self) -> Any:
        return self.from_number if self.direction == Direction.INBOUND else self.to_number

    @property
    def own_number(self) -> Any:
        return self.to_number if self.direction == Direction.INBOUND else self.from_number

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Take any JSON value. A direction or channel that is absent is an outbound phone call, the
        stricter reading; one that is there and not understood is noted, and blocks.
        """
        given: Mapping[str, Any] = value if isinstance(value, Mapping) else {}
        direction = given.get("direction", Direction.OUTBOUND)
        channel = given.get("channel", Channel.PHONE_CALL)
        known_direction = isinstance(direction, str) and direction in _DIRECTIONS
        known_channel = isinstance(channel, str) and channel in _CHANNELS
        unknown = (() if known_direction else ("direction",)) + (() if known_channel else ("channel",))
        return cls(
            direction=Direction(direction) if known_direction else Direction.OUTBOUND,
            channel=Channel(channel) if known_channel else Channel.PHONE_CALL,
            **{name: given.get(name) for name in _ATTEMPT_VALUES},
            unrecognised=unknown,
        )

    def as_dict(self) -> dict[str, Any]:
        names = {"direction": self.direction.value, "channel": self.channel.value}
        return names | {name: getattr(self, name) for name in _ATTEMPT_VALUES}


_DIRECTIONS: Final = frozenset(Direction)
_CHANNELS: Final = frozenset(Channel)
_ATTEMPT_VALUES: Final = (
    "from_number",
    "to_number",
    "ip",
    "public_key",
    "origin",
    "subject",
    "captcha",
    "call_reference",
)


@dataclass(frozen=True, slots=True)
class Peer:
    """The other side, as far as its number tells."""

    e164: str | None
    country: str | None
    number_class: NumberClass
    flags: tuple[str, ...] = ()
    problem: NumberProblem | None = None

    def as_dict(self) -> dict[str, Any]:
        return {
            "e164": self.e164,
            "country": self.country,
            "number_class": self.number_class.value,
            "flags": list(self.flags),
        }


NOBODY: Final = Peer(None, None, NumberClass.UNKNOWN)


@dataclass(frozen=True, slots=True)
class PolicyReference:
    id: int
    revision: int

    def as_dict(self) -> dict[str, int]:
        return {"id": self.id, "revision": self.revision}


@dataclass(frozen=True, slots=True)
class CaptchaAnswer:
    """What a verifier said of a captcha token. `problem` is a stable code where it was not accepted: `unreachable`,
    `replayed`, `expired`, `rejected`, `wrong_hostname`, `wrong_action`, `low_score`; empty where it was."""

    kind: str
    problem: str = ""
    score: float | None = None
    action: str = ""
    hostname: str = ""

    @property
    def is_accepted(self) -> bool:
        return not self.problem


@dataclass(frozen=True, slots=True)
class Counts:
    """What was observed for an attempt beside what it says itself.

    `at_door`: it came through a door, so what is absent was withheld, not left out of a question. `usages`: what the
    live store found, one for each of the verdict's charges; None where it was not asked. `captcha`: what the verifier
    said; None where it was not asked.
    """

    at_door: bool = False
    usages: tuple[Usage, ...] | None = None
    captcha: CaptchaAnswer | None = None


NO_COUNTS: Final = Counts()


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One line of the trace, with what it means for the verdict when it failed."""

    check: Check
    outcome: TraceOutcome
    value: Any = None
    threshold: Any = None
    reason: Reason | None = None
    effect: VerdictKind = VerdictKind.ALLOW
    counterfactual: Mapping[str, Any] | None = None
    holds: tuple[int, ...] = ()  # the ids of those that it failed for
    observed: bool = False  # it failed where failing is only observed
    held_back: bool = False  # it failed for counters that cannot be relied on now

    def as_dict(self) -> dict[str, Any]:
        line = {
            "check": self.check.value,
            "outcome": self.outcome.value,
            "value": self.value,
            "threshold": self.threshold,
        }
        return line | {"observed": True} if self.observed else line


@dataclass(frozen=True, slots=True)
class Verdict:
    verdict: VerdictKind
    reason: Reason | None
    reasons: tuple[Reason, ...]
    peer: Peer
    trace: tuple[CheckResult, ...]
    counterfactuals: tuple[Mapping[str, Any], ...] = ()
    policy: PolicyReference | None = None
    degraded: bool = False
    direction: Direction = Direction.OUTBOUND
    number: NumberSnapshot | None = None  # the workspace's own side, when it is known
    hold_id: int | None = None  # the hold that it failed for, the first of several
    would_be: VerdictKind | None = None  # what it would have been, were what failed not only observed
    would_be_reason: Reason | None = None
    charges: tuple[Charge, ...] = ()  # the counters it is held against if it passes
    needs_captcha: bool = False  # all that can be judged passed; the captcha is still to be verified
    call_seconds: int | None = None  # the longest that a call may last, where it is capped
    reserved_micro: int = 0  # micro-dollars that it may cost at most
    retry_after_seconds: int | None = None  # when the limits that it failed have room again

    def as_dict(self) -> dict[str, Any]:
        """The published shape of a verdict; `would_be` is there only where something was merely observed."""
        shown: dict[str, Any] = {
            "verdict": self.verdict.value,
            "reason": self.reason.value if self.reason else None,
            "reasons": [reason.value for reason in self.reasons],
            "peer": self.peer.as_dict(),
            "trace": [result.as_dict() for result in self.trace],
            "counterfactuals": [dict(change) for change in self.counterfactuals],
            "policy": self.policy.as_dict() if self.policy else None,
            "degraded": self.degraded,
        }
        if self.would_be is not None:
            reason = self.would_be_reason.value if self.would_be_reason else None
            shown["would_be"] = {"verdict": self.would_be.value, "reason": reason}
        return shown
