"""A console of its own for the measurements: store, database, workspace with 500 numbers. Gone afterwards."""

from __future__ import annotations

import base64
import contextlib
import os
import secrets
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fraudconsole.bench import callers
from fraudconsole.bench.measuring import Skipped
from fraudconsole.env import embedded_redis_url, embedded_socket
from fraudconsole.launcher import store as embedded
from fraudconsole.launcher.family import end_with

if TYPE_CHECKING:
    from accounts.models import Workspace

OWN_NUMBERS = 500
SECRET = "key_bench"  # noqa: S105  (of a workspace that lives as long as the run)
POLICY: dict[str, Any] = {"mode": "list", "countries": ["US", "CA", "GB", "DE", "FR", "ES", "AU", "BR", "IN", "JP"]}
START_SECONDS = 30
OURS = frozenset(
    {"REDIS_URL", "DATABASE_URL", "SECRET_KEY", "ENCRYPTION_KEYS", "DJANGO_SETTINGS_MODULE", "UPONAI_API_URL"}
)
"""Settings that say whose data is worked on; nobody else's may get in here."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where everything of this run is."""

    directory: Path
    workspace: Workspace

    def take_recorded(self) -> int:
        """How many decisions were recorded since this was last asked. Empties the store."""
        from policies.gate import store

        recorded: Any = store.connection().xlen(f"fraudconsole:{{{self.workspace.pk}}}:decisions")
        store.connection().flushdb()
        store.publish_version(self.workspace.pk, self.workspace.snapshot_version)
        return int(recorded)


@contextlib.contextmanager
def place(database_url: str = "") -> Iterator[Place]:
    """Sets Django up in a folder, a store and a database of its own. Once per process."""
    with contextlib.ExitStack() as ending:
        directory = Path(ending.enter_context(tempfile.TemporaryDirectory(prefix="fraudconsole-bench-")))
        os.environ |= {
            "DATA_DIR": str(directory),
            "SECRET_KEY": secrets.token_urlsafe(32),
            "ENCRYPTION_KEYS": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            "REDIS_URL": embedded_redis_url(directory),
            "DATABASE_URL": ending.enter_context(_own_database(database_url)) if database_url else "",
            "DJANGO_SETTINGS_MODULE": "fraudconsole.bench.settings",
        }
        ending.enter_context(_own_store(directory))
        yield Place(directory, _furnish())


@contextlib.contextmanager
def process(
    command: list[str], log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that ends with this one."""
    with log.open("wb") as output:
        running = subprocess.Popen(  # noqa: S603  (our own command)
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
            start_new_session=True,
            preexec_fn=end_with(os.getpid()),
        )
    try:
        yield running
    finally:
        running.terminate()
        try:
            running.wait(timeout=20)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def _own_store(directory: Path) -> Iterator[None]:
    socket = embedded_socket(directory)
    try:
        with process(embedded.command(socket, directory / "valkey"), directory / "valkey.log"):
            deadline = time.monotonic() + START_SECONDS
            while not embedded.answers(socket):
                if time.monotonic() > deadline:
                    raise Skipped(f"The embedded store did not start: {(directory / 'valkey.log').read_text()}")
                time.sleep(0.05)
            yield
    finally:
        embedded.remove_socket(socket)


@contextlib.contextmanager
def _own_database(url: str) -> Iterator[str]:
    """A new database on that PostgreSQL server, so that nothing there is touched."""
    import psycopg

    name = f"fraudconsole_bench_{os.getpid()}"
    with psycopg.connect(url, autocommit=True) as server:
        server.execute(f'CREATE DATABASE "{name}"')
        try:
            yield f"{url.rpartition('/')[0]}/{name}"
        finally:
            server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def _furnish() -> Workspace:
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection
    from django.utils import timezone

    from accounts import workspaces
    from accounts.scoping import scoped
    from policies import actions
    from policies.gate import store
    from policies.models import PhoneNumber

    call_command("migrate", verbosity=0)
    now = timezone.now()
    workspace = workspaces.create_workspace(
        slug="bench", name="Bench", home_country="US", time_zone="UTC", acting_user=None, now=now
    )
    workspaces.set_uponai_key(workspace=workspace, key=SECRET, acting_user=None, now=now)
    policy = actions.create_country_policy(
        workspace_id=workspace.pk, name="Ten countries", inbound=POLICY, outbound=POLICY, acting_user=None, now=now
    )
    with scoped(workspace.pk):
        PhoneNumber.objects.bulk_create(
            PhoneNumber(workspace=workspace, e164=e164, policy=policy) for e164 in callers.own_numbers(OWN_NUMBERS)
        )
    workspace.refresh_from_db()
    store.publish_version(workspace.pk, workspace.snapshot_version)
    connection.close()
    return workspace
