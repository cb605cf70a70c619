"""What people and REST clients say about limits, put right or refused in words that name the limit."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from policies.engine.limits import INBOUND_DEFAULTS, Limit, LimitName
from policies.engine.reading import MalformedRules, read_limits, write_limits
from policies.limit_words import TITLES

INBOUND: Final = frozenset(INBOUND_DEFAULTS)
OUTBOUND: Final = frozenset(LimitName) - INBOUND
MADE_FOR: Final = MappingProxyType({"inbound": INBOUND, "outbound": OUTBOUND, "workspace": frozenset(LimitName)})
"""What can be set where: inbound attempts are counted by who calls, outbound ones by who is called and who asks."""


class BadLimits(ValueError):
    """`name` is the limit that it is about, or empty."""

    def __init__(self, sentence: str, name: str = "") -> None:
        super().__init__(sentence)
        self.name = name


def stored_limits(value: Any, *, place: str) -> dict[str, Any]:
    """The limits in the shape in which they are kept. Raises BadLimits."""
    if not isinstance(value, Mapping):
        raise BadLimits("limits must be an object of limit name and limit.")
    limits: dict[LimitName, Limit | None] = {}
    for key, given in value.items():
        limits |= _one(key, given, place)
    return write_limits(dict(sorted(limits.items())))


def _one(key: Any, given: Any, place: str) -> dict[LimitName, Limit | None]:
    try:
        limits = read_limits({key: given})
    except MalformedRules as problem:
        if key not in TITLES:
            raise BadLimits(str(problem)) from None
        raise BadLimits(f"{TITLES[key]}: {problem}", key) from None
    name = next(iter(limits))
    if name not in MADE_FOR[place]:
        other = "outbound" if name in OUTBOUND else "inbound"
        raise BadLimits(f"{TITLES[name]}: {name.value} is a limit of {other} attempts only.", name.value)
    return limits


def limits_of(stored: Mapping[str, Any]) -> dict[LimitName, Limit | None]:
    """Stored limits as the engine's; they were read strictly when they were saved."""
    return {LimitName(name): Limit.from_dict(limit) if limit else None for name, limit in stored.items()}
