"""The live store: counters, earlier answers, decisions not yet in SQL, the newest snapshot's version."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any, Final

from policies.engine.charging import LONGEST_CALL_SECONDS
from policies.engine.limits import DAY, KNOWN_AFTER_SECONDS, LARGEST_LOGGED, Charge, Limit, LimitName, Measure, Usage
from policies.gate import counters, line
from policies.gate.line import Script, Silent, asking, connection

__all__ = ["Silent", "connection"]

# UponAI retries an unanswered webhook up to three times. One that names its call may come back later still.
ANSWER_BY_ID_SECONDS = 3600
ANSWER_BY_PAIR_SECONDS = 60
MOST_RETRIES = 3
LEAST_WAIT_MS = 5000

DRAIN_AT_ONCE = 500
MOST_UNDRAINED = 200_000
"""Beyond it the gate writes decisions to SQL itself: no worker does, and the store's memory has an end."""
MOST_SET_ASIDE = 10_000
REFUSED_SECONDS = 3 * 3600
"""Longer than the drain can be late; the rows keep the counts."""
CAPTCHA_SECONDS = 24 * 3600
"""A captcha's token is refused a second time for so long; its verifier forgets it after minutes."""
REBUILDING_SECONDS = 60
LONGEST_LEASE_SECONDS = LONGEST_CALL_SECONDS
"""A call whose length nobody capped counts as running for so long, unless its end is told."""


class Outcome(StrEnum):
    RECORDED = "recorded"
    LIMITED = "limited"  # at least one counter has no room: nothing was spent
    REPEATED = "repeated"
    STALE = "stale"
    UNKNOWN = "unknown"  # the store was emptied or replaced, or did things without us: `rebuild` first


_OUTCOMES: Final = {outcome.value.encode(): outcome for outcome in Outcome}


@dataclass(frozen=True, slots=True)
class AttemptKey:
    """What tells one attempt from another: UponAI's id of it, or only the pair of numbers."""

    text: str
    is_id: bool


@dataclass(frozen=True, slots=True)
class Spent:
    """What became of an attempt. `answer`: the one that is kept for it, the earlier one when it was repeated.

    `has_room`: no charge was at its limit. `is_backlogged`: too many decisions wait for a worker; `recorder.relieve`
    writes some. `at_ms`: the store's clock.
    """

    outcome: Outcome
    answer: bytes = b""
    is_known: bool = False
    has_room: bool = True
    is_backlogged: bool = False
    at_ms: int = 0
    charges: Sequence[Charge] = ()
    told: bytes = b""

    @property
    def usages(self) -> tuple[Usage, ...]:
        """One for each charge; most of the time nobody asks."""
        return counters.usages_of(self.charges, self.told)


@cache
def _scripts() -> dict[str, Script]:
    return {name: Script("counters.lua", f"{name}.lua") for name in ("spend", "load", "give_back", "short_call")}


def ask_again() -> None:
    """Forgets what this process remembers of the store: that it did not answer, and that it was caught up with."""
    line.ask_again()
    line.note_trouble()


def _key(workspace_id: int, name: str) -> str:
    return f"fraudconsole:{{{workspace_id}}}:{name}"


# --- Spending ---------------------------------------------------------------------------------------


def spend(
    workspace_id: int,
    *,
    version: int | None,
    key: AttemptKey | None,
    decision_id: str,
    decision: bytes,
    answer: bytes,
    limited_answer: bytes = b"",
    guarded_answer: bytes = b"",
    charges: Sequence[Charge] = (),
    prefix: str = "",
    is_known: bool = False,
    record: bool = True,
    lease_seconds: float = 0,
) -> Spent:
    """Spends all charges or none, and records the decision once, or tells why not.

    `version` None does it whatever the newest snapshot is. `record` False only spends. `lease_seconds`: how long the
    attempt counts as running, unless it is given back. Raises RedisError when the store does not answer.
    """
    return _run_spend(
        "record" if record else "spend",
        workspace_id,
        charges,
        version="" if version is None else version,
        payloads=(decision, answer, limited_answer or answer, guarded_answer or answer),
        key=key,
        decision_id=decision_id,
        lease_seconds=lease_seconds,
        prefix=prefix,
        is_known=is_known,
    )


def look(
    workspace_id: int, charges: Sequence[Charge], *, prefix: str = "", is_known: bool = False
) -> tuple[Usage, ...]:
    """What `spend` would find, spending nothing. Raises RedisError."""
    return _run_spend("look", workspace_id, charges, prefix=prefix, is_known=is_known).usages


