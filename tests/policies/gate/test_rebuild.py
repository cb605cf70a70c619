"""After the live store was lost or away: the rows know what it forgot, and nobody gets through meanwhile."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection

from accounts.scoping import scoped
from policies.engine.limits import LimitName
from policies.gate import rebuild, store
from policies.gate.store import Outcome
from policies.models import Dial, KnownPrefix
from tests.factories import moment
from tests.policies.gate.charges import NEW, charge, dial, money, running, spend

pytestmark = pytest.mark.django_db


def day(limit=10, **kind):
    return charge(LimitName.IP_DESTINATION_DAY, "192.0.2.1 +447700190123", limit, 86_400, **kind)


def lose_counters(workspace):
    store.connection().flushdb()
    rebuild.rebuild(workspace.pk, now=moment())


def let_settle(workspace):
    """The moment after which no attempt from before the loss can still write its row."""
    store.connection().hset(store._key(workspace.pk, "counters"), "all", 1)


def used(workspace, *charges, **how):
    return [usage.used for usage in store.look(workspace.pk, charges, **how)]


def test_knows_nothing_until_it_was_rebuilt(workspace):
    assert spend(workspace, charge()).outcome is Outcome.UNKNOWN
    rebuild.rebuild(workspace.pk, now=moment())
    workspace.refresh_from_db()
    assert spend(workspace, charge(), version=workspace.snapshot_version).outcome is Outcome.RECORDED

    store.connection().flushdb()
    assert spend(workspace, charge()).outcome is Outcome.UNKNOWN


def test_rebuilds_before_it_spends(workspace):
    def spend_surely():
        return rebuild.spend(
            workspace.pk,
            now=moment(),
            version=None,
            key=None,
            decision_id=str(uuid.uuid4()),
            decision=b"{}",
            answer=b"",
            charges=[charge(limit=1)],
        )

    assert [spend_surely().outcome for _ in range(2)] == [Outcome.RECORDED, Outcome.LIMITED]
    with store.rebuilding(workspace.pk):
        store.connection().delete(store._key(workspace.pk, "counters"))
        with pytest.raises(rebuild.Rebuilding):
            spend_surely()


def test_is_not_made_fit_by_a_version_alone(workspace):
    rebuild.rebuild(workspace.pk, now=moment())
    store.connection().flushdb()
    store.publish_version(workspace.pk, 1)
    assert spend(workspace, charge(), version=1).outcome is Outcome.UNKNOWN


def test_counts_callers_although_the_counters_were_lost(workspace):
    dial(workspace, day())
    lose_counters(workspace)
    caller = charge(LimitName.CALLER_FLOOD, "+14155550101", 1)
    assert [spend(workspace, caller).outcome for _ in range(2)] == [Outcome.RECORDED, Outcome.LIMITED]


def test_starts_empty_on_the_first_boot(workspace):
    lose_counters(workspace)
    assert spend(workspace, charge(), running(), money(1)).outcome is Outcome.RECORDED


def test_starts_full_when_something_was_lost(workspace):
    dial(workspace, seconds_ago=3000)
    lose_counters(workspace)

    refused = spend(workspace, charge(), day(), running(), money(1))

    assert refused.outcome is Outcome.LIMITED
    short, *longer = [usage.wait_ms for usage in refused.usages]
    assert 590_000 < short <= 600_000
    assert all(4_000 < wait <= 5_000 for wait in longer)


def test_opens_long_windows_again_once_every_row_is_written(workspace):
    dial(workspace, seconds_ago=3000)
    lose_counters(workspace)
    late = dial(workspace, day())  # spent in the store that was lost
    assert spend(workspace, day()).outcome is Outcome.LIMITED

    let_settle(workspace)
    assert spend(workspace, day()).outcome is Outcome.UNKNOWN
    rebuild.rebuild(workspace.pk, now=moment())

    assert spend(workspace, day()).usages[0].used == 1
    assert spend(workspace, charge()).outcome is Outcome.LIMITED
    assert late.counted_by_database is False


def test_loads_what_was_spent_what_runs_and_what_was_counted(workspace):
    dial(workspace, day(), money(300_000), running(), seconds_ago=60)
    dial(workspace, day(), money(300_000), running(), seconds_ago=60, ended_at=moment(), cost_micro=100_000)
    dial(workspace, day(), money(300_000), running(), seconds_ago=3600)
    dial(workspace, day(), money(300_000), running(), seconds_ago=25 * 3600)

    for _ in range(2):
        lose_counters(workspace)
        assert used(workspace, day(), money(0), running()) == [3, 700_000, 1]


def test_takes_nothing_twice_that_was_rebuilt_twice(workspace):
    charges = (day(), money(300_000), running(), charge(LimitName.WORKSPACE, "", 2000, 86_400))
    dial(workspace, *charges)
    lose_counters(workspace)
    before = used(workspace, *charges)

    for _ in range(3):
        store.connection().hdel(store._key(workspace.pk, "counters"), "ready")
        rebuild.rebuild(workspace.pk, now=moment())

    assert used(workspace, *charges) == before == [1, 300_000, 1, 1]


def test_gives_back_what_was_rebuilt(workspace):
    row = dial(workspace, day(), money(300_000), running())
    lose_counters(workspace)
    store.give_back(workspace.pk, str(row.decision_id), cost_micro=100_000)
    assert used(workspace, day(), money(0), running()) == [1, 100_000, 0]


def test_remembers_which_prefixes_are_known(workspace, in_workspace):
    KnownPrefix.objects.create(workspace=workspace, prefix=NEW, first_at=moment() - timedelta(hours=25))
    KnownPrefix.objects.create(workspace=workspace, prefix="+4477002", first_at=moment())
    KnownPrefix.objects.create(workspace=workspace, prefix="+4477003", first_at=moment(), confirmed=True)
    lose_counters(workspace)

    new = running(only_new=True)
    assert [spend(workspace, new, prefix=f"+447700{digit}").is_known for digit in (1, 2, 3, 4)] == [
        True,
        False,
        True,
        False,
    ]


def test_counts_no_known_destination_among_the_new_ones(workspace, in_workspace):
    KnownPrefix.objects.create(workspace=workspace, prefix="+44770019", first_at=moment() - timedelta(hours=25))
    charges = (day(), day(5, only_new=True))
    dial(workspace, *charges)
    dial(workspace, *charges, to_number="+14155550101", country="US")
    dial(workspace, *charges, to_number="+33123456789", country="FR")
    lose_counters(workspace)
    assert used(workspace, *charges, prefix="+3312345") == [3, 1]


def test_loads_as_far_back_as_the_longest_window(workspace):
    month = charge(LimitName.WORKSPACE, "", 100, 30 * 86_400)
    dial(workspace, month, seconds_ago=20 * 86_400)
    dial(workspace, month)
    lose_counters(workspace)
    assert used(workspace, month) == [2]


def test_tells_the_store_what_the_database_let_through(workspace):
    rebuild.rebuild(workspace.pk, now=moment())
    charges = (day(), money(300_000), running(), charge())
    row = dial(workspace, *charges, counted_by_database=True)
    store.ask_again()

    assert spend(workspace, charge()).outcome is Outcome.UNKNOWN
    rebuild.rebuild(workspace.pk, now=moment())

    assert used(workspace, *charges) == [1, 300_000, 1, 1]
    row.refresh_from_db()
    assert row.counted_by_database is False
    assert spend(workspace, charge()).outcome is Outcome.RECORDED


def test_tells_it_once_although_it_died_before_noting_so(workspace):
    rebuild.rebuild(workspace.pk, now=moment())
    row = dial(workspace, day(), money(300_000), counted_by_database=True)
    for _ in range(2):
        with scoped(workspace.pk):
            Dial.objects.filter(pk=row.pk).update(counted_by_database=True)
        assert rebuild.catch_up(workspace.pk) == 1
    assert rebuild.catch_up(workspace.pk) == 0
    assert used(workspace, day(), money(0)) == [1, 300_000]


def test_catches_up_after_the_store_was_restarted(workspace):
    rebuild.rebuild(workspace.pk, now=moment())
    assert spend(workspace, charge()).outcome is Outcome.RECORDED

    store.connection().client_kill_filter(_type="normal", skipme=False)

    assert spend(workspace, charge()).outcome is Outcome.UNKNOWN
    rebuild.rebuild(workspace.pk, now=moment())
    assert spend(workspace, charge()).usages[0].used == 1


def test_rebuilds_in_one_process_while_the_others_do_without_the_store(workspace):
    dial(workspace, day())
    store.connection().flushdb()
    with store.rebuilding(workspace.pk) as is_ours:
        assert is_ours
        with pytest.raises(rebuild.Rebuilding):
            rebuild.rebuild(workspace.pk, now=moment())
    rebuild.rebuild(workspace.pk, now=moment())


@pytest.mark.postgres
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite's test database cannot be shared by threads")
@pytest.mark.django_db(transaction=True)
def test_is_harmless_when_many_rebuild_at_once(workspace):
    for _ in range(20):
        dial(workspace, day(100), money(10_000), running(100), counted_by_database=True)
    store.connection().flushdb()

    def run(_):
        try:
            rebuild.rebuild(workspace.pk, now=moment())
        except rebuild.Rebuilding:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(8) as pool:
        assert any(pool.map(run, range(24)))

    assert used(workspace, day(100), money(0), running(100)) == [20, 200_000, 20]


def test_does_nothing_where_nothing_is_to_do(workspace, django_assert_max_num_queries):
    rebuild.rebuild(workspace.pk, now=moment())
    dial(workspace, day(), decision_id=uuid.uuid4())
    with django_assert_max_num_queries(5):
        rebuild.rebuild(workspace.pk, now=moment())
