"""Passing events on to relays: the bytes as they came, by rows that are their own schedule.

It has threads of its own, few of them, so that receivers which hang keep neither the worker from its other work nor
events from other receivers: of one relay some go out at once, of one that fails a single one, and those that fail
never have all threads.
"""

from __future__ import annotations

import asyncio
import logging
import random
import threading
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import httpx
from django.conf import settings
from django.db import close_old_connections, connection, models
from django.utils import timezone

from accounts import encryption, public_addresses, workspaces
from accounts.scoping import scoped, unscoped
from monitoring import relays
from monitoring.ingest import inbox
from monitoring.models import Relay, RelayDelivery
from policies.gate.chaining import MARK
from policies.uponai import signature

logger = logging.getLogger(__name__)

PAUSES: Final = (5, 30, 120, 600, 3600, 10_800, 36_000)
"""Seconds before the second to eighth try: what Svix does, whose schedule receivers are used to."""
JITTER: Final = 0.1
TIMEOUT_SECONDS: Final = 10.0
LEASE: Final = timedelta(seconds=60)
RESIGN_AFTER: Final = timedelta(minutes=4)
"""Receivers refuse a signature that is older than five minutes; what takes longer to arrive is signed anew."""
KEPT_DELIVERED: Final = timedelta(days=7)
FORGET_AT_ONCE: Final = 5000

THREADS: Final = 8
MOST_OF_ONE: Final = 4
MOST_FAILING: Final = THREADS // 2

