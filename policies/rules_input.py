"""What people and REST clients say about rules, put right or refused in words that name the field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from accounts.countries import CountryProblem, normalise_country_list
from policies.engine.rules import DirectionRules, MalformedRules
from policies.limit_input import BadLimits, stored_limits


class _Keep:
    def __repr__(self) -> str:
        return "KEEP"


KEEP: Final = _Keep()
"""Given for what an edit leaves as it is; None means something else: no restriction."""


@dataclass(frozen=True, slots=True)
class FieldProblem:
    field: str
    code: str
    detail: str


class Refused(Exception):
    """An edit that cannot be made; nothing was changed. `problems` name each field."""

    def __init__(self, problems: list[FieldProblem]) -> None:
        super().__init__(" ".join(problem.detail for problem in problems))
        self.problems = problems

    @classmethod
    def one(cls, field: str, code: str, detail: str) -> Refused:
        return cls([FieldProblem(field, code, detail)])


ALWAYS_KEPT: Final = ("mode", "countries", "class_rules", "prefix_rules")
OPTIONAL_PARTS: Final = ("observing", "observed_classes", "captcha", "kyc_rules", "limits", "withheld")
ONE_SIDED: Final = {
    "captcha": ("outbound", "Nobody who calls in can be shown a captcha; it exists for outbound attempts only."),
    "kyc_rules": ("outbound", "Nobody who calls in can be asked for KYC; it exists for outbound attempts only."),
    "withheld": ("inbound", "Only callers can withhold their number; this is said of inbound attempts only."),
}
"""Parts that mean something in one direction only."""
SHAPES: Final = {
    "countries": (list | tuple | set | frozenset, "a list of country codes"),
    "class_rules": (Mapping, 'an object such as {"premium_rate": "block"}'),
    "prefix_rules": (list | tuple, 'a list of objects such as {"prefix": "+4470", "action": "block"}'),
}
CLOSING: Final = "Closing a direction fully is done by a hold on the number, or by unbinding its agents."
UNRESTRICTED_UNCONFIRMED: Final = (
    "No restriction means that every country is allowed except the seven sanctioned ones. "
    "To want that, send confirm_unrestricted: true and a reason."
)


def country_list_rules(
    current: Mapping[str, Any], countries: Any, *, field: str, confirmed: bool, reason: str
) -> dict[str, Any]:
    """`current` with another country list; None lifts the restriction. Raises Refused naming `field`."""
    if countries is None:
        return direction_rules(
            current,
            {"mode": "unrestricted", "countries": []},
            field=field,
            confirmed=confirmed,
            reason=reason,
        )
    accepted = _accepted(countries, field=field)
    return {**current, "mode": "list", "countries": accepted}


def direction_rules(
    current: Mapping[str, Any], given: Any, *, field: str, confirmed: bool, reason: str
) -> dict[str, Any]:
    """`current` with what `given` names, in the shape of a revision. Raises Refused naming the part of `field`.

    A part that says nothing (false, null, {} or []) is not kept: it is as if it were not there.
    """
    if not isinstance(given, Mapping):
        raise Refused.one(field, "invalid", f"{field} must be an object with mode and countries.")
    _refuse_parts(given, field)
    merged = {**current, **given}
    if given.get("countries") and "mode" not in given:
        merged["mode"] = "list"
    if merged.get("mode") == "unrestricted":
        if merged.get("countries") and given.get("countries"):
            raise Refused.one(
                f"{field}.countries", "conflict", "Countries cannot be listed where every country is allowed."
            )
        merged["countries"] = []
        if current.get("mode") != "unrestricted" and not (confirmed and reason.strip()):
            raise Refused.one(field, "unrestricted_unconfirmed", UNRESTRICTED_UNCONFIRMED)
    elif merged.get("mode") == "list":
        merged["countries"] = _accepted(merged.get("countries"), field=f"{field}.countries")
    merged["limits"] = _limits(merged.get("limits"), field=field)
    return _kept({name: part for name, part in merged.items() if name in ALWAYS_KEPT or part is not None}, field)


def _refuse_parts(given: Mapping[str, Any], field: str) -> None:
    """Names that do not exist, and parts that say something where nobody could act on it."""
    unknown = sorted(str(name) for name in given.keys() - {*ALWAYS_KEPT, *OPTIONAL_PARTS})
    if unknown:
        raise Refused.one(
            f"{field}.{unknown[0][:60]}", "unknown_field", f"{field} has no part named {unknown[0][:60]!r}."
        )
    for name, (shape, sentence) in SHAPES.items():
        if given.get(name) is not None and not isinstance(given[name], shape):
            raise Refused.one(f"{field}.{name}", "invalid", f"{name} must be {sentence}.")
    for name, (direction, sentence) in ONE_SIDED.items():
        if given.get(name) and field in ("inbound", "outbound") and field != direction:
            raise Refused.one(f"{field}.{name}", "conflict", sentence)


def _limits(value: Any, *, field: str) -> dict[str, Any]:
    if value is None:
        return {}
    try:
        return stored_limits(value, place=field if field in ("inbound", "outbound") else "workspace")
    except BadLimits as problem:
        where = f"{field}.limits.{problem.name}" if problem.name else f"{field}.limits"
        raise Refused.one(where, "invalid", str(problem)) from None


def _kept(merged: Mapping[str, Any], field: str) -> dict[str, Any]:
    try:
        return DirectionRules.from_dict(merged).as_dict()
    except MalformedRules as problem:
        raise Refused.one(_part_named(str(problem), field), "invalid", str(problem)) from None


def _part_named(sentence: str, field: str) -> str:
    """The optional part that a sentence of the engine's begins with."""
    first = sentence.split(" ", 1)[0].rstrip(":.,").split(".")[0]
    return f"{field}.{first}" if first in OPTIONAL_PARTS else field


def _with_way_out(problem: CountryProblem) -> str:
    return f"{problem.detail} {CLOSING}" if problem.code == "empty" else problem.detail


def _accepted(countries: Any, *, field: str) -> list[str]:
    accepted, problems = normalise_country_list(countries)
    if problems:
        raise Refused([FieldProblem(field, one.code, _with_way_out(one)) for one in problems])
    return accepted
