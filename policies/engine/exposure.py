"""The most money that could be burnt within one hour by today's configuration, and which bound holds it there. Pure.

Through the gate, for each gate key, and for all API tokens together:

    calls    = minutes an hour × price of the dearest minute, where minutes = 60 × calls at once, at most
               attempts an hour × the longest call; at once = the least of running_key, running_workspace and UponAI's
    messages = attempts an hour × price of the dearest message (or of one minute of an agent, for chats)
    abroad   = the same towards countries the workspace does not know: half of each shared cap, and never more than
               spend_new_destinations nor countries × spend_new_country
    credential = min(spend_key, calls + messages), each of them taking the unknown abroad first where that is dearer

    exposure = min(spend_workspace, sum of credentials, UponAI's calls at once × 60 × dearest minute + messages)

Without the gate (a leaked private key) UponAI's lists alone bound it: calls at once × 60 × the dearest minute of a
country that is on one of them. A window longer than an hour counts whole: a day's money can be gone in an hour.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from accounts.countries import EXPOSURE_VERSION, PRICES_VERSION, SMS_PRICES_VERSION
from policies.engine import bounds
from policies.engine.bounds import Prices, an_hour
from policies.engine.charging import LONGEST_CALL_SECONDS
from policies.engine.limits import KEY_DEFAULTS, TOKEN_DEFAULTS, Limit, LimitName, Limits
from policies.engine.names import Channel, HoldScope
from policies.engine.reach import NOWHERE, Reach, Reaches
from policies.engine.snapshot import KeySnapshot, Snapshot
from policies.engine.widenings import tier_of

PROVIDER_CONCURRENCY: Final = 20
"""Calls at once that UponAI lets a workspace have where it has bought no more (its documentation, 2026-11)."""
MOST_ATTEMPTS_AN_HOUR: Final = 36_000
"""Ten a second: where no limit counts attempts."""
MOST_LISTED: Final = 20
ASSUMPTIONS: Final = (
    f"Prices are this console's table ({PRICES_VERSION}; {SMS_PRICES_VERSION}) and your own where you entered them; "
    "a call costs its agent's minute and its carrier's.",
    f"UponAI runs at most {PROVIDER_CONCURRENCY} calls at once for a workspace, its published limit without extra.",
    "The attacker has every gate key and an API token, as many IP addresses, numbers to call and solved captchas as "
    "wanted: limits by address, destination, end user, captcha and KYC are counted as no bound.",
    f"Where no limit counts attempts, {MOST_ATTEMPTS_AN_HOUR:,} an hour.",
    "A country is known where calls were let through to it more than a day ago; at home everything is known.",
    "What is spent already today is not taken off; a day's money can be gone within one hour.",
    "Inbound calls are paid by their callers and not counted; SMS past the gate are not, since UponAI names no limit.",
)


@dataclass(frozen=True, slots=True)
class Line:
    """`bound`: which bound holds it there, in words. `also`: what else there is to say, such as an exposure tier."""

    name: str
    usd_per_hour: float
    bound: str = ""
    also: str = ""

    def as_dict(self) -> dict[str, object]:
        return {"name": self.name, "usd_per_hour": self.usd_per_hour, "bound": self.bound, "also": self.also}


@dataclass(frozen=True, slots=True)
class Exposure:
    """`usd_per_hour`: through the gate. `without_gate`: should UponAI's private key leak."""

    usd_per_hour: float
    bound: str
    keys: tuple[Line, ...] = ()
    tokens: Line | None = None
    without_gate: Line = field(default_factory=lambda: Line("private key", 0.0))
    numbers: tuple[Line, ...] = ()
    countries: tuple[Line, ...] = ()
    tiers: tuple[Line, ...] = ()
    assumptions: tuple[str, ...] = ASSUMPTIONS
    tiers_version: str = EXPOSURE_VERSION


@dataclass(frozen=True, slots=True)
class _Burn:
    """What one credential could burn: by calls and by messages, what of it where only the known is called, its own
    cap, the cap on what is new that all of its kind share, and the bound in words."""

    kind: str
    calls: float
    messages: float
    known: float
    most: float
    new_most: float
    bound: str

    @property
    def total(self) -> float:
        return min(self.most, self.calls + self.messages)


@dataclass(frozen=True, slots=True)
class _Credential:
    """`count` of them that are alike. `channels`: what it may start."""

    kind: str
    reach: Reach
    limits: Limits
    channels: frozenset[str]
    names: tuple[str, ...] = ()
    count: int = 1
    observed: bool = False


