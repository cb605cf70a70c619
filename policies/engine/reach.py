"""Where calls and messages may go today, and what a minute or a message costs there at most. Pure.

For the exposure: a country is priced by its dearest kind of number that the rules let through.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from accounts.countries import CLASS_PRICE_PER_MINUTE, SANCTIONED_SET, price_per_minute, price_per_sms
from policies.engine import defaults
from policies.engine.holds import Holds, HoldSnapshot
from policies.engine.names import Channel, Direction, HoldScope, NumberClass, RuleAction
from policies.engine.numbers import understand
from policies.engine.prefixes import countries_of
from policies.engine.rules import DirectionRules
from policies.engine.snapshot import Snapshot
from policies.engine.widenings import EVERY_COUNTRY

NO_COUNTRY: Final = "001"
"""Satellites and international networks, which no country has: reached where no list restricts."""
_PRICED: Final = (NumberClass.PREMIUM_RATE, NumberClass.SATELLITE, NumberClass.INTERNATIONAL_NETWORK)
_NOWHERE: Final = (NumberClass.SATELLITE, NumberClass.INTERNATIONAL_NETWORK)

Prices = Mapping[str, float]
"""US dollars by country: a minute of a call with its agent, or a message."""
_WIDE_OPENS: Final = (HoldScope.IP, HoldScope.SUBJECT)


@dataclass(frozen=True, slots=True)
class Reach:
    calls: Prices
    messages: Prices

    def only(self, countries: frozenset[str]) -> Reach:
        return Reach(
            *({code: each[code] for code in countries if code in each} for each in (self.calls, self.messages))
        )

    @classmethod
    def union(cls, every: Iterable[Reach]) -> Reach:
        calls: dict[str, float] = {}
        messages: dict[str, float] = {}
        for one in every:
            for mine, theirs in ((calls, one.calls), (messages, one.messages)):
                for code, price in theirs.items():
                    mine[code] = max(price, mine.get(code, 0.0))
        return cls(calls, messages)


NOWHERE: Final = Reach({}, {})


class Reaches:
    """The reach of every policy and number of a snapshot; equal rules are worked out once."""

    def __init__(self, snapshot: Snapshot, at_ms: int | None) -> None:
        self.snapshot, self.at_ms = snapshot, at_ms
        self.agent = float(snapshot.agent_minute_price)
        self._by_rules: dict[Any, Reach] = {}
        self._by_policy: dict[tuple[int, bool], Reach] = {}
        self._opens = {channel: _covering(snapshot.opens, channel, at_ms) for channel in _CHANNELS}
        self._holds = {channel: _covering(snapshot.holds, channel, at_ms) for channel in _CHANNELS}
        self._own = {
            (channel, scope, hold.value)
            for which in (self._opens, self._holds)
            for channel, holds in which.items()
            for hold in holds
            if (scope := hold.scope) in (HoldScope.PHONE_NUMBER, HoldScope.KEY)
        }

    def of_number(self, e164: str, key: str | None = None) -> Reach:
        """From one of our numbers, with a key's own opens and holds where one is used."""
        number = self.snapshot.numbers.get(e164)
        if number is None or number.policy_id is None:
            return NOWHERE
        mine = {(HoldScope.PHONE_NUMBER, e164), (HoldScope.KEY, key)}
        if any((channel, *one) in self._own for channel in _CHANNELS for one in mine):
            policy = self.snapshot.policies.get(number.policy_id)
            return self._worked_out(policy.outbound, mine, number.observing) if policy else NOWHERE
        return self.of_policy(number.policy_id, observed=number.observing)

    def of_policy(self, policy_id: int, *, observed: bool = False) -> Reach:
        known = self._by_policy.get((policy_id, observed))
        if known is None:
            policy = self.snapshot.policies.get(policy_id)
            known = self._worked_out(policy.outbound, set(), observed) if policy else NOWHERE
            self._by_policy[policy_id, observed] = known
        return known

    def without_gate(self) -> Prices:
        """What UponAI's own lists of all numbers let through. They say nothing about kinds of numbers."""
        found: set[str] = set()
        seen: set[frozenset[str]] = set()
        for number in self.snapshot.numbers.values():
            policy = self.snapshot.policies.get(number.policy_id or 0)
            if policy is None:
                continue
            own: set[tuple[HoldScope, str | None]] = {(HoldScope.PHONE_NUMBER, number.e164)}
            rules = policy.outbound
            allowed = EVERY_COUNTRY if rules.is_unrestricted else rules.countries
            if (Channel.PHONE_CALL, HoldScope.PHONE_NUMBER, number.e164) not in self._own:
                if allowed in seen:
                    continue
                seen.add(allowed)
                own = set()
            found |= self._countries(rules, Channel.PHONE_CALL, own)[0]
        return {code: self._minute(code, ()) for code in found}

    def _worked_out(self, rules: DirectionRules, own: set[tuple[HoldScope, str | None]], observed: bool) -> Reach:
        place = (_signature(rules), observed, frozenset(own))
        known = self._by_rules.get(place)
        if known is None:
            calls, lifted = self._countries(rules, Channel.PHONE_CALL, own)
            texts, _ = self._countries(rules, Channel.SMS, own)
            classes = _classes(rules, observed=observed)
            prices = {code: self._minute(code, _PRICED if code in lifted else classes) for code in calls}
            if rules.is_unrestricted and calls and any(name in classes for name in _NOWHERE):
                prices[NO_COUNTRY] = self._minute(None, classes)
            known = Reach(prices, {code: float(price_per_sms(code)) for code in texts})
            self._by_rules[place] = known
        return known

    def _countries(
        self, rules: DirectionRules, channel: Channel, own: set[tuple[HoldScope, str | None]]
    ) -> tuple[set[str], set[str]]:
        """Those let through, and of them those that an open lets through whatever kind of number it is."""
        held = {(hold.scope, hold.value) for hold in self._holds[channel]}
        if (HoldScope.WORKSPACE, "") in held or held & own:
            return set(), set()
        lifted = {code for open_ in self._opens[channel] for code in _opened(open_, own)}
        allowed = EVERY_COUNTRY if rules.is_unrestricted else rules.countries
        closed = {value for scope, value in held if scope == HoldScope.COUNTRY} | SANCTIONED_SET
        return {*allowed, *lifted} - closed, lifted - closed

    def _minute(self, code: str | None, classes: Iterable[str]) -> float:
        """As a call is charged at the door, for the dearest of `classes` and of ordinary numbers."""
        own = self.snapshot.carrier_prices.get(code or "")
        ordinary = float(price_per_minute(code) if own is None else own)
        fitting = (name for name in classes if (name in _NOWHERE) == (code is None))
        dearest = max((float(CLASS_PRICE_PER_MINUTE[name]) for name in fitting), default=0.0)
        if code is None:
            return self.agent + dearest
        return self.agent + max(ordinary, dearest)


