"""The live store: one command per attempt, all charges or none, and answers that are found again."""

import uuid

import pytest

from policies.engine.limits import Charge, Limit, LimitName, Measure, Usage
from policies.gate import rebuild, store
from policies.gate.store import AttemptKey, Outcome
from tests.factories import moment
from tests.policies.gate.charges import NEW, charge, money, running, spend

pytestmark = pytest.mark.django_db


@pytest.fixture
def ready(workspace):
    """A workspace whose counters may be spent."""
    rebuild.rebuild(workspace.pk, now=moment())
    return workspace


def test_spends_up_to_the_limit_and_tells_what_was_used_before(ready):
    spent = [spend(ready, charge(limit=2)) for _ in range(3)]

    assert [one.outcome for one in spent] == [Outcome.RECORDED, Outcome.RECORDED, Outcome.LIMITED]
    assert [one.answer for one in spent] == [b"yes", b"yes", b"no"]
    assert [one.usages[0].used for one in spent] == [0, 1, 2]
    assert [one.usages[0].has_room for one in spent] == [True, True, False]
    assert 599_000 < spent[2].usages[0].wait_ms <= 600_000


def test_spends_nothing_where_one_charge_has_no_room(ready):
    spend(ready, charge(limit=1))

    refused = spend(ready, charge(LimitName.WORKSPACE, "", 5), charge(limit=1), money(400_000), running())

    assert refused.outcome is Outcome.LIMITED
    others = (charge(LimitName.WORKSPACE, "", 5), money(0), running())
    assert [usage.used for usage in store.look(ready.pk, others)] == [0, 0, 0]
    assert len(store.undrained(ready.pk)) == 2


@pytest.mark.parametrize(
    "charges",
    [
        [charge(limit=3)],
        [charge(limit=2000)],
        [charge(LimitName.COUNTRIES_PER_IP, member="FR")],
        [running()],
        [money(1)],
    ],
)
def test_looks_without_spending(ready, charges):
    for _ in range(2):
        assert store.look(ready.pk, charges) == (Usage(0),)


def test_counts_what_is_different_once(ready):
    def place(country):
        return spend(ready, charge(LimitName.COUNTRIES_PER_IP, limit=2, member=country)).outcome

    assert [place(country) for country in ("FR", "FR", "DE", "FR", "ES", "DE")] == [
        *[Outcome.RECORDED] * 4,
        Outcome.LIMITED,
        Outcome.RECORDED,
    ]


def test_counts_more_than_a_thousand_per_window_without_keeping_each(ready):
    charges = [charge(LimitName.WORKSPACE, "", 2000, amount=999)]
    assert [spend(ready, *charges).outcome for _ in range(3)] == [*[Outcome.RECORDED] * 2, Outcome.LIMITED]
    assert store.connection().memory_usage(store.connection().keys("*:count:*")[0]) < 500


def test_counts_what_runs_until_it_is_given_back(ready):
    first = str(uuid.uuid4())
    assert spend(ready, running(), decision_id=first, lease_seconds=180).outcome is Outcome.RECORDED
    assert spend(ready, running(), lease_seconds=90).outcome is Outcome.RECORDED
    refused = spend(ready, running(), lease_seconds=90)
    assert refused.outcome is Outcome.LIMITED
    assert 80_000 < refused.usages[0].wait_ms <= 90_000

    store.give_back(ready.pk, first, cost_micro=None)

    assert spend(ready, running(), lease_seconds=90).outcome is Outcome.RECORDED


def test_forgets_a_lease_that_nobody_gave_back(ready):
    assert spend(ready, running(limit=1), lease_seconds=0.001).outcome is Outcome.RECORDED
    while store.look(ready.pk, [running(limit=1)])[0].used:
        pass
    assert spend(ready, running(limit=1)).outcome is Outcome.RECORDED


def test_corrects_money_as_often_as_more_is_known(ready):
    decision_id = str(uuid.uuid4())
    spend(ready, money(900_000), decision_id=decision_id)
    assert spend(ready, money(200_000)).outcome is Outcome.LIMITED

    for cost, used in ((None, 900_000), (300_000, 300_000), (300_000, 300_000), (450_000, 450_000), (0, 0)):
        store.give_back(ready.pk, decision_id, cost_micro=cost)
        assert store.look(ready.pk, [money(0)])[0].used == used


def test_gives_nothing_back_for_an_attempt_it_does_not_know(ready):
    spend(ready, money(900_000))
    store.give_back(ready.pk, str(uuid.uuid4()), cost_micro=0)
    assert store.look(ready.pk, [money(0)])[0].used == 900_000


def test_counts_only_new_destinations_where_told_so(ready):
    halves = (running(4), running(2, only_new=True))
    for _ in range(2):
        assert spend(ready, *halves, prefix=NEW).outcome is Outcome.RECORDED

    refused = spend(ready, *halves, prefix=NEW)
    assert (refused.outcome, refused.is_known) == (Outcome.LIMITED, False)
    reserved = spend(ready, *halves, prefix=NEW, is_known=True)
    assert (reserved.outcome, reserved.is_known) == (Outcome.RECORDED, True)
    assert [usage.counted for usage in reserved.usages] == [True, False]


