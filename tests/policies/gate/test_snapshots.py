"""Snapshots in the process: loaded once for all who wait, as old as what was read."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from policies.gate import snapshots
from tests.factories import make_workspace


@pytest.mark.postgres
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite's test database cannot be shared by threads")
@pytest.mark.django_db(transaction=True)
def test_loads_once_for_all_who_wait():
    workspace = make_workspace()
    ready = threading.Barrier(5)

    def reload():
        ready.wait()
        try:
            return snapshots.reload(workspace.endpoint)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        with snapshots._loading:
            waiting = [pool.submit(reload) for _ in range(4)]
            ready.wait()
            # All of them ask before the first one may load.
            threading.Event().wait(0.1)
        loaded = [future.result() for future in waiting]

    assert len({id(one) for one in loaded}) == 1
