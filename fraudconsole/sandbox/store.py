"""The sandbox's state on disk: one SQLite file that survives being killed. Knows rows, not rules."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SCHEMA = """
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS phone_numbers (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, phone_number TEXT NOT NULL UNIQUE, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS conversations (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL,
    sort_at INTEGER NOT NULL, holds_slot INTEGER NOT NULL, due_at INTEGER,
    body TEXT NOT NULL, hidden TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS conversations_by_time ON conversations (kind, sort_at, seq);
CREATE INDEX IF NOT EXISTS conversations_due ON conversations (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS conversations_slots ON conversations (holds_slot) WHERE holds_slot = 1;
CREATE TABLE IF NOT EXISTS batches (
    id TEXT PRIMARY KEY, due_at INTEGER NOT NULL, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS idempotency (key TEXT PRIMARY KEY, call_id TEXT NOT NULL, at INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS changes (
    n INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL, method TEXT NOT NULL, path TEXT NOT NULL,
    body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS deliveries (
    n INTEGER PRIMARY KEY AUTOINCREMENT, event TEXT NOT NULL, subject TEXT NOT NULL, url TEXT NOT NULL,
    body TEXT NOT NULL, state TEXT NOT NULL, due_at INTEGER, attempts TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS deliveries_due ON deliveries (due_at) WHERE due_at IS NOT NULL;
CREATE TABLE IF NOT EXISTS public_keys (key TEXT PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS website_attempts (key TEXT, ip TEXT, destination TEXT, at INTEGER);
CREATE INDEX IF NOT EXISTS website_attempts_pair ON website_attempts (ip, destination, at);
"""
TABLES = (
    "settings",
    "phone_numbers",
    "conversations",
    "batches",
    "idempotency",
    "changes",
    "deliveries",
    "public_keys",
    "website_attempts",
)


def dump(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


class Store:
    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.connection = sqlite3.connect(directory / "sandbox.sqlite3", isolation_level=None)
        self.connection.row_factory = sqlite3.Row
        # NORMAL keeps every committed row when the process is killed; only a power cut may lose the last.
        self.connection.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;" + SCHEMA)
        self._depth = 0

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        return self.connection.execute(sql, values)

    def row(self, sql: str, *values: Any) -> sqlite3.Row | None:
        return self.execute(sql, *values).fetchone()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; may be nested. The caller must not await inside."""
        name = f"level{self._depth}"
        self.execute("BEGIN IMMEDIATE" if self._depth == 0 else f"SAVEPOINT {name}")
        self._depth += 1
        try:
            yield
        except BaseException:
            self._depth -= 1
            if self._depth == 0:
                self.execute("ROLLBACK")
            else:
                self.execute(f"ROLLBACK TO {name}")
                self.execute(f"RELEASE {name}")
            raise
        self._depth -= 1
        self.execute("COMMIT" if self._depth == 0 else f"RELEASE {name}")

    def log_change(self, *, now: int, method: str, path: str, body: Any) -> int | None:
        """The number of the entry."""
        return self.execute(
            "INSERT INTO changes (time, method, path, body) VALUES (?, ?, ?, ?)",
            now,
            method,
            path,
            dump(body),
        ).lastrowid

    def empty(self) -> None:
        with self.transaction():
            for table in TABLES:
                self.execute(f"DELETE FROM {table}")  # noqa: S608 - names are the constant above

    def close(self) -> None:
        self.connection.close()
