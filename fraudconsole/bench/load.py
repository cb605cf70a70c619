"""Load from wrk, since a generator in Python would take the processor from the server that is measured."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from fraudconsole.bench.measuring import Skipped

SCRIPT = Path(__file__).parent / "webhooks.lua"
NO_WRK = "wrk makes the load, and is not on the PATH: sudo apt-get install -y wrk (or: brew install wrk)."


@dataclass(frozen=True, slots=True)
class Load:
    """What one stretch of load came to."""

    answers: int
    per_second: float
    p50_ms: float
    p99_ms: float


def find_wrk() -> str:
    found = shutil.which("wrk")
    if found is None:
        raise Skipped(NO_WRK)
    return found


def run(url: str, webhooks: Path, *, connections: int, seconds: float) -> Load:
    """Every connection sends its next webhook when it has the answer to the last one."""
    whole_seconds = f"{math.ceil(seconds)}s"
    command = [find_wrk(), "-t1", f"-c{connections}", f"-d{whole_seconds}", "-s", str(SCRIPT), url, str(webhooks)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  (our own command)
    if done.returncode != 0:
        raise Skipped(f"wrk failed: {(done.stderr or done.stdout).strip()}")
    found = json.loads(done.stdout.strip().splitlines()[-1])
    if found["refused"] or found["broken"]:
        raise Skipped(f"{url} refused {found['refused']} webhooks and broke off {found['broken']}.")
    return Load(found["answers"], found["answers"] / found["seconds"], found["p50_ms"], found["p99_ms"])
