"""A captcha verifier over real HTTP that takes tokens as Google's does, and can fall ill. No Django here."""

from __future__ import annotations

import contextlib
import gzip
import json
import secrets
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

LIFETIME = timedelta(minutes=2)
SECRET = "secret_of_this_site"


@dataclass
class Verifier:
    """`behaviour`: well, or one of the illnesses that `_Door` knows. `asked`: the forms that came in, in order."""

    url: str = ""
    behaviour: str = "well"
    asked: list[dict[str, str]] = field(default_factory=list)
    recovered: threading.Event = field(default_factory=threading.Event)
    _tokens: dict[str, dict[str, Any]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def token(
        self,
        *,
        secret: str = SECRET,
        hostname: str = "www.example.com",
        action: str | None = "call",
        score: float | None = 0.9,
        age_seconds: float = 0,
    ) -> str:
        """What a person's browser gets for having solved the captcha on a page."""
        made = datetime.now(UTC) - timedelta(seconds=age_seconds)
        text = "03A" + secrets.token_urlsafe(360)
        facts = {"hostname": hostname, "action": action, "score": score}
        shown = {name: value for name, value in facts.items() if value is not None}
        with self._lock:
            self._tokens[text] = {"secret": secret, "made": made, "used": False, "shown": shown}
        return text

    def verdict(self, form: dict[str, str]) -> dict[str, Any]:
        with self._lock:
            self.asked.append(form)
            token = self._tokens.get(form.get("response", ""))
            if not form.get("secret", "").startswith("secret_"):
                return {"success": False, "error-codes": ["invalid-input-secret"]}
            if token is None or token["secret"] != form["secret"]:
                return {"success": False, "error-codes": ["invalid-input-response"]}
            if token["used"] or datetime.now(UTC) - token["made"] > LIFETIME:
                return {"success": False, "error-codes": ["timeout-or-duplicate"]}
            token["used"] = True
            return {"success": True, "challenge_ts": f"{token['made']:%Y-%m-%dT%H:%M:%SZ}", **token["shown"]}


class _Door(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    verifier: Verifier

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        said = self.verifier.verdict(dict(parse_qsl(content.decode())))
        with contextlib.suppress(OSError):  # who asked has left
            getattr(self, f"_{self.verifier.behaviour}")(json.dumps(said).encode())

    def _well(self, body: bytes, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def _hangs(self, body: bytes) -> None:
        self.verifier.recovered.wait(30)
        self.close_connection = True

    def _drips_headers(self, body: bytes) -> None:
        self._drip(b"HTTP/1.1 200 OK\r\nX-Slow: " + b"z" * 5000)

    def _drips_body(self, body: bytes) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n")
        self._drip(b" " * 5000)

    def _drip(self, content: bytes) -> None:
        for byte in content:
            if self.verifier.recovered.wait(0.05):
                return
            self.wfile.write(bytes([byte]))

    def _garbage(self, body: bytes) -> None:
        self._well(b"<html>We are sorry</html>")

    def _another_shape(self, body: bytes) -> None:
        self._well(b'["success"]')

    def _text_for_true(self, body: bytes) -> None:
        self._well(body.replace(b"true", b'"true"'))

    def _fails(self, body: bytes) -> None:
        self._well(body, 500)

    def _redirects(self, body: bytes) -> None:
        self._well(body, 302, Location="http://127.0.0.1:9/")

    def _endless(self, body: bytes) -> None:
        self._well(body + b" " * 10_000_000)

    def _bomb(self, body: bytes) -> None:
        self._well(gzip.compress(b" " * 50_000_000 + body, 1), Content_Encoding="gzip")

    def _cuts(self, body: bytes) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + body)
        self.close_connection = True

    def log_message(self, *arguments: Any) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128


@contextlib.contextmanager
def running() -> Iterator[Verifier]:
    """A verifier that listens on this machine until the end of the block."""
    verifier = Verifier()
    server = _Server(("127.0.0.1", 0), type("Door", (_Door,), {"verifier": verifier}))
    verifier.url = f"http://127.0.0.1:{server.server_port}/siteverify"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield verifier
    finally:
        verifier.recovered.set()
        server.shutdown()
        server.server_close()
