"""The real servers that tests run against: found, installed or launched, always ended. Imports no Django."""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from fraudconsole.launcher import store
from fraudconsole.launcher.family import end_with

START_SECONDS = 30
TICK_SECONDS = 0.05
POSTGRES_NAME = "fraudconsole"
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM_ON_MACOS = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")
# Speed instead of safety: nothing in these databases outlives the run.
POSTGRES_OPTIONS = (
    *("-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off"),
    *("-c", "listen_addresses=127.0.0.1", "-c", "max_connections=100"),
)


class Missing(Exception):
    """This machine has no such server and none could be brought; the message says what was tried."""


@contextlib.contextmanager
def valkey() -> Iterator[str]:
    """The URL of an empty Valkey or Redis on a private socket."""
    with _folder() as folder:
        socket_path = folder / "socket" / "valkey.sock"
        with _running(store.command(socket_path, folder / "data"), folder / "log") as process:
            _wait(lambda: store.answers(socket_path), process, folder / "log", "Valkey")
            yield f"unix://{socket_path}"


@contextlib.contextmanager
def postgresql() -> Iterator[str]:
    """The URL of an empty PostgreSQL; Missing where there is none."""
    binaries = find_postgresql()
    account = _unprivileged_account()
    with _folder() as folder:
        if account is not None:
            os.chown(folder, account.pw_uid, account.pw_gid)
        data, log, port = folder / "data", folder / "log", free_port()
        initdb = [str(binaries / "initdb"), "-D", str(data), "-U", POSTGRES_NAME, "-A", "trust", "-E", "UTF8"]
        made = _run_as(account, [*initdb, "--no-sync", "--locale=C"], folder)
        if made.returncode != 0:
            raise Missing(f"initdb failed: {made.stdout.strip()}")
        server = [str(binaries / "postgres"), "-D", str(data), "-k", str(folder), "-p", str(port)]
        # SIGINT is PostgreSQL's quick and clean end; SIGTERM would wait for its clients.
        with _running([*server, *POSTGRES_OPTIONS], log, account, ending=signal.SIGINT) as process:
            _wait(lambda: _accepts(port), process, log, "PostgreSQL")
            url = f"postgres://{POSTGRES_NAME}@127.0.0.1:{port}/postgres"
            yield url


def find_postgresql() -> Path:
    """The folder of initdb and postgres: this machine's, a test package's, or freshly installed."""
    folders = [Path(found).resolve().parent for found in [shutil.which("pg_ctl")] if found]
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    # Before apt: it is already here, and starts no system service that would stay.
    folders += [Path(entry) / "pgserver" / "pginstall" / "bin" for entry in sys.path]
    for folder in folders:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    if apt_install("postgresql"):
        return max(Path("/usr/lib/postgresql").glob("*/bin"))
    raise Missing("no pg_ctl on the PATH, no bundled one for this system, and none could be installed")


def chromium() -> str:
    """The path of a Chromium; Missing where there is none."""
    if found := find_chromium():
        return found
    if apt_install("chromium", "fonts-dejavu-core") and (found := find_chromium()):
        return found
    raise Missing("no chromium on the PATH, and none could be installed")


def find_chromium() -> str | None:
    for name in (os.environ.get("CHROMIUM", ""), *CHROMIUM_NAMES):
        if name and (found := shutil.which(name)):
            return found
    return str(CHROMIUM_ON_MACOS) if CHROMIUM_ON_MACOS.exists() else None


def apt_install(*packages: str) -> bool:
    """Whether Debian's packages could be installed: only as root, and only with a reachable archive."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return False
    print(f"Installing {' '.join(packages)} with apt-get …", flush=True)
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in (
        ["apt-get", "update", "-qq"],
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages],
    ):
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        if done.returncode != 0 and command[1] == "install":
            print(f"apt-get could not install them: {(done.stderr.strip() or '?').splitlines()[-1]}", flush=True)
            return False
    return True


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _unprivileged_account() -> pwd.struct_passwd | None:
    """PostgreSQL refuses to run as root; None when we are not."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise Missing("PostgreSQL does not run as root, and there is neither a postgres nor a nobody account")


def _identity(account: pwd.struct_passwd | None) -> dict[str, Any]:
    if account is None:
        return {}
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def _run_as(
    account: pwd.struct_passwd | None, command: Sequence[str], folder: Path
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        **_identity(account),
    )


@contextlib.contextmanager
def _running(
    command: Sequence[str],
    log: Path,
    account: pwd.struct_passwd | None = None,
    ending: signal.Signals = signal.SIGTERM,
) -> Iterator["subprocess.Popen[bytes]"]:
    """A process in a session of its own, which ends with this one, however this one ends."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=log.parent,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=end_with(os.getpid(), ending),
            **_identity(account),
        )
    try:
        yield process
    finally:
        process.send_signal(ending)
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait(is_ready: Callable[[], bool], process: "subprocess.Popen[bytes]", log: Path, name: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not is_ready():
        if process.poll() is not None or time.monotonic() > deadline:
            raise Missing(f"{name} did not start: {log.read_text(errors='replace').strip()[-500:]}")
        time.sleep(TICK_SECONDS)


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """Directly in /tmp, since a socket's path may have about 104 characters."""
    path = Path(tempfile.mkdtemp(prefix="fraudconsole-test-", dir="/tmp"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
