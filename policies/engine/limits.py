"""What may happen how often, for how much and at how many times at once: names, factory defaults, charges.

Pure data. A charge is one counter that an attempt looks at and, if it is let through, spends. The live store counts;
`windows` says what a count means.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, Self

MINUTE: Final = 60
HOUR: Final = 3600
DAY: Final = 86_400

LARGEST_LOGGED: Final = 1000
"""Up to so many per window every attempt is kept (a sliding log, never one too many). Above it a GCRA with a burst of
the whole limit counts, which may let through up to twice the limit in a window that follows a quiet one."""
LONGEST_LOCKOUT_SECONDS: Final = HOUR
"""A limit on a destination alone may slow its owner down, and not lock them out for longer than this."""
REFILLED_FULL_SECONDS: Final = 600
"""Windows up to this length start full when the live store comes back empty; longer ones are rebuilt from rows."""


class Measure(StrEnum):
    """How a limit counts."""

    ATTEMPTS = "attempts"  # n per window
    DISTINCT = "distinct"  # n different values per window
    RUNNING = "running"  # n at the same time
    MONEY = "money"  # US dollars per window
    SECONDS = "seconds"  # the length of one call: nothing is counted


class LimitName(StrEnum):
    """Closed list. Edited on a public key, a country policy's direction, or the workspace."""

    IP_DESTINATION = "ip_destination"
    IP_DESTINATION_DAY = "ip_destination_day"
    IP = "ip"
    IP_56 = "ip_56"
    IP_48 = "ip_48"
    DESTINATION = "destination"
    DESTINATION_PREFIX = "destination_prefix"
    DESTINATIONS_PER_IP = "destinations_per_ip"
    COUNTRIES_PER_IP = "countries_per_ip"
    SUBJECT = "subject"
    KEY = "key"
    PHONE_NUMBER = "phone_number"
    WORKSPACE = "workspace"
    CALLER = "caller"
    CALLER_FLOOD = "caller_flood"
    CALLED_NUMBER = "called_number"
    SHORT_CALLS = "short_calls"
    RUNNING_KEY = "running_key"
    RUNNING_NEW_PREFIX = "running_new_prefix"
    RUNNING_WORKSPACE = "running_workspace"
    SPEND_KEY = "spend_key"
    SPEND_WORKSPACE = "spend_workspace"
    SPEND_NEW_DESTINATIONS = "spend_new_destinations"
    SPEND_NEW_COUNTRY = "spend_new_country"
    CALL_SECONDS = "call_seconds"


@dataclass(frozen=True, slots=True)
class Limit:
    """So many (US dollars where it measures money) in so many seconds; no window where it counts what runs."""

    limit: float
    window_seconds: float = 0

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        return cls(value["limit"], value.get("window", 0))

    def as_dict(self) -> dict[str, float]:
        return {"limit": self.limit, "window": self.window_seconds} if self.window_seconds else {"limit": self.limit}


Limits = Mapping[LimitName, "Limit | None"]
"""What is set where. A name that is absent is left to the next wider place; None switches the limit off."""


@dataclass(frozen=True, slots=True)
class Charge:
    """One counter that an attempt is held against.

    `key`: whose counter, unique within the workspace and the name. `amount`: what it costs: 1, or micro-dollars; 0 only
    looks. `member`: the value among which different ones are counted. `only_new`: counts only while the destination is
    not known to the workspace. `enforced`: false where the limit is observed. `guards`: exceeding it guards instead of
    blocking. `declared`: all of a subject's declared volume, of which `limit` is what counts now; 0 for other charges.
    """

    name: LimitName
    measure: Measure
    key: str
    limit: Limit
    amount: int = 1
    member: str = ""
    only_new: bool = False
    enforced: bool = True
    guards: bool = False
    declared: int = field(default=0, compare=False)

    def as_list(self) -> list[Any]:
        """For JSON: what a row or the live store keeps of it."""
        limit = self.limit
        flags = f"{'n' * self.only_new}{'o' * (not self.enforced)}{'g' * self.guards}"
        flags += f"d{self.declared}" if self.declared else ""
        return [self.name, self.key, limit.limit, limit.window_seconds, self.amount, self.member, flags]

    @classmethod
    def from_list(cls, value: Sequence[Any]) -> Self:
        name, key, limit, window, amount, member, flags = value
        return cls(
            LimitName(name),
            MEASURES[LimitName(name)],
            key,
            Limit(limit, window),
            amount,
            member,
            only_new="n" in flags,
            enforced="o" not in flags,
            guards="g" in flags,
            declared=int(flags.partition("d")[2] or 0),
        )


@dataclass(frozen=True, slots=True)
class Usage:
    """What the store found for one charge, before this attempt: `used` so far, and in how many milliseconds there is
    room again (0: there is room now). `counted`: false where it did not apply."""

    used: float
    wait_ms: int = 0
    counted: bool = True

    @property
    def has_room(self) -> bool:
        return not self.counted or self.wait_ms == 0


