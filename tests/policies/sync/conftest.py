"""A real UponAI sandbox for the sync."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.factories import UPONAI_KEY
from tests.policies.sync.provider import Provider, serve
from tests.sandbox.conftest import Sandbox


@pytest.fixture
def uponai(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A running sandbox that the console takes for UponAI."""
    monkeypatch.setattr("tests.sandbox.conftest.API_KEY", UPONAI_KEY)
    sandbox = Sandbox(tmp_path / "sandbox")
    sandbox.retell = sandbox.client(UPONAI_KEY)
    settings.UPONAI_API_URL = sandbox.url
    yield sandbox
    sandbox.kill()


@pytest.fixture
def provider(settings: Any) -> Iterator[Provider]:
    """An UponAI that answers as it is told."""
    provider = Provider()
    server = serve(provider)
    settings.UPONAI_API_URL = f"http://127.0.0.1:{server.server_port}"
    yield provider
    server.shutdown()
    server.server_close()
