"""A real sandbox process, a stock client for it, and a receiver for what it sends. No Django here."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from retell import Retell

API_KEY = "key_of_this_test"
PROJECT = Path(__file__).resolve().parents[2]
US = "+14155550100"
US_PEER = "+14155550142"
GB_PEER = "+447400123456"
CU_PEER = "+5351234567"


class Sandbox:
    """One `python -m fraudconsole.sandbox` process."""

    def __init__(self, directory: Path, *options: str) -> None:
        self.directory = directory
        self.options = options
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "fraudconsole.sandbox", "--port=0", "--data", self.directory, *self.options],
            cwd=PROJECT,
            env={**os.environ, "SANDBOX_API_KEY": API_KEY},
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stderr is not None
        first_line = self.process.stderr.readline()
        assert "listens on" in first_line, first_line
        self.said = [first_line]
        threading.Thread(target=self._listen, args=(self.process.stderr,), daemon=True).start()
        self.url = first_line.split()[-1]
        self.http = httpx.Client(
            base_url=self.url, headers={"Authorization": f"Bearer {API_KEY}"}, timeout=20, trust_env=False
        )
        self.retell = self.client()

    def _listen(self, stream: Any) -> None:
        for line in stream:
            self.said.append(line)

    def client(self, key: str = API_KEY, **options: Any) -> Retell:
        return Retell(
            api_key=key,
            base_url=self.url,
            _strict_response_validation=True,
            **{"max_retries": 0, "timeout": 20, **options},
        )

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)
        self.http.close()

    def get(self, path: str, **query: Any) -> Any:
        return self._answer(self.http.get(f"/sandbox/{path}", params=query))

    def post(self, path: str, **body: Any) -> Any:
        return self._answer(self.http.post(f"/sandbox/{path}", json=body))

    def put(self, path: str, **body: Any) -> Any:
        return self._answer(self.http.put(f"/sandbox/{path}", json=body))

    @staticmethod
    def _answer(response: httpx.Response) -> Any:
        assert response.is_success, response.text
        return response.json() if response.content else None

    def add_number(self, number: str = US, **fields: Any) -> None:
        agents = {
            name: [{"agent_id": f"agent_{name.split('_')[0]}", "weight": 1, "agent_version": 3}]
            for name in ("inbound_agents", "outbound_agents", "inbound_sms_agents", "outbound_sms_agents")
        }
        self.post("numbers", numbers=[{"phone_number": number, **agents, **fields}])

    def dial(self, to_number: str = US_PEER, **fields: Any) -> str:
        return self.retell.call.create_phone_call(from_number=US, to_number=to_number, **fields).call_id


@dataclass
class Delivery:
    headers: dict[str, str]
    raw: bytes
    body: dict[str, Any]


@dataclass
class Receiver:
    """An HTTP server that keeps what it is sent, and answers what the test says."""

    url: str = ""
    received: list[Delivery] = field(default_factory=list)
    answer: Callable[[int], tuple[int, bytes]] = lambda count: (204, b"")

    def events(self) -> list[str]:
        return [delivery.body["event"] for delivery in self.received]


def wait_for(condition: Callable[[], Any], *, seconds: float = 8) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        result = condition()
        if result:
            return result
        time.sleep(0.03)
    raise AssertionError("It did not happen in time.")


@pytest.fixture(scope="session")
def sandbox_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    sandbox = Sandbox(tmp_path_factory.mktemp("sandbox"), "--retry-seconds=0.05", "--call-seconds=1")
    yield sandbox
    sandbox.kill()


@pytest.fixture
def sandbox(sandbox_process: Sandbox) -> Sandbox:
    """Empty and without faults, with one number that has agents for everything."""
    sandbox_process.post("reset")
    sandbox_process.add_number()
    return sandbox_process


@pytest.fixture
def start_sandbox(tmp_path: Path) -> Iterator[Callable[..., Sandbox]]:
    """Starts a sandbox with its own options, for tests that kill it."""
    started: list[Sandbox] = []

    def start(*options: str) -> Sandbox:
        started.append(Sandbox(tmp_path / f"sandbox{len(started)}", *options))
        return started[-1]

    yield start
    for one in started:
        one.kill()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    kept = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            kept.received.append(Delivery(dict(self.headers), raw, json.loads(raw)))
            status, content = kept.answer(len(kept.received))
            self.send_response(status)
            if status != 204:
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            with contextlib.suppress(ConnectionError):  # whoever asked may have given up
                self.wfile.write(content if status != 204 else b"")

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    kept.url = f"http://127.0.0.1:{server.server_port}/hook"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield kept
    server.shutdown()
    server.server_close()
