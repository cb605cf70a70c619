"""What one decision costs in the process, and the one command to the store."""

from __future__ import annotations

import itertools
import json
import random
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import orjson
from django.utils import timezone

from fraudconsole.bench import callers
from fraudconsole.bench.measuring import Size, Table, in_microseconds, ratio
from fraudconsole.bench.scratch import Place
from policies.engine.decide import decide
from policies.engine.limits import Charge
from policies.engine.types import Attempt, Channel, Counts, Direction, Verdict
from policies.gate import recorder, snapshots, store
from policies.gate.store import AttemptKey
from policies.uponai import payloads

FLOOR = "an empty function"
DECODING = "decoding the webhook's JSON (json)"
AT_DOOR = Counts(at_door=True)
ATTEMPT = Attempt(Direction.INBOUND, Channel.PHONE_CALL, "+14155550123", callers.own_numbers(1)[0])
ANSWER = b'{"call_inbound":{}}'


def measure(place: Place, size: Size, chance: random.Random) -> list[Table]:
    loaded = snapshots.load(place.workspace.pk)
    own = list(loaded.engine.numbers)
    bodies = [callers.webhook_body(number, chance.choice(own)) for number in callers.valid_numbers(300, chance)]
    attempts = [payloads.read_inbound(body) for body in bodies]
    outbound = [
        Attempt(Direction.OUTBOUND, attempt.channel, attempt.to_number, attempt.from_number) for attempt in attempts
    ]
    passed = decide(ATTEMPT, loaded.engine, AT_DOOR)
    times = len(bodies) * (size.rounds + 1)
    works = {
        FLOOR: _over(_nothing, attempts),
        DECODING: _over(json.loads, bodies),
        "decoding the webhook's JSON (orjson)": _over(orjson.loads, bodies),
        "decide, inbound": _over(lambda attempt: decide(attempt, loaded.engine, AT_DOOR), attempts),
        "decide, outbound": _over(lambda attempt: decide(attempt, loaded.engine, AT_DOOR), outbound),
        "the store: PING": _over(lambda _: store.connection().ping(), attempts),
        "the store: the decision's one command": _over(_spending(place, passed, (), times), attempts),
        "the same with the counters of an inbound call": _over(
            _spending(place, passed, passed.charges, times), attempts
        ),
    }
    found = in_microseconds(works, size.rounds)
    decoding, ping = found[DECODING], found["the store: PING"]
    table = Table("One decision in the process", ("", "µs each", "× empty function", "× json decoding", "× PING"))
    for name, figures in found.items():
        by_ping = ratio(figures, ping, 1) if name.startswith("the s") else ""
        shown = (figures.shown(2), ratio(figures, found[FLOOR], 0), ratio(figures, decoding, 1), by_ping)
        table.rows.append((name, *shown))
    recorded = place.take_recorded()
    table.notes.append(
        f"Callers are seen before, as most are; a body has {len(bodies[0])} bytes. "
        f"An inbound call is held against {len(passed.charges)} counters, here of another caller and number each time. "
        f"The store recorded {recorded:,} of {2 * times:,} decisions sent to it."
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


def _spending(place: Place, verdict: Verdict, charges: Sequence[Charge], times: int) -> Callable[[object], object]:
    """Spends and records for that verdict again and again, each time about another call of another caller."""
    facts = recorder.facts(
        ATTEMPT, verdict, decision_id=uuid.uuid4(), at=timezone.now(), latency_us=1_000, charges=charges
    )
    decision, version = orjson.dumps(facts), place.workspace.snapshot_version
    by_caller = itertools.cycle(
        [[replace(charge, key=f"{charge.key}{caller}") for charge in charges] for caller in range(times)]
    )

    def spend(_: object) -> object:
        decision_id = str(uuid.uuid4())
        return store.spend(
            place.workspace.pk,
            version=version,
            key=AttemptKey(f"id:phone_call:{decision_id}", is_id=True),
            decision_id=decision_id,
            decision=decision,
            answer=ANSWER,
            charges=next(by_caller),
        )

    return spend
