"""What a plan looked at, in short: should the world move before it is applied, it says so and names what moved."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Final

import orjson

from accounts import keys
from accounts.models import PublicKey
from policies.policy_file.now import Now
from policies.policy_file.problems import BadPolicyFile, FileProblem
from policies.policy_file.shape import Wanted

_SECTIONS: Final = {
    "file": "the file itself",
    "policies": "a country policy or who follows it",
    "phone_numbers": "which policy a phone number follows",
    "public_keys": "a public key",
}
_LENGTH: Final = 12
_MOST_NAMED: Final = 10


class Moved(BadPolicyFile):
    """What the plan was made of is no longer so; nothing was changed."""


def looked_at(content: Any, wanted: Wanted, current: Now) -> dict[str, Any]:
    """The version of everything that the file names or that its numbers leave; None for what is not there."""
    left = {current.phone_numbers[e164] for e164 in wanted.phone_numbers if e164 in current.phone_numbers}
    named = {*wanted.policies, *wanted.phone_numbers.values(), *left}
    return {
        "file": _digest(content),
        "policies": {name: _policy(current, name) for name in sorted(named)},
        "phone_numbers": {e164: current.phone_numbers.get(e164) for e164 in sorted(wanted.phone_numbers)},
        "public_keys": {name: _key(current.public_keys.get(name)) for name in sorted(wanted.public_keys)},
    }


def of(seen: Mapping[str, Any]) -> str:
    """Such as 1.9f86d081884c.….…: one part for each kind of thing, so that it can tell which kind moved."""
    return ".".join(["1", *(_digest(seen[section]) for section in _SECTIONS)])


def compare(given: Any, seen: Mapping[str, Any], *, done: bool) -> None:
    """Raises Moved unless `given`, a fingerprint or a whole plan, was made of what is seen now.

    `done`: there is nothing left to do. Then only another file is refused, so that asking again after a timeout is
    answered as the first time.
    """
    planned = _fingerprint_in(given).split(".")
    current = of(seen).split(".")
    if len(planned) != len(current) or planned[0] != current[0]:
        raise BadPolicyFile.one("plan", "invalid", "This is not a plan, nor the fingerprint of one.")
    sections = list(_SECTIONS)
    moved = [
        section for section, was, becomes in zip(sections, planned[1:], current[1:], strict=True) if was != becomes
    ]
    if "file" in moved:
        raise Moved.one("plan", "moved", "The plan was made of another file. Plan this one; nothing was changed.")
    if moved and not done:
        raise Moved(_problems(moved, given, seen))


def _problems(moved: list[str], given: Any, seen: Mapping[str, Any]) -> list[FileProblem]:
    before = given.get("looked_at") if isinstance(given, dict) else None
    found = []
    for section in moved:
        names = _names(before, seen, section)
        what = ", ".join(names) if names else _SECTIONS[section]
        detail = f"This has changed since the plan was made: {what}. Nothing was changed now; plan again."
        found.append(FileProblem(f"plan.{section}" if names else "plan", "moved", detail))
    return found


def _names(before: Any, seen: Mapping[str, Any], section: str) -> list[str]:
    """Which ones, where the whole plan was given and can say so."""
    old = before.get(section) if isinstance(before, dict) else None
    if not isinstance(old, dict):
        return []
    changed = [_sentence(name, old.get(name), value) for name, value in seen[section].items() if old.get(name) != value]
    more = [f"and {len(changed) - _MOST_NAMED} more"] if len(changed) > _MOST_NAMED else []
    return changed[:_MOST_NAMED] + more


def _sentence(name: str, before: Any, after: Any) -> str:
    if isinstance(before, dict) and isinstance(after, dict) and before.get("revision") != after.get("revision"):
        return f"{name} (revision {before.get('revision')} → {after.get('revision')})"
    if isinstance(before, str) and isinstance(after, str) and name.startswith("+"):
        return f"{name} ({before} → {after})"
    if before is None or after is None:
        return f"{name} ({'is there now' if before is None else 'is gone'})"
    return name


def _fingerprint_in(given: Any) -> str:
    text = given.get("fingerprint") if isinstance(given, dict) else given
    return text.strip() if isinstance(text, str) else ""


def _policy(current: Now, name: str) -> dict[str, Any] | None:
    policy = current.policies.get(name)
    if policy is None:
        return None
    return {
        "id": policy.id,
        "revision": policy.revision,
        "phone_numbers": len(policy.phone_numbers),
        "followers": _digest(policy.phone_numbers),
    }


def _key(row: PublicKey | None) -> str | None:
    if row is None:
        return None
    facts: Iterable[Any] = (row.pk, row.key, row.status, *(getattr(row, name) for name in keys.EDITABLE))
    return _digest(list(facts))


def _digest(value: Any) -> str:
    return hashlib.sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).hexdigest()[:_LENGTH]
