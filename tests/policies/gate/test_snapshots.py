"""Snapshots in the process: loaded once for all who wait, as old as what was read."""

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from django.db import connection

from accounts.models import ApiToken
from accounts.scoping import scoped
from policies.gate import snapshots
from tests.accounts.kyc import cases
from tests.factories import make_token, make_workspace, moment


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
        cases.put_where([cases.quickly_approved("ann", moment(), level=2)], "expired")

    (approval,) = snapshots.load(workspace.pk).engine.subjects["ann"]

    assert not approval.counts_at(int(moment().timestamp() * 1000) + 1000)


@pytest.mark.django_db
def test_a_token_is_its_whole_text_and_ends_although_the_snapshot_is_older(workspace):
    text = make_token(workspace, "gate:write")
    digest = hashlib.sha256(text.encode()).hexdigest()
    loaded, credential = snapshots.for_credential(text)
    ((prefix, token),) = loaded.tokens.items()
    over = replace(loaded, tokens={prefix: replace(token, expires_at=moment())})

    assert loaded.credential(text, digest) == credential
    assert loaded.credential(text, "0" * 64) is None
    assert over.credential(text, digest) is None


@pytest.mark.django_db
def test_finds_a_credential_that_was_not_there_a_moment_ago(workspace, monkeypatch):
    monkeypatch.setattr(snapshots, "POLL_SECONDS", 0.0)
    text = make_token(workspace, "gate:write")
    with scoped(workspace.pk):
        (row,) = ApiToken.objects.all()
        ApiToken.objects.update(prefix="fc_elsewhere")
    with pytest.raises(snapshots.UnknownCredential):
        snapshots.for_credential(text)
    with scoped(workspace.pk):
        ApiToken.objects.update(prefix=row.prefix)
    snapshots.reload(workspace.endpoint)

    assert snapshots.for_credential(text)[1].row_id == row.pk


@pytest.mark.django_db
def test_remembers_no_end_of_texts_that_are_no_credentials(workspace, monkeypatch):
    monkeypatch.setattr(snapshots, "MOST_UNKNOWN", 3)
    texts = [make_token(workspace, "gate:write") for _ in range(8)]
    with scoped(workspace.pk):
        ApiToken.objects.all().delete()
    snapshots.forget()

    for text in texts:
        with pytest.raises(snapshots.UnknownCredential):
            snapshots.for_credential(text)
        assert len(snapshots._unknown) <= 3
