"""Where UponAI's country lists differ from ours, and in words. Reads no rows."""

from __future__ import annotations

from dataclasses import dataclass

from accounts.countries import NO_TELEPHONES, in_words, is_sanctioned
from policies.sync.lists import CountryLists

DIRECTIONS = ("inbound", "outbound")
_TO_CALL = {"inbound": "to call it", "outbound": "to be called"}
_EVERYTHING_TO_CALL = {"inbound": "every country to call it", "outbound": "calls to every country"}


@dataclass(frozen=True, slots=True)
class Difference:
    """One direction; None means no restriction. `more`: what their list allows beyond ours; `less`: what it lacks."""

    direction: str
    ours: tuple[str, ...] | None
    theirs: tuple[str, ...] | None

    @property
    def more(self) -> tuple[str, ...]:
        return _without(self.theirs, self.ours)

    @property
    def less(self) -> tuple[str, ...]:
        return _without(self.ours, self.theirs)

    @property
    def widens(self) -> bool:
        """Whether UponAI allows anything that ours does not. A sanctioned country on its list is never wanted."""
        if self.theirs is None:
            return self.ours is not None
        return bool(self.more) or any(is_sanctioned(code) for code in self.theirs)

    def __str__(self) -> str:
        where = _TO_CALL[self.direction]
        if self.theirs is None:
            return f"UponAI allows {_EVERYTHING_TO_CALL[self.direction]}"
        if self.ours is None:
            named = "no country" if self.theirs == (NO_TELEPHONES,) else f"only {in_words(self.theirs)}"
            return f"UponAI allows {named} {where}, although nothing is to be restricted"
        parts = [f"also allows {in_words(self.more)} {where}"] if self.more else []
        if self.theirs == (NO_TELEPHONES,):
            parts.append(f"allows no country {where}")
        elif self.less:
            parts.append(f"does not allow {in_words(self.less)} {where}")
        return f"UponAI {' and '.join(parts)}"


def between(ours: CountryLists, theirs: CountryLists) -> list[Difference]:
    """The directions in which UponAI has something else, see `CountryLists.same_as`."""
    found = []
    for direction in DIRECTIONS:
        left, right = (_plain(getattr(lists, direction)) for lists in (ours, theirs))
        if left != right:
            found.append(Difference(direction, left, right))
    return found


def _plain(codes: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """Sorted, upper case, each once; an empty list restricts nothing, as UponAI reads it. The country without
    telephones means something only where it is the whole list."""
    if not codes:
        return None
    upper = {code.upper() for code in codes}
    return tuple(sorted(upper - {NO_TELEPHONES})) or (NO_TELEPHONES,)


def _without(codes: tuple[str, ...] | None, others: tuple[str, ...] | None) -> tuple[str, ...]:
    return tuple(code for code in codes or () if code not in (others or ()) and code != NO_TELEPHONES)
