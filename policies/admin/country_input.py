"""What people type into a country picker, understood: names, codes, groups. Shared by both country pages."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from accounts.countries import GROUPS, NAMES, SANCTIONED, flag, in_words, is_sanctioned, name_of

_NAMED_WITH_CODE = re.compile(r".*\(([A-Za-z]{2})\)")
_GROUP_SIZE = re.compile(r"\s*\(\d+ countries\)$")

_CODE_OF = {name.casefold(): code for code, name in NAMES.items()}
_GROUP_OF = {group.name.casefold(): group for group in GROUPS.values()}


@dataclass(frozen=True, slots=True)
class Option:
    """One entry of the picker, as it is typed and as it is explained."""

    value: str
    label: str = ""


def options() -> list[Option]:
    """Groups first, then countries by name. The sanctioned seven are not offered."""
    groups = [Option(f"{group.name} ({len(group.countries)} countries)") for group in GROUPS.values()]
    codes = sorted((code for code in NAMES if not is_sanctioned(code)), key=name_of)
    return groups + [Option(f"{name_of(code)} ({code})", flag(code)) for code in codes]


def understood(text: str) -> list[str]:
    """The codes that were meant. What is not understood stays as typed, for the verb to refuse in its words."""
    text = " ".join(text.split())
    if not text:
        return []
    whole = _one(text)
    if whole:
        return whole
    parts = [part.strip() for part in text.replace(";", ",").split(",") if part.strip()]
    return [code for part in parts for code in (_one(part) or [part])]


def _one(text: str) -> list[str]:
    group = _GROUP_OF.get(_GROUP_SIZE.sub("", text).casefold())
    if group:
        return sorted(group.countries)
    code = _CODE_OF.get(text.casefold())
    if code:
        return [code]
    named = _NAMED_WITH_CODE.fullmatch(text)
    if named:
        return [named[1].upper()]
    return [text.upper()] if text.upper() in NAMES else []


def how_many(codes: Iterable[str] | None) -> str:
    if codes is None:
        return "every country"
    number = len(list(codes))
    return "1 country" if number == 1 else f"{number} countries"


@dataclass(frozen=True, slots=True)
class Family:
    """A country and what many people take for a part of it; its list entry does not include them."""

    main: str
    group: str
    others: tuple[str, ...]


def _family(main: str, group: str) -> Family:
    others = sorted(GROUPS[group].countries - {main}, key=_by_weight)
    return Family(main, GROUPS[group].name, tuple(others))


def _by_weight(code: str) -> tuple[bool, str]:
    """Puerto Rico and Guam are the ones that people ask about."""
    return code not in ("PR", "GU"), name_of(code) if code != "PR" else ""


FAMILIES = (
    _family("US", "us_territories"),
    _family("GB", "crown_dependencies"),
    _family("AU", "australia_and_islands"),
    _family("FI", "finland_and_aland"),
    _family("NO", "norway_and_svalbard"),
    _family("IT", "italy_and_vatican"),
    _family("GP", "guadeloupe_and_neighbours"),
    _family("RE", "reunion_and_mayotte"),
    _family("CW", "curacao_and_bonaire"),
    _family("MA", "morocco_and_western_sahara"),
)


def family_of(code: str) -> Family | None:
    return next((family for family in FAMILIES if family.main == code), None)


def left_out(codes: Iterable[str] | None) -> list[dict[str, str]]:
    """What a list with a country leaves out of its family, in words, and what to type to add it."""
    listed = set(codes or ())
    return [
        {
            "text": f"{name_of(family.main)} does not include {in_words(missing)}.",
            "label": f"Add {'it' if len(missing) == 1 else 'them'}",
            "add": ", ".join(missing),
        }
        for family in FAMILIES
        if family.main in listed and (missing := [code for code in family.others if code not in listed])
    ]


def families_shown(codes: Iterable[str]) -> list[dict[str, object]]:
    """Every family, for a list that is edited before it is saved; hidden where it is not left out now."""
    listed = set(codes)
    return [
        {
            "main": family.main,
            "codes": " ".join(family.others),
            "text": f"{name_of(family.main)} does not include {in_words(family.others)}.",
            "label": f"Add {'it' if len(family.others) == 1 else 'them'}",
            "hidden": family.main not in listed or set(family.others) <= listed,
        }
        for family in FAMILIES
    ]


def always_blocked() -> list[dict[str, str]]:
    """The sanctioned seven as chips."""
    return [
        {"code": code, "name": name_of(code), "flag": flag(code), "locked": "Always blocked, in both directions"}
        for code in SANCTIONED
    ]
