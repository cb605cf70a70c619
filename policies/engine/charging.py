"""Which counters an attempt is held against, how long it may last, and what it may cost at most.

Whose counter it is, is the charge's key: unique within workspace and name. How it is counted, and over what window,
is for whoever counts to keep apart.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from accounts.countries import CLASS_PRICE_PER_MINUTE, price_per_minute, price_per_sms
from policies.engine.declared import calls_per_day
from policies.engine.holds import plain_network
from policies.engine.limits import (
    DAY,
    GUARDING,
    INBOUND_DEFAULTS,
    KEY_DEFAULTS,
    MEASURES,
    MICRO,
    MINUTE,
    RESERVED_FOR_KNOWN,
    TOKEN_DEFAULTS,
    Charge,
    Limit,
    LimitName,
    Limits,
    Measure,
)
from policies.engine.question import Question
from policies.engine.types import Channel

GUARDED_SECONDS: Final = 60
"""Somebody who is merely suspected gets so long."""
LONGEST_CALL_SECONDS: Final = 3600
"""UponAI ends a call after an hour by itself; what is not capped may cost as much."""
PREFIX_LESS_DIGITS: Final = 4
"""A prefix is a number without its last four digits."""
UNKNOWN_ADDRESS: Final = "unknown"
"""The one address of all whose address is not known: they share what one address may do."""
CAPS: Final = frozenset({Measure.RUNNING, Measure.MONEY})
_LASTING: Final = frozenset({Channel.PHONE_CALL, Channel.WEB_CALL})
_DIALLED: Final = frozenset({Channel.PHONE_CALL, Channel.SMS})
_SHARED_CAPS: Final = frozenset(
    {LimitName.RUNNING_KEY, LimitName.SPEND_KEY, LimitName.RUNNING_WORKSPACE, LimitName.SPEND_WORKSPACE}
)


@dataclass(frozen=True, slots=True)
class _Line:
    """One limit in force, prepared for many attempts."""

    limit: Limit
    reserved: Limit | None  # what of it is left to destinations that are not known; None where nothing is kept back
    measure: Measure
    guards: bool


def prefix_of(e164: str | None) -> str:
    """What destinations are grouped by; empty where there is no number."""
    return e164[:-PREFIX_LESS_DIGITS] if e164 else ""


def is_known(question: Question) -> bool:
    """At home everything is known. Elsewhere the prefix decides, which only the live store can tell."""
    return question.is_home


def effective_limits(question: Question) -> Limits:
    """The limits in force: the key's, else the policy direction's, else the workspace's, else the factory's."""
    key, rules = question.key, question.rules
    if question.is_inbound:
        factory = INBOUND_DEFAULTS
    else:
        factory = TOKEN_DEFAULTS if question.attempt.public_key is None else KEY_DEFAULTS
    return {
        **factory,
        **question.snapshot.limits,
        **(rules.limits if rules else {}),
        **(key.limits if key else {}),
    }


def _lines(question: Question) -> Mapping[LimitName, _Line]:
    """Worked out once for each combination of direction, policy and key."""
    policy, key, attempt = question.policy, question.key, question.attempt
    place = (attempt.direction, policy.id if policy else None, key.key if key else None, attempt.public_key is None)
    worked_out = question.snapshot.worked_out
    lines: Mapping[LimitName, _Line] | None = worked_out.get(place)
    if lines is None:
        limits = effective_limits(question)
        lines = {name: _line(name, limit) for name, limit in limits.items() if limit is not None}
        worked_out[place] = lines
    return lines


def _line(name: LimitName, limit: Limit) -> _Line:
    measure, reserved = MEASURES[name], None
    if name in _SHARED_CAPS:
        part = limit.limit * RESERVED_FOR_KNOWN
        if measure == Measure.RUNNING:
            part = max(int(part), min(int(limit.limit), 1))  # a cap of one call is for everybody
        reserved = Limit(part, limit.window_seconds)
    return _Line(limit, reserved, measure, name in GUARDING)


class _Bill:
    """The charges of one attempt, in the order of the limits' names."""

    def __init__(self, question: Question) -> None:
        self.lines = _lines(question)
        self.enforced = not question.is_observed
        self.charges: list[Charge] = []

    def add(self, name: LimitName, key: str, amount: int = 1, member: str = "", only_new: bool = False) -> None:
        line = self.lines.get(name)
        if line is not None:
            self.charges.append(
                Charge(name, line.measure, key, line.limit, amount, member, only_new, self.enforced, line.guards)
            )

    def share(self, name: LimitName, key: str, *, amount: int, is_known: bool) -> None:
        """A cap that known and unknown destinations share, of which the unknown get a part."""
        self.add(name, key, amount=amount)
        line = self.lines.get(name)
        if line is not None and line.reserved is not None and not is_known:
            charge = Charge(
                name, line.measure, f"{key}:new", line.reserved, amount, only_new=True, enforced=self.enforced
            )
            self.charges.append(charge)


