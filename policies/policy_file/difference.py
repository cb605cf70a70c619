"""The difference between a policy file and what a workspace has. Reads rows, changes none."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.utils import timezone

from accounts import key_input, keys
from accounts.api.problems import Unprocessable
from accounts.api.public_keys import EditPublicKey
from accounts.models import PublicKey, Workspace
from accounts.scoping import scoped
from policies.policy_file import fingerprint, now
from policies.policy_file.loosening import DirectionChange, PartChange, between, country, of_key
from policies.policy_file.now import Now
from policies.policy_file.problems import Path, Problems, dotted, shown
from policies.policy_file.reading import Source
from policies.policy_file.shape import DIRECTIONS, Wanted, WantedDirection, wanted_of
from policies.rules_input import Refused, direction_rules

NOTHING: dict[str, Any] = {"mode": "list", "countries": [], "class_rules": {}, "prefix_rules": []}


@dataclass(frozen=True, slots=True)
class PolicyChange:
    """A policy to be made (`revision` None) or edited. `phone_numbers`: those that follow it before and after.

    `wanted` is what its verb is given, by direction.
    """

    name: str
    revision: int | None
    wanted: dict[str, WantedDirection]
    after: dict[str, dict[str, Any]]
    directions: dict[str, DirectionChange]
    phone_numbers: tuple[str, ...] = ()

    @property
    def reason(self) -> str:
        return " ".join(dict.fromkeys(direction.reason for direction in self.wanted.values() if direction.reason))

    def as_json(self, home_country: str) -> dict[str, Any]:
        return {
            "name": self.name,
            "change": "create" if self.revision is None else "edit",
            "revision": self.revision,
            "phone_numbers": list(self.phone_numbers),
            **{name: change.as_json(home_country) for name, change in self.directions.items()},
        }


@dataclass(frozen=True, slots=True)
class Assignment:
    """Numbers that are to follow another policy, and what that changes for them: whole rules, and their difference."""

    before: str
    after: str
    phone_numbers: tuple[str, ...]
    rules_before: dict[str, dict[str, Any]]
    rules_after: dict[str, dict[str, Any]]
    directions: dict[str, DirectionChange]

    def as_json(self, home_country: str) -> dict[str, Any]:
        return {
            "phone_numbers": list(self.phone_numbers),
            "before": self.before,
            "after": self.after,
            **{name: change.as_json(home_country) for name, change in self.directions.items()},
        }


@dataclass(frozen=True, slots=True)
class KeyChange:
    """A public key to be minted or edited; `facts` is what its verb is given."""

    name: str
    is_new: bool
    facts: dict[str, Any]
    fields: tuple[PartChange, ...]
    notice: str = ""

    @property
    def widens(self) -> bool:
        """A new key is a new way in."""
        return self.is_new or any(field.widens for field in self.fields)

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "change": "mint" if self.is_new else "edit",
            "fields": [field.as_json() for field in self.fields],
            "widens": self.widens,
            "notice": self.notice,
        }


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that applying the file would change. `looked_at`: what it was compared with; see `fingerprint`."""

    workspace: str
    home_country: str
    policies: tuple[PolicyChange, ...]
    assignments: tuple[Assignment, ...]
    public_keys: tuple[KeyChange, ...]
    looked_at: dict[str, Any]

    def __bool__(self) -> bool:
        return bool(self.policies or self.assignments or self.public_keys)

    @property
    def fingerprint(self) -> str:
        return fingerprint.of(self.looked_at)

    @property
    def widens(self) -> bool:
        """Whether anything gets through that does not now. A policy that is new does not by itself."""
        keys_widen = any(key.widens for key in self.public_keys)
        return keys_widen or any(change.widens for change in self._direction_changes())

    def opened(self, direction: str) -> tuple[str, ...]:
        """The countries that some number or policy gets."""
        changes = (change.directions[direction] for change in self._changes())
        return tuple(sorted({code for change in changes for code in change.opens}))

    def as_json(self) -> dict[str, Any]:
        return {
            "workspace": self.workspace,
            "state": "changes" if self else "nothing_to_do",
            "fingerprint": self.fingerprint,
            "widens": self.widens,
            "opens": {
                direction: [country(code, self.home_country) for code in self.opened(direction)]
                for direction in DIRECTIONS
            },
            "policies": [change.as_json(self.home_country) for change in self.policies],
            "assignments": [change.as_json(self.home_country) for change in self.assignments],
            "public_keys": [change.as_json() for change in self.public_keys],
            "looked_at": self.looked_at,
        }

    def _changes(self) -> Iterator[PolicyChange | Assignment]:
        yield from (change for change in self.policies if change.revision is not None)
        yield from self.assignments

    def _direction_changes(self) -> Iterator[DirectionChange]:
        for change in self._changes():
            yield from change.directions.values()


