"""A pytest plugin: what a parallel run keeps in one process, and what it begins with.

Not by xdist's own groups, which pytest 9.2 takes no notice of (pytest-xdist issue 1386).
"""

from __future__ import annotations

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

SHARING = ("tests/browser/", "tests/faults/")
"""The tests of each share a running console or rig, and take longest."""


class BySharedConsole(LoadScopeScheduling):
    """A file is done by one process, and so is all that shares a console."""

    def _split_scope(self, nodeid: str) -> str:
        return kept_together(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> BySharedConsole:
    return BySharedConsole(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: kept_together(item.nodeid) not in SHARING)


def kept_together(nodeid: str) -> str:
    return next((folder for folder in SHARING if nodeid.startswith(folder)), nodeid.split("::", 1)[0])
