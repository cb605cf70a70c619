"""What gunicorn serves: Django, and beside it the hot doors, which do without most of it."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from http.client import responses
from typing import Any, Final

import django
from django.core.handlers.wsgi import WSGIHandler
from django.db import connections
from django.http import HttpResponse, JsonResponse

from fraudconsole.middleware import HOT_PREFIXES, HotDoors

logger = logging.getLogger(__name__)

STATUS_LINES: Final = {status: f"{status} {words}" for status, words in responses.items()}


class Application(WSGIHandler):
    """Serves `/hooks/` and `/gate/` without signals, URL configurations and the chain of middleware, none of which
    they use: a fifth of what a webhook costs in the process."""

    def __init__(self) -> None:
        super().__init__()
        self.hot_doors = HotDoors(self.get_response)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if not environ.get("PATH_INFO", "").startswith(HOT_PREFIXES):
            answer: Iterable[bytes] = super().__call__(environ, start_response)
            return answer
        response = self._served(environ)
        cookies = [("Set-Cookie", cookie.output(header="")) for cookie in response.cookies.values()]
        start_response(
            STATUS_LINES.get(response.status_code, f"{response.status_code} Unknown"), [*response.items(), *cookies]
        )
        return _Body([response.content], response._resource_closers)

    def _served(self, environ: dict[str, Any]) -> HttpResponse:
        try:
            response: HttpResponse = self.hot_doors(self.request_class(environ))
            return response
        except Exception:
            logger.exception("A request to %s broke.", environ.get("PATH_INFO"))
            return JsonResponse({"status": "error", "message": "Something went wrong here."}, status=500)
        finally:
            # What Django does at the end of a request: a door that asked the database keeps no stale connection.
            for connection in connections.all(initialized_only=True):
                connection.close_if_unusable_or_obsolete()


class _Body(list[bytes]):
    """What is sent; when all of it is, the places that the request held are given back."""

    def __init__(self, content: list[bytes], closers: list[Callable[[], object]]) -> None:
        super().__init__(content)
        self.closers = closers

    def close(self) -> None:
        while self.closers:
            self.closers.pop()()


os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fraudconsole.settings")
django.setup(set_prefix=False)
application = Application()