def charges_of(question: Question, reserved_micro: int) -> tuple[Charge, ...]:
    """What the attempt is held against if nothing else speaks against it. Trusted ones have no limits, only caps."""
    bill = _Bill(question)
    if question.is_inbound:
        if not question.is_trusted:
            _inbound_limits(bill, question)
    else:
        if not question.is_trusted:
            _outbound_limits(bill, question)
        _caps(bill, question, reserved_micro)
    return tuple(bill.charges)


def _inbound_limits(bill: _Bill, question: Question) -> None:
    own = question.number.e164 if question.number else ""
    channel = question.attempt.channel
    texts = "" if channel == Channel.PHONE_CALL else f"{channel}:"
    caller = question.peer.e164
    if caller is None:  # all who show no number share what one caller may do on each of our numbers, and are guarded
        bill.add(LimitName.CALLER, f"{texts}withheld:{own}")
    else:
        bill.add(LimitName.CALLER, texts + caller)
        bill.add(LimitName.CALLER_FLOOD, texts + caller)
    bill.add(LimitName.CALLED_NUMBER, texts + own)
    if caller is not None and channel == Channel.PHONE_CALL:
        bill.add(LimitName.SHORT_CALLS, caller, amount=0)


def _outbound_limits(bill: _Bill, question: Question) -> None:
    attempt, key, peer = question.attempt, question.key, question.peer
    networks = address_networks(question)
    destination = peer.e164 if attempt.channel in _DIALLED else None
    if networks:
        ip = networks[0]
        if destination is not None and (key is None or key.fraud_protection):
            pair = f"{_credential(question)}|{ip}|{destination}"
            bill.add(LimitName.IP_DESTINATION, pair)
            bill.add(LimitName.IP_DESTINATION_DAY, pair)
        for name, network in zip((LimitName.IP, LimitName.IP_56, LimitName.IP_48), networks, strict=False):
            bill.add(name, network)
    if destination is not None:
        bill.add(LimitName.DESTINATION, destination)
        # Apart for pages and backends: what a backend may do often must not lock visitors out.
        bill.add(LimitName.DESTINATION_PREFIX, f"{'k' if question.key else 't'}:{prefix_of(destination)}")
        if networks:
            bill.add(LimitName.DESTINATIONS_PER_IP, networks[0], member=destination)
            bill.add(LimitName.COUNTRIES_PER_IP, networks[0], member=peer.country or "001")
    if isinstance(attempt.subject, str) and attempt.subject:
        bill.add(LimitName.SUBJECT, attempt.subject[:200])
        _declared_volume(bill, question, attempt.subject)
    if key is not None:
        bill.add(LimitName.KEY, str(key.id))
    if question.number is not None:
        bill.add(LimitName.PHONE_NUMBER, question.number.e164)
    bill.add(LimitName.WORKSPACE, "")


def _declared_volume(bill: _Bill, question: Question, subject: str) -> None:
    """The calls per day that the subject was approved for, beside what everybody may. No setting lifts it."""
    calls = calls_per_day(question.covering, question.at_ms) if question.approvals else None
    if calls is not None:
        key, measure = f"declared:{subject[:200]}", MEASURES[LimitName.SUBJECT]
        declared = max(one.calls_per_day or 0 for one in question.covering)
        charge = Charge(LimitName.SUBJECT, measure, key, _a_day(calls), enforced=bill.enforced, declared=declared)
        bill.charges.append(charge)


@lru_cache(maxsize=4096)
def _a_day(calls: int) -> Limit:
    return Limit(calls, DAY)


