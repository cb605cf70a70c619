"""What the sandbox sends: signed, to this machine only, retried. Knows nothing of what the answers mean."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import time
from typing import Any
from urllib.parse import urlsplit

import httpx

from . import signature
from .bodies import Body
from .conversations import Conversation
from .provider import Provider
from .store import dump

ATTEMPTS = 4  # the first and three more
MAX_ANSWER_BYTES = 1024 * 1024
MAX_SENDING = 64
KEPT_DELIVERIES = 20_000
NEVER_SENT_UNASKED = frozenset(
    {
        "transcript_updated",
        "transfer_started",
        "transfer_bridged",
        "transfer_cancelled",
        "transfer_ended",
    }
)


def may_request(url: str, allowed_hosts: list[str]) -> bool:
    """Only this machine: a demonstration must not become a means of sending requests to others."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").lower()
        port = parts.port
    except ValueError:
        return False
    if parts.scheme not in ("http", "https") or not host or port == 0:
        return False
    if host == "localhost" or host in allowed_hosts:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def make_client() -> httpx.AsyncClient:
    # Certificates are not verified: a loopback server has none worth checking, and the bundle costs memory.
    return httpx.AsyncClient(
        verify=False,  # noqa: S501
        trust_env=False,
        follow_redirects=False,
        timeout=None,  # noqa: S113 - every request runs under its own deadline, see post()
        limits=httpx.Limits(max_connections=100, max_keepalive_connections=20),
    )


async def post(provider: Provider, client: httpx.AsyncClient, url: str, body: bytes) -> Body:
    """One delivery: {"status", "ms", "body"}. The status is a number, or `refused`, `timeout`, `error`."""
    if not may_request(url, provider.settings["webhook_hosts"]):
        return {"status": "refused", "ms": 0, "body": f"{url} is not on this machine and was not requested."}
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "uponai-sandbox",
        **signature.signature_headers(body, provider.settings["webhook_key"]),
    }
    started = time.monotonic()
    status: int | str
    answer: Any
    try:
        async with asyncio.timeout(provider.settings["webhook_timeout_ms"] / 1000):
            async with client.stream("POST", url, content=body, headers=headers) as response:
                status, answer = response.status_code, _decoded(await _read(response))
    except TimeoutError:
        status, answer = "timeout", f"No answer within {provider.settings['webhook_timeout_ms']} ms."
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        status, answer = "error", str(error) or type(error).__name__
    return {"status": status, "ms": round((time.monotonic() - started) * 1000), "body": answer}


async def _read(response: httpx.Response) -> bytes:
    content = b""
    async for chunk in response.aiter_bytes():
        content += chunk
        if len(content) > MAX_ANSWER_BYTES:
            raise httpx.DecodingError("The answer is too large.")
    return content


def _decoded(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return content.decode(errors="replace")


def is_success(delivery: Body) -> bool:
    return isinstance(delivery["status"], int) and 200 <= delivery["status"] < 300


def encode(value: Body) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


# Events


def announce(provider: Provider, event: str, one: Conversation) -> None:
    """Queue an event of a call or chat for whoever listens; delivered by `Courier`, in order, not waiting."""
    wanted = one.hidden.get("webhook_events")
    if event not in wanted if wanted is not None else event in NEVER_SENT_UNASKED:
        return
    # An agent's own address replaces the account's.
    by_agent = provider.settings["agent_webhook_urls"].get(one.body["agent_id"])
    url = one.hidden.get("webhook_url") or by_agent or provider.settings["events_url"]
    if url:
        queue(provider, url=url, subject=one.id, body={"event": event, one.kind: one.body})


def queue(provider: Provider, *, url: str, subject: str, body: Body) -> int:
    cursor = provider.store.execute(
        "INSERT INTO deliveries (event, subject, url, body, state, due_at, attempts)"
        " VALUES (?, ?, ?, ?, 'waiting', ?, '[]')",
        *(str(body.get("event")), subject, url, encode(body).decode(), provider.now()),
    )
    provider.wake()
    return cursor.lastrowid or 0


class Courier:
    """Delivers queued events. The row is the schedule, so a kill loses none; a few may arrive twice."""

    def __init__(self, provider: Provider, client: httpx.AsyncClient) -> None:
        self.provider = provider
        self.client = client
        self.sending: set[asyncio.Task[None]] = set()
        provider.store.execute("UPDATE deliveries SET due_at = ? WHERE state = 'waiting'", provider.now())

    def start_due(self) -> None:
        store = self.provider.store
        room = MAX_SENDING - len(self.sending)
        rows = store.execute(
            "SELECT * FROM deliveries WHERE due_at <= ? ORDER BY n LIMIT ?", self.provider.now(), max(0, room)
        ).fetchall()
        for row in rows:
            store.execute("UPDATE deliveries SET due_at = NULL WHERE n = ?", row["n"])
            task = asyncio.create_task(self._deliver(dict(row)))
            self.sending.add(task)
            task.add_done_callback(self._sent)

    def _sent(self, task: asyncio.Task[None]) -> None:
        self.sending.discard(task)
        self.provider.wake()

    async def _deliver(self, row: Body) -> None:
        delivery = await post(self.provider, self.client, row["url"], row["body"].encode())
        attempts = [*json.loads(row["attempts"]), {**delivery, "time": self.provider.now()}]
        state, due_at = "waiting", None
        if is_success(delivery):
            state = "delivered"
        elif delivery["status"] == "refused":
            state = "refused"
        elif len(attempts) >= ATTEMPTS:
            state = "failed"
        else:
            due_at = self.provider.now() + self.provider.clock.shown_ms(self.provider.settings["retry_seconds"])
        self.provider.store.execute(
            "UPDATE deliveries SET state = ?, due_at = ?, attempts = ? WHERE n = ?",
            *(state, due_at, dump(attempts), row["n"]),
        )
        if row["n"] % 1000 == 0:
            self.provider.store.execute(
                "DELETE FROM deliveries WHERE n <= ? AND state != 'waiting'", row["n"] - KEPT_DELIVERIES
            )

    async def stop(self) -> None:
        for task in self.sending:
            task.cancel()
        await asyncio.gather(*self.sending, return_exceptions=True)
