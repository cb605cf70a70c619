"""A request that UponAI left unanswered may still be carried out: so it is looked at again, and put right."""

import uuid
from datetime import timedelta

import pytest

from policies import actions
from policies.models import SyncTarget
from policies.sync import bindings, push, schedule
from tests.factories import make_phone_number, moment

pytestmark = pytest.mark.django_db

NUMBER = "+14155550100"


@pytest.fixture
def number(in_workspace, provider):
    return make_phone_number(in_workspace, NUMBER, synced=False)


def _row(number):
    return SyncTarget.objects.get(phone_number=number)


def _edit(number, *countries, now=None):
    actions.edit_phone_number(
        phone_number=number, inbound_countries=list(countries), acting_user=None, now=now or moment()
    )


def _push(number, now):
    return push.push(number.sync_target.pk, clock=lambda: now)


def _push_after_an_unanswered_one(number, provider, now):
    provider.answers.append(500)
    assert not _push(number, now)
    assert _push(number, _row(number).due_at)


def test_looks_after_5_s_30_s_a_minute_and_5_min(number, provider):
    start = moment()
    _push_after_an_unanswered_one(number, provider, start)
    provider.asked.clear()
    looked_after = []

    while (row := _row(number)).verify_at:
        looked_after.append((row.verify_at - start).total_seconds())
        assert (row.state, row.due_at) == ("synced", None)
        assert schedule.due_targets(now=row.verify_at) == [row.pk]
        assert _push(number, row.verify_at)

    assert looked_after == [5, 30, 60, 300]
    assert provider.asked == ["GET"] * 4
    assert _row(number).unsure_since is None


def test_puts_right_what_arrives_after_a_newer_change(number, provider, caplog):
    start = moment()
    _edit(number, "GB", now=start)
    provider.answers.append(500)
    _push(number, start)
    _edit(number, "DE", now=start)
    assert _push(number, start)

    provider.land()
    assert provider.lists(NUMBER)[0] == ["GB"]
    assert _push(number, start + timedelta(seconds=30))

    row = _row(number)
    assert provider.lists(NUMBER)[0] == ["DE"]
    assert (row.state, row.due_at, row.drift_since, row.error) == ("synced", None, None, "")
    assert row.verify_at == start + timedelta(seconds=60)
    assert "other lists again" in caplog.text


def test_is_due_should_it_die_while_putting_right(number, provider):
    start = moment()
    _push_after_an_unanswered_one(number, provider, start)
    provider.numbers[NUMBER] |= {"allowed_inbound_country_list": ["GB"]}
    provider.answers.extend([200, 500])

    assert not _push(number, start + timedelta(seconds=30))

    row = _row(number)
    assert (row.state, row.due_at is not None, row.drift_since is not None) == ("unknown", True, True)


def test_counts_a_change_left_unanswered_and_no_look(number, provider):
    provider.answers.extend([200, 500])

    assert not _push(number, moment())

    assert (_row(number).state, _row(number).unsure_since) == ("unknown", None)


def test_a_newer_unanswered_change_starts_the_looks_anew(number, provider):
    start = moment()
    _push_after_an_unanswered_one(number, provider, start)
    later = start + timedelta(minutes=2)
    _edit(number, "GB", now=later)

    _push_after_an_unanswered_one(number, provider, later)

    assert _row(number).verify_at == later + timedelta(seconds=5)


def test_a_look_that_fails_is_taken_again_and_costs_nothing(number, provider):
    start = moment()
    _push_after_an_unanswered_one(number, provider, start)
    provider.answers.append(503)
    then = start + timedelta(seconds=5)

    assert not _push(number, then)

    row = _row(number)
    assert (row.state, row.attempts, row.due_at, row.lease_until) == ("synced", 0, None, None)
    assert row.verify_at > then


def test_whoever_dies_may_have_left_a_request_under_way(number, provider):
    now = moment()
    SyncTarget.objects.update(
        lease_until=now - timedelta(seconds=1), lease_token=uuid.uuid4(), due_at=None, state="synced", verify_at=now
    )

    assert _push(number, now)

    assert provider.asked == ["PATCH", "GET"]
    assert _row(number).unsure_since == now


def test_stops_before_sending_when_another_has_taken_over(number, provider, monkeypatch):
    theirs = uuid.uuid4()

    def taken_over_meanwhile(*_):
        SyncTarget.objects.update(lease_token=theirs)
        return {}

    monkeypatch.setattr(bindings, "changes", taken_over_meanwhile)

    assert not _push(number, moment())

    assert provider.asked == []
    assert _row(number).lease_token == theirs
