"""What every test may use."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from tests import factories


@pytest.fixture(autouse=True)
def _forgetful_gate() -> Iterator[None]:
    """Empties the live store and what the process remembers of it: row ids come again from test to test."""
    yield
    if "policies.gate.store" in sys.modules:
        from policies.gate import snapshots, store

        snapshots.forget()
        if store.connection.cache_info().currsize:
            store.connection().flushdb()


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
