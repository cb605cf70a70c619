"""Makes UponAI's own paths fail on purpose, at the wire, in a way that a seed repeats."""

from __future__ import annotations

import asyncio
import json
import random
import re
import socket
import struct
import sys
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from . import bodies
from .bodies import Body
from .errors import RATE_LIMITED, SERVER_ERROR, malformed
from .requests import note, noting_status
from .store import Store

KINDS = (
    "500",
    "429",
    "timeout_before",
    "timeout_after",
    "late_apply",
    "slow_drip",
    "garbage",
    "truncated",
    "noop_200",
    "reset",
)
GARBAGE = b"\x1f\x00\xff<!doctype html><title>502</title>{]"
IDS_IN_PATHS = re.compile(r"/(?:call|chat|batch_call)_[^/]+")


@dataclass
class Plan:
    """Which requests fail, and how. The same requests in any interleaving meet the same faults."""

    rate: float = 0.0
    kinds: tuple[str, ...] = KINDS
    seed: int = 1
    hold_seconds: float = 30.0
    drip_seconds: float = 15.0
    late_seconds: tuple[float, float] = (1.0, 30.0)
    retry_after: int = 1
    methods: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    seen: Counter[str] = field(default_factory=Counter)
    injected: Counter[str] = field(default_factory=Counter)

    def draw(self, method: str, path: str, key: str = "") -> tuple[str | None, float]:
        """The fault for the next request to this path, and how late a late one lands."""
        if self.rate <= 0 or not self._concerns(method, key):
            return None, 0.0
        place = f"{method} {IDS_IN_PATHS.sub('/*', path)}"
        self.seen[place] += 1
        dice = random.Random(f"{self.seed} {place} {self.seen[place]}")  # noqa: S311
        if dice.random() >= self.rate:
            return None, 0.0
        kind = dice.choice(self.kinds)
        self.injected[kind] += 1
        return kind, dice.uniform(*self.late_seconds)

    def _concerns(self, method: str, key: str) -> bool:
        return (not self.methods or method in self.methods) and (not self.keys or key in self.keys)

    def described(self) -> Body:
        return {
            "rate": self.rate,
            "kinds": list(self.kinds),
            "seed": self.seed,
            "hold_seconds": self.hold_seconds,
            "drip_seconds": self.drip_seconds,
            "late_seconds": list(self.late_seconds),
            "retry_after": self.retry_after,
            "methods": list(self.methods),
            "keys": list(self.keys),
            "injected": dict(self.injected),
        }


def make_plan(body: Body) -> Plan:
    checks: dict[str, bodies.Check] = {
        "rate": bodies.at_least(0, bodies.number),
        "kinds": bodies.list_of(bodies.one_of(*KINDS)),
        "seed": bodies.whole,
        "hold_seconds": bodies.at_least(0, bodies.number),
        "drip_seconds": bodies.at_least(0, bodies.number),
        "late_seconds": bodies.list_of(bodies.at_least(0, bodies.number)),
        "retry_after": bodies.at_least(0, bodies.whole),
        "methods": bodies.list_of(bodies.full_text),
        "keys": bodies.list_of(bodies.full_text),
    }
    fields = bodies.checked(body, checks, required=("rate",))
    if fields["rate"] > 1:
        raise malformed("rate", "must be between 0 and 1")
    late = fields.get("late_seconds", [1.0, 30.0])
    if len(late) != 2 or late[0] > late[1]:
        raise malformed("late_seconds", "must be the soonest and the latest second")
    fields["kinds"] = tuple(fields.get("kinds") or KINDS)
    fields["late_seconds"] = (float(late[0]), float(late[1]))
    fields |= {name: tuple(fields[name]) for name in ("methods", "keys") if name in fields}
    return Plan(**fields)


@dataclass
class Answer:
    status: int = 500
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""


