"""A plan said to people: line by line what would change, for which numbers, and loudly what it lets through."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from accounts.countries import ExposureTier, name_of
from policies.policy_file.difference import Assignment, KeyChange, Plan, PolicyChange
from policies.policy_file.loosening import ABSENT, DirectionChange, PartChange, tier_of
from policies.words import as_people_write

ADDED, REMOVED, CHANGED, WIDENS, PLAIN = "+", "-", "~", "!", ""
_TIERS: Final = {
    ExposureTier.DENIED_BY_DEFAULT: "denied by default",
    ExposureTier.CHALLENGED: "preferred by fraud",
    ExposureTier.NORMAL: "normal",
}
_MOST_NAMED: Final = 3
_MOST_COUNTRIES: Final = 20


@dataclass(frozen=True, slots=True)
class Line:
    """`mark`: what kind of change it tells of, for a terminal to colour it by."""

    mark: str
    text: str


def lines(plan: Plan) -> list[Line]:
    if not plan:
        return [Line(PLAIN, f"Nothing to do: {plan.workspace} is as the file says.")]
    said = [Line(PLAIN, f"Workspace {plan.workspace}")]
    for change in plan.policies:
        said += _policy(change, plan.home_country)
    for assignment in plan.assignments:
        said += _assignment(assignment, plan.home_country)
    for key in plan.public_keys:
        said += _key(key)
    return [*said, Line(PLAIN, ""), *_widening(plan), Line(PLAIN, summary(plan))]


def summary(plan: Plan) -> str:
    """Such as "1 country policy to edit, 12 numbers to assign."""
    new = sum(change.revision is None for change in plan.policies)
    minted = sum(key.is_new for key in plan.public_keys)
    counts = (
        (new, "country policy", "country policies", "to create"),
        (len(plan.policies) - new, "country policy", "country policies", "to edit"),
        (sum(len(move.phone_numbers) for move in plan.assignments), "phone number", "phone numbers", "to assign"),
        (minted, "public key", "public keys", "to mint"),
        (len(plan.public_keys) - minted, "public key", "public keys", "to edit"),
    )
    said = [f"{count:,} {one if count == 1 else many} {verb}" for count, one, many, verb in counts if count]
    return f"{', '.join(said)}." if said else "Nothing to do."


def numbers(e164s: Iterable[str]) -> str:
    """ "3 numbers: +1 415 555 0100, …" and how many more."""
    every = list(e164s)
    if not every:
        return "no number"
    named = ", ".join(as_people_write(e164) for e164 in every[:_MOST_NAMED])
    more = f" and {len(every) - _MOST_NAMED:,} more" if len(every) > _MOST_NAMED else ""
    return f"{len(every):,} number{'' if len(every) == 1 else 's'}: {named}{more}"


def _policy(change: PolicyChange, home_country: str) -> Iterator[Line]:
    if change.revision is None:
        yield Line(ADDED, f"+ country policy “{change.name}”, new")
    else:
        revisions = f"revision {change.revision} → {change.revision + 1}"
        yield Line(CHANGED, f"~ country policy “{change.name}”, {revisions}, for {numbers(change.phone_numbers)}")
    for direction, difference in change.directions.items():
        yield from _direction(direction, difference, home_country, is_new=change.revision is None)
    if change.reason:
        yield Line(PLAIN, f"    reason: {change.reason}")


def _assignment(move: Assignment, home_country: str) -> Iterator[Line]:
    yield Line(CHANGED, f"~ from “{move.before}” to “{move.after}”: {numbers(move.phone_numbers)}")
    for direction, difference in move.directions.items():
        yield from _direction(direction, difference, home_country)
    if not any(move.directions.values()):
        yield Line(PLAIN, "    the same rules as before")


