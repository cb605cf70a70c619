"""What limits mean for the exposure: how much can be gone within an hour, and how it is said. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Final

from policies.engine.limits import DAY, HOUR, LARGEST_LOGGED, MINUTE, RESERVED_FOR_KNOWN, Limit, LimitName, Limits

_WINDOWS: Final = {DAY: "a day", HOUR: "an hour", MINUTE: "a minute"}


@dataclass(frozen=True, slots=True)
class Prices:
    """The dearest that is known, and the dearest that is not."""

    known: float
    new: float


def most(units: float, new_units: float, prices: Prices, *, also: float, new_most: float) -> tuple[float, float]:
    """The most that so many minutes or messages cost, and what of it goes to what is new: the dearer is taken first.

    `also`: what each of them costs where it goes nowhere, as on a web page.
    """
    known = max(prices.known, also)
    if prices.new <= known:
        return units * known, 0.0
    new = min(new_units * prices.new, new_most)
    return new + max(0.0, units - new / prices.new) * known, new


def an_hour(limit: Limit | None) -> float:
    """How much of it can be gone within an hour. None: no bound."""
    if limit is None:
        return inf
    if limit.window_seconds >= HOUR or not limit.window_seconds:
        return limit.limit
    twice = limit.limit if limit.limit > LARGEST_LOGGED else 0.0  # a smoothed count begins with the whole limit
    return limit.limit * HOUR / limit.window_seconds + twice


def half(limit: Limit | None) -> float:
    """What of a shared cap of money is left to what is not known."""
    return an_hour(limit) * RESERVED_FOR_KNOWN


def at_once(limits: Limits, provider: int) -> tuple[float, float]:
    """How many calls, and how many of them to what is new."""
    known = new = float(provider)
    for name in (LimitName.RUNNING_KEY, LimitName.RUNNING_WORKSPACE):
        cap = limits.get(name)
        if cap is not None:
            known = min(known, cap.limit)
            new = min(new, max(int(cap.limit * RESERVED_FOR_KNOWN), min(int(cap.limit), 1)))
    return known, new


def dollars(limit: Limit | None) -> str:
    """ "$25 a day"."""
    if limit is None:
        return "no cap"
    window = _WINDOWS.get(int(limit.window_seconds), f"in {limit.window_seconds:g} seconds")
    amount = f"{limit.limit:,.0f}" if limit.limit == int(limit.limit) else f"{limit.limit:,.2f}"
    return f"${amount} {window}"
