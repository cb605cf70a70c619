from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.scoping import scoped
from policies.models import SyncTarget, UponaiConnection
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


def test_tells_the_rate_the_budget_and_whether_uponai_may_be_asked(workspace, django_assert_num_queries):
    for last in range(3):
        make_phone_number(workspace, f"+1415555011{last}")
    failing = make_phone_number(workspace, "+14155550101", synced=False)
    now = moment()
    with scoped(workspace.pk):
        SyncTarget.objects.exclude(phone_number=failing).update(applied_at=now)
        SyncTarget.objects.filter(phone_number=failing).update(
            attempts=2, error="UponAI answered 503.", due_at=now + timedelta(seconds=41)
        )
        UponaiConnection.objects.create(
            failures=5, blocked_until=now + timedelta(seconds=21), last_trouble="UponAI answered 503."
        )
    client = client_of(workspace)
    client.get("/api/v1/sync/")

    with CaptureQueriesContext(connection) as one:
        summary = client.get("/api/v1/sync/").json()

    assert (summary["phone_numbers"], summary["waiting"], summary["in_trouble"]) == (4, 1, 1)
    assert (summary["applied_last_minute"], summary["requests_per_second"]) == (3, 10)
    assert summary["connection"]["breaker"] == "open"
    assert summary["connection"]["failures"] == 5
    assert summary["sentence"].startswith("1 waits for UponAI (its last answer: 503, next try in 4")
    assert "failed 5 times in a row" in summary["sentence"]

    for last in range(10, 20):
        make_phone_number(workspace, f"+141555501{last + 10}", synced=False)
    with django_assert_num_queries(len(one)):
        assert client.get("/api/v1/sync/").json()["waiting"] == 11


def test_our_own_late_change_is_not_taken_for_somebody_elses(workspace):
    late = make_phone_number(workspace)
    with scoped(workspace.pk):
        now = moment()
        ours = {"state": "drift", "drift_since": now, "due_at": now, "unsure_since": now}
        SyncTarget.objects.filter(phone_number=late).update(**ours)

    sentence = client_of(workspace).get("/api/v1/sync/").json()["sentence"]

    assert sentence == "1 was reversed by an older change of ours that arrived late; ours is sent again."


def test_a_refused_key_and_foreign_changes_are_said(workspace):
    changed = make_phone_number(workspace)
    with scoped(workspace.pk):
        drift = {"state": "drift", "drift_since": moment() - timedelta(minutes=10, seconds=5)}
        SyncTarget.objects.filter(phone_number=changed).update(**drift)
        UponaiConnection.objects.create(key_refused_at=moment())

    summary = client_of(workspace).get("/api/v1/sync/").json()

    assert summary["sentence"].startswith("UponAI refuses the key in use. Nothing is sent")
    assert summary["sentence"].endswith("1 was changed in UponAI's dashboard 10 min ago.")
