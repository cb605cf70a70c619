"""The short way to the hot doors, and the threads that each kind of request may hold."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.urls import Resolver404, ResolverMatch, get_resolver

from accounts.api.problems import KINDS, MEDIA_TYPE, PROBLEMS_PAGE

HOT_PREFIXES = ("/hooks/", "/gate/")
HOT_URLS = "fraudconsole.hot_urls"

SHARES: Final = {"events": 3 / 8, "gate": 3 / 16, "pages": 3 / 16}
"""Of a process's threads, what each kind of request may hold at once. The rest is kept for inbound webhooks, which may
hold any: UponAI lets the agent answer a call that nobody judges in time."""
ALWAYS: Final = "/healthz"

BUSY: Final = "The console is busy. Try again in a moment."
RETRY_AFTER_SECONDS: Final = 1


class HotDoors:
    """Serves `/hooks/` and `/gate/` before sessions, cookies and sign-in are looked at.

    UponAI answers the call when a webhook takes too long, so this way does nothing that a webhook does not need. All
    other requests are let in only as far as threads are left for webhooks; beyond it they are sent away at once, since
    one that waited would hold a thread too.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self.places = {
            kind: threading.BoundedSemaphore(max(1, int(settings.WEB_THREADS * share)))
            for kind, share in SHARES.items()
        }

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        kind = _kind(request.path_info)
        if kind is None:
            return self._serve(request)
        place = _Place(self.places[kind])
        if not place.taken:
            return _busy(request.path_info)
        try:
            response = self._serve(request)
        except BaseException:
            place.leave()
            raise
        # Held until the last byte is sent: whoever reads slowly holds the thread as long.
        response._resource_closers.append(place.leave)
        return response

    def _serve(self, request: HttpRequest) -> HttpResponse:
        if not request.path_info.startswith(HOT_PREFIXES):
            return self.get_response(request)
        try:
            match = _resolved(request.path_info)
        except Resolver404:
            return JsonResponse({"status": "error", "message": "There is no such path."}, status=404)
        return match.func(request, *match.args, **match.kwargs)


@lru_cache(maxsize=1024)
def _resolved(path: str) -> ResolverMatch:
    """There are few hot paths, a handful for each workspace. Raises Resolver404, which is not remembered."""
    return get_resolver(HOT_URLS).resolve(path)


class _Place:
    """One of a kind's places, given back once: when its response is closed, or forgotten unclosed."""

    def __init__(self, places: threading.BoundedSemaphore) -> None:
        self.places = places
        self.taken = places.acquire(blocking=False)

    def leave(self) -> None:
        if self.taken:
            self.taken = False
            self.places.release()

    __del__ = leave


def _kind(path: str) -> str | None:
    """None for what may hold any thread."""
    if path.startswith("/hooks/"):
        return None if path.endswith("/inbound") else "events"
    if path.startswith("/gate/"):
        return "gate"
    return None if path == ALWAYS else "pages"


def _busy(path: str) -> HttpResponse:
    if path.startswith(HOT_PREFIXES):
        answer = JsonResponse({"status": "error", "message": BUSY, "code": "try_later"}, status=503)
        answer.headers["x-should-retry"] = "false" if path.startswith("/gate/") else "true"
    elif path.startswith("/api/"):
        kind, title = KINDS[503]
        problem = {"type": f"{PROBLEMS_PAGE}#{kind}", "title": title, "status": 503, "detail": BUSY, "errors": []}
        answer = JsonResponse(problem, status=503, content_type=MEDIA_TYPE)
    else:
        answer = HttpResponse(BUSY, status=503, content_type="text/plain; charset=utf-8")
    answer.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return answer
