"""One row a workspace: breaker, budget and refused key, obeyed by everybody who asks UponAI in the background."""

import threading
import time
import uuid
from datetime import timedelta

import pytest
from django.db import connection as database

from accounts import workspaces
from accounts.models import AuditEntry, UponaiKey
from accounts.scoping import scoped
from policies import connecting
from policies.models import SyncTarget, UponaiConnection
from policies.sync import connection, push, schedule
from policies.sync.connection import Standing, Waiting
from policies.uponai.client import UponaiClient
from tests.factories import UPONAI_KEY, make_phone_number, make_workspace, moment

pytestmark = pytest.mark.django_db

FIVE = ["+14155550100", "+14155550101", "+14155550102", "+14155550103", "+14155550104"]


@pytest.fixture
def numbers(in_workspace, provider):
    in_workspace.requests_per_second = 1000
    in_workspace.save()
    return [make_phone_number(in_workspace, e164, synced=False) for e164 in FIVE]


def _ask(workspace, *, now=None):
    with connection.client(workspace.pk, clock=lambda: now or moment()) as uponai:
        return uponai.get_phone_number(FIVE[0])


def _break(workspace, provider, now):
    provider.answers.extend([500] * connection.FAILURES_TO_BLOCK)
    for _ in range(connection.FAILURES_TO_BLOCK):
        with pytest.raises(connection.UponaiTrouble):
            _ask(workspace, now=now)


def test_asks_nothing_after_failures_in_a_row_and_nobody_pays_for_it(numbers, provider):
    workspace, now = numbers[0].workspace, moment()
    _break(workspace, provider, now)
    asked = len(provider.asked)

    for number in numbers:
        assert not push.push(number.sync_target.pk, clock=lambda: now)

    assert len(provider.asked) == asked
    assert schedule.due_targets(now=now) == []
    assert set(SyncTarget.objects.values_list("attempts", "state")) == {(0, "pending")}
    assert not SyncTarget.objects.filter(due_at=None).exists()
    assert "tried again by itself" in SyncTarget.objects.first().error
    assert connection.standing(workspace.pk, now=now).standing is Standing.BLOCKED


def test_a_key_that_cannot_be_read_is_said_and_nobody_goes_round_in_circles(numbers, provider, monkeypatch):
    workspace = numbers[0].workspace
    UponaiKey.objects.update(sealed="v1.broken")
    monkeypatch.setattr(connection, "TURNED_AWAY_SECONDS", 0.05)
    monkeypatch.setattr(schedule, "WORKING_SECONDS", 0.3)
    tried = []
    monkeypatch.setattr(push, "push", lambda pk, *, clock, do=push.push: tried.append(do(pk, clock=clock)))

    schedule.work(schedule.Desk(4), clock=moment)

    assert 1 <= len(tried) < 20
    assert "ENCRYPTION_KEYS" in SyncTarget.objects.exclude(error="").first().error
    assert connecting.has_key(workspace.pk)


def test_two_that_read_the_same_row_do_not_take_the_same_place(in_workspace, provider, monkeypatch):
    line = connection._Line(in_workspace.pk, uuid.uuid4(), moment)
    real, between = connection._next_place, []

    def somebody_is_faster(row, now):
        if not between:
            between.append(None)
            between.append(line._reserve().at)
        return real(row, now)

    monkeypatch.setattr(connection, "_next_place", somebody_is_faster)

    assert line._reserve().at > between[1]


def test_a_list_without_an_end_is_not_read_for_ever(in_workspace, provider, monkeypatch):
    page = {"items": [], "has_more": True, "pagination_key": "again"}
    monkeypatch.setattr(UponaiClient, "_ask", lambda *_, **__: page)

    with pytest.raises(connection.UponaiTrouble, match="no end"), UponaiClient("key_sandbox") as client:
        list(client.list_phone_numbers())


def test_an_answer_between_failures_keeps_the_breaker_closed(in_workspace, provider):
    provider.answers.extend([500] * 4 + [200] + [500] * 4)
    for _ in range(9):
        try:
            _ask(in_workspace)
        except Waiting:
            raise
        except connection.UponaiTrouble:
            pass

    assert connection.of(in_workspace.pk).blocked_until is None


def test_one_probe_finds_out_whether_uponai_is_back_and_then_all_hurry(numbers, provider):
    workspace, now = numbers[0].workspace, moment()
    SyncTarget.objects.filter(phone_number=numbers[1]).update(due_at=now + timedelta(minutes=4), attempts=7)
    _break(workspace, provider, now)
    later = connection.of(workspace.pk).blocked_until + timedelta(seconds=1)

    assert schedule.due_targets(now=later) != []
    with scoped(workspace.pk):
        line = connection._Line(workspace.pk, connection._newest_key(workspace.pk).pk, lambda: later)
        probe = line.take_place()
        with pytest.raises(Waiting):
            line.take_place()
        line.answered(probe)

    assert connection.standing(workspace.pk, now=later).standing is Standing.READY
    assert len(schedule.due_targets(now=later)) == len(FIVE)


def test_a_probe_that_fails_keeps_it_open(numbers, provider):
    workspace, now = numbers[0].workspace, moment()
    _break(workspace, provider, now)
    later = connection.of(workspace.pk).blocked_until + timedelta(seconds=1)
    provider.answers.append(500)

    with pytest.raises(connection.UponaiTrouble):
        _ask(workspace, now=later)

    until = connection.of(workspace.pk).blocked_until
    assert later < until <= later + timedelta(seconds=connection.LONGEST_BLOCK_SECONDS)


