"""What people and REST clients say about an open, put into its one spelling or refused in words that name the field."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from types import MappingProxyType
from typing import Any, Final

from accounts.countries import SANCTIONED_SET
from policies import exception_input as given_as
from policies.engine.holds import plain_network
from policies.engine.names import HoldScope
from policies.engine.numbers import understand
from policies.engine.prefixes import calling_code, countries_of
from policies.exception_input import Kind, Wanted, wanted
from policies.rules_input import Refused

LONGEST: Final = timedelta(days=30)
WIDEST_IPV4: Final = 16
WIDEST_IPV6: Final = 32
NEVER: Final = "is on the platform sanctions list; nothing opens it, for nobody and not for a time."


def wanted_open(**given: Any) -> Wanted:
    """Raises Refused naming every field that is not as it must be. Needs the scope of the workspace."""
    return wanted(_OPEN, **given)


def unsanctioned_peer(given: Any, *, never: str = NEVER) -> str:
    """A number of the other side that no sanction covers, whether or not it is a whole number."""
    country = understand(given_as.text(given), role="destination").country
    if country in SANCTIONED_SET:
        given_as.country(country, when_sanctioned=never)
    return given_as.peer(given)


def narrow_ip(given: Any) -> str:
    """An address, or a range that one network may have."""
    found = given_as.ip(given)
    network = plain_network(found)
    widest = WIDEST_IPV4 if network.version == 4 else WIDEST_IPV6
    if network.prefixlen < widest:
        raise Refused.one("value", "too_wide", f"This range is too wide; at most a /{widest} can be named here.")
    return found


def _prefix(given: Any) -> str:
    found = given_as.prefix(given)
    if calling_code(found) is None:
        detail = "This prefix covers several calling codes. Begin it with a whole one, such as +44."
        raise Refused.one("value", "too_wide", detail)
    countries = countries_of(found)
    if countries and countries <= SANCTIONED_SET:
        given_as.country(min(countries), when_sanctioned=NEVER)
    return found


_values: dict[HoldScope, Callable[[Any], str]] = {
    HoldScope.PHONE_NUMBER: given_as.phone_number,
    HoldScope.KEY: given_as.key,
    HoldScope.PEER: unsanctioned_peer,
    HoldScope.PREFIX: _prefix,
    HoldScope.COUNTRY: partial(given_as.country, when_sanctioned=NEVER),
    HoldScope.IP: narrow_ip,
    HoldScope.SUBJECT: given_as.text,
}
_OPEN: Final = Kind(
    values=MappingProxyType(_values),
    no_reason="Say why, so that others know what this was opened for.",
    too_late=f"An open is temporary: expires_at may be at most {LONGEST.days} days ahead. A policy lasts.",
    longest=LONGEST,
    other_scopes={
        HoldScope.WORKSPACE: "Opening everything for everybody is too wide for an exception. "
        "Name what is to be let through, or change the country policy."
    },
)
