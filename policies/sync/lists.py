"""The two country lists of a phone number: as wanted, and as UponAI shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any

from accounts.countries import CODES, NO_TELEPHONES, is_sanctioned
from policies import held
from policies.engine.holds import HoldSnapshot
from policies.engine.names import Direction, HoldScope
from policies.engine.numbers import understand
from policies.engine.prefixes import countries_of
from policies.engine.rules import DirectionRules
from policies.models import PolicyRevision, SyncTarget
from policies.uponai import payloads
from policies.uponai.client import UponaiTrouble


@dataclass(frozen=True, slots=True)
class CountryLists:
    """Sorted ISO alpha-2 codes; None means no restriction."""

    inbound: tuple[str, ...] | None
    outbound: tuple[str, ...] | None

    def as_json(self) -> dict[str, list[str] | None]:
        return {
            "inbound": None if self.inbound is None else list(self.inbound),
            "outbound": None if self.outbound is None else list(self.outbound),
        }

    def update_body(self) -> dict[str, list[str] | None]:
        return payloads.update_body(inbound=self.inbound, outbound=self.outbound)

    def same_as(self, other: CountryLists) -> bool:
        """Compared as UponAI means them, in the form in which they travel."""
        mine, theirs = self.update_body(), other.update_body()
        return all(payloads.same_lists(mine[name], theirs[name]) for name in mine)


def desired(
    revision: PolicyRevision, *, e164: str, holds: Sequence[HoldSnapshot], opens: Sequence[HoldSnapshot] = ()
) -> CountryLists:
    """What UponAI is to have of a number: its policy's lists with what is open for a time and without what is held,
    see `held.opens_of_lists` and `held.of_lists`.

    Sanctioned countries are never sent as allowed.
    """
    return CountryLists(
        _sendable(revision.inbound, Direction.INBOUND, e164, holds, opens),
        _sendable(revision.outbound, Direction.OUTBOUND, e164, holds, opens),
    )


def desired_of(target: SyncTarget, *, now: datetime) -> CountryLists:
    return wanted(target, holds=held.of_lists(now), opens=held.opens_of_lists(now))


def wanted(target: SyncTarget, *, holds: Sequence[HoldSnapshot], opens: Sequence[HoldSnapshot]) -> CountryLists:
    """The same where the holds and opens are known already. Asks for nothing that `target` brings along."""
    number = target.phone_number
    if "lists" in number.put_back:
        return put_back(number.put_back["lists"])
    revision = number.policy.current_revision
    assert revision is not None  # noqa: S101  (a policy is created together with its first revision)
    return desired(revision, e164=number.e164, holds=holds, opens=opens)


def put_back(found: dict[str, list[str] | None]) -> CountryLists:
    """The lists that UponAI had before, less what can never be allowed."""
    both = (found.get("inbound"), found.get("outbound"))
    kept = (None if codes is None else tuple(code for code in codes if not is_sanctioned(code)) for codes in both)
    return CountryLists(*(None if codes is None else codes or (NO_TELEPHONES,) for codes in kept))


def observed(phone_number: dict[str, Any]) -> CountryLists:
    """The lists of UponAI's phone number object. Raises UponaiTrouble when it is not in the agreed form."""
    try:
        number = payloads.read_number(phone_number)
    except payloads.PayloadError as problem:
        raise UponaiTrouble(f"UponAI's answer is not in the agreed form: {problem}", ambiguous=True) from None
    return of_number(number)


def of_json(both: dict[str, list[str] | None]) -> CountryLists:
    """The lists as a row keeps them, see `CountryLists.as_json`."""
    sides = (both.get("inbound"), both.get("outbound"))
    return CountryLists(*(None if codes is None else tuple(codes) for codes in sides))


def of_number(number: payloads.ProviderNumber) -> CountryLists:
    both = (number.inbound_countries, number.outbound_countries)
    return CountryLists(*(None if countries is None else tuple(sorted(countries)) for countries in both))


def _sendable(
    rules: dict[str, Any],
    direction: Direction,
    e164: str,
    holds: Sequence[HoldSnapshot],
    opens: Sequence[HoldSnapshot],
) -> tuple[str, ...] | None:
    mine = [hold for hold in holds if hold.direction in (None, direction)]
    if {(HoldScope.WORKSPACE, ""), (HoldScope.PHONE_NUMBER, e164)} & {(hold.scope, hold.value) for hold in mine}:
        return (NO_TELEPHONES,)
    closed = {hold.value for hold in mine if hold.scope == HoldScope.COUNTRY}
    countries = DirectionRules.from_dict(rules).country_list
    if countries is None:
        if not closed:
            return None
        # "No restriction" cannot leave one country out, so all the others are named.
        countries = tuple(sorted(CODES))
    opened = (_opened(open_, e164) for open_ in opens if open_.direction in (None, direction))
    countries = tuple(sorted({*countries, *chain.from_iterable(opened)}))
    kept = tuple(code for code in countries if code not in closed and not is_sanctioned(code))
    return kept or (NO_TELEPHONES,)


def _opened(open_: HoldSnapshot, e164: str) -> frozenset[str]:
    """The countries that UponAI must not refuse meanwhile, for this console to have the say. Named one by one: nothing
    that is open for a time lifts a list."""
    if open_.scope == HoldScope.COUNTRY:
        return frozenset({open_.value})
    if open_.scope == HoldScope.PEER:
        country = understand(open_.value, role="destination").country
        return frozenset({country} if country else ())
    if open_.scope == HoldScope.PREFIX:
        return countries_of(open_.value)
    return CODES if open_.value == e164 else frozenset()
