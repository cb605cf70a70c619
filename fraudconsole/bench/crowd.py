"""Many outbound requests a second from a process of their own, none of which waits for another. Imports no Django."""

from __future__ import annotations

import asyncio
import multiprocessing
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.queues import Queue
from typing import Final

import httpx

from fraudconsole.bench.verifier import ORIGIN

A_SECOND: Final = 50
ADDRESSES: Final = 3000  # so that nobody's address reaches a limit, and every request gets as far as the verifier
PATIENCE_SECONDS: Final = 30


@dataclass(frozen=True, slots=True)
class Asking:
    """Who asks for calls: with which key and what kind of captcha token, and for how long."""

    url: str
    key: str
    token: str
    seconds: float


@contextmanager
def at_the_gate(asking: Asking) -> Iterator[Queue[Counter[str]]]:
    """Begins to ask; the queue gets one count of answers, when all are there."""
    context = multiprocessing.get_context("spawn")
    answers: Queue[Counter[str]] = context.Queue()
    process = context.Process(target=_ask_and_tell, args=(asking, answers), daemon=True)
    process.start()
    try:
        yield answers
    finally:
        process.join(timeout=PATIENCE_SECONDS)
        process.kill()


def _ask_and_tell(asking: Asking, answers: Queue[Counter[str]]) -> None:
    answers.put(asyncio.run(_ask_for_calls(asking)))


async def _ask_for_calls(asking: Asking) -> Counter[str]:
    heard: Counter[str] = Counter()
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    async with httpx.AsyncClient(base_url=asking.url, timeout=PATIENCE_SECONDS, limits=limits) as client:
        started = time.monotonic()
        under_way = []
        for turn in range(int(asking.seconds * A_SECOND)):
            await asyncio.sleep(max(0.0, started + turn / A_SECOND - time.monotonic()))
            under_way.append(asyncio.create_task(_ask(client, asking, turn, heard)))
        await asyncio.gather(*under_way)
    return heard


async def _ask(client: httpx.AsyncClient, asking: Asking, turn: int, heard: Counter[str]) -> None:
    place = turn % ADDRESSES
    headers = {
        "Authorization": f"Bearer {asking.key}",
        "Origin": ORIGIN,
        "X-Captcha-Token": f"{asking.token}-{uuid.uuid4().hex}",
        "X-Forwarded-For": f"8.{place // 250}.{place % 250}.7",
    }
    body = {"to_number": f"+1415555{turn % 10_000:04}"}
    try:
        answer = await client.post("/gate/v2/create-phone-call", headers=headers, json=body)
        heard[f"{answer.status_code} {answer.json().get('code', '')}".strip()] += 1
    except (httpx.HTTPError, ValueError) as trouble:
        heard[type(trouble).__name__] += 1
