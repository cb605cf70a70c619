"""Usage by the hour: the same as the raw rows, however often and in whatever order they come."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import Sum

from accounts.models import Workspace
from accounts.scoping import scoped
from monitoring.ingest import blocked_calls, rollups
from monitoring.models import Call, HourTotal, MinuteBucket, RollupProgress, UsageBucket
from monitoring.tasks import roll_up as roll_up_task
from policies.models import Decision
from tests import factories

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=3)
_counter = itertools.count(1)


def make_call(at: datetime, **facts: Any) -> Call:
    values = {
        "call_reference": f"call_{next(_counter)}",
        "channel": "phone_call",
        "direction": "outbound",
        "country": "US",
        "number_class": "fixed_or_mobile",
        "status": "ended",
        "started_at": at,
        "duration_ms": 60_000,
        "cost_cents": Decimal("11.5"),
        "changed_at": at,
    }
    return Call.objects.create(**(values | facts))


def make_decision(at: datetime, **facts: Any) -> Decision:
    values = {
        "at": at,
        "direction": "inbound",
        "channel": "phone_call",
        "verdict": "block",
        "reason": "country_not_allowed",
        "phone_number": "+14155550100",
        "country": "GB",
        "number_class": "mobile",
        "recorded_at": at,
    }
    return Decision.objects.create(**(values | facts))


def roll_up(workspace: Workspace, now: datetime) -> rollups.RollupReport:
    blocked_calls.follow(workspace_id=workspace.pk, now=now)
    return rollups.roll_up(workspace_id=workspace.pk, now=now)


def buckets() -> Counter:
    rows = UsageBucket.objects.values_list("hour", "direction", "country", "outcome", "reason", "calls")
    return Counter({row[:-1]: row[-1] for row in rows})


def test_it_counts_what_was_blocked_by_reason_and_calls_by_whether_they_came_about(in_workspace):
    make_decision(NOON, reason="sanctioned_country", country="CU")
    make_decision(NOON + timedelta(minutes=59))
    make_decision(NOON, verdict="allow", reason="")
    make_call(NOON)
    make_call(NOON + timedelta(minutes=20), status="ongoing", duration_ms=0)
    make_call(NOON + timedelta(minutes=30), status="error", disconnection_reason="error_asr")
    make_call(NOON + timedelta(minutes=40), status="not_connected", duration_ms=0)

    report = roll_up(in_workspace, LATER)

    assert report == rollups.RollupReport(hours=1, buckets=4)
    assert buckets() == {
        (NOON, "inbound", "CU", "blocked", "sanctioned_country"): 1,
        (NOON, "inbound", "GB", "blocked", "country_not_allowed"): 1,
        (NOON, "outbound", "US", "connected", ""): 3,
        (NOON, "outbound", "US", "not_connected", ""): 1,
    }


def test_it_adds_up_seconds_and_money(in_workspace):
    for seconds in (10.4, 20.4, 30.4):
        make_call(NOON, duration_ms=int(seconds * 1000), cost_cents=Decimal("7.1234"))

    roll_up(in_workspace, LATER)

    bucket = UsageBucket.objects.get()
    assert (bucket.calls, bucket.seconds, bucket.cost_cents) == (3, 61, Decimal("21.3702"))


def test_counting_again_changes_nothing(in_workspace):
    make_call(NOON)
    make_decision(NOON)
    roll_up(in_workspace, NOON + timedelta(seconds=5))
    before = buckets()

    # Within the overlap the same rows are still new, so this counts them a second time.
    again = roll_up(in_workspace, NOON + timedelta(seconds=7))

    assert again.hours == 1
    assert buckets() == before


def test_an_idle_workspace_costs_one_query(in_workspace, django_assert_num_queries):
    make_call(NOON)
    make_decision(NOON)
    roll_up(in_workspace, LATER)

    with django_assert_num_queries(1):
        report = rollups.roll_up(workspace_id=in_workspace.pk, now=LATER)

    assert report.hours == 0


def test_a_late_row_puts_its_old_hour_right(in_workspace):
    make_decision(NOON)
    roll_up(in_workspace, LATER)
    make_decision(NOON, recorded_at=LATER)

    report = roll_up(in_workspace, LATER)

    assert report.hours == 1
    assert buckets() == {(NOON, "inbound", "GB", "blocked", "country_not_allowed"): 2}


def test_a_row_that_becomes_visible_after_a_newer_one_is_counted(in_workspace):
    make_decision(NOON, id=1000)
    make_call(NOON, changed_at=NOON)
    roll_up(in_workspace, NOON + timedelta(seconds=2))
    # Their transactions were open while the rows above were written and counted.
    make_decision(NOON, id=999)
    make_call(NOON, changed_at=NOON - timedelta(seconds=3))

    roll_up(in_workspace, NOON + timedelta(seconds=10))

    assert sum(buckets().values()) == 4


def test_a_call_that_changes_its_mind_moves_to_the_other_bucket(in_workspace):
    call = make_call(NOON, status="registered", duration_ms=0)
    roll_up(in_workspace, LATER)
    assert buckets() == {(NOON, "outbound", "US", "not_connected", ""): 1}
    Call.objects.filter(pk=call.pk).update(status="ended", duration_ms=5000, changed_at=LATER)

    roll_up(in_workspace, LATER)

    assert buckets() == {(NOON, "outbound", "US", "connected", ""): 1}


def test_an_hour_begins_at_the_full_hour_in_utc(in_workspace):
    for minutes in (-1, 0, 59, 60):
        make_call(NOON + timedelta(minutes=minutes))

    roll_up(in_workspace, LATER)

    counted = dict(UsageBucket.objects.values_list("hour", "calls"))
    assert counted == {NOON - timedelta(hours=1): 1, NOON: 2, NOON + timedelta(hours=1): 1}


def test_rebuilding_repairs_a_range_and_nothing_else(in_workspace):
    for hours in range(4):
        make_call(NOON + timedelta(hours=hours))
    roll_up(in_workspace, LATER + timedelta(hours=2))
    UsageBucket.objects.update(calls=77)

    start, end = NOON + timedelta(hours=1, minutes=10), NOON + timedelta(hours=3)
    report = rollups.rebuild(workspace_id=in_workspace.pk, start=start, end=end, now=LATER)

    assert report.hours == 2
    assert [calls for _, calls in sorted(UsageBucket.objects.values_list("hour", "calls"))] == [77, 1, 1, 77]


def minutes() -> dict[datetime, int]:
    return dict(MinuteBucket.objects.values_list("minute", "calls"))


def test_the_last_day_is_counted_by_the_minute_too(in_workspace):
    make_call(NOON + timedelta(seconds=59))
    make_call(NOON + timedelta(seconds=60, microseconds=7))
    make_call(NOON + timedelta(seconds=119))
    make_decision(NOON + timedelta(minutes=5, seconds=30))
    make_call(NOON - timedelta(days=2), changed_at=NOON)

    for _ in range(2):
        roll_up(in_workspace, NOON + timedelta(minutes=10))

    assert minutes() == {NOON: 1, NOON + timedelta(minutes=1): 2, NOON + timedelta(minutes=5): 1}
    assert UsageBucket.objects.count() == 3


def test_a_late_row_puts_its_minute_right(in_workspace):
    call = make_call(NOON)
    roll_up(in_workspace, LATER)
    Call.objects.filter(pk=call.pk).update(started_at=NOON + timedelta(minutes=3), changed_at=LATER)

    roll_up(in_workspace, LATER)

    assert minutes() == {NOON + timedelta(minutes=3): 1}


def test_minutes_are_forgotten_in_batches_and_hours_are_kept(in_workspace, monkeypatch):
    monkeypatch.setattr(rollups, "FORGET_AT_ONCE", 2)
    for minute in range(5):
        make_call(NOON + timedelta(minutes=minute))
    roll_up(in_workspace, NOON + timedelta(minutes=10))
    a_day_later = NOON + rollups.MINUTES_KEPT + timedelta(minutes=4)

    assert [rollups.forget_minutes(now=a_day_later) for _ in range(3)] == [2, 2, 0]
    assert minutes() == {NOON + timedelta(minutes=4): 1}
    assert UsageBucket.objects.get().calls == 5


def test_each_workspace_is_counted_for_itself(workspace):
    other = factories.make_workspace()
    with scoped(other.pk):
        make_call(NOON)
        make_call(NOON)
    with scoped(workspace.pk):
        make_call(NOON)

    roll_up_task()

    for owner, calls in ((workspace, 1), (other, 2)):
        with scoped(owner.pk):
            assert UsageBucket.objects.get().calls == calls


def test_a_workspace_that_cannot_be_counted_does_not_stop_the_others(workspace, caplog):
    other = factories.make_workspace()
    with scoped(other.pk):
        make_call(NOON)
    with scoped(workspace.pk):
        _break_counting(workspace)

    roll_up_task()

    with scoped(other.pk):
        assert UsageBucket.objects.get().calls == 1
    with scoped(workspace.pk):
        assert not UsageBucket.objects.exists()
    assert "could not be counted" in caplog.text


def _break_counting(workspace: Workspace) -> None:
    """More money than fits into a bucket; SQLite would take it, so there a moment that is none."""
    for _ in range(101):
        make_call(NOON, cost_cents=Decimal("99999999"))
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("UPDATE monitoring_call SET started_at = 'never' WHERE workspace_id = %s", [workspace.pk])


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_two_workers_at_once_count_everything_once():
    if connection.vendor != "postgresql":
        pytest.skip("SQLite lets one writer in at a time anyway")
    workspace = factories.make_workspace()
    with scoped(workspace.pk), transaction.atomic():
        for number in range(200):
            make_call(NOON + timedelta(minutes=7 * number))
    start = threading.Barrier(4)
    problems: list[Exception] = []

    def work() -> None:
        try:
            start.wait()
            rollups.roll_up(workspace_id=workspace.pk, now=LATER + timedelta(days=2))
        except Exception as problem:
            problems.append(problem)
        finally:
            connection.close()

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    assert problems == []
    with scoped(workspace.pk):
        assert sum(UsageBucket.objects.values_list("calls", flat=True)) == 200
        assert RollupProgress.objects.count() == 1


def test_totals_are_the_sums_of_their_hours(in_workspace):
    for country in ("US", "CA", "CA"):
        make_call(NOON, country=country)
    roll_up(in_workspace, LATER)
    rollups.rebuild(workspace_id=in_workspace.pk, start=NOON, end=LATER, now=LATER)

    columns = ("hour", "outcome", "reason")
    fine = UsageBucket.objects.values_list(*columns).annotate(Sum("calls"), Sum("seconds"), Sum("cost_cents"))
    assert set(HourTotal.objects.values_list(*columns, "calls", "seconds", "cost_cents")) == set(fine.order_by())
    assert HourTotal.objects.get().calls == 3
