"""What one decision costs in the process, and the one command to the store."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Callable, Sequence
from typing import Any

import orjson
from django.utils import timezone

from fraudconsole.bench import callers
from fraudconsole.bench.measuring import Size, Table, in_microseconds, ratio
from fraudconsole.bench.scratch import Place
from policies.engine.decide import decide
from policies.engine.types import Attempt, Direction, Verdict
from policies.gate import recorder, snapshots, store
from policies.gate.store import AttemptKey
from policies.uponai import payloads

FLOOR = "an empty function"
DECODING = "decoding the webhook's JSON (json)"
ANSWER = b'{"call_inbound":{}}'


def measure(place: Place, size: Size, chance: random.Random) -> list[Table]:
    loaded = snapshots.load(place.workspace.pk)
    own = list(loaded.engine.numbers)
    bodies = [callers.webhook_body(number, chance.choice(own)) for number in callers.valid_numbers(300, chance)]
    attempts = [payloads.read_inbound(body) for body in bodies]
    outbound = [
        Attempt(Direction.OUTBOUND, attempt.channel, attempt.to_number, attempt.from_number) for attempt in attempts
    ]
    works = {
        FLOOR: _over(_nothing, attempts),
        DECODING: _over(json.loads, bodies),
        "decoding the webhook's JSON (orjson)": _over(orjson.loads, bodies),
        "decide, inbound": _over(lambda attempt: decide(attempt, loaded.engine), attempts),
        "decide, outbound": _over(lambda attempt: decide(attempt, loaded.engine), outbound),
        "the store: PING": _over(lambda _: store.connection().ping(), attempts),
        "the store: the decision's one command": _over(
            _recording(place, decide(attempts[0], loaded.engine), attempts[0]), attempts
        ),
    }
    found = in_microseconds(works, size.rounds)
    decoding, ping = found[DECODING], found["the store: PING"]
    table = Table("One decision in the process", ("", "µs each", "× empty function", "× json decoding", "× PING"))
    for name, figures in found.items():
        by_ping = ratio(figures, ping, 1) if name.startswith("the store") else ""
        shown = (figures.shown(2), ratio(figures, found[FLOOR], 0), ratio(figures, decoding, 1), by_ping)
        table.rows.append((name, *shown))
    recorded = place.take_recorded()
    table.notes.append(
        f"Callers are seen before, as most are; a body has {len(bodies[0])} bytes. "
        f"The store recorded {recorded:,} of {len(bodies) * (size.rounds + 1):,} decisions sent to it."
    )
    return [table]


def _nothing(_: object) -> None:
    return None


def _over(work: Callable[[Any], object], things: Sequence[object]) -> Callable[[], int]:
    def run() -> int:
        for thing in things:
            work(thing)
        return len(things)

    return run


def _recording(place: Place, verdict: Verdict, attempt: Attempt) -> Callable[[object], object]:
    """Records that verdict again and again, each time about another call."""
    facts = recorder.facts(attempt, verdict, decision_id=uuid.uuid4(), at=timezone.now(), latency_us=1_000)
    decision, version = orjson.dumps(facts), place.workspace.snapshot_version

    def record(_: object) -> object:
        key = AttemptKey(f"id:phone_call:{uuid.uuid4().hex}", is_id=True)
        return store.remember(place.workspace.pk, version=version, key=key, decision=decision, answer=ANSWER)

    return record
