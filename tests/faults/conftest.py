"""One rig for all scenarios of a run: each has a workspace, numbers and an UponAI account of its own in it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.databases import copied
from tests.faults.rig import CONTROL_KEY, Rig
from tests.sandbox.conftest import Sandbox


@pytest.fixture(scope="session")
def rig_processes(django_db_setup: None, django_db_blocker: Any) -> Iterator[Rig]:
    folder = Path(tempfile.mkdtemp(prefix="fraudconsole-faults-", dir="/tmp"))
    with django_db_blocker.unblock(), copied(folder) as url:
        rig = Rig(folder, url)
        try:
            rig.start()
            yield rig
        finally:
            rig.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def rig(rig_processes: Rig, db: None) -> Iterator[Rig]:
    """Without faults, with two workers and one beat. `db` has the database made of which the rig has a copy."""
    rig_processes.post("faults", rate=0)
    rig_processes.ensure(workers=2, beats=1)
    yield rig_processes
    rig_processes.post("faults", rate=0)


@pytest.fixture
def uponai(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A sandbox of its own, for what runs in this process."""
    monkeypatch.setattr("tests.sandbox.conftest.API_KEY", CONTROL_KEY)
    sandbox = Sandbox(tmp_path / "sandbox")
    settings.UPONAI_API_URL = sandbox.url
    yield sandbox
    sandbox.kill()
