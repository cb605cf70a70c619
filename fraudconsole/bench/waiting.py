"""What inbound webhooks notice of a captcha verifier that hangs while many outbound requests wait for it."""

from __future__ import annotations

import http.client
import math
import queue
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Final
from urllib.parse import urlsplit

from fraudconsole.bench import callers, console, crowd, scratch, verifier, visitors
from fraudconsole.bench.console import Console, Customer
from fraudconsole.bench.measuring import QUICK, Figures, Size, Table, in_rounds, ratio
from fraudconsole.bench.scratch import Place

QUIET: Final = "quiet"
ANSWERED: Final = "50 outbound requests a second, captchas refused at once"
HANGING: Final = "50 outbound requests a second, the verifier hangs"
TOKENS: Final = {ANSWERED: verifier.ROBOT, HANGING: verifier.HANGING}
INBOUND_A_SECOND: Final = 50
SECONDS: Final = 10.0
QUICK_SECONDS: Final = 4.0
WARMING_SECONDS: Final = 2.0
SENDERS: Final = 16
TIMEOUT_SECONDS: Final = 10.0
"""UponAI's own patience; then it asks again, and at last lets the agent answer."""
CALLERS: Final = 500
HOME_AREAS: Final = ["US", "CA"]
NUMBER: Final = "+14155550195"


@dataclass(slots=True)
class Heard:
    """What one stretch came to: an answer's milliseconds each, and those that never came."""

    waits_ms: list[float] = field(default_factory=list)
    failed: int = 0
    outbound: Counter[str] = field(default_factory=Counter)

    def percentile(self, share: float) -> float:
        ordered = sorted(self.waits_ms) or [math.inf]
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def measure(place: Place, size: Size, chance: random.Random) -> list[Table]:
    seconds = QUICK_SECONDS if size == QUICK else SECONDS
    with console.running(place) as running:
        customer = console.make_customer(
            slug="waited-for", phone_number=NUMBER, countries=HOME_AREAS, limits={}, now=datetime.now(UTC)
        )
        numbers = [visitors.number_of(chance.choice(HOME_AREAS), chance) for _ in range(CALLERS)]
        knock = partial(_stretch, running, customer, numbers, chance)
        knock(QUIET, WARMING_SECONDS)
        found = in_rounds({name: partial(knock, name, seconds) for name in (QUIET, *TOKENS)}, size.rounds)
    return [_table(found, seconds)]


def _table(found: dict[str, list[Heard]], seconds: float) -> Table:
    table = Table(
        "Inbound webhooks while outbound requests wait for a captcha",
        ("", "p50 ms", "p99 ms", "p99 × quiet", "slowest ms", "without an answer", "outbound answers"),
    )
    p99 = {name: Figures([heard.percentile(0.99) for heard in each]) for name, each in found.items()}
    for name, each in found.items():
        p50 = Figures([heard.percentile(0.5) for heard in each])
        slowest = max(heard.percentile(1) for heard in each)
        failed, sent = sum(heard.failed for heard in each), sum(len(heard.waits_ms) + heard.failed for heard in each)
        outbound: Counter[str] = sum((heard.outbound for heard in each), Counter())
        answers = ", ".join(f"{what}: {count:,}" for what, count in outbound.most_common()) or "–"
        shown = (p50.shown(1), p99[name].shown(1), ratio(p99[name], p99[QUIET]), f"{slowest:.0f}")
        table.rows.append((name, *shown, f"{failed} of {sent:,}", answers))
    table.notes.append(
        f"{INBOUND_A_SECOND} signed webhooks a second at random moments, {seconds:g} s in each round, from when they "
        f"were due until they were answered; without an answer: none within {TIMEOUT_SECONDS:g} s. Outbound requests "
        f"come from another process and {crowd.ADDRESSES:,} addresses. Aim: p99 ≤ 2 × quiet, none without an answer."
    )
    return table


def _stretch(
    running: Console, customer: Customer, numbers: list[str], chance: random.Random, name: str, seconds: float
) -> Heard:
    heard = Heard()
    if name not in TOKENS:
        _send_webhooks(running, customer, numbers, chance, seconds, heard)
        return heard
    asking = crowd.Asking(running.url, customer.key.key, TOKENS[name], WARMING_SECONDS + seconds)
    with crowd.at_the_gate(asking) as answers:
        time.sleep(WARMING_SECONDS)  # until as many wait as ever will
        _send_webhooks(running, customer, numbers, chance, seconds, heard)
        heard.outbound = answers.get(timeout=60)
    return heard


# --- Inbound --------------------------------------------------------------------------------------


def _send_webhooks(
    running: Console, customer: Customer, numbers: list[str], chance: random.Random, seconds: float, heard: Heard
) -> None:
    """Open: the next one comes when it is due, whether or not the last was answered."""
    webhooks = callers.signed_webhooks(
        int(2 * seconds * INBOUND_A_SECOND) + 10,
        callers=numbers,
        own=[customer.phone_number],
        secret=scratch.SECRET,
        chance=chance,
    )
    path = f"/hooks/{customer.workspace.endpoint}/inbound"
    due: queue.Queue[tuple[float, str, bytes] | None] = queue.Queue()
    lock = threading.Lock()
    senders = [
        threading.Thread(target=_send, args=(running.url, path, due, heard, lock), daemon=True) for _ in range(SENDERS)
    ]
    for sender in senders:
        sender.start()
    ends_at, at = time.monotonic() + seconds, time.monotonic()
    for signature, body in webhooks:
        at += chance.expovariate(INBOUND_A_SECOND)
        if at > ends_at:
            break
        time.sleep(max(0.0, at - time.monotonic()))
        due.put((at, signature, body))
    for _ in senders:
        due.put(None)
    for sender in senders:
        sender.join(timeout=4 * TIMEOUT_SECONDS)


def _send(
    url: str, path: str, due: queue.Queue[tuple[float, str, bytes] | None], heard: Heard, lock: threading.Lock
) -> None:
    client = http.client.HTTPConnection(urlsplit(url).netloc, timeout=TIMEOUT_SECONDS)
    while (entry := due.get()) is not None:
        at, signature, body = entry
        headers = {"Content-Type": "application/json", "X-UponAI-Signature": signature}
        try:
            client.request("POST", path, body, headers)
            answer = client.getresponse()
            is_answered = answer.status == http.HTTPStatus.OK and bool(answer.read())
        except (OSError, http.client.HTTPException):
            client.close()
            is_answered = False
        with lock:
            if is_answered:
                heard.waits_ms.append((time.monotonic() - at) * 1000)
            else:
                heard.failed += 1
    client.close()
