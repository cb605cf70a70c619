"""Whose row is next: fairly over workspaces, a few at once, and soon after UponAI is well again."""

from datetime import timedelta

import pytest

from accounts.scoping import scoped, unscoped
from policies import actions, holds
from policies.models import SyncTarget, UponaiConnection
from policies.sync import connection, push, schedule
from tests.factories import make_phone_number, make_policy, make_workspace, moment

pytestmark = pytest.mark.django_db


@pytest.fixture
def two():
    """A workspace with six due rows, and another whose two are due later."""
    busy, calm = make_workspace(), make_workspace()
    rows = {}
    for workspace, count, ago in ((busy, 6, 60), (calm, 2, 1)):
        numbers = [make_phone_number(workspace, f"+1415555{workspace.pk % 10}1{n:02}") for n in range(count)]
        with scoped(workspace.pk):
            SyncTarget.objects.update(due_at=moment() - timedelta(seconds=ago), state="pending")
        rows[workspace.pk] = [number.sync_target.pk for number in numbers]
    return busy.pk, calm.pk, rows


def test_takes_one_of_each_workspace_in_turn(two):
    busy, calm, _ = two

    found = schedule.due(now=moment(), at_most=5)

    assert [workspace for _, workspace, _ in found] == [busy, calm, busy, calm, busy]


def test_a_workspace_gets_half_of_the_places_at_most(two):
    busy, calm, _ = two
    desk = schedule.Desk(4)
    taken = [desk.take(moment()) for _ in range(5)]

    workspaces = [row[1] for row in taken if row]
    assert (workspaces.count(busy), workspaces.count(calm), taken[4]) == (2, 2, None)

    desk.give_back(*next(row for row in taken if row[1] == busy))
    assert desk.take(moment())[1] == busy
    assert desk.take(moment()) is None


def test_nobody_is_given_a_row_that_another_has_in_hand(two):
    desk = schedule.Desk(4)
    first = [desk.take(moment()) for _ in range(4)]
    assert desk.take(moment()) is None  # looks the rows up once more
    for row in first[:2]:
        desk.give_back(*row)

    again = [row for row in (desk.take(moment()) for _ in range(2)) if row]

    assert not set(again) & set(first[2:])


def test_what_somebody_just_changed_comes_first(two):
    busy, _, rows = two
    desk = schedule.Desk(8)
    desk.take(moment())

    schedule.prefer(desk, rows[busy][-1])

    assert (rows[busy][-1], busy) in [desk.take(moment()) for _ in range(2)]


def test_one_row_that_breaks_off_ends_no_round(two, monkeypatch):
    done = []

    def breaks_at_first(pk, *, clock):
        done.append(pk)
        with unscoped(reason="test"):
            SyncTarget.objects.filter(pk=pk).update(due_at=None)
        if len(done) == 1:
            raise RuntimeError("a mistake of ours")

    monkeypatch.setattr(push, "push", breaks_at_first)

    schedule.work(schedule.Desk(4), clock=moment)

    assert len(done) == 8


@pytest.mark.parametrize(
    ("trouble_ago", "answer_ago", "hurried"),
    [(2, 1, 0), (60, 30, 2), (60, 90, 1), (None, None, 1)],
    ids=["trouble just now", "answered since", "nobody asked since", "nothing known"],
)
def test_waiting_rows_hurry_where_uponai_seems_well(in_workspace, trouble_ago, answer_ago, hurried):
    now = moment()
    for n, attempts in enumerate((3, 12, 13)):
        number = make_phone_number(in_workspace, f"+1415555010{n}", synced=False)
        SyncTarget.objects.filter(phone_number=number).update(due_at=now + timedelta(minutes=4), attempts=attempts)
    connection.of(in_workspace.pk)
    ago = {"last_trouble_at": trouble_ago, "last_answer_at": answer_ago}
    UponaiConnection.objects.update(
        **{name: None if seconds is None else now - timedelta(seconds=seconds) for name, seconds in ago.items()}
    )

    schedule.recover(now=now)

    assert len(schedule.due_targets(now=now)) == hurried


def test_what_closes_goes_before_an_edit_of_many(in_workspace):
    with scoped(in_workspace.pk):
        shared = make_policy(in_workspace, name="shared")
        for line in range(10):
            make_phone_number(in_workspace, f"+141555501{line:02}", policy=shared)
        SyncTarget.objects.update(due_at=None, urgent=False)
        actions.edit_country_policy(
            policy=shared,
            inbound={"countries": ["US", "CA", "GB"]},
            acting_user=None,
            now=moment() - timedelta(minutes=5),
        )
        assert not SyncTarget.objects.filter(urgent=True).exists()

        held = "+14155550107"
        holds.impose(
            workspace_id=in_workspace.pk,
            scope="phone_number",
            value=held,
            reason="Under attack.",
            expires_at=moment() + timedelta(hours=1),
            acting_user=None,
            now=moment(),
        )

        first = SyncTarget.objects.select_related("phone_number").get(pk=schedule.due_targets(now=moment())[0])
        assert (first.phone_number.e164, first.urgent) == (held, True)
        actions.edit_country_policy(policy=shared, inbound={"countries": ["US"]}, acting_user=None, now=moment())
        assert SyncTarget.objects.filter(urgent=True).count() == 10


def test_a_desk_that_is_full_makes_room_for_what_closes(in_workspace):
    with scoped(in_workspace.pk):
        rows = [make_phone_number(in_workspace, f"+141555501{line:02}").sync_target.pk for line in range(6)]
        SyncTarget.objects.update(due_at=moment() - timedelta(minutes=1), urgent=False)
    desk, began = schedule.Desk(12), moment()
    first, workspace_id = desk.take(began)
    with scoped(in_workspace.pk):
        last = next(row for row in rows if row != first)
        SyncTarget.objects.filter(pk=last).update(urgent=True, due_at=moment())

    assert desk.take(began + schedule.LOOKED_UP_EVERY) == (last, workspace_id)