@pytest.mark.parametrize(
    ("first_seen_hours_ago", "is_known"), [(25, True), (23, False), (None, False), (0, False), (500_000, True)]
)
def test_knows_a_prefix_a_day_after_its_first_call_or_when_it_was_confirmed(ready, first_seen_hours_ago, is_known):
    if first_seen_hours_ago is not None:
        first_seen_ms = max(0, int(moment().timestamp() - first_seen_hours_ago * 3600) * 1000)
        store.note_known(ready.pk, {NEW: first_seen_ms})
    assert spend(ready, running(only_new=True), prefix=NEW).is_known == is_known


def test_observed_charges_refuse_nobody_and_count_those_that_would_have_passed(ready):
    spent = [spend(ready, charge(limit=1, enforced=False)) for _ in range(3)]
    assert {one.outcome for one in spent} == {Outcome.RECORDED}
    assert {one.answer for one in spent} == {b"yes"}
    assert [one.usages[0].used for one in spent] == [0, 1, 1]


def test_guards_beyond_a_limit_that_is_only_suspicion_and_counts_on(ready):
    caller = charge(LimitName.CALLER, "+14155550101", 1, guards=True)
    spent = [spend(ready, caller, key=AttemptKey(f"id:{call}", is_id=True)) for call in (1, 2, 3)]
    assert [one.answer for one in spent] == [b"yes", b"careful", b"careful"]
    assert [one.usages[0].used for one in spent] == [0, 1, 2]
    assert spend(ready, caller, key=AttemptKey("id:2", is_id=True)).answer == b"careful"
    assert len(store.undrained(ready.pk)) == 3


def test_finds_the_refusal_again(ready):
    key = AttemptKey("id:call_1", is_id=True)
    spend(ready, charge(limit=0), key=key)
    again = spend(ready, charge(limit=5), key=key)
    assert (again.outcome, again.answer) == (Outcome.REPEATED, b"no")


def test_counts_short_calls_that_another_charge_looks_at(ready):
    look_at = charge(LimitName.SHORT_CALLS, "+14155550101", 2, 3600, amount=0, guards=True)
    for _ in range(2):
        assert spend(ready, look_at).answer == b"yes"
        store.note_short_call(ready.pk, "+14155550101")
    assert spend(ready, look_at).answer == b"careful"
    assert spend(ready, charge(LimitName.SHORT_CALLS, "+14155550102", 2, 3600, amount=0)).answer == b"yes"


def test_spends_without_recording(ready):
    assert spend(ready, charge(limit=1), record=False).outcome is Outcome.RECORDED
    assert spend(ready, charge(limit=1), record=False).outcome is Outcome.LIMITED
    assert store.undrained(ready.pk) == []


def test_refuses_to_count_by_another_snapshot(ready):
    store.publish_version(ready.pk, 7)
    assert spend(ready, charge(limit=1), version=6).outcome is Outcome.STALE
    assert spend(ready, charge(limit=1), version=7).outcome is Outcome.RECORDED


def test_spends_once_for_an_attempt_whose_answer_was_lost(ready):
    decision_id = str(uuid.uuid4())
    spent = [spend(ready, running(limit=1), money(1000), decision_id=decision_id) for _ in range(2)]
    assert [one.outcome for one in spent] == [Outcome.RECORDED] * 2
    assert [usage.used for usage in store.look(ready.pk, [running(), money(0)])] == [1, 1000]


def test_accepts_a_captcha_once(ready):
    assert store.first_use_of_captcha(ready.pk, "abc")
    assert not store.first_use_of_captcha(ready.pk, "abc")
    assert store.first_use_of_captcha(ready.pk + 1, "abc")


def test_keeps_nothing_for_ever_and_all_of_a_workspace_in_one_slot(ready):
    spend(
        ready,
        charge(),
        charge(LimitName.WORKSPACE, "", 5000),
        charge(LimitName.COUNTRIES_PER_IP, member="FR"),
        running(),
        money(1000),
        charge(LimitName.CALLER, "x" * 100_000),
        charge(LimitName.SUBJECT, "\ud800}{"),
        key=AttemptKey("id:call_1", is_id=True),
    )
    store.note_short_call(ready.pk, "+14155550101")
    store.first_use_of_captcha(ready.pk, "abc")

    keys = store.connection().keys("*")
    assert len(keys) == 14
    assert all(key.startswith(b"fraudconsole:{%d}:" % ready.pk) and len(key) < 300 for key in keys)
    lasting = {key.rsplit(b":", 1)[1] for key in keys if store.connection().ttl(key) < 0}
    assert lasting == {b"snapshot-version", b"counters", b"decisions"}
    assert max(store.connection().ttl(key) for key in keys) <= 25 * 3600 + 60


@pytest.mark.parametrize("measure", [Measure.ATTEMPTS, Measure.DISTINCT, Measure.RUNNING])
def test_a_limit_of_nothing_lets_nothing_pass(ready, measure):
    spent = spend(ready, Charge(LimitName.IP, measure, "x", Limit(0, 60), member="y"))
    assert spent.outcome is Outcome.LIMITED
    assert spent.usages[0].wait_ms > 0
