"""What must hold before anything is started: the options, a data directory of our own, free ports, space."""

import errno
import fcntl
import json
import os
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path

from fraudconsole.env import PROJECT_ROOT, BadSetting, Environment, data_dir, read_file
from fraudconsole.launcher import Refusal

HIGHEST_PORT = 65535
MINIMUM_FREE_MEGABYTES = 200
MEGABYTE = 1024 * 1024
LOCAL_NAMES = ("127.0.0.1", "localhost", "[::1]")


@dataclass(frozen=True)
class Plan:
    """What this start is to be, decided once from arguments and environment."""

    data: Path
    port: int
    sandbox_port: int
    has_sandbox: bool
    has_demo: bool
    own_store: bool
    own_database: bool

    @property
    def console_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def sandbox_url(self) -> str:
        return f"http://127.0.0.1:{self.sandbox_port}"


def make_plan(*, no_demo: bool) -> Plan:
    """What the person chose: the process environment, then `.env`; never what an earlier start wrote."""
    chosen = Environment(dict(os.environ), read_file(PROJECT_ROOT / ".env"))
    try:
        port, sandbox_port = chosen.number("PORT", 8000), chosen.number("SANDBOX_PORT", 8001)
    except BadSetting as problem:
        raise Refusal(str(problem)) from None
    for name, value in (("PORT", port), ("SANDBOX_PORT", sandbox_port)):
        if not 1 <= value <= HIGHEST_PORT:
            raise Refusal(f"{name} must be between 1 and {HIGHEST_PORT}, not {value}.")
    own_sandbox = {f"http://{name}:{sandbox_port}" for name in LOCAL_NAMES}
    is_elsewhere = chosen.text("UPONAI_API_URL").rstrip("/") not in own_sandbox | {""}
    has_sandbox = not no_demo and not is_elsewhere
    if has_sandbox and port == sandbox_port:
        raise Refusal(f"PORT and SANDBOX_PORT are both {port}; choose two different ones.")
    return Plan(
        data=data_dir(),
        port=port,
        sandbox_port=sandbox_port,
        has_sandbox=has_sandbox,
        has_demo=has_sandbox,
        own_store=not chosen.text("REDIS_URL"),
        own_database=not chosen.text("DATABASE_URL"),
    )


def make_data_directory(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        probe = directory / ".writable"
        probe.write_text("")
        probe.unlink()
    except OSError as problem:
        if problem.errno == errno.ENOSPC:
            raise
        raise Refusal(
            f"The data directory {directory} cannot be written to ({problem.strerror}). "
            "Choose another one: DATA_DIR=/path/to/folder make run"
        ) from None


def require_space(directory: Path, megabytes: int) -> None:
    free = shutil.disk_usage(directory).free // MEGABYTE
    if free < megabytes:
        raise Refusal(
            f"Only {free} MB are free on the disk of {directory}; fraudconsole needs {megabytes} MB. "
            "Free some space, or choose another disk: DATA_DIR=/path/to/folder make run"
        )


def take_directory(plan: Plan) -> int:
    """Hold the data directory as long as this process lives; two launchers would spoil each other's data."""
    path = plan.data / "launcher.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        try:
            other = json.loads(path.read_text())
            who = f" at {other['address']} (process {other['pid']})"
        except (OSError, ValueError, KeyError):
            who = ""
        raise Refusal(
            f"fraudconsole already runs{who} with the data of {plan.data}. Stop it there with Ctrl-C, or "
            "start a second one beside it: DATA_DIR=/path/to/folder PORT=8080 SANDBOX_PORT=8081 make run"
        ) from None
    os.truncate(descriptor, 0)
    os.write(descriptor, json.dumps({"pid": os.getpid(), "address": plan.console_url}).encode())
    return descriptor


def require_port(port: int, variable: str) -> None:
    """A sentence now instead of a traceback in a log later."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As the servers do: connections of an earlier start that still linger do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except PermissionError:
            raise Refusal(
                f"Port {port} is for the administrator alone. Choose one above 1023: {variable}=8080 make run"
            ) from None
        except OSError:
            raise Refusal(
                f"Port {port} is already used by another program. Choose a free one: "
                f"{variable}={min(port + 80, HIGHEST_PORT)} make run"
            ) from None