def plan(*, workspace: Workspace, source: Source) -> Plan:
    """Compares the file with the workspace. Raises BadPolicyFile naming every field that cannot be."""
    problems = Problems(source.lines)
    wanted = wanted_of(source, problems)
    if wanted.workspace and wanted.workspace != workspace.slug:
        detail = f"The file is for the workspace {shown(wanted.workspace)!r}; this is {workspace.slug!r}."
        problems.add(("workspace",), "other_workspace", detail)
        problems.raise_if_any()
    with scoped(workspace.pk):
        current = now.load()
        rules = _rules_after(wanted, current, problems)
        _check_assignments(wanted, current, problems)
        key_changes = _key_changes(workspace, wanted, current, problems)
    problems.raise_if_any()
    return Plan(
        workspace=workspace.slug,
        home_country=str(workspace.home_country),
        policies=tuple(_policy_changes(wanted, current, rules)),
        assignments=tuple(_assignments(wanted, current, rules)),
        public_keys=tuple(change for change in key_changes if change.is_new or change.fields),
        looked_at=fingerprint.looked_at(source.value, wanted, current),
    )


def _rules_after(wanted: Wanted, current: Now, problems: Problems) -> dict[str, dict[str, dict[str, Any]]]:
    """What each policy will say, those that the file does not name included."""
    after = {name: policy.rules for name, policy in current.policies.items()}
    for name, directions in wanted.policies.items():
        is_new = name not in current.policies
        before = dict.fromkeys(DIRECTIONS, NOTHING) if is_new else current.policies[name].rules
        after[name] = dict(before)
        path = ("policies", name)
        for direction, given in directions.items():
            after[name][direction] = _merged(problems, path, direction, before[direction], given)
        for missing in set(DIRECTIONS) - directions.keys() if is_new else ():
            detail = f"This policy is new: say what it allows {missing} too."
            problems.add((*path, missing), "required", detail)
    return after


def _merged(
    problems: Problems, path: Path, direction: str, before: dict[str, Any], wanted: WantedDirection
) -> dict[str, Any]:
    try:
        return direction_rules(
            before, wanted.given, field=direction, confirmed=wanted.unrestricted, reason=wanted.reason
        )
    except Refused as refused:
        for problem in refused.problems:
            place = (*path, *_place(problem.field, problem.detail))
            # Without a readable switch nobody knows whether a list is missing.
            unclear = problem.code == "empty" and _named_already(problems, (*path, direction, "unrestricted"))
            if not unclear and not _named_already(problems, place):
                problems.add(place, problem.code, problem.detail)
        return before


def _named_already(problems: Problems, path: Path) -> bool:
    """Whether something in there was refused by itself, so that the whole of it need not be refused once more."""
    return any(problem.field.startswith(dotted(path)) for problem in problems.found)


def _place(field: str, detail: str) -> Path:
    """The field that a verb named; class and prefix rules are named by the sentence alone."""
    part = detail.split(" ", 1)[0].rstrip(":").split(".")[0]
    path = tuple(field.split("."))
    return (*path, part) if part in ("class_rules", "prefix_rules") and path[-1] != part else path


def _check_assignments(wanted: Wanted, current: Now, problems: Problems) -> None:
    known = current.policies.keys() | wanted.policies.keys()
    for number, policy in wanted.phone_numbers.items():
        path = ("phone_numbers", number)
        if number not in current.phone_numbers:
            detail = f"{number} is not among this workspace's phone numbers. Import it first, or take it out."
            problems.add(path, "unknown_number", detail)
        if policy not in known:
            detail = f"There is no policy “{shown(policy)}”, neither here nor in the file."
            problems.add(path, "unknown_policy", detail)


