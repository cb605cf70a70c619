"""Snapshots in the process: loaded once for all who wait, as old as what was read."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection

from accounts.models import KycRecord, Subject
from accounts.scoping import scoped
from policies.gate import snapshots
from tests.factories import make_workspace, moment


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


@pytest.mark.django_db
def test_an_expired_approval_is_over_whatever_date_it_bears(workspace):
    """It may have been ended before its time."""
    with scoped(workspace.pk):
        subject = Subject.objects.create(reference="ann", name="Ann")
        KycRecord.objects.create(subject=subject, level=2, state="expired", expires_at=moment() + timedelta(days=1))

    (approval,) = snapshots.load(workspace.pk).engine.subjects["ann"]

    assert not approval.counts_at(int(moment().timestamp() * 1000) + 1000)
