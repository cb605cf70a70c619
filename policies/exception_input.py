"""What people and REST clients say about holds, opens, trusted and blocked callers: put into its one spelling, or
refused in words that name the field."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from accounts.countries import is_sanctioned, name_of, normalise_country_list
from accounts.models import PublicKey
from policies.engine.holds import plain_network
from policies.engine.numbers import understand
from policies.models import Hold, PhoneNumber
from policies.rules_input import FieldProblem, Refused

LONGEST_REASON: Final = Hold._meta.get_field("reason").max_length
LONGEST_VALUE: Final = Hold._meta.get_field("value").max_length

_SEPARATORS: Final = re.compile(r"[ ().\-]+")
_PREFIX: Final = re.compile(r"\+[1-9][0-9]{0,14}")

ReadValue = Callable[[Any], str]


@dataclass(frozen=True, slots=True)
class Wanted:
    """An exception that can be made. `expires_at` None: for good."""

    scope: str
    value: str
    direction: str
    channel: str
    reason: str
    expires_at: datetime | None

    @property
    def same_thing(self) -> dict[str, str]:
        """What no two of a kind in force have alike."""
        return {"scope": self.scope, "value": self.value, "direction": self.direction, "channel": self.channel}


@dataclass(frozen=True, slots=True)
class Kind:
    """What can be said of one kind of exception: how the value of each scope is read, and for how long at most."""

    values: Mapping[str, ReadValue]
    no_reason: str
    too_late: str = ""
    longest: timedelta | None = None
    other_scopes: Mapping[str, str] = field(default_factory=dict)  # those it cannot have, with the words why


class Problems:
    """Collects what is refused, so that one answer names every field."""

    def __init__(self) -> None:
        self.found: list[FieldProblem] = []

    def checked(self, check: Callable[..., Any], *arguments: Any) -> Any:
        """What `check` answers; an empty text where it refuses."""
        try:
            return check(*arguments)
        except Refused as refusal:
            self.found.extend(refusal.problems)
            return ""

    def refuse(self) -> None:
        """Raises Refused naming every field, if there is any."""
        if self.found:
            raise Refused(self.found)


def read(
    kind: Kind,
    problems: Problems,
    *,
    scope: Any,
    value: Any,
    direction: Any,
    channel: Any,
    reason: Any,
    expires_at: datetime | None,
    now: datetime,
) -> dict[str, Any]:
    """The fields of Wanted, each in its one spelling as far as it can be read. Needs the scope of the workspace."""
    known_scope = problems.checked(_scope, kind, scope)
    return {
        "scope": known_scope,
        "value": problems.checked(kind.values[known_scope], value) if known_scope else "",
        "direction": problems.checked(_one_of, "direction", direction, Hold.Direction.values) if direction else "",
        "channel": problems.checked(_one_of, "channel", channel, Hold.Channel.values) if channel else "",
        "reason": problems.checked(_reason, kind, reason),
        "expires_at": problems.checked(_end, kind, expires_at, now) or expires_at,
    }


def wanted(kind: Kind, **given: Any) -> Wanted:
    """Raises Refused naming every field that is not as it must be. Needs the scope of the workspace."""
    problems = Problems()
    found = Wanted(**read(kind, problems, **given))
    problems.refuse()
    return found


def _scope(kind: Kind, given: Any) -> str:
    if isinstance(given, str) and given in kind.other_scopes:
        raise Refused.one("scope", "not_possible", kind.other_scopes[given])
    return _one_of("scope", given, [str(scope) for scope in kind.values])


def _one_of(field_name: str, given: Any, allowed: list[str]) -> str:
    if not isinstance(given, str) or given not in allowed:
        raise Refused.one(field_name, "invalid", f"{field_name} must be one of: {', '.join(allowed)}.")
    return given


def _reason(kind: Kind, given: Any) -> str:
    reason = given.strip() if isinstance(given, str) else ""
    if not reason:
        raise Refused.one("reason", "required", kind.no_reason)
    if "\0" in reason:
        raise Refused.one("reason", "invalid", "The reason must be text.")
    if len(reason) > LONGEST_REASON:
        raise Refused.one("reason", "too_long", f"The reason may have {LONGEST_REASON} characters.")
    return reason


def _end(kind: Kind, expires_at: datetime | None, now: datetime) -> datetime | None:
    if expires_at is None:
        return None
    if expires_at <= now:
        raise Refused.one("expires_at", "past", "expires_at must lie in the future.")
    if kind.longest is not None and expires_at > now + kind.longest:
        raise Refused.one("expires_at", "too_late", kind.too_late)
    return expires_at


# --- The value, by scope -----------------------------------------------------------------------------


def text(given: Any) -> str:
    found = given.strip() if isinstance(given, str) else ""
    if not found or "\0" in found or len(found) > LONGEST_VALUE:
        raise Refused.one("value", "invalid", f"value must be text of 1 to {LONGEST_VALUE} characters.")
    return found


def phone_number(given: Any) -> str:
    """One of our own numbers."""
    found = text(given)
    spellings = {found, understand(found, role="caller").e164}
    number = PhoneNumber.objects.filter(e164__in=spellings - {None}).first()
    if number is None:
        raise Refused.one("value", "not_found", "There is no such phone number in this workspace.")
    return str(number.e164)


def key(given: Any) -> str:
    found = PublicKey.objects.filter(key=text(given)).first()
    if found is None:
        raise Refused.one("value", "not_found", "There is no such public key in this workspace.")
    return str(found.key)


def peer(given: Any) -> str:
    e164 = understand(text(given), role="destination").e164
    if e164 is None:
        raise Refused.one("value", "invalid", "This is not a complete phone number. Write it like +447400123456.")
    return e164


def prefix(given: Any) -> str:
    found = _SEPARATORS.sub("", text(given))
    if not _PREFIX.fullmatch(found):
        raise Refused.one("value", "invalid", "A prefix is a plus sign and up to 15 digits, such as +44740.")
    return found


def country(given: Any, *, when_sanctioned: str) -> str:
    """`when_sanctioned`: what is said of such a country, after its name."""
    found = text(given).upper()
    if is_sanctioned(found):
        raise Refused.one("value", "sanctioned_country", f"{name_of(found)} {when_sanctioned}")
    codes, problems = normalise_country_list([found])
    if problems or not codes:
        raise Refused.one("value", "invalid", "A country is two letters of ISO 3166-1, such as JM.")
    return codes[0]


def ip(given: Any) -> str:
    try:
        network = plain_network(text(given))
    except ValueError:
        detail = "This is neither an IP address nor a range such as 203.0.113.0/24."
        raise Refused.one("value", "invalid", detail) from None
    return str(network.network_address) if network.num_addresses == 1 else str(network)
