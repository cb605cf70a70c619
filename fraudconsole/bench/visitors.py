"""Who fills in a call-me form: an attacker's plan, and a customer's usual day. Drawn at random; nothing is sent."""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import phonenumbers

HOUR_SECONDS: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Submission:
    """Somebody sends the form. `at`: seconds since the beginning, by the sandbox's clock."""

    at: float
    number: str
    ip: str
    country: str


# --- The attack -----------------------------------------------------------------------------------

ATTACKED_PREFIX: Final = "+4474185"
"""Of a minor UK mobile operator, and the range that attackers of voice agents were seen to dial."""
ATTACKED_DIGITS: Final = 5
ATTACKERS_ADDRESSES: Final = 200
_PROBES: Final = (1, 2)
_PROBING_SECONDS: Final = 600.0
_CALLS_A_MINUTE: Final = (4.0, 8.0)
_REGULARITY: Final = 0.25
"""Of the pauses: standard deviation by mean. Scripts are near-regular."""


def attack(chance: random.Random, *, seconds: float) -> list[Submission]:
    """UK mobiles of one range, each number once, from residential addresses: a probe or two, then at a steady rate."""
    numbers = _attacked_numbers(chance)
    addresses = _addresses(chance, ATTACKERS_ADDRESSES)
    times = sorted(chance.uniform(0, _PROBING_SECONDS) for _ in range(chance.randint(*_PROBES)))
    pause = 60 / chance.uniform(*_CALLS_A_MINUTE)
    at = _PROBING_SECONDS
    while at < seconds:
        times.append(at)
        at += max(0.1, chance.gauss(pause, _REGULARITY * pause))
    return [Submission(at, next(numbers), chance.choice(addresses), "GB") for at in times if at < seconds]


def _attacked_numbers(chance: random.Random) -> Iterator[str]:
    for end in chance.sample(range(10**ATTACKED_DIGITS), 10**ATTACKED_DIGITS):
        yield f"{ATTACKED_PREFIX}{end:0{ATTACKED_DIGITS}}"


# --- Usual traffic --------------------------------------------------------------------------------

A_DAY: Final = (50.0, 400.0)
SHARE_OF_HOUR: Final = (
    *(0.6, 0.4, 0.3, 0.3, 0.4, 0.8, 1.8, 3.6, 6.2, 7.8, 8.6, 8.4),
    *(6.6, 6.8, 7.4, 7.8, 7.6, 6.6, 5.4, 4.4, 3.4, 2.4, 1.6, 0.8),
)
"""Percent of a day's submissions, from midnight on."""
_SHARE_OF_COUNTRY: Final = {"US": (93.0, 97.0), "CA": (1.0, 3.0), "MX": (0.5, 2.0), "GB": (0.3, 1.0)}
_SHARE_OF_TAIL: Final = (0.5, 1.5)
_TAIL: Final = ("AU", "BR", "DE", "DO", "ES", "FR", "IE", "IN", "IT", "JP", "NL", "PH")
_AGAIN: Final = 0.02  # who sends the form three times within ten minutes
_AGAIN_SECONDS: Final = 600.0
_OFFICES, _CARRIERS, _TUNNELS = 5, 2, 3  # addresses that many share
_SHARE_OF_ADDRESS: Final = (70, 20, 5, 5)
"""Percent: of one person, of an office, of a carrier with hundreds behind one address, of a VPN."""


def usual(chance: random.Random, *, seconds: float, from_hour: int, a_day: float) -> list[Submission]:
    """A lead form's submissions, of which every one is somebody who wants to be called back."""
    countries = {name: chance.uniform(*share) for name, share in _SHARE_OF_COUNTRY.items()}
    countries |= {name: chance.uniform(*_SHARE_OF_TAIL) / len(_TAIL) for name in _TAIL}
    shared = _addresses(chance, _OFFICES + _CARRIERS + _TUNNELS)
    found = []
    for at in _arrivals(chance, seconds=seconds, from_hour=from_hour, a_day=a_day):
        [country] = chance.choices(list(countries), list(countries.values()))
        first = Submission(at, number_of(country, chance), _address(chance, shared), country)
        found.append(first)
        if chance.random() < _AGAIN:
            times = (at + chance.uniform(0, _AGAIN_SECONDS) for _ in range(2))
            found += [Submission(time, first.number, first.ip, country) for time in times if time < seconds]
    return sorted(found, key=lambda submission: submission.at)


def _arrivals(chance: random.Random, *, seconds: float, from_hour: int, a_day: float) -> Iterator[float]:
    """A Poisson process whose rate goes with the hour: drawn at the highest rate, and thinned."""
    most = max(SHARE_OF_HOUR)
    at = 0.0
    while True:
        at += chance.expovariate(a_day * most / 100 / HOUR_SECONDS)
        if at >= seconds:
            return
        if chance.random() < SHARE_OF_HOUR[int(from_hour + at // HOUR_SECONDS) % 24] / most:
            yield at


def _address(chance: random.Random, shared: list[str]) -> str:
    offices, carriers, tunnels = shared[:_OFFICES], shared[_OFFICES:-_TUNNELS], shared[-_TUNNELS:]
    places: list[Callable[[], str]] = [
        lambda: next(iter(_addresses(chance, 1))),
        lambda: chance.choice(offices),
        lambda: chance.choice(carriers),
        lambda: chance.choice(tunnels),
    ]
    [place] = chance.choices(places, _SHARE_OF_ADDRESS)
    return place()


def _addresses(chance: random.Random, count: int) -> list[str]:
    """Different public IPv4 addresses."""
    found: dict[str, None] = {}
    while len(found) < count:
        address = ipaddress.ip_address(chance.randrange(2**24, 224 * 2**24))
        if address.is_global:
            found[str(address)] = None
    return list(found)


# --- Numbers and lengths --------------------------------------------------------------------------

_BEGINNINGS: Final = {
    "US": tuple(f"+1{area}" for area in (212, 305, 312, 404, 415, 469, 503, 602, 617, 702, 713, 818, 919)),
    "CA": tuple(f"+1{area}" for area in (403, 416, 514, 604, 613, 647, 780, 902)),
    "MX": ("+5255", "+5233", "+5281"),
    "GB": ("+4420", "+44121", "+44161", "+447400", "+447700", "+447800", "+447900"),
}


def number_of(country: str, chance: random.Random) -> str:
    """Some valid number there. Of the four usual countries all over the country, of others near the library's own."""
    for _ in range(1000):
        beginning = chance.choice(_BEGINNINGS.get(country) or [_example(country)[:-4]])
        digits = len(_example(country)) - len(beginning)
        number = beginning + "".join(chance.choices("0123456789", k=digits))
        parsed = phonenumbers.parse(number, None)
        if phonenumbers.is_valid_number(parsed) and phonenumbers.region_code_for_number(parsed) == country:
            return number
    raise ValueError(f"No valid number of {country} was found.")


def _example(country: str) -> str:
    example = phonenumbers.example_number_for_type(country, phonenumbers.PhoneNumberType.MOBILE)
    return str(phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164))


def lengths(chance: random.Random, *, median: float, sigma: float, count: int = 1000) -> list[float]:
    """Seconds that calls last by themselves: log-normal, as calls are."""
    return [round(max(1.0, median * chance.lognormvariate(0, sigma)), 3) for _ in range(count)]
