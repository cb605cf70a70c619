"""The whole running console with its demo, and a real browser in front of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from fraudconsole.env import PROJECT_ROOT, read_file
from tests.run import FOREIGN_VARIABLES
from tests.servers import find_chromium, free_port
from tests.test_launcher import Console

SEEDED_SECONDS = 240
SCREENSHOTS = PROJECT_ROOT / "test-results"
CHROMIUM_OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
]


class Demo:
    """A seeded console: its addresses, and what a person would type into a terminal beside it."""

    def __init__(self, data: Path) -> None:
        self.data, port, sandbox_port = data, free_port(), free_port()
        self.url, self.sandbox_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{sandbox_port}"
        self.console = Console(data, [sys.executable, "-m", "fraudconsole.run"], port, sandbox_port)
        self.console.wait_for_page(SEEDED_SECONDS)
        self.values = read_file(data / "embedded.env")
        self.token = self._token()

    def _token(self) -> str:
        deadline = time.monotonic() + SEEDED_SECONDS
        while time.monotonic() < deadline:
            made = self.manage("create_token", "--workspace", "demo", "--scope", "*")
            if made.returncode == 0:
                return made.stdout.strip()
            time.sleep(1)
        raise AssertionError(f"The demo has no workspace yet. {made.stderr} {self.console.said()}")

    def manage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if name not in FOREIGN_VARIABLES}
        return subprocess.run(
            [sys.executable, PROJECT_ROOT / "manage.py", *arguments],
            env=environment | {"DATA_DIR": str(self.data)},
            capture_output=True,
            text=True,
            timeout=60,
        )

    def wait_until_seeded(self) -> None:
        deadline = time.monotonic() + SEEDED_SECONDS
        while time.monotonic() < deadline:
            running = json.loads((self.data / "launcher.json").read_text())
            if "seed_demo" not in {child["name"] for child in running}:
                return
            time.sleep(0.5)
        raise AssertionError(f"The demo is still being seeded. {self.console.said()}")

    def api(self, path: str, method: str = "GET", body: Any = None) -> Any:
        return self._request(f"{self.url}/api/v1/{path}", self.token, method, body)

    def sandbox(self, path: str, method: str = "GET", body: Any = None) -> Any:
        return self._request(f"{self.sandbox_url}/{path}", self.values["SANDBOX_API_KEY"], method, body)

    def _request(self, url: str, key: str, method: str, body: Any) -> Any:
        request = urllib.request.Request(
            url,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=20) as response:
                return json.loads(response.read())
        except urllib.error.HTTPError as refusal:
            return json.loads(refusal.read())


@pytest.fixture(scope="package")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    data = tmp_path_factory.mktemp("demo") / "data"
    running = Demo(data)
    running.wait_until_seeded()
    yield running
    running.console.interrupt()


@pytest.fixture(scope="package")  # Playwright's event loop is not to run any more where others ask the database
def browser() -> Iterator[Browser]:
    chromium = find_chromium()
    if chromium is None:
        pytest.skip("There is no Chromium on this machine; `make test` installs one where it may.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_OPTIONS)
        yield browser
        browser.close()


@pytest.fixture
def screenshots() -> Path:
    SCREENSHOTS.mkdir(exist_ok=True)
    return SCREENSHOTS
