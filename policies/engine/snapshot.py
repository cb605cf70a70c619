"""What of a workspace a verdict depends on, at one version: numbers, policies, keys, lists, subjects, prices.

Plain immutable data with its JSON shape; it reads no clock, database or setting, and judges nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, Self

from policies.engine.declared import Approval
from policies.engine.holds import NO_HOLDS, Holds, HoldSnapshot
from policies.engine.limits import Limits
from policies.engine.names import Direction
from policies.engine.reading import read_limits, write_limits
from policies.engine.rules import DirectionRules, KycRules


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
    """One of the workspace's own numbers. `observing`: judged and counted, and nobody is turned away."""

    id: int
    e164: str
    policy_id: int | None
    guarded_agent: str | None = None
    observing: bool = False

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        return cls(
            value["id"],
            value["e164"],
            value.get("policy_id"),
            value.get("guarded_agent"),
            value.get("observing", False),
        )

    def as_dict(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "e164": self.e164,
            "policy_id": self.policy_id,
            "guarded_agent": self.guarded_agent,
            "observing": self.observing,
        }


NO_LIMITS: Final[Limits] = {}


@dataclass(frozen=True, slots=True)
class KeySnapshot:
    """A gate key and what its row allows. Only gate keys are here: UponAI's own keys open nothing."""

    id: int
    key: str
    active: bool
    domains: frozenset[str]
    channels: frozenset[str]
    retires_at_ms: int | None = None
    phone_number: str = ""
    agent: str = ""
    agent_version: str = ""
    allowed_fields: frozenset[str] = frozenset()
    fraud_protection: bool = True
    captcha: str = "none"
    captcha_threshold: float = 0.5
    kyc_level: int = 0
    kyc_rules: KycRules = field(default_factory=KycRules)
    limits: Limits = field(default_factory=dict)
    observing: bool = False

    def works_at(self, at_ms: int | None) -> bool:
        return self.active and (at_ms is None or self.retires_at_ms is None or at_ms < self.retires_at_ms)

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        plain = {name: value[name] for name in _KEY_VALUES if name in value}
        return cls(
            **plain,
            domains=frozenset(value["domains"]),
            channels=frozenset(value["channels"]),
            allowed_fields=frozenset(value.get("allowed_fields", ())),
            kyc_rules=KycRules.from_dict(value.get("kyc_rules", {})),
            limits=read_limits(value.get("limits", {})),
        )

    def as_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _KEY_VALUES} | {
            "domains": sorted(self.domains),
            "channels": sorted(self.channels),
            "allowed_fields": sorted(self.allowed_fields),
            "kyc_rules": self.kyc_rules.as_dict(),
            "limits": write_limits(self.limits),
        }


_KEY_VALUES: Final = (
    "id",
    "key",
    "active",
    "retires_at_ms",
    "phone_number",
    "agent",
    "agent_version",
    "fraud_protection",
    "captcha",
    "captcha_threshold",
    "kyc_level",
    "observing",
)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything of one workspace that a verdict depends on, at one version."""

    workspace_id: int
    version: int
    home_country: str
    numbers: Mapping[str, NumberSnapshot] = field(default_factory=dict)
    policies: Mapping[int, PolicySnapshot] = field(default_factory=dict)
    holds: Holds = NO_HOLDS
    opens: Holds = NO_HOLDS  # the same shape: what is let through where a class or country rule would not
    trusted: Holds = NO_HOLDS
    blocked: Holds = NO_HOLDS
    keys: Mapping[str, KeySnapshot] = field(default_factory=dict)
    subjects: Mapping[str, tuple[Approval, ...]] = field(default_factory=dict)
    limits: Limits = field(default_factory=dict)  # the workspace's own, where they differ from the factory's
    agent_minute_price: Decimal = Decimal("0.10")  # US dollars
    carrier_prices: Mapping[str, Decimal] = field(default_factory=dict)
    # What was worked out from all this before. Whoever changes a snapshot makes another one.
    worked_out: dict[Any, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        """Build from plain JSON; numbers, policies, keys and lists are lists there. Raises on a malformed one."""
        numbers = [NumberSnapshot.from_dict(number) for number in value["numbers"]]
        policies = [PolicySnapshot.from_dict(policy) for policy in value["policies"]]
        keys = [KeySnapshot.from_dict(key) for key in value.get("keys", ())]
        return cls(
            workspace_id=value["workspace_id"],
            version=value["version"],
            home_country=value["home_country"],
            numbers={number.e164: number for number in numbers},
            policies={policy.id: policy for policy in policies},
            **{name: _holds(value.get(name, ())) for name in _LISTS},
            keys={key.key: key for key in keys},
            subjects={
                reference: tuple(Approval.from_list(approval) for approval in approvals)
                for reference, approvals in value.get("subjects", {}).items()
            },
            limits=read_limits(value.get("limits", {})),
            agent_minute_price=Decimal(value.get("agent_minute_price", "0.10")),
            carrier_prices={code: Decimal(price) for code, price in value.get("carrier_prices", {}).items()},
        )

    def as_dict(self) -> dict[str, Any]:
        lists: dict[str, Holds] = {name: getattr(self, name) for name in _LISTS}
        return {
            "workspace_id": self.workspace_id,
            "version": self.version,
            "home_country": self.home_country,
            "numbers": [number.as_dict() for number in self.numbers.values()],
            "policies": [policy.as_dict() for policy in self.policies.values()],
            **{name: [entry.as_dict() for entry in entries.every] for name, entries in lists.items()},
            "keys": [key.as_dict() for key in self.keys.values()],
            "subjects": {
                reference: [approval.as_list() for approval in approvals]
                for reference, approvals in self.subjects.items()
            },
            "limits": write_limits(self.limits),
            "agent_minute_price": str(self.agent_minute_price),
            "carrier_prices": {code: str(price) for code, price in self.carrier_prices.items()},
        }


_LISTS: Final = ("holds", "opens", "trusted", "blocked")


def _holds(entries: Any) -> Holds:
    return Holds.of(HoldSnapshot.from_dict(entry) for entry in entries)
