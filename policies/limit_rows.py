"""Limits as forms and answers show them: what holds for a key, a policy's direction or a workspace, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from accounts.gate_rules import LimitRow
from accounts.models import PublicKey, Workspace
from policies.engine.limits import (
    INBOUND_DEFAULTS,
    KEY_DEFAULTS,
    LARGEST_LOGGED,
    MEASURES,
    TOKEN_DEFAULTS,
    Limit,
    LimitName,
    Measure,
)
from policies.limit_input import INBOUND, MADE_FOR, limits_of
from policies.limit_words import TITLES, hint, in_words, key_hint
from policies.models import PhoneNumber

FRAUD_PROTECTION: Final = frozenset({LimitName.IP_DESTINATION, LimitName.IP_DESTINATION_DAY})

InForce = tuple[Limit | None, str]
"""A limit, and where it is set: key, policy, workspace, factory."""


@dataclass(frozen=True, slots=True)
class Wider:
    """What is set around a key: by its number's policy, and by the workspace."""

    workspace: Mapping[LimitName, Limit | None] = field(default_factory=dict)
    by_number: Mapping[str, Mapping[LimitName, Limit | None]] = field(default_factory=dict)

    @classmethod
    def around(cls, workspace_id: int, keys: Sequence[PublicKey] = ()) -> Wider:
        stored = Workspace.objects.values_list("limits", flat=True).get(pk=workspace_id)
        numbers = {key.phone_number for key in keys if key.phone_number}
        rows = PhoneNumber.objects.filter(e164__in=numbers).select_related("policy__current_revision")
        outbound = {row.e164: row.policy.current_revision.outbound for row in rows} if numbers else {}
        return cls(limits_of(stored), {e164: limits_of(rules.get("limits") or {}) for e164, rules in outbound.items()})

    def of_key(self, key: PublicKey | None, name: LimitName) -> InForce:
        """What would hold for the key if it said nothing itself."""
        policy = self.by_number.get(key.phone_number, {}) if key else {}
        for limits, source in ((policy, "policy"), (self.workspace, "workspace")):
            if name in limits:
                return limits[name], source
        return KEY_DEFAULTS.get(name), "factory"

    def in_force(self, key: PublicKey, name: LimitName) -> InForce:
        own = limits_of(key.limits)
        return (own[name], "key") if name in own else self.of_key(key, name)


def effective_limits(keys: Sequence[PublicKey]) -> dict[int, dict[str, dict[str, Any]]]:
    """By the key's row. A limit that is set nowhere is not named; one that is switched off is null."""
    shown: dict[int, dict[str, dict[str, Any]]] = {key.pk: {} for key in keys}
    gate_keys = [key for key in keys if key.kind == PublicKey.Kind.GATE_KEY]
    if not gate_keys:
        return shown
    wider = Wider.around(gate_keys[0].workspace_id, gate_keys)
    for key in gate_keys:
        for name in TITLES:
            limit, source = wider.in_force(key, name)
            if name in FRAUD_PROTECTION and not key.fraud_protection:
                limit, source = None, "key"
            if name in MADE_FOR["outbound"] and (limit is not None or source != "factory"):
                shown[key.pk][name.value] = _as_json(limit) | {"source": source}
    return shown


def _as_json(limit: Limit | None) -> dict[str, Any]:
    if limit is None:
        return {"limit": None, "window": None}
    return {"limit": limit.limit, "window": limit.window_seconds or None}


def of_workspace() -> list[LimitRow]:
    return [_row(name, *_factory(name)) for name in TITLES]


def of_key(workspace_id: int, key: PublicKey | None) -> list[LimitRow]:
    wider = Wider.around(workspace_id, [key] if key else [])
    rows = []
    for name in TITLES:
        if name in MADE_FOR["outbound"]:
            limit, source = wider.of_key(key, name)
            rows.append(_row(name, limit, _said(name, limit, source), key_hint(name)))
    return rows


def of_direction(workspace_id: int, direction: str) -> list[LimitRow]:
    wider = Wider.around(workspace_id).workspace
    rows = []
    for name in TITLES:
        if name in MADE_FOR[direction]:
            usual, said = _factory(name)
            if name in wider:
                usual, said = wider[name], _said(name, wider[name], "workspace")
            rows.append(_row(name, usual, said))
    return rows


def _factory(name: LimitName) -> tuple[Limit | None, str]:
    if name in INBOUND:
        usual = INBOUND_DEFAULTS.get(name)
        return usual, _said(name, usual, "factory")
    with_key, by_token = KEY_DEFAULTS.get(name), TOKEN_DEFAULTS.get(name)
    if with_key == by_token:
        return with_key, _said(name, with_key, "factory")
    return with_key, f"{_said(name, with_key, 'factory')} with a key, {_said(name, by_token, 'factory')} by a backend"


def _said(name: LimitName, limit: Limit | None, source: str) -> str:
    if limit is None and source == "factory":
        return "none"
    return in_words(name, limit) if source == "factory" else f"{in_words(name, limit)} (set in the {source})"


def _row(name: LimitName, usual: Limit | None, said: str, also: str = "") -> LimitRow:
    measure = MEASURES[name]
    return LimitRow(
        name=name.value,
        title=TITLES[name],
        measure=measure.value,
        usual=(usual.limit, usual.window_seconds) if usual else None,
        usual_words=said,
        hint=also or hint(name),
        exact_up_to=LARGEST_LOGGED if measure is Measure.ATTEMPTS else None,
    )