MICRO: Final = 1_000_000
"""Money is counted in millionths of a US dollar."""

MEASURES: Final[Mapping[LimitName, Measure]] = MappingProxyType(
    dict.fromkeys(LimitName, Measure.ATTEMPTS)
    | dict.fromkeys((LimitName.DESTINATIONS_PER_IP, LimitName.COUNTRIES_PER_IP), Measure.DISTINCT)
    | dict.fromkeys((LimitName.RUNNING_KEY, LimitName.RUNNING_NEW_PREFIX, LimitName.RUNNING_WORKSPACE), Measure.RUNNING)
    | dict.fromkeys(
        (
            LimitName.SPEND_KEY,
            LimitName.SPEND_WORKSPACE,
            LimitName.SPEND_NEW_DESTINATIONS,
            LimitName.SPEND_NEW_COUNTRY,
        ),
        Measure.MONEY,
    )
    | {LimitName.CALL_SECONDS: Measure.SECONDS}
)
BEFORE_CAPTCHA: Final = frozenset(
    {
        LimitName.IP,
        LimitName.IP_56,
        LimitName.IP_48,
    }
)
"""Spent before a captcha is verified, so that nobody can starve the verifier. All others only once the rest passed, so
that nobody can use up a victim's number or somebody's money with attempts that fail."""

# The bases are published thresholds of other products and of people who wrote down their reasons: authgear's fraud
# protection (IP x distinct countries), ClearIP (15 minutes for one called number), Simwood (one channel to a
# destination never called before), Telnyx (a daily sum for what is new), Retell (25 % of twenty running calls).
_SHARED: Final[Limits] = MappingProxyType(
    {
        LimitName.IP_DESTINATION: Limit(3, 10 * MINUTE),
        LimitName.IP_DESTINATION_DAY: Limit(10, DAY),
        LimitName.IP: Limit(60, 10 * MINUTE),
        LimitName.IP_56: Limit(120, 10 * MINUTE),
        LimitName.IP_48: Limit(480, 10 * MINUTE),
        LimitName.DESTINATION: Limit(5, 15 * MINUTE),
        LimitName.DESTINATION_PREFIX: Limit(20, 10 * MINUTE),
        LimitName.DESTINATIONS_PER_IP: Limit(10, HOUR),
        LimitName.COUNTRIES_PER_IP: Limit(3, DAY),
        LimitName.SUBJECT: Limit(10, 10 * MINUTE),
        LimitName.PHONE_NUMBER: Limit(600, 10 * MINUTE),
        LimitName.WORKSPACE: Limit(3000, 10 * MINUTE),
    }
)
KEY_DEFAULTS: Final[Limits] = MappingProxyType(
    {
        **_SHARED,
        LimitName.KEY: Limit(120, 10 * MINUTE),
        LimitName.RUNNING_KEY: Limit(5),
        LimitName.RUNNING_NEW_PREFIX: Limit(1),
        LimitName.SPEND_KEY: Limit(25, DAY),
        LimitName.SPEND_NEW_DESTINATIONS: Limit(3, DAY),
        LimitName.SPEND_NEW_COUNTRY: Limit(1.5, DAY),
        LimitName.CALL_SECONDS: Limit(180),
    }
)
"""With a public key, whoever fills in the form chooses the destination."""
TOKEN_DEFAULTS: Final[Limits] = MappingProxyType(
    {
        **_SHARED,
        LimitName.DESTINATION_PREFIX: Limit(200, 10 * MINUTE),
        LimitName.SPEND_NEW_DESTINATIONS: Limit(50, DAY),
        LimitName.SPEND_NEW_COUNTRY: Limit(25, DAY),
        LimitName.CALL_SECONDS: Limit(900),
    }
)
"""A backend vouches for its end users."""
INBOUND_DEFAULTS: Final[Limits] = MappingProxyType(
    {
        LimitName.CALLER: Limit(8, 10 * MINUTE),
        LimitName.CALLER_FLOOD: Limit(20, 10 * MINUTE),
        LimitName.CALLED_NUMBER: Limit(120, 10 * MINUTE),
        LimitName.SHORT_CALLS: Limit(5, HOUR),
    }
)
"""Somebody who is cut off may redial five times in ten minutes."""
GUARDING: Final = frozenset({LimitName.CALLER, LimitName.CALLED_NUMBER, LimitName.SHORT_CALLS})
"""Suspicion only: too many of these guard a caller and do not turn them away."""
RESERVED_FOR_KNOWN: Final = 0.5
"""Of each shared cap, for destinations that the workspace already knows: an attack must not become an outage."""
KNOWN_AFTER_SECONDS: Final = DAY
"""A prefix is known so long after the first call to it, at once when a call to it was reported as good, and always in
the workspace's home country."""
