"""What people and REST clients say about a hold, put into its one spelling or refused in words that name the field."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

from accounts.countries import is_sanctioned, name_of, normalise_country_list
from accounts.models import PublicKey
from policies.engine.holds import plain_network
from policies.engine.names import HoldScope
from policies.engine.numbers import understand
from policies.models import Hold, PhoneNumber
from policies.rules_input import FieldProblem, Refused

LONGEST: Final = timedelta(days=90)
LONGEST_REASON: Final = Hold._meta.get_field("reason").max_length
LONGEST_VALUE: Final = Hold._meta.get_field("value").max_length
SCOPES_OF_RUNNING_CALLS: Final = frozenset(
    {HoldScope.WORKSPACE, HoldScope.PHONE_NUMBER, HoldScope.PEER, HoldScope.PREFIX, HoldScope.COUNTRY}
)
"""UponAI tells of a running call its direction and its two numbers, so only these can be recognised in one."""

_SEPARATORS: Final = re.compile(r"[ ().\-]+")
_PREFIX: Final = re.compile(r"\+[1-9][0-9]{0,14}")


@dataclass(frozen=True, slots=True)
class WantedHold:
    """A hold that can be imposed."""

    scope: str
    value: str
    direction: str
    channel: str
    reason: str
    expires_at: datetime
    end_running_calls: bool

    @property
    def same_thing(self) -> dict[str, str]:
        """What no two holds in force have alike."""
        return {"scope": self.scope, "value": self.value, "direction": self.direction, "channel": self.channel}


def wanted_hold(
    *,
    scope: Any,
    value: Any,
    direction: Any,
    channel: Any,
    reason: Any,
    expires_at: datetime,
    end_running_calls: bool,
    now: datetime,
) -> WantedHold:
    """Raises Refused naming every field that is not as it must be. Needs the scope of the workspace."""
    problems: list[FieldProblem] = []

    def checked(check: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return check(*arguments)
        except Refused as refusal:
            problems.extend(refusal.problems)
            return ""

    known_scope = checked(_one_of, "scope", scope, Hold.Scope.values)
    wanted = WantedHold(
        scope=known_scope,
        value=checked(_VALUES[HoldScope(known_scope)], value) if known_scope else "",
        direction=checked(_one_of, "direction", direction, Hold.Direction.values) if direction else "",
        channel=checked(_one_of, "channel", channel, Hold.Channel.values) if channel else "",
        reason=checked(_reason, reason),
        expires_at=checked(_end, expires_at, now) or expires_at,
        end_running_calls=end_running_calls,
    )
    if end_running_calls and known_scope:
        checked(_can_end_calls, wanted)
    if problems:
        raise Refused(problems)
    return wanted


def _one_of(field: str, given: Any, allowed: list[str]) -> str:
    if not isinstance(given, str) or given not in allowed:
        raise Refused.one(field, "invalid", f"{field} must be one of: {', '.join(allowed)}.")
    return given


def _reason(given: Any) -> str:
    reason = given.strip() if isinstance(given, str) else ""
    if not reason:
        raise Refused.one("reason", "required", "Say why, so that others know whether they may lift it.")
    if len(reason) > LONGEST_REASON:
        raise Refused.one("reason", "too_long", f"The reason may have {LONGEST_REASON} characters.")
    return reason


def _end(expires_at: datetime, now: datetime) -> datetime:
    if expires_at <= now:
        raise Refused.one("expires_at", "past", "expires_at must lie in the future.")
    if expires_at > now + LONGEST:
        detail = f"A hold is temporary: expires_at may be at most {LONGEST.days} days ahead. A policy lasts."
        raise Refused.one("expires_at", "too_late", detail)
    return expires_at


def _can_end_calls(wanted: WantedHold) -> None:
    if wanted.scope not in SCOPES_OF_RUNNING_CALLS:
        detail = "UponAI's running calls do not tell their key, address or end user, so none can be found to end."
        raise Refused.one("end_running_calls", "not_possible", detail)


def _text(given: Any) -> str:
    text = given.strip() if isinstance(given, str) else ""
    if not text or "\0" in text or len(text) > LONGEST_VALUE:
        raise Refused.one("value", "invalid", f"value must be text of 1 to {LONGEST_VALUE} characters.")
    return text


def _workspace(given: Any) -> str:
    if given not in (None, ""):
        raise Refused.one("value", "invalid", "A hold of the whole workspace has no value; leave it out.")
    return ""


def _phone_number(given: Any) -> str:
    text = _text(given)
    spellings = {text, understand(text, role="caller").e164}
    number = PhoneNumber.objects.filter(e164__in=spellings - {None}).first()
    if number is None:
        raise Refused.one("value", "not_found", "There is no such phone number in this workspace.")
    return str(number.e164)


def _key(given: Any) -> str:
    key = PublicKey.objects.filter(key=_text(given)).first()
    if key is None:
        raise Refused.one("value", "not_found", "There is no such public key in this workspace.")
    return str(key.key)


def _peer(given: Any) -> str:
    e164 = understand(_text(given), role="destination").e164
    if e164 is None:
        raise Refused.one("value", "invalid", "This is not a complete phone number. Write it like +447400123456.")
    return e164


def _prefix(given: Any) -> str:
    prefix = _SEPARATORS.sub("", _text(given))
    if not _PREFIX.fullmatch(prefix):
        raise Refused.one("value", "invalid", "A prefix is a plus sign and up to 15 digits, such as +44740.")
    return prefix


def _country(given: Any) -> str:
    text = _text(given).upper()
    if is_sanctioned(text):
        detail = f"{name_of(text)} is on the platform sanctions list and blocked anyway, whatever is held."
        raise Refused.one("value", "sanctioned_country", detail)
    codes, problems = normalise_country_list([text])
    if problems or not codes:
        raise Refused.one("value", "invalid", "A country is two letters of ISO 3166-1, such as JM.")
    return codes[0]


def _ip(given: Any) -> str:
    try:
        network = plain_network(_text(given))
    except ValueError:
        detail = "This is neither an IP address nor a range such as 203.0.113.0/24."
        raise Refused.one("value", "invalid", detail) from None
    return str(network.network_address) if network.num_addresses == 1 else str(network)


_VALUES: Final[Mapping[HoldScope, Callable[[Any], str]]] = MappingProxyType(
    {
        HoldScope.WORKSPACE: _workspace,
        HoldScope.PHONE_NUMBER: _phone_number,
        HoldScope.KEY: _key,
        HoldScope.PEER: _peer,
        HoldScope.PREFIX: _prefix,
        HoldScope.COUNTRY: _country,
        HoldScope.IP: _ip,
        HoldScope.SUBJECT: _text,
    }
)
