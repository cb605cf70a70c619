"""One rig for all scenarios of a run: each has a workspace, numbers and an UponAI account of its own in it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.rig import Rig, database


@pytest.fixture(scope="session")
def rig_processes() -> Iterator[Rig]:
    folder = Path(tempfile.mkdtemp(prefix="fraudconsole-faults-", dir="/tmp"))
    with database() as url:
        rig = Rig(folder, url)
        try:
            rig.start()
            yield rig
        finally:
            rig.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def rig(rig_processes: Rig) -> Iterator[Rig]:
    """Without faults, with two workers and one beat."""
    rig_processes.post("faults", rate=0)
    rig_processes.ensure(workers=2, beats=1)
    yield rig_processes
    rig_processes.post("faults", rate=0)
