"""A workspace's policies, numbers and keys as a policy file: what says nothing is not written, secrets never."""

from __future__ import annotations

from typing import Any, Final

import yaml
from django.db.models import Model

from accounts import keys
from accounts.models import PublicKey, Workspace
from accounts.scoping import scoped
from policies.policy_file import now
from policies.policy_file.now import PolicyNow
from policies.policy_file.shape import DIRECTIONS, LONGEST_REASON, VERSION

_DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_ALWAYS: Final = ("domains", "channels", "fraud_protection", "captcha")
_NO_REASON: Final = "No reason was noted."
_WIDTH: Final = 110


def export(workspace: Workspace) -> str:
    """YAML in one order, so that two exports differ only where the workspace does, and a number a line."""
    return "".join(_section(name, part) for name, part in content_of(workspace).items())


def _section(name: str, part: Any) -> str:
    flow = None if name in ("policies", "public_keys") else False
    text: str = yaml.dump(
        {name: part}, Dumper=_DUMPER, default_flow_style=flow, sort_keys=False, allow_unicode=True, width=_WIDTH
    )
    return text


def content_of(workspace: Workspace) -> dict[str, Any]:
    with scoped(workspace.pk):
        current = now.load()
    exported = [key for key in current.public_keys.values() if _is_in_use(key)]
    return {
        "version": VERSION,
        "workspace": workspace.slug,
        "policies": {name: _policy(policy) for name, policy in current.policies.items()},
        "phone_numbers": current.phone_numbers,
        "public_keys": {key.name: _key(key) for key in exported},
    }


def _policy(policy: PolicyNow) -> dict[str, Any]:
    return {direction: _direction(policy.rules[direction], policy.reason) for direction in DIRECTIONS}


def _direction(rules: dict[str, Any], reason: str) -> dict[str, Any]:
    """The country list first, then only what says something."""
    if rules["mode"] == "unrestricted":
        first = {"unrestricted": True, "reason": reason.strip()[:LONGEST_REASON] or _NO_REASON}
    else:
        first = {"countries": rules["countries"]}
    return first | {name: part for name, part in rules.items() if name not in ("mode", "countries") and part}


def _is_in_use(key: PublicKey) -> bool:
    """A key that was rotated or revoked is history; whoever wrote it into a file could change nothing with it."""
    return key.status == PublicKey.Status.ACTIVE and key.successor_id is None


def _key(key: PublicKey) -> dict[str, Any]:
    fields = [*_ALWAYS, *(name for name in keys.EDITABLE if name not in (*_ALWAYS, "name"))]
    return {name: getattr(key, name) for name in fields if name in _ALWAYS or getattr(key, name) != _usual(key, name)}


def _usual(key: Model, name: str) -> Any:
    return key._meta.get_field(name).get_default()
