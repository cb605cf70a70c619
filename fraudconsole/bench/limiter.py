"""The live store's limiter, one counter against one: how fast, and whether it keeps what it promises."""

from __future__ import annotations

import importlib.util
import multiprocessing
import random
import time
import uuid
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from django.conf import settings
from django.db import connection
from django.utils import timezone

from fraudconsole.bench.measuring import Size, Table, in_microseconds, ratio
from fraudconsole.bench.scratch import Place
from policies.engine.limits import Charge, Limit, LimitName, Measure
from policies.gate import rebuild, store
from policies.gate.store import Outcome

OURS: Final = "the store's `spend`, one charge"
DJANGO_RATELIMIT: Final = "django-ratelimit"
LIMITS: Final = "limits, moving window"
REST: Final = "DRF's throttle"
CACHE: Final = "Django's cache, a fixed window"
"""What django-ratelimit does with the cache, and nothing else: it cannot be faster than this."""
MISSING: Final = {
    DJANGO_RATELIMIT: ("django_ratelimit", "django-ratelimit"),
    LIMITS: ("limits", "limits"),
}
LARGE: Final = Limit(1000, 60)
"""For the rate: large enough to turn nobody away, small enough to be kept exactly."""
SMALL: Final = Limit(20, 1)
WHOLE: Final = Limit(100, 60)
KEYS: Final = 300
PRIMED_SECONDS: Final = 0.65  # one attempt so long before the others, so that a window may end among them
BURST_SECONDS: Final = 0.7
TRIALS: Final = 6
PROCESSES: Final = 8
ATTEMPTS_EACH: Final = 1500
PATIENCE_SECONDS: Final = 120

Admit = Callable[[str], bool]
"""Counts one attempt of somebody and tells whether there was room."""


def measure(place: Place, size: Size, chance: random.Random) -> list[Table]:
    limiters, missing = _limiters(place.workspace.pk)
    return [
        _speed(limiters, size, missing),
        _promises(limiters),
    ]


def _limiters(workspace_id: int) -> tuple[dict[str, Callable[[Limit], Admit]], list[str]]:
    """What can be measured here, and a sentence for each that cannot."""
    known = {
        OURS: partial(_ours, workspace_id),
        DJANGO_RATELIMIT: _django_ratelimit,
        LIMITS: _limits,
        CACHE: _fixed_window,
        REST: _rest_throttle,
    }
    absent = {name for name, (module, _) in MISSING.items() if importlib.util.find_spec(module) is None}
    sentences = [
        f"{name}: not measured, since it is not installed (pip install {MISSING[name][1]})." for name in absent
    ]
    return {name: make for name, make in known.items() if name not in absent}, sentences


# --- The limiters ---------------------------------------------------------------------------------


def _ours(workspace_id: int, limit: Limit) -> Admit:
    def spend(charge: Charge) -> Outcome:
        return store.spend(
            workspace_id,
            version=None,
            key=None,
            decision_id="",
            decision=b"",
            answer=b"",
            charges=[charge],
            record=False,
        ).outcome

    def admit(whose: str) -> bool:
        charge = Charge(LimitName.IP, Measure.ATTEMPTS, whose, limit)
        while (outcome := spend(charge)) is Outcome.UNKNOWN:  # a new connection, or a process's first
            rebuild.rebuild(workspace_id, now=timezone.now())
        return outcome is Outcome.RECORDED

    return admit


def _django_ratelimit(limit: Limit) -> Admit:
    from django.http import HttpRequest
    from django_ratelimit.core import is_ratelimited

    rate = f"{limit.limit:.0f}/{limit.window_seconds:.0f}s"

    def admit(whose: str) -> bool:
        request = HttpRequest()
        request.META["REMOTE_ADDR"] = "127.0.0.1"
        return not is_ratelimited(request, group="bench", key=lambda _group, _request: whose, rate=rate, increment=True)

    return admit