def _direction(direction: str, change: DirectionChange, home_country: str, *, is_new: bool = False) -> Iterator[Line]:
    if change:
        yield Line(PLAIN, f"    {direction}")
    if change.lifts:
        yield Line(WIDENS, "      ! no restriction any more: every country but the seven sanctioned ones  WIDENS")
        exposed = [code for code in change.opens if tier_of(code, home_country) != ExposureTier.NORMAL]
        yield from _countries(exposed, home_country, opens=True)
    else:
        yield from _countries(change.opens, home_country, opens=True, is_new=is_new)
    if change.restricts:
        yield Line(REMOVED, f"      - no restriction; {len(change.closes)} countries are closed")
    else:
        yield from _countries(change.closes, home_country, opens=False)
    for part in change.parts:
        yield _part(part, is_new=is_new)


def _countries(codes: Iterable[str], home_country: str, *, opens: bool, is_new: bool = False) -> Iterator[Line]:
    """Each on a line of its own as long as a person would read them, the most exposed ones first."""
    by_tier = sorted(codes, key=lambda code: (tier_of(code, home_country), code))
    for code in by_tier[:_MOST_COUNTRIES]:
        if not opens:
            yield Line(REMOVED, f"      - {name_of(code)} ({code})")
            continue
        tier = tier_of(code, home_country)
        loud = "" if is_new else "  WIDENS"
        mark = WIDENS if loud and tier != ExposureTier.NORMAL else ADDED
        yield Line(mark, f"      + {name_of(code)} ({code}), exposure tier {tier.value}: {_TIERS[tier]}{loud}")
    rest = by_tier[_MOST_COUNTRIES:]
    if rest:
        yield Line(ADDED if opens else REMOVED, f"      {'+' if opens else '-'} {len(rest)} more: {' '.join(rest)}")


def _key(change: KeyChange) -> Iterator[Line]:
    if change.is_new:
        yield Line(WIDENS, f"+ public key “{change.name}”, new  WIDENS: a new way in")
    else:
        yield Line(CHANGED, f"~ public key “{change.name}”")
    for part in change.fields:
        yield _part(part, is_new=change.is_new, indent="    ")
    if change.notice:
        yield Line(CHANGED, f"    ! {change.notice}")


def _part(part: PartChange, *, is_new: bool = False, indent: str = "      ") -> Line:
    if is_new:
        return Line(ADDED, f"{indent}+ {part.part}: {_value(part.after)}")
    loud = "  WIDENS" if part.widens else ""
    text = f"{indent}~ {part.part}: {_value(part.before)} → {_value(part.after)}{loud}"
    return Line(WIDENS if part.widens else CHANGED, text)


def _value(value: Any) -> str:
    if value in ("", None, [], {}):
        return "none"
    if value == ABSENT:
        return "as usual"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list):
        return ", ".join(_value(part) for part in value)
    if isinstance(value, dict):
        return ", ".join(f"{name} {_inner(part)}" for name, part in value.items())
    return str(value)


def _inner(value: Any) -> str:
    if value is None:
        return "off"
    return f"({_value(value)})" if isinstance(value, dict) else _value(value)


def _widening(plan: Plan) -> Iterator[Line]:
    """The last word: what the whole of it lets through that nothing did before."""
    if not plan.widens:
        return
    yield Line(WIDENS, "THIS WIDENS what gets through.")
    for direction in ("inbound", "outbound"):
        opened = plan.opened(direction)
        for tier in (ExposureTier.DENIED_BY_DEFAULT, ExposureTier.CHALLENGED, ExposureTier.NORMAL):
            codes = [code for code in opened if tier_of(code, plan.home_country) == tier]
            if codes:
                named = ", ".join(f"{name_of(code)} ({code})" for code in codes[:_MOST_COUNTRIES])
                more = f" and {len(codes) - _MOST_COUNTRIES} more" if len(codes) > _MOST_COUNTRIES else ""
                yield Line(WIDENS, f"  {direction}, exposure tier {tier.value}, {_TIERS[tier]}: {named}{more}")
    yield Line(PLAIN, "")