GONE: Final = 410
State = RelayDelivery.State
Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one try: the answer's status, or why there was none."""

    status: int | None
    error: str = ""

    @property
    def arrived(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


# --- Threads --------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Busy:
    lock: threading.Lock = field(default_factory=threading.Lock)
    threads: int = 0
    of_relay: Counter[int] = field(default_factory=Counter)
    failing: set[int] = field(default_factory=set)


_busy = _Busy()


def wake() -> None:
    """Starts as many threads as may run and work is there for; each ends when it finds nothing that is due."""
    for _ in range(_wanted_threads(now=timezone.now())):
        with _busy.lock:
            if _busy.threads >= THREADS:
                return
            _busy.threads += 1
        threading.Thread(target=_run, name="relaying", daemon=True).start()


def _wanted_threads(*, now: datetime) -> int:
    with unscoped(reason="relays of every workspace have events due"):
        due = RelayDelivery.objects.filter(due_at__lte=now)
        rows = Relay.objects.filter(models.Exists(due.filter(relay=models.OuterRef("pk"))), stopped_at=None)
        relay_ids = rows.order_by("pk").values_list("pk", flat=True)[:THREADS]
        return min(THREADS, sum(due.filter(relay=relay_id)[:MOST_OF_ONE].count() for relay_id in relay_ids))


def _run() -> None:
    try:
        close_old_connections()
        work_off(clock=timezone.now)
    except Exception:
        logger.exception("Events could not be passed on; the sweep tries again.")
    finally:
        with _busy.lock:
            _busy.threads -= 1
        connection.close()


def work_off(*, clock: Clock) -> int:
    """Sends what is due until there is nothing more, one by one. Answers how many tries that were."""
    tries = 0
    while (row := _claim(now=clock())) is not None:
        try:
            _deliver(row, clock)
        finally:
            _release(row.relay_id)
        tries += 1
    return tries


def _claim(*, now: datetime) -> RelayDelivery | None:
    """The oldest event that is due of a relay that may have one more under way; leased."""
    with unscoped(reason="relays of every workspace have events due"):
        due = RelayDelivery.objects.filter(relay=models.OuterRef("pk"), due_at__lte=now)
        rows = list(Relay.objects.filter(models.Exists(due), stopped_at=None))
        random.shuffle(rows)
        for relay in rows:
            if _enter(relay):
                row = _leased(relay, now=now)
                if row is not None:
                    return row
                _release(relay.pk)
    return None


def _leased(relay: Relay, *, now: datetime) -> RelayDelivery | None:
    due = RelayDelivery.objects.filter(relay=relay, due_at__lte=now)
    while (row := due.select_related("relay", "event").order_by("due_at", "pk").first()) is not None:
        token = uuid.uuid4()
        mine = due.filter(pk=row.pk, due_at=row.due_at)
        if mine.update(due_at=now + LEASE, lease_token=token, attempts=models.F("attempts") + 1):
            row.lease_token, row.attempts = token, row.attempts + 1
            found: RelayDelivery = row
            return found
    return None


def _enter(relay: Relay) -> bool:
    with _busy.lock:
        failing = relay.failing_since is not None
        most = 1 if failing else MOST_OF_ONE
        if _busy.of_relay[relay.pk] >= most or (failing and len(_busy.failing) >= MOST_FAILING):
            return False
        _busy.of_relay[relay.pk] += 1
        if failing:
            _busy.failing.add(relay.pk)
        return True


def _release(relay_id: int) -> None:
    with _busy.lock:
        _busy.of_relay[relay_id] -= 1
        if not _busy.of_relay[relay_id]:
            del _busy.of_relay[relay_id]
            _busy.failing.discard(relay_id)


# --- One try --------------------------------------------------------------------------------------


def _deliver(row: RelayDelivery, clock: Clock) -> None:
    with scoped(row.workspace_id):
        try:
            body = inbox.body_of(row.event)
            header = _signature(row, body, now=clock())
        except (encryption.CannotOpen, workspaces.NoUponaiKey) as trouble:
            outcome = Outcome(None, f"The event cannot be read or signed ({type(trouble).__name__}).")
        else:
            outcome = post(row.relay.url, body, header)
        _settle(row, outcome, now=clock())


def _signature(row: RelayDelivery, body: bytes, *, now: datetime) -> str:
    if row.signature and now - row.event.received_at < RESIGN_AFTER:
        return row.signature
    secret = workspaces.uponai_key(row.workspace_id)
    return signature.sign(body=body, secret=secret, now_ms=int(now.timestamp() * 1000))


def post(url: str, body: bytes, header: str) -> Outcome:
    """Sends the bytes once, to a public address alone, in ten seconds."""
    try:
        address = httpx.URL(url)
        host = address.raw_host.decode()
        port = address.port or (443 if address.scheme == "https" else 80)
        target = public_addresses.resolve(host, port, or_loopback=settings.CHAINED_WEBHOOKS_ON_LOOPBACK)
        headers = {
            "Host": address.netloc.decode(),
            "Content-Type": "application/json",
            "User-Agent": "fraudconsole",
            MARK: "fraudconsole",
            **dict.fromkeys(settings.UPONAI_SIGNATURE_HEADERS, header),
        }
        status = asyncio.run(_status_of(address.copy_with(host=target), host, headers, body))
    except TimeoutError:
        return Outcome(None, f"It did not answer within {TIMEOUT_SECONDS:.0f} seconds.")
    except public_addresses.NotPublic as problem:
        return Outcome(None, f"It was not asked: {problem}.")
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as trouble:
        return Outcome(None, f"It cannot be reached ({type(trouble).__name__}).")
    return Outcome(status, "" if 200 <= status < 300 else f"It answered {status}.")


async def _status_of(address: httpx.URL, host: str, headers: dict[str, str], body: bytes) -> int:
    # The whole exchange has one limit: an answer that drips in byte by byte passes every other.
    async with (
        asyncio.timeout(TIMEOUT_SECONDS),
        httpx.AsyncClient(follow_redirects=False, trust_env=False, timeout=TIMEOUT_SECONDS) as client,
        client.stream("POST", address, content=body, headers=headers, extensions={"sni_hostname": host}) as response,
    ):
        return response.status_code


def _settle(row: RelayDelivery, outcome: Outcome, *, now: datetime) -> None:
    mine = RelayDelivery.objects.filter(pk=row.pk, lease_token=row.lease_token)
    relay = Relay.objects.filter(pk=row.relay_id)
    told = {"status": outcome.status, "error": outcome.error, "lease_token": None}
    if outcome.arrived:
        mine.update(state=State.DELIVERED, delivered_at=now, due_at=None, **told)
        relay.update(last_delivered_at=now)
        relay.filter(stopped_at=None, failing_since__isnull=False).update(failing_since=None, last_error="")
        return
    if outcome.status == GONE:
        mine.update(state=State.GIVEN_UP, due_at=None, **told)
        _stop(row.relay, now=now)
        return
    pause = PAUSES[row.attempts - 1] if row.attempts <= len(PAUSES) else None
    if pause is None:
        mine.update(state=State.GIVEN_UP, due_at=None, **told)
    else:
        jittered = timedelta(seconds=pause * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311  (no secret)
        mine.update(due_at=now + jittered, **told)
    relay.filter(stopped_at=None).update(last_error=outcome.error)
    relay.filter(stopped_at=None, failing_since=None).update(failing_since=now)


def _stop(relay: Relay, *, now: datetime) -> None:
    """The receiver says that it is gone for good: what a person would do then is done for them, and alerted of."""
    said = "It answered 410, which means that nothing is to be sent there any more."
    relays.stop_relay(relay=relay, acting_user=None, now=now)
    Relay.objects.filter(pk=relay.pk).update(failing_since=now, last_error=said)


# --- Forgetting -----------------------------------------------------------------------------------


def forget_old(*, now: datetime) -> int:
    """Removes some of what arrived long ago; what did not goes with its event."""
    with unscoped(reason="deliveries of every workspace grow old"):
        old = RelayDelivery.objects.filter(state=State.DELIVERED, delivered_at__lt=now - KEPT_DELIVERED)
        some = list(old.order_by("pk").values_list("pk", flat=True)[:FORGET_AT_ONCE])
        RelayDelivery.objects.filter(pk__in=some).delete()
    return len(some)