_CHANNELS: Final = (Channel.PHONE_CALL, Channel.SMS)


def _covering(holds: Holds, channel: Channel, at_ms: int | None) -> tuple[HoldSnapshot, ...]:
    return tuple(hold for hold in holds.every if hold.covers(Direction.OUTBOUND, channel, at_ms))


def _opened(open_: HoldSnapshot, own: set[tuple[HoldScope, str | None]]) -> Iterator[str]:
    if open_.scope == HoldScope.COUNTRY:
        yield open_.value
    elif open_.scope == HoldScope.PEER:
        country = understand(open_.value, role="destination").country
        yield from (country,) if country else ()
    elif open_.scope == HoldScope.PREFIX:
        yield from countries_of(open_.value)
    elif open_.scope in _WIDE_OPENS or (open_.scope, open_.value) in own:
        yield from EVERY_COUNTRY


def _classes(rules: DirectionRules, *, observed: bool) -> tuple[NumberClass, ...]:
    """The kinds of numbers with a price of their own that nothing blocks."""
    platform = defaults.CLASS_RULES[Direction.OUTBOUND]
    return tuple(
        name
        for name in _PRICED
        if observed
        or rules.observing
        or name in rules.observed_classes
        or rules.class_rules.get(name, platform.get(name)) != RuleAction.BLOCK
    )


def _signature(rules: DirectionRules) -> Any:
    return (
        rules.mode,
        rules.countries,
        tuple(sorted(rules.class_rules.items())),
        rules.observing,
        rules.observed_classes,
    )
