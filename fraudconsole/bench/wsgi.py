"""What the measured server serves: the console as it is, and the rivals beside it without any middleware."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fraudconsole.bench.settings")

from fraudconsole.wsgi import application as _console

settings.MIDDLEWARE = []
_rivals = WSGIHandler()


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    handler = _rivals if environ["PATH_INFO"].startswith("/bench/") else _console
    return handler(environ, start_response)
