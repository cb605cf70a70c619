"""What people and REST clients say about trusted and blocked callers, put into its one spelling or refused in words."""

from __future__ import annotations

from functools import partial
from types import MappingProxyType
from typing import Any, Final

from policies import exception_input as given_as
from policies.exception_input import Kind
from policies.models import ListEntry
from policies.open_input import narrow_ip, unsanctioned_peer

_NEVER_TRUSTED: Final = "is on the platform sanctions list; trust never stands above it, so this number stays blocked."
_NO_REASON: Final = "Say why, so that others know whether they may remove it."

KINDS: Final = MappingProxyType(
    {
        ListEntry.List.TRUSTED: Kind(
            values={
                ListEntry.Scope.PEER: partial(unsanctioned_peer, never=_NEVER_TRUSTED),
                ListEntry.Scope.IP: narrow_ip,
                ListEntry.Scope.SUBJECT: given_as.text,
            },
            no_reason=_NO_REASON,
            other_scopes={
                ListEntry.Scope.PREFIX: "Whole ranges of numbers are not trusted: callers can pretend any number. "
                "Open the prefix for a time, or allow it in the country policy."
            },
        ),
        ListEntry.List.BLOCKED: Kind(
            values={ListEntry.Scope.PEER: given_as.peer, ListEntry.Scope.PREFIX: given_as.prefix},
            no_reason=_NO_REASON,
            other_scopes=dict.fromkeys(
                (ListEntry.Scope.IP, ListEntry.Scope.SUBJECT),
                "Only numbers and prefixes are blocked for good. Impose a hold, which is for a time.",
            ),
        ),
    }
)


def scopes_of(which: str) -> list[tuple[str, str]]:
    """The scopes that entries of a list can have, with their names."""
    return [(scope, ListEntry.Scope(scope).label) for scope in KINDS[ListEntry.List(which)].values]


def wanted_entry(which: str, **given: Any) -> given_as.Wanted:
    """Raises Refused naming every field that is not as it must be. Needs the scope of the workspace."""
    return given_as.wanted(KINDS[ListEntry.List(which)], **given)