def exposure(
    snapshot: Snapshot,
    *,
    tokens: int,
    known_countries: frozenset[str] = frozenset(),
    at_ms: int | None = None,
    concurrency: int = PROVIDER_CONCURRENCY,
) -> Exposure:
    """`tokens`: how many API tokens open the gate. `known_countries`: where the workspace has called before."""
    return _Reckoning(snapshot, tokens, known_countries | {snapshot.home_country}, at_ms, concurrency).result()


class _Reckoning:
    def __init__(
        self, snapshot: Snapshot, tokens: int, known: frozenset[str], at_ms: int | None, concurrency: int
    ) -> None:
        self.snapshot, self.known, self.at_ms, self.concurrency = snapshot, known, at_ms, concurrency
        self.reaches = Reaches(snapshot, at_ms)
        self.agent = self.reaches.agent
        used = Counter((row.policy_id, row.observing) for row in snapshot.numbers.values() if row.policy_id is not None)
        self.by_policy = {place: self.reaches.of_policy(place[0], observed=place[1]) for place in used}
        every = [*{id(one): one for one in self.by_policy.values()}.values(), *self._special_numbers().values()]
        self.everywhere = Reach.union(every)
        self.new = frozenset({*self.everywhere.calls, *self.everywhere.messages}) - known
        self.keys = self._keys()
        self.token = _Credential("token", self.everywhere, self._limits(TOKEN_DEFAULTS, None), frozenset(Channel))
        self.tokens = tokens

    def result(self) -> Exposure:
        total, bound = self._through_gate(None)
        burns = [(key, self._burn(key)) for key in self.keys]
        lines = [
            Line(name, _money(burn.total), burn.bound, " and ".join(sorted(key.channels)).replace("_", " "))
            for key, burn in burns
            for name in key.names
        ]
        token = self._burn(self.token) if self.tokens else None
        return Exposure(
            usd_per_hour=_money(total),
            bound=bound,
            keys=_top(lines),
            tokens=Line(f"{self.tokens} API token{'s' * (self.tokens != 1)}", _money(token.total), token.bound)
            if token
            else None,
            without_gate=self._without_gate(),
            numbers=self._numbers(),
            countries=self._countries(),
            tiers=self._tiers(),
        )

    # --- Who could burn it --------------------------------------------------------------------------

    def _keys(self) -> list[_Credential]:
        """Alike ones together."""
        held = {
            hold.value
            for hold in self.snapshot.holds.every
            if hold.scope == HoldScope.KEY and hold.channel is None and hold.direction in (None, "outbound")
        }
        alike: dict[object, _Credential] = {}
        for key in self.snapshot.keys.values():
            if not key.works_at(self.at_ms) or key.key in held:
                continue
            one = self._key(key)
            place = (
                id(one.reach),
                tuple(sorted((name, limit) for name, limit in one.limits.items() if limit)),
                one.channels,
            )
            known = alike.get(place)
            names = (*(known.names if known else ()), key.key)
            alike[place] = _Credential("key", one.reach, one.limits, one.channels, names, len(names), one.observed)
        return list(alike.values())

    def _key(self, key: KeySnapshot) -> _Credential:
        dials = key.channels & {Channel.PHONE_CALL, Channel.SMS}
        number = self.snapshot.numbers.get(key.phone_number)
        policy = self.snapshot.policies.get(number.policy_id) if number and number.policy_id is not None else None
        if key.phone_number:
            reach = self.reaches.of_number(key.phone_number, key.key)
        else:
            reach = self.everywhere if "from_number" in key.allowed_fields else NOWHERE
        limits = self._limits(KEY_DEFAULTS, policy.outbound.limits if policy else None) | dict(key.limits)
        observed = bool(key.observing or (number and number.observing) or (policy and policy.outbound.observing))
        if observed:
            limits = {LimitName.CALL_SECONDS: limits.get(LimitName.CALL_SECONDS)}  # observed: counted, not enforced
        return _Credential("key", reach if dials else NOWHERE, limits, frozenset(key.channels), observed=observed)

    def _limits(self, factory: Limits, policy: Limits | None) -> dict[LimitName, Limit | None]:
        return {**factory, **self.snapshot.limits, **(policy or {})}

    # --- How much -----------------------------------------------------------------------------------

    def _burn(self, one: _Credential, only: frozenset[str] | None = None) -> _Burn:
        """With `only`, towards these countries; what happens on web pages goes to none."""
        reach = one.reach if only is None else one.reach.only(only)
        limits, channels = one.limits, one.channels
        spend = limits.get(LimitName.SPEND_KEY if one.kind == "key" else LimitName.SPEND_WORKSPACE)
        new_cap = limits.get(LimitName.SPEND_NEW_DESTINATIONS)
        called_to = reach.calls if Channel.PHONE_CALL in channels else {}
        told_to = reach.messages if Channel.SMS in channels else {}
        calls, texts = self._priced(called_to), self._priced(told_to)
        on_pages = channels if only is None else frozenset[str]()
        talk = self.agent if Channel.WEB_CALL in on_pages else 0.0
        chat = self.agent if Channel.CHAT in on_pages else 0.0
        attempts = _attempts(limits)
        lines, new_lines = bounds.at_once(limits, self.concurrency)
        minutes = min(60 * lines, attempts * _longest(limits) / 60)
        new_minutes = min(60 * new_lines, minutes)
        new_countries = len({*called_to, *told_to} - self.known)
        country_cap = limits.get(LimitName.SPEND_NEW_COUNTRY)
        by_country = new_countries * an_hour(country_cap) if new_countries else 0.0
        most_new = min(an_hour(new_cap), bounds.half(spend), by_country)
        called, called_new = bounds.most(minutes, new_minutes, calls, also=talk, new_most=most_new)
        told, told_new = bounds.most(attempts, attempts, texts, also=chat, new_most=max(0.0, most_new - called_new))
        known = minutes * max(calls.known, talk) + attempts * max(texts.known, chat)
        if called + told == 0:
            bound = "it reaches nothing that costs money"
        elif called + told >= an_hour(spend):
            bound = f"{bounds.dollars(spend)} {'per key' if one.kind == 'key' else 'of the workspace'}"
        elif called_new + told_new >= max(most_new, (called + told) / 2):
            each = f"{bounds.dollars(country_cap)} for each country that is not known yet"
            every = f"{bounds.dollars(new_cap)} for all that is not known yet"
            bound = f"{each if by_country == most_new else every}, of all {one.kind}s"
        elif called >= told:
            bound = f"{lines:g} calls at once"
        else:
            bound = f"{attempts:,g} attempts an hour"
        bound += "; only observed, so its own limits do not hold" if one.observed else ""
        everywhere = self.new if only is None else self.new & only
        shared = min(an_hour(new_cap), len(everywhere) * an_hour(country_cap) if everywhere else 0.0)
        return _Burn(one.kind, called, told, known, an_hour(spend), shared, bound)

    def _priced(self, prices: Mapping[str, float]) -> Prices:
        known = (price for code, price in prices.items() if code in self.known)
        new = (price for code, price in prices.items() if code not in self.known)
        return Prices(max(known, default=0.0), max(new, default=0.0))

    def _through_gate(self, only: frozenset[str] | None) -> tuple[float, str]:
        burns = [(key.count, self._burn(key, only)) for key in self.keys]
        if self.tokens:
            burns.append((1, self._burn(self.token, only)))
        if not burns:
            return 0.0, "nothing opens the gate: there is no gate key and no API token"
        reach, page = (self.everywhere, self.agent) if only is None else (self.everywhere.only(only), 0.0)
        limits = self.token.limits
        shared = {name: limits.get(name) for name in (LimitName.RUNNING_WORKSPACE, LimitName.WORKSPACE)}
        lines, _ = bounds.at_once(shared, self.concurrency)
        calls = sum(count * burn.calls for count, burn in burns)
        texts = sum(count * burn.messages for count, burn in burns)
        by_lines = min(calls, lines * 60 * max([*reach.calls.values(), page]))
        by_attempts = min(texts, _attempts(shared) * max([*reach.messages.values(), page]))
        spend = self.snapshot.limits.get(LimitName.SPEND_WORKSPACE)
        sums = _sums(burns)
        found = min(sums, by_lines + by_attempts, an_hour(spend))
        if found == 0:
            return 0.0, "no key or token reaches it"
        if found == an_hour(spend):
            return found, f"{bounds.dollars(spend)} of the workspace"
        if found < sums:
            return found, f"{lines:g} calls at once, of all keys and tokens"
        return found, _dearest(burns)

    # --- Where --------------------------------------------------------------------------------------

    def _without_gate(self) -> Line:
        prices = self.reaches.without_gate()
        if not prices:
            return Line("private key", 0.0, "no number may call anywhere")
        code, price = max(prices.items(), key=lambda entry: (entry[1], entry[0]))
        return Line(
            "private key", _money(self.concurrency * 60 * price), f"UponAI's {self.concurrency} calls at once", code
        )

    def _numbers(self) -> tuple[Line, ...]:
        pinned: dict[str, float] = {}
        words: dict[str, str] = {}
        for one in self.keys:
            burn = self._burn(one)
            for name in one.names:
                number = self.snapshot.keys[name].phone_number
                if number:
                    pinned[number] = pinned.get(number, 0.0) + burn.total
                    words[number] = burn.bound
        special = self._special_numbers()
        tokens = {place: self._token_from(reach) for place, reach in self.by_policy.items()}
        lines = []
        for e164, row in self.snapshot.numbers.items():
            mine = self._token_from(special[e164]) if e164 in special else None
            mine = mine or (tokens.get((row.policy_id, row.observing)) if row.policy_id is not None else None)
            by_token = mine.total if mine else 0.0
            own = pinned.get(e164, 0.0)
            if by_token or own:
                said = words.get(e164, "") if own > by_token or mine is None else mine.bound
                lines.append(Line(e164, _money(by_token + own), said))
        return _top(lines)

    def _special_numbers(self) -> dict[str, Reach]:
        """Those with an open or hold of their own."""
        named = {
            hold.value
            for holds in (self.snapshot.opens, self.snapshot.holds)
            for hold in holds.every
            if hold.scope == HoldScope.PHONE_NUMBER and hold.value in self.snapshot.numbers
        }
        return {e164: self.reaches.of_number(e164) for e164 in named}

    def _token_from(self, reach: Reach) -> _Burn | None:
        if not self.tokens:
            return None
        limits = dict(self.token.limits)
        attempts = [limits.get(name) for name in (LimitName.PHONE_NUMBER, LimitName.WORKSPACE)]
        limits[LimitName.WORKSPACE] = min(attempts, key=an_hour)
        channels = frozenset({Channel.PHONE_CALL, Channel.SMS})
        return self._burn(_Credential("token", reach, limits, channels))

    def _countries(self) -> tuple[Line, ...]:
        codes = {*self.everywhere.calls, *self.everywhere.messages}
        lines = []
        for code in codes:
            usd, bound = self._through_gate(frozenset({code}))
            if usd:
                lines.append(Line(code, _money(usd), bound, tier_of(code, self.snapshot.home_country)))
        return _top(lines)

    def _tiers(self) -> tuple[Line, ...]:
        by_tier: dict[str, set[str]] = {}
        for code in {*self.everywhere.calls, *self.everywhere.messages}:
            by_tier.setdefault(tier_of(code, self.snapshot.home_country), set()).add(code)
        lines = []
        for tier, codes in sorted(by_tier.items()):
            usd, bound = self._through_gate(frozenset(codes))
            lines.append(Line(tier, _money(usd), bound, f"{len(codes)} countr{'y' if len(codes) == 1 else 'ies'}"))
        return tuple(lines)


