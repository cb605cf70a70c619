from datetime import timedelta

import pytest

from accounts.scoping import scoped
from policies.models import SyncTarget
from tests.factories import make_phone_number, make_workspace, moment
from tests.rest import client_of

pytestmark = pytest.mark.django_db


def test_counts_the_states_and_tells_the_longest_wait(workspace):
    make_phone_number(workspace, "+14155550100")
    waiting = make_phone_number(workspace, "+14155550101", synced=False)
    make_phone_number(workspace, "+14155550102", synced=False)
    make_phone_number(make_workspace(), "+14155550103", synced=False)
    since = moment() - timedelta(hours=1)
    with scoped(workspace.pk):
        SyncTarget.objects.filter(phone_number=waiting).update(desired_at=since)

    summary = client_of(workspace).get("/api/v1/sync/").json()

    assert summary["states"] == {"pending": 2, "synced": 1, "failed": 0, "drift": 0, "unknown": 0}
    assert summary["oldest_unsynced_at"] == since.isoformat().replace("+00:00", "Z")
    assert 3600 <= summary["oldest_unsynced_seconds"] < 3660


def test_waits_for_nothing_when_all_is_synced(workspace):
    make_phone_number(workspace)

    summary = client_of(workspace).get("/api/v1/sync/").json()

    assert (summary["oldest_unsynced_at"], summary["oldest_unsynced_seconds"]) == (None, None)
