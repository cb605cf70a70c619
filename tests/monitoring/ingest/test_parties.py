"""Who called and was called by the hour: incremental, repeatable, and of the other side only the busiest."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from monitoring.ingest import parties
from monitoring.models import Call, PartyBucket
from tests import factories
from tests.monitoring.dashboards.rows import NOW, list_blocked, make_call, make_decision

LATER = NOW + timedelta(minutes=2)
DAY = {"start": NOW - timedelta(days=1), "end": NOW + timedelta(hours=1)}
Kind = PartyBucket.Kind


def count(workspace) -> int:
    list_blocked(workspace.pk, LATER)
    return parties.count(workspace_id=workspace.pk, now=LATER)


@pytest.fixture
def number(in_workspace):
    return factories.make_phone_number(in_workspace)


def test_numbers_keys_and_callers_are_counted_with_time_and_money(in_workspace, number):
    make_call(NOW, public_key="pk_one")
    make_call(NOW - timedelta(hours=2), public_key="pk_one")
    make_call(NOW, phone_number="+14155550199", status="not_connected", duration_ms=0, cost_cents=Decimal(0))
    make_decision(number, "+442079460018", NOW)

    assert count(in_workspace) == 2

    (key,) = parties.top(Kind.PUBLIC_KEY, **DAY)
    assert (key.value, key.calls, key.seconds, key.cost_cents) == ("pk_one", 2, 180, Decimal("30"))
    assert [(one.value, one.calls) for one in parties.top(Kind.PHONE_NUMBER, **DAY)] == [
        ("+14155550100", 2),
        ("+14155550199", 1),
    ]
    assert [one.value for one in parties.top(Kind.PHONE_NUMBER, **DAY, outcome="not_connected")] == ["+14155550199"]
    (caller,) = parties.top(Kind.PEER, **DAY, outcome="blocked")
    assert (caller.value, caller.country, caller.calls) == ("+442079460018", "GB", 1)


def test_counting_again_changes_nothing_and_late_rows_put_it_right(in_workspace, number):
    call = make_call(NOW, status="ongoing", duration_ms=0, cost_cents=Decimal(0))
    count(in_workspace)
    Call.objects.filter(pk=call.pk).update(
        status="ended", duration_ms=60_000, cost_cents=Decimal(7), changed_at=LATER - timedelta(seconds=1)
    )
    make_decision(number, "+442079460018", NOW)

    count(in_workspace)
    count(in_workspace)

    (ours,) = parties.top(Kind.PHONE_NUMBER, **DAY)
    assert (ours.calls, ours.seconds, ours.cost_cents) == (1, 60, Decimal(7))
    assert [one.calls for one in parties.top(Kind.PHONE_NUMBER, **DAY, outcome="blocked")] == [1]


def test_of_the_other_side_the_busiest_of_each_hour_are_kept(in_workspace, monkeypatch):
    monkeypatch.setattr(parties, "PEERS_KEPT", 2)
    for peer, calls in (("+12125550101", 3), ("+12125550102", 2), ("+12125550103", 1)):
        for _ in range(calls):
            make_call(NOW, peer=peer)
    make_call(NOW - timedelta(hours=1), peer="+12125550103")

    count(in_workspace)

    assert [(one.value, one.calls) for one in parties.top(Kind.PEER, **DAY, limit=3)] == [
        ("+12125550101", 3),
        ("+12125550102", 2),
        ("+12125550103", 1),
    ]


def test_whole_days_are_read_by_the_day_and_the_edges_by_the_hour(in_workspace, number):
    for hours in (0, 3, 20, 30, 44, 57):
        make_call(NOW - timedelta(hours=hours))
        make_decision(number, "+442079460018", NOW - timedelta(hours=hours, minutes=1))
    count(in_workspace)
    span = {"start": NOW.replace(minute=0) - timedelta(hours=58), "end": NOW + timedelta(hours=1)}

    assert [one.calls for one in parties.top(Kind.PHONE_NUMBER, **span)] == [6]
    assert [one.calls for one in parties.top(Kind.PEER, **span, outcome="blocked")] == [6]
    rows = PartyBucket.objects.filter(kind=Kind.PHONE_NUMBER, outcome="connected")
    read = rows.filter(parties.within(**span)).order_by("hour").values_list("step", "calls")
    assert list(read) == [("hour", 1), ("hour", 1), ("day", 2), ("hour", 1), ("hour", 1)]

    # A late row puts the day right with its hour.
    make_call(NOW - timedelta(hours=31), changed_at=LATER)
    count(in_workspace)
    assert [one.calls for one in parties.top(Kind.PHONE_NUMBER, **span)] == [7]


def test_nothing_new_costs_one_query(in_workspace, django_assert_num_queries):
    make_call(NOW)
    count(in_workspace)

    with django_assert_num_queries(1):
        assert parties.count(workspace_id=in_workspace.pk, now=LATER) == 0


def test_an_hour_is_rebuilt_by_hand(in_workspace):
    make_call(NOW)
    count(in_workspace)
    PartyBucket.objects.update(calls=77)

    parties.rebuild(workspace_id=in_workspace.pk, start=NOW, end=NOW + timedelta(minutes=1))

    assert [one.calls for one in parties.top(Kind.PEER, **DAY)] == [1]
