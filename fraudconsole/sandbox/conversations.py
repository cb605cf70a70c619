"""Rows of calls and chats: the object that clients see, and beside it what only the provider knows."""

from __future__ import annotations

import json
import secrets
import sqlite3
from dataclasses import dataclass, field
from typing import Any

from .bodies import Body
from .provider import Provider
from .store import dump


@dataclass
class Conversation:
    """`body` is what the API shows. `hidden` is never shown; filters may look into it."""

    id: str
    kind: str  # call | chat
    sort_at: int
    body: Body
    hidden: Body = field(default_factory=dict)
    holds_slot: bool = False
    due_at: int | None = None

    @property
    def next_step(self) -> str | None:
        return self.hidden.get("next_step")

    def schedule(self, step: str | None, due_at: int | None) -> None:
        self.hidden["next_step"] = step
        self.due_at = due_at


def new_id(kind: str) -> str:
    return f"{kind}_{secrets.token_hex(14)}"


def from_row(row: sqlite3.Row) -> Conversation:
    return Conversation(
        id=row["id"],
        kind=row["kind"],
        sort_at=row["sort_at"],
        body=json.loads(row["body"]),
        hidden=json.loads(row["hidden"]),
        holds_slot=bool(row["holds_slot"]),
        due_at=row["due_at"],
    )


def find(provider: Provider, kind: str, conversation_id: str) -> Conversation | None:
    row = provider.store.row("SELECT * FROM conversations WHERE kind = ? AND id = ?", kind, conversation_id)
    return from_row(row) if row else None


def save(provider: Provider, one: Conversation) -> None:
    values: tuple[Any, ...] = (
        *(one.id, one.kind, one.sort_at, int(one.holds_slot), one.due_at),
        *(dump(one.body), dump(one.hidden)),
    )
    provider.store.execute(
        "INSERT INTO conversations (id, kind, sort_at, holds_slot, due_at, body, hidden)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (id) DO UPDATE SET sort_at = excluded.sort_at, holds_slot = excluded.holds_slot,"
        " due_at = excluded.due_at, body = excluded.body, hidden = excluded.hidden",
        *values,
    )
    provider.wake()


def delete(provider: Provider, one: Conversation) -> None:
    provider.store.execute("DELETE FROM conversations WHERE id = ?", one.id)


def slots_in_use(provider: Provider) -> int:
    row = provider.store.row("SELECT count(*) FROM conversations WHERE holds_slot = 1")
    return row[0] if row else 0


def concurrency(provider: Provider) -> Body:
    """The answer of get-concurrency; also what admission to a call reads."""
    settings = provider.settings
    limit = settings["base_concurrency"] + settings["purchased_concurrency"]
    burst = settings["concurrency_burst_enabled"]
    return {
        "current_concurrency": slots_in_use(provider),
        "concurrency_limit": limit,
        "base_concurrency": settings["base_concurrency"],
        "purchased_concurrency": settings["purchased_concurrency"],
        "concurrency_purchase_limit": settings["concurrency_purchase_limit"],
        "remaining_purchase_limit": max(0, settings["concurrency_purchase_limit"] - settings["purchased_concurrency"]),
        "concurrency_burst_enabled": burst,
        "concurrency_burst_limit": min(3 * limit, limit + 300) if burst else 0,
        "reserved_inbound_concurrency": settings["reserved_inbound_concurrency"],
    }


def has_room(provider: Provider, *, outbound: bool) -> bool:
    figures = concurrency(provider)
    ceiling = figures["concurrency_burst_limit"] or figures["concurrency_limit"]
    if outbound:
        ceiling -= figures["reserved_inbound_concurrency"]
    return bool(figures["current_concurrency"] < ceiling)
