"""What every part of the sandbox shares: settings, clock, store, and the bell that wakes the timers."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import time
from typing import Any

from . import bodies
from .bodies import Body, Check
from .clock import Clock
from .errors import malformed
from .store import Store, dump

CLOCK = "clock"
"""Stored beside the settings: since when the clock runs at its speed, so that a restart does not set it back."""

# Name → (default, check). A setting given on the command line replaces a stored one at every start.
SETTINGS: dict[str, tuple[Any, Check]] = {
    "events_url": (None, bodies.nullable(bodies.full_text)),
    "alert_url": (None, bodies.nullable(bodies.full_text)),
    "agent_webhook_urls": ({}, bodies.text_mapping),
    "webhook_hosts": ([], bodies.list_of(bodies.full_text)),
    "webhook_timeout_ms": (10_000, bodies.at_least(1, bodies.whole)),
    "retry_seconds": (1.0, bodies.at_least(0, bodies.number)),
    "inbound_order": ("webhook-first", bodies.one_of("webhook-first", "lists-first")),
    "inbound_call_id": (True, bodies.flag),
    "cps": (0, bodies.at_least(0, bodies.number)),
    "rps": (0, bodies.at_least(0, bodies.number)),
    "call_seconds": (30.0, bodies.between(0, 10**6, bodies.number)),
    "call_seconds_by_prefix": ({}, bodies.durations_by_prefix),
    "join_web_calls": (False, bodies.flag),
    "chat_seconds": (3600.0, bodies.between(0, 10**6, bodies.number)),
    "base_concurrency": (20, bodies.at_least(0, bodies.whole)),
    "purchased_concurrency": (0, bodies.at_least(0, bodies.whole)),
    "concurrency_purchase_limit": (100, bodies.at_least(0, bodies.whole)),
    "concurrency_burst_enabled": (False, bodies.flag),
    "reserved_inbound_concurrency": (0, bodies.at_least(0, bodies.whole)),
    "clock_speed": (1.0, bodies.between(0.01, 10_000, bodies.number)),
    "clock_offset_ms": (0, bodies.between(-(10**12), 10**12, bodies.whole)),
    "api_keys": (None, bodies.list_of(bodies.full_text)),
    "webhook_key": (None, bodies.full_text),
    # Key → the beginnings of the numbers that are its account's; a key that is not named has them all.
    "accounts": ({}, bodies.texts_mapping),
    "shown_lists": ("as_sent", bodies.one_of("as_sent", "reordered_lower_case")),
    "payment_method": (True, bodies.flag),
    "kyc_status": ("approved", bodies.full_text),
    "kyc_subjects": ({}, bodies.mapping),
    "flagged_agents": ([], bodies.list_of(bodies.full_text)),
    "do_not_call": ([], bodies.list_of(bodies.e164)),
    "recaptcha_field": ("recaptcha_token", bodies.full_text),
    "fraud_protection_limit": (5, bodies.at_least(0, bodies.whole)),
    "fraud_protection_seconds": (600, bodies.at_least(1, bodies.number)),
}


class Provider:
    def __init__(self, store: Store, *, api_key: str, given: Body) -> None:
        self.store = store
        self.api_key = api_key
        self.bell = asyncio.Event()
        self.settings: Body = {}
        self.clock = Clock()
        self._given = given
        self.restore_given_settings()

    def restore_given_settings(self) -> None:
        """What the command line says replaces what an earlier run was told."""
        for name, value in self._given.items():
            self._store_setting(name, value)
        self.load_settings()

    def load_settings(self) -> None:
        stored = {row["name"]: json.loads(row["value"]) for row in self.store.execute("SELECT * FROM settings")}
        defaults = {name: default for name, (default, _) in SETTINGS.items()}
        own_keys = {"api_keys": [self.api_key], "webhook_key": self.api_key}
        self.settings = {**defaults, **own_keys, **{k: v for k, v in stored.items() if k in SETTINGS}}
        self.clock = Clock(*stored.get(CLOCK, ()))
        if self.clock.speed != self.settings["clock_speed"]:
            self.clock = self.clock.at_speed(self.settings["clock_speed"])
            self._store_setting(CLOCK, dataclasses.astuple(self.clock))

    def change_settings(self, body: Body) -> None:
        """Set what was sent; null puts a setting back to its default."""
        unknown = sorted(set(body) - set(SETTINGS))
        if unknown:
            raise malformed(unknown[0], f"is not a setting; there are {', '.join(SETTINGS)}")
        with self.store.transaction():
            for name, value in body.items():
                if value is None:
                    self.store.execute("DELETE FROM settings WHERE name = ?", name)
                else:
                    self._store_setting(name, SETTINGS[name][1](name, value))
        self.load_settings()
        self.wake()

    def _store_setting(self, name: str, value: Any) -> None:
        self.store.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", name, dump(value))

    def now(self) -> int:
        """By the sandbox's own clock: all that happens to calls and chats is told in its time."""
        return self.clock.now_ms() + int(self.settings["clock_offset_ms"])

    def wake(self) -> None:
        self.bell.set()


class Bucket:
    """A rate per second, with one second's worth saved up at most. A rate of 0 means no limit."""

    def __init__(self) -> None:
        self._level: float | None = None
        self._at = 0.0

    def take(self, rate: float) -> bool:
        if rate <= 0:
            return True
        at = time.monotonic()
        capacity = max(1.0, rate)
        level = capacity if self._level is None else min(capacity, self._level + (at - self._at) * rate)
        self._at = at
        self._level = level - 1 if level >= 1 else level
        return level >= 1
