"""Holds as the judgement sees them: indexed by what they hold, compared with the attempt's own time.

Pure: it asks no clock, and a hold can only ever take away.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, Self

from policies.engine.names import Channel, Direction, HoldScope

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# In this order they are named when several cover one attempt.
_ORDER: Final = {scope: place for place, scope in enumerate(HoldScope)}


@dataclass(frozen=True, slots=True)
class HoldSnapshot:
    """One hold. Without a direction or channel it covers all of them."""

    id: int
    scope: HoldScope
    value: str
    expires_at_ms: int | None  # None: for good, as trusted and blocked callers may be
    direction: Direction | None = None
    channel: Channel | None = None

    def covers(self, direction: Direction, channel: Channel, at_ms: int | None) -> bool:
        """Whether it is in force then for such attempts; without a time it is taken to be."""
        return (
            self.direction in (None, direction)
            and self.channel in (None, channel)
            and (at_ms is None or self.expires_at_ms is None or at_ms < self.expires_at_ms)
        )

    @property
    def in_words(self) -> str:
        what = f"{self.scope.replace('_', ' ')} {self.value}".strip()
        if self.expires_at_ms is None:
            return what
        return f"{what} until {datetime.fromtimestamp(self.expires_at_ms / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        direction, channel = value.get("direction"), value.get("channel")
        return cls(
            id=value["id"],
            scope=HoldScope(value["scope"]),
            value=value["value"],
            expires_at_ms=value["expires_at_ms"],
            direction=Direction(direction) if direction else None,
            channel=Channel(channel) if channel else None,
        )

    def as_dict(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "scope": self.scope.value,
            "value": self.value,
            "expires_at_ms": self.expires_at_ms,
            "direction": self.direction.value if self.direction else None,
            "channel": self.channel.value if self.channel else None,
        }


@dataclass(frozen=True, slots=True)
class Subjects:
    """What about one attempt can be held."""

    phone_number: str | None = None
    key: str | None = None
    peer: str | None = None
    country: str | None = None
    ip: str | None = None
    subject: str | None = None


@dataclass(frozen=True, slots=True)
class Holds:
    """All holds of a workspace, found by what they hold and never by going through them."""

    every: tuple[HoldSnapshot, ...] = ()
    by_value: Mapping[tuple[HoldScope, str], tuple[HoldSnapshot, ...]] = field(default_factory=dict)
    prefix_lengths: tuple[int, ...] = ()
    network_sizes: tuple[tuple[int, int], ...] = ()  # (IP version, length of the network's prefix)

    @classmethod
    def of(cls, holds: Iterable[HoldSnapshot]) -> Self:
        every = tuple(sorted(holds, key=lambda hold: (_ORDER[hold.scope], hold.id)))
        by_value: dict[tuple[HoldScope, str], tuple[HoldSnapshot, ...]] = {}
        for hold in every:
            key = (hold.scope, str(plain_network(hold.value)) if hold.scope == HoldScope.IP else hold.value)
            by_value[key] = (*by_value.get(key, ()), hold)
        networks = [plain_network(hold.value) for hold in every if hold.scope == HoldScope.IP]
        return cls(
            every,
            by_value,
            tuple(sorted({len(hold.value) for hold in every if hold.scope == HoldScope.PREFIX})),
            tuple(sorted({(network.version, network.prefixlen) for network in networks})),
        )

    def without(self, ids: Iterable[int]) -> Holds:
        left_out = frozenset(ids)
        return Holds.of(hold for hold in self.every if hold.id not in left_out)

    def covering(
        self, subjects: Subjects, direction: Direction, channel: Channel, at_ms: int | None
    ) -> tuple[HoldSnapshot, ...]:
        """Those in force for an attempt, the widest of our own things first."""
        if not self.every:
            return ()
        found = (hold for key in self._keys(subjects) for hold in self.by_value.get(key, ()))
        covering = [hold for hold in found if hold.covers(direction, channel, at_ms)]
        return tuple(sorted(covering, key=lambda hold: (_ORDER[hold.scope], hold.id)))

    def _keys(self, subjects: Subjects) -> Iterator[tuple[HoldScope, str]]:
        yield HoldScope.WORKSPACE, ""
        for scope, value in (
            (HoldScope.KEY, subjects.key),
            (HoldScope.PHONE_NUMBER, subjects.phone_number),
            (HoldScope.PEER, subjects.peer),
            (HoldScope.COUNTRY, subjects.country),
            (HoldScope.SUBJECT, subjects.subject),
        ):
            if value:
                yield scope, value
        if subjects.peer:
            for length in self.prefix_lengths:
                if length <= len(subjects.peer):
                    yield HoldScope.PREFIX, subjects.peer[:length]
        if subjects.ip and self.network_sizes:
            yield from self._networks(subjects.ip)

    def _networks(self, ip: str) -> Iterator[tuple[HoldScope, str]]:
        try:
            address = plain_network(ip).network_address
        except ValueError:
            return
        for version, size in self.network_sizes:
            if version == address.version:
                yield HoldScope.IP, str(ipaddress.ip_network((address, size), strict=False))


@lru_cache(maxsize=4096)
def plain_network(text: str) -> Network:
    """An address or network in its one spelling; IPv4 written as IPv6 is IPv4. Raises ValueError."""
    network = ipaddress.ip_network(text.strip(), strict=False)
    if isinstance(network, ipaddress.IPv6Network):
        mapped, hidden_bits = network.network_address.ipv4_mapped, network.prefixlen - 96
        if mapped is not None and hidden_bits >= 0:
            return ipaddress.IPv4Network((mapped, hidden_bits))
    return network


NO_HOLDS: Final = Holds()
