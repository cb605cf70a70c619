"""How limits are said to people: their names, their numbers, and what a large one may let through. No queries."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from policies.engine.limits import DAY, HOUR, MEASURES, Limit, LimitName, Measure
from policies.engine.sentences import LIMIT_WORDS

_ORDER: Final = (
    *(LimitName.IP_DESTINATION, LimitName.IP_DESTINATION_DAY),
    *(LimitName.IP, LimitName.IP_56, LimitName.IP_48, LimitName.DESTINATIONS_PER_IP, LimitName.COUNTRIES_PER_IP),
    *(LimitName.DESTINATION, LimitName.DESTINATION_PREFIX),
    *(LimitName.SUBJECT, LimitName.KEY, LimitName.PHONE_NUMBER, LimitName.WORKSPACE),
    *(LimitName.CALLER, LimitName.CALLER_FLOOD, LimitName.CALLED_NUMBER, LimitName.SHORT_CALLS),
    *(LimitName.RUNNING_KEY, LimitName.RUNNING_NEW_PREFIX, LimitName.RUNNING_WORKSPACE),
    *(LimitName.SPEND_KEY, LimitName.SPEND_WORKSPACE, LimitName.SPEND_NEW_DESTINATIONS, LimitName.SPEND_NEW_COUNTRY),
    LimitName.CALL_SECONDS,
)
TITLES: Final = MappingProxyType(
    {name: LIMIT_WORDS[name][:1].upper() + LIMIT_WORDS[name][1:] for name in _ORDER}
    | {LimitName.CALL_SECONDS: "Longest call"}
)
"""In the order in which a form shows them."""
_HINTS: Final = MappingProxyType(
    {
        LimitName.IP_DESTINATION: "Fraud protection, with the next one",
        LimitName.IP: "An IPv6 address counts with its /64",
        LimitName.DESTINATION: "At most an hour, or a stranger could lock its owner out",
        LimitName.DESTINATION_PREFIX: "At most an hour, for the same reason",
        LimitName.RUNNING_NEW_PREFIX: "Until a call to it was good, or a day has passed",
    }
)
PEOPLE_BEHIND_ONE_ADDRESS: Final = 2000
MANY_BEHIND_ONE_ADDRESS: Final[Mapping[LimitName, Limit]] = MappingProxyType(
    {
        LimitName.IP: Limit(2000, HOUR),
        LimitName.DESTINATIONS_PER_IP: Limit(2000, HOUR),
        LimitName.COUNTRIES_PER_IP: Limit(10, DAY),
        LimitName.SUBJECT: Limit(3, HOUR),
        LimitName.KEY: Limit(2000, HOUR),
        LimitName.RUNNING_KEY: Limit(50),
        LimitName.SPEND_KEY: Limit(700, DAY),
    }
)
"""For a key of which so many people behind one address make one call each within an hour. The address tells them no
longer apart, so the captcha and the end user have to: calls of 90 seconds keep 50 lines busy, and at home cost at most
35 cents when they last as long as they may."""
_UNITS: Final = ((86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


def duration(seconds: float) -> str:
    """600 → "10 minutes", 86400 → "1 day"; in the largest unit that leaves no fraction."""
    size, unit = next((entry for entry in _UNITS if seconds >= entry[0] and seconds % entry[0] == 0), _UNITS[-1])
    amount = f"{seconds / size:,.10g}"
    return f"{amount} {unit}" if amount == "1" else f"{amount} {unit}s"


def in_words(name: LimitName, limit: Limit | None) -> str:
    """ "3 in 10 minutes", "$25 in 1 day", "5 at once", "3 minutes", "off"."""
    if limit is None:
        return "off"
    measure = MEASURES[name]
    if measure is Measure.SECONDS:
        return duration(limit.limit)
    amount = f"${limit.limit:,.10g}" if measure is Measure.MONEY else f"{limit.limit:,.10g}"
    return f"{amount} at once" if measure is Measure.RUNNING else f"{amount} in {duration(limit.window_seconds)}"


def hint(name: LimitName) -> str:
    return _HINTS.get(name, "")


def key_hint(name: LimitName) -> str:
    """As on a key's own page, with what it takes where one address is many people."""
    limit = MANY_BEHIND_ONE_ADDRESS.get(name)
    crowd = f"Many people behind one address: {in_words(name, limit)}" if limit else ""
    return ". ".join(filter(None, (hint(name), crowd)))
