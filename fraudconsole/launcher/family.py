"""The child processes of one launcher: started, logged, watched, started again, ended. Knows no names."""

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fraudconsole.env import PROJECT_ROOT
from fraudconsole.launcher import Refusal

PR_SET_PDEATHSIG = 1
LONGEST_LOG_BYTES = 10_000_000
LAST_LINES = 12
RESTARTS_ALLOWED = 3
RESTART_WINDOW_SECONDS = 60
KILLED_FROM_OUTSIDE = frozenset({-signal.SIGKILL, -signal.SIGTERM})
STOP_SECONDS = 4.0
TICK_SECONDS = 0.05


@dataclass
class Child:
    """One process in a session of its own, so that a Ctrl-C in the terminal reaches the launcher alone."""

    name: str
    command: Sequence[str]
    log: Path
    process: "subprocess.Popen[bytes]"
    environment: Mapping[str, str]
    log_starts_at: int
    restarts: list[float] = field(default_factory=list)

    def is_alive(self) -> bool:
        return self.process.poll() is None

    def signal(self, number: int) -> None:
        if self.is_alive():
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(number)

    def kill(self) -> None:
        """The process and everything it started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def last_lines(self) -> str:
        """The end of what this very process wrote, not an earlier one of that name."""
        with contextlib.suppress(OSError):
            words = self.log.read_bytes()[self.log_starts_at :].decode(errors="replace")
            return "\n".join("  " + line for line in words.strip().splitlines()[-LAST_LINES:])
        return ""


class Family:
    """All children of one launcher. The register on disk lets the next start end what a killed one left."""

    def __init__(self, logs: Path, register: Path, environment: Mapping[str, str]) -> None:
        self.logs, self.register, self.environment = logs, register, dict(environment)
        self.children: dict[str, Child] = {}
        logs.mkdir(parents=True, exist_ok=True)

    def start(
        self,
        name: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        shown: bool = False,
    ) -> Child:
        """Start a process; its words go to its log, or to the terminal when `shown`."""
        log, additions = self.logs / f"{name}.log", dict(environment or {})
        if log.exists() and log.stat().st_size > LONGEST_LOG_BYTES:
            os.truncate(log, 0)
        with log.open("ab") as output:
            starts_at = output.tell()  # before the child writes: it shares this file's position
            process = subprocess.Popen(
                command,
                cwd=PROJECT_ROOT,
                stdin=subprocess.DEVNULL,
                stdout=None if shown else output,
                stderr=None if shown else output,
                env=self.environment | additions,
                start_new_session=True,
                # Safe: this process has one thread.
                preexec_fn=end_with(os.getpid()),
            )
            child = Child(name, command, log, process, additions, log_starts_at=starts_at)
        self.children[name] = child
        self._write_register()
        return child

    def start_again(self, child: Child, now: float) -> None:
        """After an unexpected end; a Refusal once that happened too often by itself.

        Who was killed from outside does not fail at starting: the others, the gate among them, must not go with it.
        """
        if child.process.returncode in KILLED_FROM_OUTSIDE:
            child.kill()
            self.start(child.name, child.command, environment=child.environment).restarts.extend(child.restarts)
            return
        child.restarts[:] = [at for at in child.restarts if now - at < RESTART_WINDOW_SECONDS]
        if len(child.restarts) >= RESTARTS_ALLOWED:
            raise Refusal(f"{child.name} ended {RESTARTS_ALLOWED + 1} times within a minute.\n{child.last_lines()}")
        child.restarts.append(now)
        child.kill()
        self.start(child.name, child.command, environment=child.environment).restarts.extend(child.restarts)

    def dead(self) -> list[Child]:
        return [child for child in self.children.values() if not child.is_alive()]

    def forget(self, child: Child) -> None:
        self.children.pop(child.name, None)
        self._write_register()

    def stop(self, generations: Sequence[Sequence[str]], is_impatient: Callable[[], bool]) -> None:
        """End the generations one after another; whoever does not go within seconds is killed."""
        named = {name for names in generations for name in names}
        for names in [*generations, [name for name in self.children if name not in named]]:
            leaving = [self.children[name] for name in names if name in self.children]
            for child in leaving:
                child.signal(signal.SIGTERM)
            deadline = time.monotonic() + STOP_SECONDS
            while any(child.is_alive() for child in leaving) and time.monotonic() < deadline:
                if is_impatient():
                    break
                time.sleep(TICK_SECONDS)
            for child in leaving:
                child.kill()
        self.children.clear()
        self.register.unlink(missing_ok=True)

    def _write_register(self) -> None:
        rows = [
            {"name": child.name, "pid": child.process.pid, "born": born(child.process.pid)}
            for child in self.children.values()
        ]
        write_whole(self.register, json.dumps(rows))


def end_leftovers(register: Path) -> list[str]:
    """End what an earlier launcher, killed before it could, left running; the names of what was found."""
    try:
        rows = json.loads(register.read_text())
    except (OSError, ValueError):
        return []
    found = [row for row in rows if row["born"] and born(row["pid"]) == row["born"]]
    for row in found:
        _signal_group(row["pid"], signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while time.monotonic() < deadline and any(born(row["pid"]) == row["born"] for row in found):
        time.sleep(TICK_SECONDS)
    for row in found:
        _signal_group(row["pid"], signal.SIGKILL)
    register.unlink(missing_ok=True)
    return [row["name"] for row in found]


def _signal_group(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def born(pid: int) -> str:
    """What tells a process from a later one with the same number; empty when there is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        if Path("/proc/self/stat").exists():
            return ""
        answer = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
        return answer.stdout.strip()
    state, ticks_since_boot = fields[0], fields[19]
    return "" if state in "ZX" else ticks_since_boot


def end_with(parent: int, number: int = signal.SIGTERM) -> Callable[[], None]:
    """For a new process: ask the kernel to end it when its parent dies, however the parent dies (Linux)."""
    prctl: Any = ctypes.CDLL(None).prctl if sys.platform == "linux" else None

    def prepare() -> None:
        # A launcher started in the background ignores Ctrl-C, and would pass that on.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        if prctl is not None:
            prctl(PR_SET_PDEATHSIG, int(number))
            if os.getppid() != parent:
                os._exit(1)

    return prepare


def write_whole(path: Path, text: str, mode: int = 0o600) -> None:
    """Replace a file in one step, so that nobody reads half of it."""
    new = path.with_name(f".{path.name}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
        handle.write(text)
    new.replace(path)