def _policy_changes(
    wanted: Wanted, current: Now, rules: dict[str, dict[str, dict[str, Any]]]
) -> Iterator[PolicyChange]:
    for name, directions in wanted.policies.items():
        existing = current.policies.get(name)
        before = existing.rules if existing else dict.fromkeys(DIRECTIONS, NOTHING)
        changes = {direction: between(direction, before[direction], rules[name][direction]) for direction in DIRECTIONS}
        if existing is None:
            yield PolicyChange(name, None, directions, rules[name], changes)
        elif any(changes.values()):
            staying = [e164 for e164 in existing.phone_numbers if wanted.phone_numbers.get(e164, name) == name]
            yield PolicyChange(name, existing.revision, directions, rules[name], changes, tuple(staying))


def _assignments(wanted: Wanted, current: Now, rules: dict[str, dict[str, dict[str, Any]]]) -> Iterator[Assignment]:
    moves: dict[tuple[str, str], list[str]] = defaultdict(list)
    for e164, after in wanted.phone_numbers.items():
        if current.phone_numbers[e164] != after:
            moves[current.phone_numbers[e164], after].append(e164)
    for (before, after), numbers in sorted(moves.items()):
        has, gets = current.policies[before].rules, rules[after]
        changes = {direction: between(direction, has[direction], gets[direction]) for direction in DIRECTIONS}
        yield Assignment(before, after, tuple(sorted(numbers)), has, gets, changes)


def _key_changes(workspace: Workspace, wanted: Wanted, current: Now, problems: Problems) -> list[KeyChange]:
    return [
        change
        for name, facts in wanted.public_keys.items()
        if (change := _key_change(workspace, name, facts, current.public_keys.get(name), problems)) is not None
    ]


def _key_change(
    workspace: Workspace, name: str, facts: dict[str, Any], existing: PublicKey | None, problems: Problems
) -> KeyChange | None:
    path = ("public_keys", name)
    if existing is not None and existing.status == PublicKey.Status.REVOKED:
        problems.add(
            path, "revoked", "This key is revoked, and stays so. Take it out, or give the new one another name."
        )
        return None
    if "name" in facts:
        problems.add((*path, "name"), "unknown_field", "A key is known by its name; rename it on its page.")
        return None
    row = copy.copy(existing) or PublicKey(
        workspace=workspace, kind=PublicKey.Kind.GATE_KEY, key="-", created_at=timezone.now()
    )
    before, errors_before = _facts(row), len(problems.found)
    given = _readable({"name": name, **facts} if existing is None else facts, path, problems)
    try:
        key_input.fill(row, given, captcha_follows=True)
    except ValidationError as refused:
        for field, sentences in refused.message_dict.items():
            place = (*path, *_key_place(field))
            if dotted(place) not in {problem.field for problem in problems.found}:
                problems.add(place, "invalid", " ".join(sentences))
    if len(problems.found) > errors_before:
        return None
    return KeyChange(name, existing is None, given, of_key(before, _facts(row)), _notice(row))


def _readable(facts: dict[str, Any], path: Path, problems: Problems) -> dict[str, Any]:
    """The facts whose form is right: one that is not is named, and hides nothing that is wrong with the others."""
    try:
        return EditPublicKey.checked(facts)
    except Unprocessable as refused:
        for error in refused.errors:
            problems.add((*path, *error.field.split(".")), error.code, error.detail)
        bad = {error.field.split(".")[0] for error in refused.errors}
    left = facts.keys() & EditPublicKey().fields.keys() - bad
    return EditPublicKey.checked(
        {name: facts[name] for name in left if "captcha" not in bad or not name.startswith("captcha")}
    )


def _notice(row: PublicKey) -> str:
    """A secret does not belong into a file, so a captcha may be asked for before it is there."""
    has_all = row.captcha_site_key and row.captcha_secret
    if row.kind != PublicKey.Kind.GATE_KEY or row.captcha == PublicKey.Captcha.NONE or has_all:
        return ""
    captcha = row.get_captcha_display()
    return f"Enter {captcha}'s site key and secret on the key's page: until then nobody passes."


def _key_place(field: str) -> Path:
    return () if field == "__all__" else (field,)


def _facts(row: PublicKey) -> dict[str, Any]:
    return {name: getattr(row, name) for name in keys.EDITABLE if name != "name"}