class FaultyWire:
    """Between the door and the endpoints."""

    def __init__(self, app: ASGIApp, store: Store) -> None:
        self.app = app
        self.store = store
        self.plan = Plan()
        self.late: set[asyncio.Task[Any]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind, late_by = self.plan.draw(scope["method"], scope["path"], scope["key"])
        if kind is None:
            await self.app(scope, receive, noting_status(scope, send))
            return
        note(scope, fault=kind)
        print(f"fault {kind} on {scope['method']} {scope['path']}", file=sys.stderr, flush=True)
        body = await _whole_body(receive)
        await getattr(self, f"_{kind}")(scope, body, receive, send, late_by)

    async def _run(self, scope: Scope, body: bytes) -> Answer:
        """Let the endpoint do its work, and keep what it would have answered."""
        answer = Answer()

        async def replay() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def keep(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer.status, answer.headers = message["status"], list(message.get("headers", []))
            else:
                answer.body += message.get("body", b"")

        await self.app(dict(scope), replay, keep)
        return answer

    async def _500(self, scope: Scope, body: bytes, receive: Receive, send: Send, late_by: float) -> None:
        note(scope, status=500)
        await _send_error(send, 500, SERVER_ERROR)

    async def _429(self, scope: Scope, body: bytes, receive: Receive, send: Send, late_by: float) -> None:
        note(scope, status=429)
        await _send_error(send, 429, RATE_LIMITED, retry_after=self.plan.retry_after)

    async def _timeout_before(self, scope: Scope, body: bytes, receive: Receive, send: Send, late_by: float) -> None:
        await self._hold(receive, send)

    async def _timeout_after(self, scope: Scope, body: bytes, receive: Receive, send: Send, late_by: float) -> None:
        await self._run(scope, body)
        await self._hold(receive, send)

    async def _late_apply(self, scope: Scope, body: bytes, receive: Receive, send: Send, late_by: float) -> None:
        """The connection is lost at once; the work is done when nobody expects it any more."""

        async def later() -> None:
            await asyncio.sleep(late_by)
            await self._run(scope, body)

        task = asyncio.create_task(later())
        self.late.add(task)
        task.add_done_callback(self.late.discard)
        await _cut(receive, send)

    async def _slow_drip(self, scope: Scope, body: bytes, receive: Receive, send: Send, late_by: float) -> None:
        """Never silent long enough for a read timeout, and yet it takes `drip_seconds`."""
        answer = await self._run(scope, body)
        await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
        size = max(1, -(-len(answer.body) // 40))
        pieces = [answer.body[at : at + size] for at in range(0, len(answer.body), size)]
        for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            await asyncio.sleep(self.plan.drip_seconds / len(pieces))
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _garbage(self, scope: Scope, body: bytes, receive: Receive, send: Send, late_by: float) -> None:
        await self._run(scope, body)
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(GARBAGE)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": GARBAGE, "more_body": False})

    async def _truncated(self, scope: Scope, body: bytes, receive: Receive, send: Send, late_by: float) -> None:
        """Promises the whole answer, sends half of it, hangs up."""
        answer = await self._run(scope, body)
        content = answer.body or b'{"status":"ok"}'
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
        status = 200 if answer.status == 204 else answer.status
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content[: len(content) // 2], "more_body": True})
        _transport(send).close()
        await _until_disconnected(receive)

    async def _noop_200(self, scope: Scope, body: bytes, receive: Receive, send: Send, late_by: float) -> None:
        """Answers as if it had been done. Endpoints await nothing, so no other request is undone with it."""
        answer = Answer()
        try:
            with self.store.transaction():
                answer = await self._run(scope, body)
                raise _Undo
        except _Undo:
            note(scope, change=None)
        await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
        await send({"type": "http.response.body", "body": answer.body, "more_body": False})

    async def _reset(self, scope: Scope, body: bytes, receive: Receive, send: Send, late_by: float) -> None:
        await _cut(receive, send)

    async def _hold(self, receive: Receive, send: Send) -> None:
        try:
            async with asyncio.timeout(self.plan.hold_seconds):
                await _until_disconnected(receive)
        except TimeoutError:
            await _cut(receive, send)

    async def stop(self) -> None:
        for task in self.late:
            task.cancel()
        await asyncio.gather(*self.late, return_exceptions=True)


class _Undo(Exception):
    pass


async def _whole_body(receive: Receive) -> bytes:
    content = b""
    while True:
        message = await receive()
        content += bytes(message.get("body", b""))
        if not message.get("more_body"):
            return content


async def _until_disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _transport(send: Send) -> asyncio.Transport:
    """uvicorn's `send` belongs to the object that owns the connection; ASGI has no way to break one."""
    return send.__self__.transport  # type: ignore[attr-defined,no-any-return]


async def _cut(receive: Receive, send: Send) -> None:
    """Break the connection with a TCP reset."""
    transport = _transport(send)
    connection = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
    await _until_disconnected(receive)


async def _send_error(send: Send, status: int, message: str, *, retry_after: int | None = None) -> None:
    content = json.dumps({"status": "error", "message": message}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
    if retry_after is not None:
        headers.append((b"retry-after", str(retry_after).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content, "more_body": False})