def _fixed_window(limit: Limit) -> Admit:
    from django.core.cache import cache

    def admit(whose: str) -> bool:
        window = int(time.time() // limit.window_seconds)
        key = f"fixed:{limit.window_seconds:.0f}:{whose}:{window}"
        if cache.add(key, 1, limit.window_seconds + 5):
            return limit.limit >= 1
        return int(cache.incr(key)) <= limit.limit

    return admit


def _limits(limit: Limit) -> Admit:
    from limits import RateLimitItemPerSecond
    from limits.storage import storage_from_string
    from limits.strategies import MovingWindowRateLimiter

    limiter = MovingWindowRateLimiter(storage_from_string(f"redis+{settings.REDIS_URL}"))
    item = RateLimitItemPerSecond(int(limit.limit), int(limit.window_seconds))
    return lambda whose: bool(limiter.hit(item, whose))


def _rest_throttle(limit: Limit) -> Admit:
    from rest_framework.throttling import SimpleRateThrottle

    class Throttle(SimpleRateThrottle):  # type: ignore[misc]
        rate = "1/s"  # replaced below: it knows no other windows than a second, a minute, an hour and a day
        whose = ""

        def __init__(self) -> None:
            super().__init__()
            self.num_requests, self.duration = int(limit.limit), limit.window_seconds

        def get_cache_key(self, request: Any, view: Any) -> str:
            return f"throttle:{self.whose}"

    def admit(whose: str) -> bool:
        throttle = Throttle()
        throttle.whose = whose
        return bool(throttle.allow_request(None, None))

    return admit


# --- How fast -------------------------------------------------------------------------------------


def _speed(limiters: Mapping[str, Callable[[Limit], Admit]], size: Size, missing: list[str]) -> Table:
    run = uuid.uuid4().hex
    admits = {name: make(LARGE) for name, make in limiters.items()}

    def work(admit: Admit) -> int:
        for turn in range(size.sample):
            if not admit(f"{run}:{turn % KEYS}"):
                raise RuntimeError("A limit was reached that should not have been.")
        return size.sample

    found = in_microseconds({name: partial(work, admit) for name, admit in admits.items()}, size.rounds)
    peer = DJANGO_RATELIMIT if DJANGO_RATELIMIT in found else CACHE
    table = Table(
        f"A limiter, one counter: {LARGE.limit:.0f} in {LARGE.window_seconds:.0f} s",
        ("", "µs each", "per second", f"rate × that of {peer}"),
    )
    for name, figures in found.items():
        table.rows.append((name, figures.shown(1), f"{1_000_000 / figures.median:,.0f}", ratio(found[peer], figures)))
    table.notes += [f"{KEYS} callers in turn, none of whom reaches the limit; one process, the same store.", *missing]
    return table


# --- Whether it keeps its promise -----------------------------------------------------------------


def _promises(limiters: Mapping[str, Callable[[Limit], Admit]]) -> Table:
    title = "What a limiter lets through"
    sizes = f"{SMALL.limit:.0f} in {SMALL.window_seconds:.0f} s, a burst of {BURST_SECONDS} s: most of {TRIALS} trials"
    attempts = f"{PROCESSES * ATTEMPTS_EACH:,} attempts of {PROCESSES} processes at {WHOLE.limit:.0f}"
    table = Table(title, ("", sizes, "all trials", attempts))
    for name, make in limiters.items():
        admit = make(SMALL)
        bursts = [_burst(admit) for _ in range(TRIALS)]
        crowd = _crowd(make(WHOLE))
        table.rows.append((name, str(max(bursts)), " ".join(map(str, bursts)), f"{crowd:,}"))
    table.notes.append(
        f"Each trial: one attempt, and {PRIMED_SECONDS} s later as many as fit into {BURST_SECONDS} s, of which those "
        f"let through are counted. A window that slides has room for {SMALL.limit:.0f}; one that is fixed may end "
        "among them and begin anew. The processes all begin at the same moment."
    )
    return table


def _burst(admit: Admit) -> int:
    whose = uuid.uuid4().hex
    admit(whose)
    time.sleep(PRIMED_SECONDS)
    ends_at, admitted = time.monotonic() + BURST_SECONDS, 0
    while time.monotonic() < ends_at:
        admitted += admit(whose)
    return admitted


def _crowd(admit: Admit) -> int:
    """How many get in when several processes hurry at one counter, all from the same moment on."""
    whose = uuid.uuid4().hex
    connection.close()  # not to be shared with those who are forked now
    context = multiprocessing.get_context("fork")
    ready, admitted = context.Barrier(PROCESSES), context.Queue()

    def hurry() -> None:
        ready.wait()
        admitted.put(sum(admit(whose) for _ in range(ATTEMPTS_EACH)))

    processes = [context.Process(target=hurry) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    total = sum(admitted.get(timeout=PATIENCE_SECONDS) for _ in processes)
    for process in processes:
        process.join()
    return total