def _run_spend(
    mode: str,
    workspace_id: int,
    charges: Sequence[Charge],
    *,
    version: int | str = "",
    payloads: Sequence[bytes] = (b"", b"", b"", b""),
    key: AttemptKey | None = None,
    decision_id: str = "",
    lease_seconds: float = 0,
    prefix: str = "",
    is_known: bool = False,
) -> Spent:
    base = f"fraudconsole:{{{workspace_id}}}:"
    places, written, must_be_counted = counters.write(base, charges)
    keys = [
        base + "snapshot-version",
        f"{base}answer:".encode() + counters.short(key.text) if key else base + "answer:",
        base + "decisions",
        base + "counters",
        base + "known",
        f"{base}note:{decision_id}",
        *places,
    ]
    arguments = [
        mode,
        version,
        *payloads,
        ("id" if key.is_id else "pair") if key else "",
        ANSWER_BY_ID_SECONDS if key and key.is_id else ANSWER_BY_PAIR_SECONDS,
        MOST_RETRIES,
        LEAST_WAIT_MS,
        decision_id,
        int((lease_seconds or LONGEST_LEASE_SECONDS) * 1000),
        prefix,
        "1" if is_known else "",
        KNOWN_AFTER_SECONDS * 1000,
        "1" if must_be_counted else "",
        written,
    ]
    since = _caught_up.get(workspace_id, 0) if must_be_counted and mode != "look" else -1
    reply = line.run(_scripts()["spend"], keys, arguments, since=since)
    if reply is None:  # others may have done without the store, while we did not see it
        return Spent(Outcome.UNKNOWN)
    outcome = _OUTCOMES[reply[0]]
    if len(reply) <= 2:
        return Spent(outcome, *reply[1:])
    _, answer, known, told, has_room, undrained, at_ms = reply
    return Spent(outcome, answer, known == 1, has_room == 1, undrained > MOST_UNDRAINED, int(at_ms), charges, told)


# --- After an attempt -------------------------------------------------------------------------------


def give_back(workspace_id: int, decision_id: str, *, cost_micro: int | None) -> None:
    """The attempt is over, or never happened (0): ends its leases, corrects its money; None leaves that as reserved.

    Raises RedisError.
    """
    note = _key(workspace_id, f"note:{decision_id}")
    with asking():
        fields: Any = connection().hkeys(note)
    counters = [field for field in fields if field != b"loaded"]
    if counters:
        cost = "" if cost_micro is None else cost_micro
        line.run(_scripts()["give_back"], [note, *counters], [decision_id, cost])


_EVERY_SHORT_CALL: Final = Limit(LARGEST_LOGGED, DAY)


def note_short_call(workspace_id: int, caller: str) -> None:
    """One more short call of an inbound caller, E.164. Raises RedisError."""
    charge = Charge(LimitName.SHORT_CALLS, Measure.ATTEMPTS, caller, _EVERY_SHORT_CALL)
    keys, written, _ = counters.write(_key(workspace_id, ""), [charge])
    line.run(_scripts()["short_call"], keys, [written])


def first_use_of_captcha(workspace_id: int, token_digest: str) -> bool:
    """Whether this token of a captcha was never shown before. Raises RedisError."""
    with asking():
        return bool(connection().set(_key(workspace_id, f"captcha:{token_digest}"), 1, nx=True, ex=CAPTCHA_SECONDS))


# --- Rebuilding -------------------------------------------------------------------------------------

_caught_up: dict[int, int] = {}
"""By workspace: the turn at which this process told the store what happened without it."""


def note_caught_up(workspace_id: int, turn: int) -> None:
    _caught_up[workspace_id] = turn


@dataclass(frozen=True, slots=True)
class CountersState:
    """`are_lost`: nobody has counted here yet, or what was counted is gone. `are_settled`: they were rebuilt, and what
    was on its way then has arrived."""

    are_lost: bool
    are_settled: bool


def counters_state(workspace_id: int) -> CountersState:
    """What the store knows of its own counters. Raises RedisError."""
    ready, full_until = _asked("HMGET", _key(workspace_id, "counters"), "ready", "all")
    return CountersState(ready is None, full_until is not None and _clock_ms() >= int(full_until))


def counters_are_ready(workspace_id: int) -> None:
    """Raises RedisError."""
    key = _key(workspace_id, "counters")
    _asked("HDEL", key, "all")
    _asked("HSET", key, "ready", 1)


def counters_are_full(workspace_id: int, *, seconds: int, short_windows_seconds: int) -> None:
    """Lets nothing pass for some seconds, and longer where a window is short. Raises RedisError."""
    now_ms = _clock_ms()
    full_until = {"all": now_ms + seconds * 1000, "short": now_ms + short_windows_seconds * 1000}
    _asked("HSET", _key(workspace_id, "counters"), "ready", 1, *itertools.chain(*full_until.items()))


