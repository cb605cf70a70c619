"""Periodic work happens once a period, whoever rings for it."""

from datetime import UTC, datetime, timedelta

import pytest

from accounts import jobs
from accounts.models import JobSlot

pytestmark = pytest.mark.django_db

QUARTER = timedelta(minutes=15)
NOON = datetime(2026, 3, 29, 12, 0, tzinfo=UTC)


def test_a_slot_is_claimed_once():
    first = jobs.claim("drift", QUARTER, NOON + timedelta(minutes=3))

    assert first is not None
    assert first.slot == NOON
    assert jobs.claim("drift", QUARTER, NOON + timedelta(minutes=14)) is None
    assert jobs.claim("digest", QUARTER, NOON + timedelta(minutes=14)) is not None
    assert jobs.claim("drift", QUARTER, NOON + timedelta(minutes=15)) is not None


def test_forgets_old_slots():
    jobs.claim("drift", QUARTER, NOON)
    jobs.claim("drift", QUARTER, NOON + timedelta(days=8))

    assert JobSlot.objects.count() == 1
