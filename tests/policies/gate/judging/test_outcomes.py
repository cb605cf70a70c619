"""What became of attempts: noted, the latest word counts, and a good one makes its destination known."""

import uuid

import pytest
from django.test import TestCase

from accounts.scoping import scoped
from policies.gate import recorder, store
from policies.models import DecisionOutcome, KnownPrefix
from tests.factories import make_phone_number, make_workspace, moment
from tests.policies.gate.judging.conftest import JUDGE, OUTCOMES
from tests.policies.gate.outbound.conftest import LONDON, OURS, PEER, Gate

pytestmark = pytest.mark.django_db

CALL = {"from_number": OURS, "to_number": PEER}


@pytest.fixture
def gate(db):
    workspace = make_workspace()
    make_phone_number(workspace, OURS, outbound=["US", "GB"])
    return Gate(workspace)


def _judged(gate, to_number=PEER):
    return gate.post(JUDGE, CALL | {"to_number": to_number}).json()["decision_id"]


def _tell(gate, decision_id, outcome):
    with TestCase.captureOnCommitCallbacks(execute=True):
        return gate.post(OUTCOMES, {"decision_id": decision_id, "outcome": outcome})


def test_notes_an_outcome_and_keeps_the_latest(gate):
    decision_id = _judged(gate)

    for outcome in ("unverified", "complaint", "good"):
        response = _tell(gate, decision_id, outcome)
        assert (response.status_code, response.json()) == (200, {"status": "ok"})
        assert response["X-Decision-Id"] == decision_id

    with scoped(gate.workspace.pk):
        (row,) = DecisionOutcome.objects.all()
    assert (str(row.decision_id), row.outcome) == (decision_id, "good")


@pytest.mark.parametrize("outcome", ["good", "verified"])
def test_makes_a_destination_known(gate, outcome):
    _tell(gate, _judged(gate, LONDON), outcome)

    with scoped(gate.workspace.pk):
        (row,) = KnownPrefix.objects.filter(prefix=LONDON[:-4])
    assert row.confirmed
    assert _is_known_to_store(gate)


def test_takes_that_back_after_a_complaint(gate):
    decision_id = _judged(gate, LONDON)
    _tell(gate, decision_id, "good")

    _tell(gate, decision_id, "complaint")

    with scoped(gate.workspace.pk):
        assert not KnownPrefix.objects.get(prefix=LONDON[:-4]).confirmed
    assert not _is_known_to_store(gate)


def test_thinks_nothing_of_what_nobody_verified(gate):
    _tell(gate, _judged(gate, LONDON), "unverified")

    with scoped(gate.workspace.pk):
        assert not KnownPrefix.objects.filter(confirmed=True).exists()
    assert not _is_known_to_store(gate)


def _is_known_to_store(gate):
    """Whether the live store takes London for a destination that the workspace knows."""
    facts = {"version": None, "key": None, "decision": b"", "answer": b"", "record": False}
    return store.spend(gate.workspace.pk, decision_id=str(uuid.uuid4()), prefix=LONDON[:-4], **facts).is_known


def test_notes_the_outcome_of_a_decision_that_came_over_another_door(gate):
    gate.post(JUDGE, CALL | {"to_number": "+5351234567"})
    recorder.drain(now=moment())
    blocked = gate.post(JUDGE, CALL | {"to_number": "+5351234567"}).json()["decision_id"]
    recorder.drain(now=moment())

    assert _tell(gate, blocked, "complaint").status_code == 200
    with scoped(gate.workspace.pk):
        assert not KnownPrefix.objects.filter(confirmed=True).exists()


def test_says_the_same_of_the_absent_and_the_foreign(gate):
    foreign = _judged(gate)
    stranger = Gate(make_workspace())

    answers = [_tell(stranger, decision_id, "good") for decision_id in (foreign, str(uuid.uuid4()))]

    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].content == answers[1].content
    assert answers[0].json()["code"] == "unknown_decision"
    with scoped(gate.workspace.pk):
        assert not DecisionOutcome.objects.exists()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"decision_id": None}, "decision_id"),
        ({"decision_id": 5}, "decision_id"),
        ({"decision_id": "5"}, "decision_id"),
        ({"decision_id": "x" * 36}, "decision_id"),
        ({"outcome": None}, "outcome"),
        ({"outcome": "fine"}, "outcome"),
        ({"outcome": ["good"]}, "outcome"),
        ({"reason": "none"}, "reason"),
    ],
)
def test_names_what_is_wrong(gate, change, field):
    response = gate.post(OUTCOMES, {"decision_id": str(uuid.uuid4()), "outcome": "good"} | change)

    assert (response.status_code, response.json()["code"]) == (422, "invalid_request")
    assert response.json()["message"].startswith(f"{field}: ")


def test_is_for_backends(gate):
    assert gate.page(OUTCOMES, gate.key(), {"decision_id": _judged(gate), "outcome": "good"}).status_code == 403