def counts(workspace_id: int) -> bool:
    """Whether the store counts this workspace's attempts now, and can write. Raises RedisError."""
    _asked("SET", _key(workspace_id, "probe"), 1, "EX", 60)
    return not counters_state(workspace_id).are_lost


@contextmanager
def rebuilding(workspace_id: int) -> Iterator[bool]:
    """Whether it is ours to rebuild the counters now. Raises RedisError."""
    key = _key(workspace_id, "rebuilding")
    is_ours = _asked("SET", key, 1, "NX", "EX", REBUILDING_SECONDS) is not None
    try:
        yield is_ours
    finally:
        if is_ours:
            _asked("DEL", key)


@dataclass(frozen=True, slots=True)
class Past:
    """An attempt that was let through: what it is to be counted by, and until when it runs at the latest."""

    decision_id: str
    at_ms: int
    ends_at_ms: int
    charges: tuple[Charge, ...]


def load(workspace_id: int, past: Sequence[Past]) -> None:
    """Counts attempts that were let through, each once however often it is told. Raises RedisError."""
    base, script = _key(workspace_id, ""), _scripts()["load"]
    for one in past:
        places, written, _ = counters.write(base, one.charges)
        keys = [f"{base}note:{one.decision_id}", *places]
        line.run(script, keys, [one.decision_id, one.at_ms, one.ends_at_ms, written])


def note_known(workspace_id: int, first_seen_ms: Mapping[str, int]) -> None:
    """Tells since when a prefix of destinations is called; 0 where a call to it was good. Raises RedisError."""
    prefixes = iter(first_seen_ms.items())
    while some := list(itertools.islice(prefixes, DRAIN_AT_ONCE)):
        _asked("ZADD", _key(workspace_id, "known"), "LT", *[word for prefix, at in some for word in (at, prefix)])


def set_known(workspace_id: int, prefix: str, first_seen_ms: int) -> None:
    """The same of one prefix, later than it was told before too. Raises RedisError."""
    _asked("ZADD", _key(workspace_id, "known"), first_seen_ms, prefix)


def _asked(*words: str | bytes | int) -> Any:
    with asking():
        return connection().execute_command(*words)


def _clock_ms() -> int:
    with asking():
        seconds, microseconds = connection().time()  # type: ignore[misc]
    return int(seconds) * 1000 + int(microseconds) // 1000


# --- Snapshots, decisions, refusals -----------------------------------------------------------------


def publish_version(workspace_id: int, version: int, *, only_if_unknown: bool = False) -> None:
    """Makes every process load the snapshot anew before its next decision. Raises RedisError."""
    line.refuse_while_silent()
    line.for_telling().set(_key(workspace_id, "snapshot-version"), version, nx=only_if_unknown)


def undrained(workspace_id: int) -> list[tuple[bytes, bytes]]:
    """The oldest decisions not yet in SQL, as (entry id, encoded decision with its usages). Raises RedisError."""
    entries: Any = connection().xrange(_key(workspace_id, "decisions"), count=DRAIN_AT_ONCE)
    return [(entry_id, _with_usages(fields[b"decision"], fields.get(b"usages"))) for entry_id, fields in entries]


def _with_usages(decision: bytes, usages: bytes | None) -> bytes:
    return b'%s,"usages":"%s"}' % (decision[:-1], usages) if usages else decision


def set_aside(workspace_id: int, entry_id: bytes) -> None:
    """Moves a decision that can never become a row to where a person may look at it. Raises RedisError."""
    decisions, aside = _key(workspace_id, "decisions"), _key(workspace_id, "decisions-set-aside")
    entries: Any = connection().xrange(decisions, entry_id, entry_id)
    pipeline = connection().pipeline()
    for _, fields in entries:
        pipeline.xadd(aside, fields, maxlen=MOST_SET_ASIDE)
    pipeline.xdel(decisions, entry_id)
    pipeline.execute()


def drained(workspace_id: int, entry_ids: list[bytes]) -> None:
    """Forgets decisions that are in SQL now. Raises RedisError."""
    connection().xdel(_key(workspace_id, "decisions"), *entry_ids)


def count_refused(workspace_id: int, *, hour: str, problem: str) -> None:
    """Counts a request that was turned away unread. Raises RedisError."""
    key = _key(workspace_id, f"refused:{hour}")
    pipeline = connection().pipeline(transaction=False)
    pipeline.hincrby(key, problem, 1)
    pipeline.expire(key, REFUSED_SECONDS)
    with asking():
        pipeline.execute()


def refused(workspace_id: int, *, hour: str) -> dict[str, int]:
    """How many requests were turned away in an hour, by problem. Raises RedisError."""
    counts: Any = connection().hgetall(_key(workspace_id, f"refused:{hour}"))
    return {problem.decode(): int(count) for problem, count in counts.items()}
