"""Waiting for UponAI on behalf of a client never takes all threads."""

import pytest

from policies.api import edits
from policies.models import SyncTarget
from tests.factories import make_phone_number


@pytest.mark.django_db
@pytest.mark.timeout(20)
def test_does_not_hold_back_more_answers_than_it_can_spare_threads_for(in_workspace, monkeypatch):
    monkeypatch.setattr(edits, "WAIT_SECONDS", 3600)
    number = make_phone_number(in_workspace, synced=False)
    for _ in range(edits.MOST_WAITING):
        edits._waiting_places.acquire()

    try:
        edits.wait_until_synced(SyncTarget.objects.filter(phone_number=number))
    finally:
        edits._waiting_places.release(edits.MOST_WAITING)

    assert number.sync_target.state == "pending"
