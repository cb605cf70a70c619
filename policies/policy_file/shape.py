"""What a policy file may say, field by field, before anything is looked up."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import phonenumbers
from django_countries import countries as country_codes

from accounts.countries import NAMES, normalise_country_list
from policies.actions import NAME_LENGTH
from policies.policy_file.problems import Path, Problems, shown
from policies.policy_file.reading import Source
from policies.rules_input import ALWAYS_KEPT, OPTIONAL_PARTS

VERSION: Final = 1
TOP: Final = ("version", "workspace", "policies", "phone_numbers", "public_keys")
DIRECTIONS: Final = ("inbound", "outbound")
_OFFERED: Final = ("countries", "unrestricted", "reason", *ALWAYS_KEPT[2:], *OPTIONAL_PARTS)
LONGEST_REASON: Final = 500
EMPTY_LIST: Final = (
    "The list is empty. UponAI reads an empty list as every country, so it is refused. Name at least one country; to "
    "allow every country write unrestricted: true with a reason; to close the direction, hold the number or unbind "
    "its agents at UponAI."
)
NORWAY: Final = 'is not a country. If Norway is meant, write "NO", in quotes: some programs read a bare NO as false.'


@dataclass(frozen=True, slots=True)
class WantedDirection:
    """`given` is what the rules of the direction are changed by; see rules_input.direction_rules."""

    given: dict[str, Any]
    unrestricted: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the file says. What it does not name is not in here, and is left alone."""

    workspace: str
    policies: dict[str, dict[str, WantedDirection]] = field(default_factory=dict)
    phone_numbers: dict[str, str] = field(default_factory=dict)
    public_keys: dict[str, dict[str, Any]] = field(default_factory=dict)


def wanted_of(source: Source, problems: Problems) -> Wanted:
    """Notes what is wrong in `problems`; what could be read is answered all the same."""
    value = source.value
    if not isinstance(value, dict):
        problems.add((), "invalid", "A policy file is a mapping that begins with version: 1 and workspace: SLUG.")
        return Wanted("")
    _refuse_unknown(problems, (), value, TOP)
    version = value.get("version")
    if version != VERSION or isinstance(version, bool):
        detail = (
            f"Write version: {VERSION}; this console knows no other." if "version" in value else "Write version: 1."
        )
        problems.add(("version",), "invalid" if "version" in value else "required", detail)
    workspace = value.get("workspace")
    if not isinstance(workspace, str) or not workspace:
        problems.add(("workspace",), "required", "Name the workspace that the file is for: its slug.")
        workspace = ""
    policies = {
        name: _policy(problems, ("policies", name), rules)
        for name, rules in _entries(problems, value, "policies")
        if _name_is_good(problems, ("policies", name), name)
    }
    numbers = _entries(problems, value, "phone_numbers")
    keys = _entries(problems, value, "public_keys")
    return Wanted(workspace, policies, _phone_numbers(problems, numbers), _public_keys(problems, keys))


def _entries(problems: Problems, value: Mapping[str, Any], section: str) -> list[tuple[str, Any]]:
    entries = value.get(section, {})
    if isinstance(entries, dict):
        return list(entries.items())
    problems.add((section,), "invalid", f"{section} must be a mapping; leave it out to leave all of them alone.")
    return []


def _name_is_good(problems: Problems, path: Path, name: str) -> bool:
    if name == name.strip() and 0 < len(name) <= NAME_LENGTH:
        return True
    detail = f"A policy's name has 1 to {NAME_LENGTH} characters and no blanks around it."
    problems.add(path, "invalid", detail)
    return False


def _policy(problems: Problems, path: Path, rules: Any) -> dict[str, WantedDirection]:
    if not isinstance(rules, dict) or not rules:
        problems.add(path, "invalid", "A policy is a mapping with inbound, outbound or both.")
        return {}
    _refuse_unknown(problems, path, rules, DIRECTIONS)
    return {
        direction: _direction(problems, (*path, direction), rules[direction])
        for direction in DIRECTIONS
        if direction in rules
    }


def _direction(problems: Problems, path: Path, rules: Any) -> WantedDirection:
    if not isinstance(rules, dict) or not rules:
        problems.add(path, "invalid", f"{path[-1]} is a mapping such as {{countries: [US, CA]}}.")
        return WantedDirection({}, False, "")
    _refuse_unknown(problems, path, rules, _OFFERED)
    given = {name: part for name, part in rules.items() if name in _OFFERED and name not in ("unrestricted", "reason")}
    if "countries" in given:
        given["countries"] = _countries(problems, (*path, "countries"), given["countries"])
        given["mode"] = "list"
    reason = _reason(problems, path, rules)
    unrestricted = _unrestricted(problems, path, rules, reason)
    if unrestricted:
        given |= {"mode": "unrestricted", "countries": []}
    elif rules.get("unrestricted") is False:
        given["mode"] = "list"
    return WantedDirection(given, unrestricted, reason)


