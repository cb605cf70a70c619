"""What every test may use."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import import_module
from typing import Any

import pytest
from django.conf import settings

from tests import factories


def pytest_configure() -> None:
    # Passwords are hashed slowly on purpose; hundreds of people sign in during the tests.
    if settings.configured:
        settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On the second database only what touches a database is run again."""
    # As a server does at its start: what a first request inside a workspace imported would be bound to it.
    import_module(settings.ROOT_URLCONF)
    if os.environ.get("ONLY_DATABASE_TESTS"):
        kept = [item for item in items if _touches_the_database(item)]
    elif os.environ.get("SAID_ON_POSTGRESQL"):
        kept = [item for item in items if not (_is_said_once(item) and _touches_the_database(item))]
    else:
        return
    config.hook.pytest_deselected(items=[item for item in items if item not in set(kept)])
    items[:] = kept


SAID_ONCE = (
    *("tests/flows/", "policies/gate/", "policies/policy_file/", "policies/test_"),
    *("monitoring/test_", "accounts/test_", "accounts/api/", "policies/api/", "monitoring/api/"),
)


def _is_said_once(item: pytest.Item) -> bool:
    """What rests on rows in no way of its own, and is long: in a whole run one database is enough for it."""
    path = item.path.as_posix()
    return any(part in path for part in SAID_ONCE)


def _touches_the_database(item: pytest.Item) -> bool:
    if "admin" in item.path.parts or item.path.name == "test_seed_demo.py":
        return False  # pages and the demo ask for rows in ways that the other tests do, too
    fixtures = set(getattr(item, "fixturenames", ()))
    return item.get_closest_marker("django_db") is not None or bool(fixtures & {"db", "transactional_db"})


@pytest.fixture(autouse=True)
def _forgetful_gate() -> Iterator[None]:
    """Empties the live store and what the process remembers of it: row ids come again from test to test."""
    yield
    if "policies.gate.store" in sys.modules:
        from policies import bells
        from policies.gate import patience, snapshots, store

        snapshots.forget()
        bells.wait_until_rung()
        patience.ask_again()
        store.ask_again()
        bells.listen_again()
        if store.connection.cache_info().currsize:
            store.connection().flushdb()
    if "monitoring.relays" in sys.modules:
        from monitoring import relays

        relays.forget()


@pytest.fixture
def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def workspace(db):
    return factories.make_workspace()


@pytest.fixture
def in_workspace(workspace):
    """The test works inside `workspace`."""
    from accounts.scoping import scoped

    with scoped(workspace.pk):
        yield workspace


@pytest.fixture
def nobody_listens(settings: Any) -> Iterator[None]:
    """Neither the live store nor the broker of the worker's bell answers."""
    from celery import current_app

    app, working, store_url = current_app._get_current_object(), current_app.conf.broker_url, settings.REDIS_URL
    point_at(app, "redis+socket:///nowhere/valkey.sock", settings, "unix:///nowhere/valkey.sock")
    yield
    point_at(app, working, settings, store_url)


def point_at(app: Any, broker_url: str, settings: Any, store_url: str) -> None:
    import kombu.pools

    from policies import bells
    from policies.gate import store

    bells.wait_until_rung()
    kombu.pools.reset()
    app._pool = app.amqp._producer_pool = None
    app.conf.broker_url = broker_url
    settings.REDIS_URL = store_url
    store.connection.cache_clear()
    store.ask_again()
    bells.listen_again()
