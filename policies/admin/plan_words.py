"""What an edit would change at UponAI, in words, for whoever is about to make it."""

from __future__ import annotations

import zlib
from typing import Any

from accounts.admin.display import country_facts, phone_facts
from accounts.countries import NO_TELEPHONES
from policies.admin.country_input import how_many
from policies.sync.preview import Group, Preview, Side

TITLES = {"inbound": "May be called from", "outbound": "May call"}


def fingerprint(plan: Preview) -> str:
    """Changes whenever the plan says something else."""
    said = [(group.numbers, [(side.before, side.after) for _, side in group.sides]) for group in plan.groups]
    return f"{zlib.crc32(repr(said).encode()):08x}"


def shown(plan: Preview) -> dict[str, Any]:
    """What policies/_plan.html takes."""
    return {
        "changed": plan.changed,
        "unchanged": plan.unchanged,
        "widens": plan.widens,
        "fingerprint": fingerprint(plan),
        "groups": [_group(group) for group in plan.groups],
    }


def _group(group: Group) -> dict[str, Any]:
    return {
        "numbers": group.numbers,
        "examples": [phone_facts(e164) for e164 in group.examples],
        "unnamed": group.numbers - len(group.examples),
        "widens": group.widens,
        "sides": [_side(TITLES[direction], side) for direction, side in group.sides if side.changes],
    }


def _side(title: str, side: Side) -> dict[str, Any]:
    return {
        "title": title,
        "lifted": side.before is not None and side.after is None,
        "restricted": side.before is None and side.after is not None,
        "after": how_many(_telephones(side.after)),
        "closed": side.after == (NO_TELEPHONES,),
        "added": country_facts(_telephones(side.added) or ()),
        "removed": country_facts(_telephones(side.removed) or ()),
        "widens": side.widens,
    }


def _telephones(codes: tuple[str, ...] | None) -> list[str] | None:
    """Without the country that stands for none."""
    return None if codes is None else [code for code in codes if code != NO_TELEPHONES]