def test_retry_after_holds_the_whole_workspace_and_no_other(numbers, provider):
    workspace, now = numbers[0].workspace, moment()
    other = make_workspace(slug="other")
    theirs = make_phone_number(other, "+14155550150", synced=False)
    provider.answers.append((429, {"Retry-After": "60"}))

    for number in numbers:
        push.push(number.sync_target.pk, clock=lambda: now)

    assert provider.asked == ["PATCH"]
    assert {row.attempts for row in SyncTarget.objects.all()} == {0}
    assert connection.of(workspace.pk).blocked_until == now + timedelta(seconds=60)
    assert schedule.due_targets(now=now + timedelta(seconds=59)) == [theirs.sync_target.pk]
    assert len(schedule.due_targets(now=now + timedelta(seconds=61))) == 6


def test_a_refused_key_is_not_shown_again_and_a_new_one_is_tried_at_once(numbers, provider):
    workspace = numbers[0].workspace
    provider.answers.append(401)
    for number in numbers:
        push.push(number.sync_target.pk, clock=moment)
    assert provider.asked == ["PATCH"]
    assert schedule.due_targets(now=moment() + timedelta(seconds=30)) == []
    assert connection.of(workspace.pk).key_refused_at is not None
    entry = AuditEntry.objects.get(action="workspace.uponai_key_refused")
    assert (entry.actor_label, entry.detail["after"]["last_four"]) == ("fraudconsole", UPONAI_KEY[-4:])

    workspaces.set_uponai_key(workspace=workspace, key="key_new", acting_user=None, now=moment())
    connection.key_replaced(workspace.pk, now=moment())

    assert len(schedule.due_targets(now=moment() + timedelta(seconds=3))) == len(FIVE)
    assert push.push(numbers[1].sync_target.pk, clock=moment)
    assert provider.keys[1:] == ["key_new", "key_new"]


def test_a_late_refusal_of_the_old_key_does_not_hold_up_the_new_one(in_workspace, provider):
    provider.answers.append(401)
    with connection.client(in_workspace.pk) as uponai:
        workspaces.set_uponai_key(workspace=in_workspace, key="key_new", acting_user=None, now=moment())
        with pytest.raises(connection.UponaiTrouble):
            uponai.get_phone_number(FIVE[0])

    _ask(in_workspace)
    assert connection.of(in_workspace.pk).key_refused_at is None


@pytest.mark.parametrize(("facts", "words"), [({"disconnected_at": moment()}, "disconnected"), ({}, "no UponAI key")])
def test_says_why_nothing_is_sent(provider, facts, words):
    workspace = make_workspace(uponai_key="key_sandbox" if facts else "")
    connection.of(workspace.pk)
    UponaiConnection._base_manager.update(**facts or {"failures": 0})

    with pytest.raises(Waiting, match=words):
        _ask(workspace)

    assert provider.asked == []


def test_requests_leave_at_the_rate_of_the_workspace(in_workspace, provider, monkeypatch):
    now, waits = moment(), []
    monkeypatch.setattr(time, "sleep", waits.append)
    with connection.client(in_workspace.pk, clock=lambda: now) as uponai:
        for _ in range(30):
            uponai.get_phone_number(FIVE[0])
        for _ in range(connection.PATIENCE_SECONDS * in_workspace.requests_per_second - 29):
            uponai.get_phone_number(FIVE[0])
        with pytest.raises(Waiting):
            uponai.get_phone_number(FIVE[0])

    assert [round(wait, 1) for wait in waits[:4]] == [0.1, 0.2, 0.3, 0.4]
    assert max(waits) <= connection.PATIENCE_SECONDS


@pytest.mark.parametrize(("pause", "made_up_for"), [(0.1, 0.1), (1.0, 0.2), (3.0, 0.0), (3600.0, 0.0)])
def test_a_delay_is_made_up_for_and_a_pause_is_not(in_workspace, pause, made_up_for):
    """So a rush after a quiet hour begins at the rate."""
    now = moment()
    row = connection.of(in_workspace.pk)
    row.next_request_at = now - timedelta(seconds=pause)

    assert connection._next_place(row, now) == now - timedelta(seconds=made_up_for)


def test_a_clock_that_was_wrong_blocks_nobody(in_workspace, provider):
    far = moment() + timedelta(hours=1)
    connection.of(in_workspace.pk)
    UponaiConnection.objects.update(next_request_at=far, blocked_until=far, failures=9)

    _ask(in_workspace)


@pytest.mark.django_db(transaction=True)
def test_no_two_processes_take_the_same_place(workspace):
    if database.vendor == "sqlite":
        pytest.skip("SQLite's test database cannot be shared by threads")
    connection.of(workspace.pk)
    now, places = moment(), []

    def take():
        with scoped(workspace.pk):
            line = connection._Line(workspace.pk, connection._newest_key(workspace.pk).pk, lambda: now)
            places.extend(line._reserve().at for _ in range(10))
        database.close()

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(places) == [now + timedelta(seconds=n / 10) for n in range(40)]


def test_a_refused_key_is_tried_again_once_a_minute(in_workspace):
    now, key = moment(), UponaiKey.objects.get()
    connection.of(in_workspace.pk)
    UponaiConnection.objects.update(refused_key=key.pk, key_refused_at=now, last_trouble_at=now)

    for later, standing in ((30, Standing.KEY_REFUSED), (61, Standing.READY)):
        at = now + timedelta(seconds=later)
        assert connection.standing(in_workspace.pk, now=at).standing is standing
        assert (in_workspace.pk in connection.silent(at)) == (standing is Standing.KEY_REFUSED)
