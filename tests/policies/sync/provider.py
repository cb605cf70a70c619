"""A provider in this process that does as it is told: what it answers next, and what it carries out late."""

from __future__ import annotations

import json
import threading
from collections import deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Provider:
    """Answers each request with the next of `answers`: a status, or a status with headers. 200 when there is none.

    Whatever is not a 200 leaves the number as it is; what was wanted is kept in `left`, see `land`.
    """

    numbers: dict[str, dict[str, Any]] = field(default_factory=dict)
    answers: deque[Any] = field(default_factory=deque)
    asked: list[str] = field(default_factory=list)
    sent: list[dict[str, Any]] = field(default_factory=list)
    left: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)

    def land(self) -> None:
        """Carries out what was left unanswered."""
        for e164, changes in self.left:
            self.numbers[e164] |= changes

    def lists(self, e164: str) -> tuple[Any, Any]:
        number = self.numbers[e164]
        return number["allowed_inbound_country_list"], number["allowed_outbound_country_list"]

    def _serve(self, request: BaseHTTPRequestHandler, changes: dict[str, Any]) -> tuple[int, dict[str, str], Any]:
        self.asked.append(request.command)
        self.keys.append(request.headers["Authorization"].removeprefix("Bearer "))
        answer = self.answers.popleft() if self.answers else 200
        status, headers = answer if isinstance(answer, tuple) else (answer, {})
        e164 = "+" + request.path.rsplit("/", 1)[-1].removeprefix("%2B").removeprefix("+")
        number = self.numbers.setdefault(e164, {"phone_number": e164, "phone_number_type": "retell-twilio"})
        if request.command == "PATCH":
            self.sent.append(changes)
            if status == 200:
                number |= changes
            else:
                self.left.append((e164, changes))
        return status, headers, number if status == 200 else {"status": "error", "message": "Scripted."}


def serve(provider: Provider) -> ThreadingHTTPServer:
    class Door(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer({})

        def do_PATCH(self) -> None:
            self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def _answer(self, changes: dict[str, Any]) -> None:
            status, headers, body = provider._serve(self, changes)
            content = json.dumps(body).encode()
            self.send_response(status)
            for name, value in {"Content-Length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    return server
