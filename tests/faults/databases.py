"""A database of the rig's own: a copy of the tests' one, which spares it the migrations."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from django.db import connection


@contextlib.contextmanager
def copied(folder: Path) -> Iterator[str]:
    """The URL of the copy; empty for SQLite, which has its file in the folder."""
    if connection.vendor == "sqlite":
        _copy_file(folder / "fraudconsole.sqlite3")
        yield ""
        return
    import psycopg

    original, name = connection.settings_dict["NAME"], f"faults_{uuid.uuid4().hex[:12]}"
    url = os.environ["DATABASE_URL"]
    connection.close()  # a database with guests is not copied
    with psycopg.connect(url, autocommit=True) as server:
        server.execute(f'CREATE DATABASE {name} TEMPLATE "{original}"')  # type: ignore[arg-type]
    yield urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
    with psycopg.connect(url, autocommit=True) as server:
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")  # type: ignore[arg-type]


def _copy_file(path: Path) -> None:
    connection.ensure_connection()
    with contextlib.closing(sqlite3.connect(path)) as copy:
        connection.connection.backup(copy)
