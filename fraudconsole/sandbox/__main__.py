"""The command line of the sandbox: `python -m fraudconsole.sandbox --port 8001 --data DIR`."""

from __future__ import annotations

import argparse
import fcntl
import os
import socket
import sqlite3
import sys
from pathlib import Path
from typing import IO

import uvicorn

from .app import make_app
from .errors import Refusal
from .provider import SETTINGS, Provider
from .store import Store


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m fraudconsole.sandbox", description="A local UponAI.")
    parser.add_argument("--port", type=int, default=8001)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--data", type=Path, required=True, help="directory that keeps the state")
    options = {
        "--cps": (float, "dials per second; above it 429; 0 is no limit (default)"),
        "--rps": (float, "requests per second; above it 429; 0 is no limit (default)"),
        "--call-seconds": (float, "how long a call lasts when nothing ends it (30)"),
        "--clock-speed": (_speed, "how fast the sandbox's own time passes; 60 is a minute every second (1)"),
        "--events-url": (str, "where events of calls and chats are sent"),
        "--alert-url": (str, "where alerts are sent"),
        "--retry-seconds": (float, "pause before a webhook is tried again (1)"),
    }
    for name, (kind, text) in options.items():
        parser.add_argument(name, type=kind, help=text, default=None)
    parser.add_argument("--inbound-order", choices=("webhook-first", "lists-first"), default=None)
    parser.add_argument(
        "--webhook-hosts",
        default=None,
        type=lambda text: [host.strip().lower() for host in text.split(",") if host.strip()],
        help="host names, separated by commas, that webhooks may go to beside this machine",
    )
    return parser.parse_args(arguments)


def _speed(text: str) -> float:
    try:
        speed: float = SETTINGS["clock_speed"][1]("--clock-speed", float(text))
    except (ValueError, Refusal) as error:
        raise argparse.ArgumentTypeError(getattr(error, "message", "must be a number")) from error
    return speed


def listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named, else asyncio leaves Nagle on, and every answer waits 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except (OSError, OverflowError) as error:
        raise SystemExit(f"The sandbox cannot listen on {host}:{port}: {error}. Choose another --port.") from error
    listener.listen(256)
    return listener


def lock(directory: Path) -> IO[str]:
    """Two sandboxes on one state would both run its timers. The lock ends with the process, killed or not."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        handle = open(directory / "lock", "w")  # noqa: SIM115 - held as long as the process lives
    except OSError as error:
        raise SystemExit(f"The sandbox cannot write to {directory}: {error}.") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise SystemExit(f"Another sandbox is using {directory}. Choose another --data.") from error
    return handle


def main() -> None:
    arguments = vars(parse_arguments())
    host, port, directory = arguments.pop("host"), arguments.pop("port"), arguments.pop("data")
    given = {name: value for name, value in arguments.items() if value is not None}
    held = lock(directory)
    listener = listen(host, port)
    try:
        store = Store(directory)
    except sqlite3.Error as error:
        raise SystemExit(f"The sandbox cannot open its state in {directory}: {error}.") from error
    provider = Provider(store, api_key=os.environ.get("SANDBOX_API_KEY") or "key_sandbox", given=given)
    config = uvicorn.Config(
        make_app(provider),
        http="h11",  # faults.py breaks connections by means of it
        ws="none",
        loop="asyncio",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    actual_port = listener.getsockname()[1]
    print(f"The sandbox UponAI listens on http://{host}:{actual_port}", file=sys.stderr, flush=True)
    uvicorn.Server(config).run(sockets=[listener])
    held.close()


if __name__ == "__main__":
    main()
