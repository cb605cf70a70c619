"""How charges are written down for the scripts: whose counter as a key, and what is to be counted as JSON."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import orjson

from policies.engine.limits import (
    INBOUND_DEFAULTS,
    MICRO,
    REFILLED_FULL_SECONDS,
    Charge,
    Limit,
    LimitName,
    Measure,
    Usage,
)
from policies.engine.windows import is_logged

LONGEST_NAME: Final = 200
MOST_WRITTEN: Final = 5_000
_LOG, _GCRA = 1, 2
_KINDS: Final = {Measure.DISTINCT: 3, Measure.RUNNING: 4, Measure.MONEY: 5}


@dataclass(frozen=True, slots=True)
class _Written:
    """What is the same for all charges of one limit. Holds the limit, so that its id stays its own."""

    limit: Limit
    place: bytes
    head: bytes
    tail: bytes
    has_member: bool
    must_be_counted: bool


_written: dict[tuple[int, int, bool, bool, bool], _Written] = {}
"""By what tells limits apart, as fast as that can be looked up: hashing them takes longer than all the rest."""


def write(base: str, charges: Sequence[Charge]) -> tuple[list[bytes], bytes, bool]:
    """Their counters' keys, the charges as JSON, and whether one of them must not go by counters that were lost.

    Who calls us is only suspected, and let through meanwhile.
    """
    start, keys, lines, must_be_counted = base.encode(), [], [], False
    for charge in charges:
        limit = charge.limit
        place = (id(limit), id(charge.name), charge.only_new, charge.enforced, charge.guards)
        written = _written.get(place)
        if written is None:
            written = _write(charge)
            if len(_written) >= MOST_WRITTEN:
                _written.clear()
            _written[place] = written
        keys.append(start + written.place + short(charge.key))
        member = orjson.dumps(short(charge.member).decode("utf-8", "replace")) if written.has_member else b'""'
        lines.append(b"%s%d%s%s]" % (written.head, charge.amount, written.tail, member))
        must_be_counted = must_be_counted or written.must_be_counted
    return keys, b"[%s]" % b",".join(lines), must_be_counted


def _write(charge: Charge) -> _Written:
    limit, window = charge.limit.limit, charge.limit.window_seconds
    kind = _KINDS.get(charge.measure) or (_LOG if is_logged(charge.limit) else _GCRA)
    is_inbound = charge.name in INBOUND_DEFAULTS
    flags = (
        ("n" if charge.only_new else "")
        + ("" if charge.enforced else "o")
        + ("g" if charge.guards else "")
        + ("i" if is_inbound else "")
        + ("s" if 0 < window <= REFILLED_FULL_SECONDS else "")
    )
    # What is counted otherwise, or in another window, is another counter. Short calls are noted without asking what
    # their limit is.
    apart = "" if charge.name is LimitName.SHORT_CALLS else f"{kind}{'n' if charge.only_new else ''}:{window:g}:"
    size = round(limit * MICRO) if charge.measure is Measure.MONEY else int(limit)
    return _Written(
        charge.limit,
        f"count:{charge.name}:{apart}".encode(),
        f"[{kind},{size},{round(window * 1000)},".encode(),
        f',"{flags}",'.encode(),
        charge.measure is Measure.DISTINCT,
        not is_inbound,
    )


def short(text: str) -> bytes:
    """What strangers sent is kept short, whatever it is."""
    raw = text.encode("utf-8", "surrogatepass")
    return raw if len(raw) <= LONGEST_NAME else hashlib.sha256(raw).hexdigest().encode()


def usages_of(charges: Sequence[Charge], told: bytes) -> tuple[Usage, ...]:
    """What the scripts said of each charge. Money in micro-dollars."""
    if not charges:
        return ()
    words = told.split(b",")
    return tuple(
        Usage(int(words[at]), int(words[at + 1]), words[at + 2] == b"1") for at in range(0, 3 * len(charges), 3)
    )