def _reason(problems: Problems, path: Path, rules: Mapping[str, Any]) -> str:
    reason = rules.get("reason", "")
    if isinstance(reason, str) and len(reason) <= LONGEST_REASON:
        return reason.strip()
    problems.add((*path, "reason"), "invalid", f"reason is a text of at most {LONGEST_REASON} characters.")
    return ""


def _unrestricted(problems: Problems, path: Path, rules: Mapping[str, Any], reason: str) -> bool:
    switch = rules.get("unrestricted", False)
    if not isinstance(switch, bool):
        problems.add((*path, "unrestricted"), "invalid", "unrestricted is true or false.")
        return False
    if switch and "countries" in rules:
        detail = "Countries cannot be listed where unrestricted: true allows every country. Keep one of the two."
        problems.add((*path, "countries"), "conflict", detail)
    elif switch and not reason:
        detail = (
            "unrestricted: true allows every country except the seven sanctioned ones; say why in a reason beside it."
        )
        problems.add((*path, "unrestricted"), "unrestricted_unconfirmed", detail)
    return switch


def _countries(problems: Problems, path: Path, countries: Any) -> Any:
    if countries is None:
        detail = "There is no list. Name the countries, or write unrestricted: true with a reason."
        problems.add(path, "invalid_country", detail)
        return []
    if not isinstance(countries, list):
        problems.add(path, "invalid_country", "countries is a list of two-letter country codes, such as [US, CA].")
        return []
    if not countries:
        problems.add(path, "empty", EMPTY_LIST)
    for place, code in enumerate(countries):
        trouble = _country_problem(code)
        if trouble:
            problems.add((*path, str(place)), *trouble)
    return [code for code in countries if isinstance(code, str)]


def _country_problem(code: Any) -> tuple[str, str] | None:
    """A code and a sentence that says what to write instead; None for a code that is good."""
    if isinstance(code, bool):
        return "invalid_country", f"{str(code).lower()} {NORWAY}"
    if isinstance(code, str):
        if code.upper() in NAMES and code != code.upper():
            return "invalid_country", f"Country codes are in capitals: write {code.upper()} for {NAMES[code.upper()]}."
        meant = country_codes.alpha2(code.upper()) if len(code) == 3 and code.isascii() else ""
        if meant in NAMES:
            return "invalid_country", f"“{code}” has three letters: write {meant} for {NAMES[meant]}."
    _, found = normalise_country_list([code])
    return (found[0].code, found[0].detail) if found else None


def _phone_numbers(problems: Problems, entries: Iterable[tuple[str, Any]]) -> dict[str, str]:
    wanted = {}
    for number, policy in entries:
        path = ("phone_numbers", number)
        trouble = _number_problem(number)
        if trouble:
            problems.add(path, "invalid_number", trouble)
        elif not isinstance(policy, str) or not policy:
            detail = "Name the policy that the number follows; write a name of digits or true and false in quotes."
            problems.add(path, "invalid", detail)
        else:
            wanted[number] = policy
    return wanted


def _number_problem(text: str) -> str:
    """Empty for a number in E.164."""
    try:
        parsed = phonenumbers.parse(text if text.startswith("+") else f"+{text}")
        written = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    except phonenumbers.NumberParseException:
        return f'“{shown(text)}” is not a telephone number. Write it with its country: "+14155550100".'
    return "" if written == text else f'Write it as "{written}", in quotes, with its plus sign and nothing between.'


def _public_keys(problems: Problems, entries: Iterable[tuple[str, Any]]) -> dict[str, dict[str, Any]]:
    wanted = {}
    for name, facts in entries:
        path = ("public_keys", name)
        if not isinstance(facts, dict) or not facts:
            problems.add(path, "invalid", "A public key is a mapping such as {domains: [example.com]}.")
        elif "captcha_secret" in facts:
            detail = "A secret does not belong into a file. Enter it on the key's page; the file leaves it alone."
            problems.add((*path, "captcha_secret"), "secret", detail)
        else:
            wanted[name] = facts
    return wanted


def _refuse_unknown(problems: Problems, path: Path, value: Mapping[str, Any], known: Iterable[str]) -> None:
    offered = tuple(known)
    for name in value:
        if name not in offered:
            near = difflib.get_close_matches(name[:40], offered, 1)
            hint = f" Is {near[0]} meant?" if near else f" There are: {', '.join(offered)}."
            problems.add((*path, name), "unknown_field", f"There is no field {shown(name)!r} here.{hint}")
