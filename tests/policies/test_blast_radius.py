"""Whom a block would have hit: let through, of the last 30 days, in its direction."""

from datetime import timedelta

import pytest
from django.db import connection

from policies.blast_radius import MOST_COUNTED, _successor, blast_radius
from policies.models import Decision
from tests.factories import make_phone_number, make_workspace, moment

pytestmark = pytest.mark.django_db


def seen(workspace, peer, *, verdict="allow", direction="inbound", days_ago=1, times=1):
    rows = [
        Decision(
            workspace_id=workspace.pk,
            at=moment() - timedelta(days=days_ago),
            direction=direction,
            channel="phone_call",
            verdict=verdict,
            phone_number="+14155550100",
            peer=peer,
        )
        for _ in range(times)
    ]
    Decision.objects.bulk_create(rows)


def radius(value, *, scope="prefix", direction="inbound", channel=""):
    return blast_radius(scope=scope, value=value, direction=direction, channel=channel, now=moment())


def test_counts_attempts_and_callers_that_were_let_through(in_workspace):
    seen(in_workspace, "+447400123456", times=3)
    seen(in_workspace, "+447400123457", verdict="guard")
    seen(in_workspace, "+447400123458", verdict="block")
    seen(in_workspace, "+447400123459", direction="outbound")
    seen(in_workspace, "+447400123450", days_ago=31)
    seen(in_workspace, "+447500123456")

    found = radius("+4474")
    assert (found.attempts, found.peers, found.capped, found.own_numbers) == (4, 2, False, ())
    assert radius("+4474", direction="").peers == 3
    assert radius("+4474", channel="sms").attempts == 0
    assert radius("+447400123456", scope="peer").attempts == 3


def test_does_not_count_another_workspace(in_workspace):
    other = make_workspace()
    from accounts.scoping import scoped

    with scoped(other.pk):
        seen(other, "+447400123456")

    assert radius("+4474").attempts == 0


def test_names_our_own_numbers_that_it_covers(in_workspace):
    make_phone_number(in_workspace, "+14155550100")
    make_phone_number(in_workspace, "+14165550123")

    assert radius("+1415").own_numbers == ("+14155550100",)
    assert radius("+14165550123", scope="peer").own_numbers == ("+14165550123",)


def test_stops_counting_where_the_answer_would_stay_the_same(in_workspace, monkeypatch):
    monkeypatch.setattr("policies.blast_radius.MOST_COUNTED", 5)
    seen(in_workspace, "+447400123456", times=9)

    assert MOST_COUNTED > 5
    assert (radius("+44").capped, radius("+44").attempts) == (True, 6)


@pytest.mark.parametrize(
    ("prefix", "after"), [("+4474", "+4475"), ("+449", "+45"), ("+1899", "+19"), ("+9", ""), ("+99", "")]
)
def test_the_range_ends_before_the_first_that_does_not_begin_so(prefix, after):
    assert _successor(prefix) == after


def test_finds_prefixes_of_nines(in_workspace):
    seen(in_workspace, "+998901234567")

    assert radius("+99").attempts == radius("+9").attempts == radius("+998").attempts == 1


def test_looks_along_the_index(in_workspace):
    seen(in_workspace, "+447400123456")
    rows = Decision.objects.filter(peer__gte="+4474", peer__lt="+4475", at__gte=moment()).order_by()

    plan = rows.only("peer").explain()

    if connection.vendor == "sqlite":
        assert "decision_of_peer" in plan
