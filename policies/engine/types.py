"""The nouns of the judgement: attempt, peer, snapshot, check result, verdict.

Plain immutable data; it reads no clock, database or setting, and judges nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

from policies.engine.holds import NO_HOLDS, Holds, HoldSnapshot
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
from policies.engine.rules import DirectionRules, MalformedRules, PrefixRule

__all__ = [
    "NOBODY",
    "NO_COUNTS",
    "NO_HOLDS",
    "WEB_CHANNELS",
    "Attempt",
    "Channel",
    "Check",
    "CheckResult",
    "Counts",
    "Direction",
    "DirectionRules",
    "HoldScope",
    "HoldSnapshot",
    "Holds",
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
class PolicySnapshot:
    id: int
    revision: int
    inbound: DirectionRules
    outbound: DirectionRules

    def rules(self, direction: Direction) -> DirectionRules:
        return self.inbound if direction == Direction.INBOUND else self.outbound

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        return cls(
            id=value["id"],
            revision=value["revision"],
            inbound=DirectionRules.from_dict(value["inbound"]),
            outbound=DirectionRules.from_dict(value["outbound"]),
        )

    def as_dict(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "revision": self.revision,
            "inbound": self.inbound.as_dict(),
            "outbound": self.outbound.as_dict(),
        }


@dataclass(frozen=True, slots=True)
class NumberSnapshot:
    id: int
    e164: str
    policy_id: int | None
    guarded_agent: str | None = None

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        return cls(value["id"], value["e164"], value.get("policy_id"), value.get("guarded_agent"))

    def as_dict(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "e164": self.e164,
            "policy_id": self.policy_id,
            "guarded_agent": self.guarded_agent,
        }


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything of one workspace that a verdict depends on, at one version."""

    workspace_id: int
    version: int
    home_country: str
    numbers: Mapping[str, NumberSnapshot] = field(default_factory=dict)
    policies: Mapping[int, PolicySnapshot] = field(default_factory=dict)
    holds: Holds = NO_HOLDS

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        """Build from plain JSON; numbers, policies and holds are lists there. Raises on a malformed one."""
        numbers = [NumberSnapshot.from_dict(number) for number in value["numbers"]]
        policies = [PolicySnapshot.from_dict(policy) for policy in value["policies"]]
        return cls(
            workspace_id=value["workspace_id"],
            version=value["version"],
            home_country=value["home_country"],
            numbers={number.e164: number for number in numbers},
            policies={policy.id: policy for policy in policies},
            holds=Holds.of(HoldSnapshot.from_dict(hold) for hold in value.get("holds", ())),
        )

    def as_dict(self) -> dict[str, Any]:
        return {
            "workspace_id": self.workspace_id,
            "version": self.version,
            "home_country": self.home_country,
            "numbers": [number.as_dict() for number in self.numbers.values()],
            "policies": [policy.as_dict() for policy in self.policies.values()],
            "holds": [hold.as_dict() for hold in self.holds.every],
        }


@dataclass(frozen=True, slots=True)
class Counts:
    """What the live store counted for this attempt. No check reads a counter yet."""


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

    def as_dict(self) -> dict[str, Any]:
        return {
            "check": self.check.value,
            "outcome": self.outcome.value,
            "value": self.value,
            "threshold": self.threshold,
        }


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

    def as_dict(self) -> dict[str, Any]:
        """The published shape of a verdict."""
        return {
            "verdict": self.verdict.value,
            "reason": self.reason.value if self.reason else None,
            "reasons": [reason.value for reason in self.reasons],
            "peer": self.peer.as_dict(),
            "trace": [result.as_dict() for result in self.trace],
            "counterfactuals": [dict(change) for change in self.counterfactuals],
            "policy": self.policy.as_dict() if self.policy else None,
            "degraded": self.degraded,
        }
