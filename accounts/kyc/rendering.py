"""Turns a file that a stranger sent into clean JPEG pages, in a process of its own that has little and lives shortly.

Knows bytes alone: no Django, no database. What comes out holds pixels; scripts, EXIF and everything else stay behind.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from accounts.kyc.decoder import MOST_OUTPUT_BYTES, MOST_PAGES, MOST_PIXELS

MOST_BYTES: Final = 10 * 1024 * 1024
WALL_SECONDS: Final = 20.0
"""A process that waits costs no processor time, but somebody waits for it."""
MOST_AT_ONCE: Final = 2
PATIENCE_SECONDS: Final = 15.0
SIGNATURES: Final = {b"\x89PNG\r\n\x1a\n": "PNG", b"\xff\xd8\xff": "JPEG", b"%PDF-": "PDF"}
MEDIA_TYPES: Final = {"PNG": "image/png", "JPEG": "image/jpeg", "PDF": "application/pdf"}
# In two pieces, lest a virus scanner takes this source for the thing itself.
TEST_VIRUS: Final = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STANDARD-" + b"ANTIVIRUS-TEST-FILE!$H+H*"
DECODER: Final = Path(__file__).with_name("decoder.py")

REASONS: Final = {
    "empty": "it is empty",
    "too_large": f"it is larger than {MOST_BYTES // 1024 // 1024} MB. Take a new photo, or save it smaller",
    "unknown_kind": "it is not a PNG, JPEG or PDF. Send a photo or a PDF",
    "too_many_pixels": f"it has too many pixels (at most {MOST_PIXELS['JPEG'] // 1_000_000} million for a photo, "
    f"{MOST_PIXELS['PNG'] // 1_000_000} million for a PNG). Send a smaller picture",
    "too_small": "the picture is too small to read. Send a larger one",
    "too_many_pages": f"it has more than {MOST_PAGES} pages. Send only those that were asked for",
    "locked": "it is locked with a password. Send it without",
    "damaged": "it is damaged or not complete. Send it again, or take a photo of the page",
    "too_costly": "it takes too much to open. Send a simple photo instead",
    "virus": "a virus was found in it",
    "not_scanned": "it could not be scanned for viruses just now. Try again in a few minutes",
    "busy": "too many files are being opened just now. Try again in a minute",
}

_places = threading.BoundedSemaphore(MOST_AT_ONCE)


class NotRendered(Exception):
    """The file is not taken; `reason` is a key of REASONS."""

    def __init__(self, reason: str, *, cost: Cost | None = None) -> None:
        super().__init__(REASONS[reason])
        self.reason = reason
        self.cost = cost


@dataclass(frozen=True, slots=True)
class Cost:
    """What opening a file took; `memory_bytes` is 0 where the process did not live to tell."""

    processor_seconds: float
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class Page:
    width: int
    height: int
    jpeg: bytes


@dataclass(frozen=True, slots=True)
class Rendition:
    """`kind` is what the file is by its content, whatever it was called."""

    kind: str
    pages: tuple[Page, ...]
    likeness: str
    cost: Cost


def kind_of(content: bytes) -> str:
    """PNG, JPEG or PDF by the first bytes. Raises NotRendered for anything else."""
    if not content:
        raise NotRendered("empty")
    if len(content) > MOST_BYTES:
        raise NotRendered("too_large")
    if TEST_VIRUS in content:
        raise NotRendered("virus")
    for signature, kind in SIGNATURES.items():
        if content.startswith(signature):
            return kind
    raise NotRendered("unknown_kind")


def render(content: bytes) -> Rendition:
    """The clean pages of a file. Raises NotRendered."""
    kind = kind_of(content)
    if not _places.acquire(timeout=PATIENCE_SECONDS):
        raise NotRendered("busy")
    try:
        with room() as given, room() as taken:
            given.write(content)
            given.seek(0)
            status, seconds = _decode(kind, given, taken)
            taken.seek(0)
            return _believed(kind, status, seconds, taken)
    finally:
        _places.release()


def room() -> IO[bytes]:
    """A file without a name, in memory where the system can: what people send is nowhere written in the open."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("document", os.MFD_CLOEXEC), "w+b", buffering=0)
    return tempfile.TemporaryFile(buffering=0)


def _decode(kind: str, given: IO[bytes], taken: IO[bytes]) -> tuple[int, float]:
    """How the decoder ended, and the processor time it took."""
    process = subprocess.Popen(  # noqa: S603  (our own file, by our own interpreter)
        [sys.executable, "-P", "-s", "-B", str(DECODER), kind],
        stdin=given,
        stdout=taken,
        stderr=subprocess.DEVNULL,
        cwd="/",
        env=_environment(),
        start_new_session=True,
    )
    alarm = threading.Timer(WALL_SECONDS, process.kill)
    alarm.start()
    try:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    finally:
        alarm.cancel()
    return process.returncode, usage.ru_utime + usage.ru_stime


def _environment() -> dict[str, str]:
    """None of ours: it holds the keys to everything."""
    return {name: os.environ[name] for name in ("PYTHONPATH", "LD_LIBRARY_PATH") if name in os.environ}


def _believed(kind: str, status: int, seconds: float, taken: IO[bytes]) -> Rendition:
    """What the decoder wrote, read as if an attacker had written it."""
    if status != 0:
        ended_for_cost = -status in (signal.SIGPROF, signal.SIGXCPU, signal.SIGKILL, signal.SIGXFSZ)
        raise NotRendered("too_costly" if ended_for_cost else "damaged", cost=Cost(seconds, 0))
    written = taken.read(MOST_OUTPUT_BYTES)
    head, _, body = written.partition(b"\n")
    try:
        answer = json.loads(head)
        cost = Cost(seconds, int(answer["memory"]))
        refused, sizes = str(answer["refused"]), [tuple(map(int, size)) for size in answer["pages"]]
        likeness = f"{int(answer.get('likeness', '0'), 16):032x}"[-32:]
    except (ValueError, KeyError, TypeError):
        raise NotRendered("damaged", cost=Cost(seconds, 0)) from None
    if refused or not 0 < len(sizes) <= MOST_PAGES:
        raise NotRendered(refused if refused in REASONS else "damaged", cost=cost)
    pages: list[Page] = []
    start = 0
    for width, height, length in sizes:
        jpeg = body[start : start + length]
        if len(jpeg) != length or not (jpeg.startswith(b"\xff\xd8\xff") and jpeg.endswith(b"\xff\xd9")):
            raise NotRendered("damaged", cost=cost)
        pages.append(Page(width, height, jpeg))
        start += length
    return Rendition(kind, tuple(pages), likeness, cost)