def _sums(burns: list[tuple[int, _Burn]]) -> float:
    """What is new is capped once for all keys, and once for all tokens."""
    found = 0.0
    for kind in ("key", "token"):
        alike = [(count, burn) for count, burn in burns if burn.kind == kind]
        known = sum(count * min(burn.most, burn.known) for count, burn in alike)
        new = sum(count * max(0.0, burn.total - min(burn.most, burn.known)) for count, burn in alike)
        found += known + min(new, max((burn.new_most for _, burn in alike), default=0.0))
    return found


def _dearest(burns: list[tuple[int, _Burn]]) -> str:
    """The bound of whatever could burn most."""
    count, burn = max(burns, key=lambda entry: entry[0] * entry[1].total)
    return f"{burn.bound} × {count} keys" if count > 1 else burn.bound


def _attempts(limits: Limits) -> float:
    return min(MOST_ATTEMPTS_AN_HOUR, *(an_hour(limits.get(name)) for name in (LimitName.KEY, LimitName.WORKSPACE)))


def _longest(limits: Limits) -> float:
    seconds = limits.get(LimitName.CALL_SECONDS)
    return seconds.limit if seconds else LONGEST_CALL_SECONDS


def _money(value: float) -> float:
    return round(float(value), 2)


def _top(lines: Iterable[Line]) -> tuple[Line, ...]:
    return tuple(heapq.nsmallest(MOST_LISTED, lines, key=lambda line: (-line.usd_per_hour, line.name)))
