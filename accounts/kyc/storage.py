"""Where sealed files lie: outside of everything that has an address, under names that say nothing."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

_NAME = re.compile(r"[0-9a-f]{2}/[0-9a-f]{62}")


class Gone(Exception):
    """There is no such file."""


def write(content: bytes) -> str:
    """Keeps a file and answers its name. It is on the disk when this returns."""
    random = secrets.token_hex(32)
    name = f"{random[:2]}/{random[2:]}"
    path = _path(name)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return name


def read(name: str) -> bytes:
    try:
        return _path(name).read_bytes()
    except FileNotFoundError:
        raise Gone("This file is no longer there.") from None


def remove(*names: str) -> None:
    """Removes what is there; what is not is as it should be."""
    for name in filter(None, names):
        with contextlib.suppress(FileNotFoundError):
            _path(name).unlink()


def names() -> Iterator[str]:
    """Every file that is kept."""
    for path in root().glob("??/*"):
        yield f"{path.parent.name}/{path.name}"


def age_seconds(name: str, now: float) -> float:
    return now - _path(name).stat().st_mtime


def root() -> Path:
    return Path(settings.DOCUMENTS_DIR)


def _path(name: str) -> Path:
    if not _NAME.fullmatch(name):
        raise Gone("This is no name of a file that is kept.")
    return root() / name
