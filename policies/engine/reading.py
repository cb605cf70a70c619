"""Reads limits, levels and switches as rows and requests spell them, and refuses the rest in a sentence."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from policies.engine.limits import (
    DAY,
    LARGEST_LOGGED,
    LONGEST_LOCKOUT_SECONDS,
    MEASURES,
    Limit,
    LimitName,
    Limits,
    Measure,
)

HIGHEST_LEVEL: Final = 3
LARGEST_COUNT: Final = 1_000_000
LARGEST_DOLLARS: Final = 1_000_000
LONGEST_WINDOW_SECONDS: Final = 31 * DAY
_PER_WINDOW: Final = frozenset({Measure.ATTEMPTS, Measure.DISTINCT, Measure.MONEY})
_LARGEST: Final[Mapping[Measure, int]] = {
    Measure.ATTEMPTS: LARGEST_COUNT,
    Measure.DISTINCT: LARGEST_LOGGED,
    Measure.RUNNING: LARGEST_LOGGED,
    Measure.MONEY: LARGEST_DOLLARS,
    Measure.SECONDS: 2 * 3600,
}
# Whoever it is that calls a number, its owner is called too: an attacker must not be able to use this up for long.
_OF_A_DESTINATION: Final = frozenset({LimitName.DESTINATION, LimitName.DESTINATION_PREFIX})


class MalformedRules(ValueError):
    """The stored or submitted rules do not have the shape of a policy direction, or its limits not of limits."""


def read_limits(value: Any, *, where: str = "limits") -> dict[LimitName, Limit | None]:
    """`{"ip": {"limit": 60, "window": 600}, "running_key": {"limit": 5}, "ip_48": null}`; null switches one off.

    Raises MalformedRules naming the limit.
    """
    if not isinstance(value, Mapping):
        raise MalformedRules(f"{where} must be an object of limit name and limit.")
    limits: dict[LimitName, Limit | None] = {}
    for key, given in value.items():
        try:
            name = LimitName(key)
        except ValueError:
            raise MalformedRules(f"{where} names a limit that does not exist: {str(key)[:40]!r}.") from None
        limits[name] = None if given is None else _limit(name, given, f"{where}.{name}")
    return limits


def write_limits(limits: Limits) -> dict[str, Any]:
    """The JSON that `read_limits` reads."""
    return {name.value: limit.as_dict() if limit is not None else None for name, limit in limits.items()}


def _limit(name: LimitName, given: Any, where: str) -> Limit:
    measure = MEASURES[name]
    parts = {"limit", "window"} if measure in _PER_WINDOW else {"limit"}
    if not isinstance(given, Mapping) or set(given) != parts:
        shape = "an object with limit and window" if "window" in parts else "an object with limit alone"
        raise MalformedRules(f"{where} must be {shape}, or null to switch it off.")
    limit = Limit(_number(given["limit"], f"{where}.limit"), _number(given.get("window", 0), f"{where}.window"))
    if measure != Measure.MONEY and limit.limit != int(limit.limit):
        raise MalformedRules(f"{where}.limit must be a whole number.")
    if limit.limit > _LARGEST[measure]:
        raise MalformedRules(f"{where}.limit may be {_LARGEST[measure]:,} at most.")
    if measure == Measure.SECONDS and limit.limit < 1:
        raise MalformedRules(f"{where}.limit must be at least one second; a call of no length is no call.")
    if "window" in parts:
        _check_window(name, limit.window_seconds, f"{where}.window")
    return limit


def _check_window(name: LimitName, seconds: float, where: str) -> None:
    if not 1 <= seconds <= LONGEST_WINDOW_SECONDS or seconds != int(seconds):
        raise MalformedRules(f"{where} must be a whole number of seconds, from 1 to {LONGEST_WINDOW_SECONDS:,}.")
    if name in _OF_A_DESTINATION and seconds > LONGEST_LOCKOUT_SECONDS:
        raise MalformedRules(
            f"{where} may be {LONGEST_LOCKOUT_SECONDS:,} seconds at most: whoever uses this limit up locks out the "
            "owner of the number as well, which may slow them and must not last."
        )


def _number(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise MalformedRules(f"{where} must be a number.")
    if isinstance(value, float) and not math.isfinite(value):
        raise MalformedRules(f"{where} must be a finite number.")
    if value < 0:
        raise MalformedRules(f"{where} must not be negative.")
    return value


def read_switch(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise MalformedRules(f"{where} must be true or false.")
    return value


def read_levels(value: Any, allowed: frozenset[str], where: str) -> dict[str, int]:
    """`{"sms": 1}`: a KYC level for each of some names."""
    if not isinstance(value, Mapping):
        raise MalformedRules(f"{where} must be an object of name and KYC level.")
    levels: dict[str, int] = {}
    for name, level in value.items():
        if not (isinstance(name, str) and name in allowed):
            raise MalformedRules(f"{where} may name only {', '.join(sorted(allowed))}.")
        if isinstance(level, bool) or not isinstance(level, int) or not 0 <= level <= HIGHEST_LEVEL:
            raise MalformedRules(f"{where}.{name}: a KYC level is a whole number from 0 to {HIGHEST_LEVEL}.")
        levels[str(name)] = level
    return levels
