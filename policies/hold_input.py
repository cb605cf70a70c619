"""What people and REST clients say about a hold, put into its one spelling or refused in words that name the field."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from types import MappingProxyType
from typing import Any, Final

from policies import exception_input as given_as
from policies.engine.names import HoldScope
from policies.exception_input import LONGEST_REASON, LONGEST_VALUE, Kind, Problems, Wanted
from policies.rules_input import Refused

__all__ = ["LONGEST", "LONGEST_REASON", "LONGEST_VALUE", "WantedHold", "wanted_hold"]

LONGEST: Final = timedelta(days=90)
SCOPES_OF_RUNNING_CALLS: Final = frozenset(
    {HoldScope.WORKSPACE, HoldScope.PHONE_NUMBER, HoldScope.PEER, HoldScope.PREFIX, HoldScope.COUNTRY}
)
"""UponAI tells of a running call its direction and its two numbers, so only these can be recognised in one."""


@dataclass(frozen=True, slots=True)
class WantedHold(Wanted):
    """A hold that can be imposed."""

    expires_at: datetime
    end_running_calls: bool


def wanted_hold(*, end_running_calls: bool, **given: Any) -> WantedHold:
    """Raises Refused naming every field that is not as it must be. Needs the scope of the workspace."""
    problems = Problems()
    wanted = WantedHold(**given_as.read(_HOLD, problems, **given), end_running_calls=end_running_calls)
    if end_running_calls and wanted.scope:
        problems.checked(_can_end_calls, wanted)
    problems.refuse()
    return wanted


def _can_end_calls(wanted: WantedHold) -> None:
    if wanted.scope not in SCOPES_OF_RUNNING_CALLS:
        detail = "UponAI's running calls do not tell their key, address or end user, so none can be found to end."
        raise Refused.one("end_running_calls", "not_possible", detail)


def _workspace(given: Any) -> str:
    if given not in (None, ""):
        raise Refused.one("value", "invalid", "A hold of the whole workspace has no value; leave it out.")
    return ""


_HOLD: Final = Kind(
    values=MappingProxyType(
        {
            HoldScope.WORKSPACE: _workspace,
            HoldScope.PHONE_NUMBER: given_as.phone_number,
            HoldScope.KEY: given_as.key,
            HoldScope.PEER: given_as.peer,
            HoldScope.PREFIX: given_as.prefix,
            HoldScope.COUNTRY: partial(
                given_as.country,
                when_sanctioned="is on the platform sanctions list and blocked anyway, whatever is held.",
            ),
            HoldScope.IP: given_as.ip,
            HoldScope.SUBJECT: given_as.text,
        }
    ),
    no_reason="Say why, so that others know whether they may lift it.",
    too_late=f"A hold is temporary: expires_at may be at most {LONGEST.days} days ahead. A policy lasts.",
    longest=LONGEST,
)