def _caps(bill: _Bill, question: Question, reserved_micro: int) -> None:
    channel, key, peer = question.attempt.channel, question.key, question.peer
    is_dialled = channel in _DIALLED
    known = is_known(question) or not is_dialled
    if channel in _LASTING:
        if key is not None:
            bill.share(LimitName.RUNNING_KEY, str(key.id), amount=1, is_known=known)
        if channel == Channel.PHONE_CALL and not known:
            bill.add(LimitName.RUNNING_NEW_PREFIX, prefix_of(peer.e164), only_new=True)
        bill.share(LimitName.RUNNING_WORKSPACE, "", amount=1, is_known=known)
    if key is not None:
        bill.share(LimitName.SPEND_KEY, str(key.id), amount=reserved_micro, is_known=known)
    bill.share(LimitName.SPEND_WORKSPACE, "", amount=reserved_micro, is_known=known)
    if not known:
        credential = "key" if key is not None else "token"
        bill.add(LimitName.SPEND_NEW_DESTINATIONS, credential, amount=reserved_micro, only_new=True)
        country = peer.country or "001"
        bill.add(LimitName.SPEND_NEW_COUNTRY, f"{credential}:{country}", amount=reserved_micro, only_new=True)


def _credential(question: Question) -> str:
    return f"k{question.key.id}" if question.key else "t"


def address_networks(question: Question) -> tuple[str, ...]:
    """The counters of an address: an IPv4 address, or IPv6 networks of growing size. Empty where none was told.

    Somebody at the door of a gate key always has one; not to know it is no way around the limits.
    """
    given = question.attempt.ip
    if given is None or given == "":
        at_the_door_of_a_key = question.counts.at_door and question.attempt.public_key is not None
        return (UNKNOWN_ADDRESS,) if at_the_door_of_a_key else ()
    return _networks(given) if isinstance(given, str) and len(given) <= 64 else (UNKNOWN_ADDRESS,)


@lru_cache(maxsize=4096)
def _networks(text: str) -> tuple[str, ...]:
    try:
        address = plain_network(text.partition("%")[0])
    except ValueError:
        return (UNKNOWN_ADDRESS,)
    if isinstance(address, ipaddress.IPv4Network):
        return (str(address.network_address),)
    return tuple(str(address.supernet(new_prefix=min(size, address.prefixlen))) for size in (64, 56, 48))


def call_seconds(question: Question, *, guarded: bool) -> int | None:
    """The longest that it may last; None where nothing caps it, or where nothing lasts."""
    if question.attempt.channel not in _LASTING:
        return None
    line = _lines(question).get(LimitName.CALL_SECONDS)
    seconds = None if line is None else int(line.limit.limit)
    if not guarded:
        return seconds
    return GUARDED_SECONDS if seconds is None else min(seconds, GUARDED_SECONDS)


def reserved_micro(question: Question, seconds: int | None) -> int:
    """What an outbound attempt may cost at most, in micro-dollars; callers pay for their own calls."""
    channel = question.attempt.channel
    if question.is_inbound:
        return 0
    if channel == Channel.SMS:
        return _sms_micro(question)
    if channel == Channel.CHAT:
        return _minute_micro(question, carried=False)  # a chat is reckoned as one minute of its agent
    lasting = LONGEST_CALL_SECONDS if seconds is None else seconds
    per_minute = _minute_micro(question, carried=channel == Channel.PHONE_CALL)
    return -(-per_minute * lasting // MINUTE)


def _sms_micro(question: Question) -> int:
    return int(price_per_sms(question.peer.country) * MICRO)


def _minute_micro(question: Question, *, carried: bool) -> int:
    """A minute of the agent, and of the carrier where one carries it."""
    snapshot, peer = question.snapshot, question.peer
    place = ("minute", peer.country, peer.number_class) if carried else ("minute",)
    micro: int | None = snapshot.worked_out.get(place)
    if micro is None:
        price = snapshot.agent_minute_price
        if carried:
            own = snapshot.carrier_prices.get(peer.country or "")
            by_class = CLASS_PRICE_PER_MINUTE.get(peer.number_class, own)
            listed = price_per_minute(peer.country, peer.number_class)
            price += listed if own is None or by_class is None else max(own, by_class)
        micro = int(price * MICRO)
        snapshot.worked_out[place] = micro
    return micro
