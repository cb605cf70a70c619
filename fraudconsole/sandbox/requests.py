"""The requests at UponAI's own paths as they came, answered or not. Kept as long as the process lives."""

from __future__ import annotations

import itertools
from collections import deque
from typing import Any

from starlette.types import Message, Scope, Send

from .bodies import Body

KEPT = 200_000
NAME = "request_entry"
"""Where a request's scope carries its entry, for those who learn more about it."""


class RequestLog:
    def __init__(self) -> None:
        self.entries: deque[Body] = deque(maxlen=KEPT)
        self._numbers = itertools.count(1)

    def begin(self, scope: Scope, *, now: int) -> Body:
        """`fault`: what was done to it on purpose. `change`: the entry of the log of changes that it became."""
        entry: Body = {
            "n": next(self._numbers),
            "at": now,
            "done_at": None,
            "key": scope["key"][-4:],
            "method": scope["method"],
            "path": scope["path"],
            "fault": None,
            "status": None,
            "change": None,
        }
        self.entries.append(entry)
        scope[NAME] = entry
        return entry

    def after(self, number: int, at_most: int) -> list[Body]:
        return list(itertools.islice((entry for entry in self.entries if entry["n"] > number), at_most))


def note(scope: Scope, **facts: Any) -> None:
    """What is learnt of a request; nothing where it is not kept, as with the controls."""
    if (entry := scope.get(NAME)) is not None:
        entry.update(facts)


def noting_status(scope: Scope, send: Send) -> Send:
    async def noting(message: Message) -> None:
        if message["type"] == "http.response.start":
            note(scope, status=message["status"])
        await send(message)

    return noting
