"""The virus scanner, where one is configured: a clamd that is asked over its socket. No answer means no file."""

from __future__ import annotations

import socket
import struct
from urllib.parse import urlsplit

from django.conf import settings

TIMEOUT_SECONDS = 10.0
CHUNK = 64 * 1024
CLEAN = b"stream: OK"


class NotScanned(Exception):
    """The scanner did not say whether the file is clean."""


class Infected(Exception):
    """The scanner found something."""


def scan(content: bytes) -> None:
    """Returns where the file is clean or no scanner is configured. Raises Infected, NotScanned."""
    if not settings.DOCUMENT_SCANNER:
        return
    try:
        answer = _asked(settings.DOCUMENT_SCANNER, content)
    except (OSError, ValueError) as problem:
        raise NotScanned("The virus scanner does not answer.") from problem
    if answer == CLEAN:
        return
    if answer.endswith(b" FOUND"):
        raise Infected("A virus was found.")
    raise NotScanned("The virus scanner did not say whether the file is clean.")


def _asked(address: str, content: bytes) -> bytes:
    """clamd's INSTREAM: chunks with their length before them, an empty one as the end."""
    with _connected(address) as line:
        line.sendall(b"zINSTREAM\0")
        for start in range(0, len(content), CHUNK):
            chunk = content[start : start + CHUNK]
            line.sendall(struct.pack("!L", len(chunk)) + chunk)
        line.sendall(struct.pack("!L", 0))
        answer = b""
        while not answer.endswith(b"\0") and len(answer) < 1024:
            received = line.recv(1024)
            if not received:
                break
            answer += received
    return answer.rstrip(b"\0").strip()


def _connected(address: str) -> socket.socket:
    parts = urlsplit(address)
    if parts.scheme == "unix":
        line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        line.settimeout(TIMEOUT_SECONDS)
        line.connect(parts.path)
        return line
    return socket.create_connection((parts.hostname or "", parts.port or 3310), TIMEOUT_SECONDS)
