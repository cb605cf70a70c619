"""What a subject was approved for, at the real doors: outside of it nothing passes, and the case is opened again."""

from datetime import timedelta

import pytest

from accounts import end_user_tokens
from accounts.kyc import records, review
from accounts.kyc.states import State
from accounts.models import KycRecord
from accounts.scoping import scoped
from policies import tasks, words
from policies.gate import recorder, snapshots
from policies.models import Decision
from tests.accounts.kyc import cases
from tests.factories import moment
from tests.policies.gate.judging.conftest import OUTCOMES
from tests.policies.gate.outbound.conftest import CALL, DIAL, LONDON, PEER, SMS, gate, sandbox_of_gate, uponai

__all__ = ["gate", "sandbox_of_gate", "uponai"]

pytestmark = pytest.mark.django_db

ABROAD = DIAL | {"to_number": LONDON}  # where the number may not call either
IN_CANADA = DIAL | {"to_number": "+16135550142"}


def _approved(gate, now=None, **declared):
    now = now or moment() - timedelta(days=7)
    facts = {"subject": {"reference": "patient-7"}, "declared_countries": ["US"]} | declared
    with scoped(gate.workspace.pk):
        case = cases.approved(gate.workspace, now, **facts)
    gate.publish()
    return case


def _call(gate, body=DIAL, path=CALL):
    return gate.post(path, body, X_End_User_Id="patient-7", X_End_User_IP="198.51.100.7")


def _swept(gate):
    recorder.drain(now=moment())
    tasks.sweep_declared_use()
    with scoped(gate.workspace.pk):
        return list(KycRecord.objects.exclude(renews=None).order_by("pk"))


def test_refuses_what_was_not_declared_and_opens_the_case_once(gate, uponai):
    case = _approved(gate, declared_channels=["phone_call"])

    refused, by_sms, passed = _call(gate, IN_CANADA), _call(gate, path=SMS), _call(gate)

    assert (refused.status_code, refused.json()["code"]) == (403, "kyc_required")
    assert "phone calls to Canada were not declared" in refused.json()["message"]
    assert (by_sms.status_code, passed.status_code) == (403, 201)
    (renewal,) = _swept(gate)
    assert (renewal.state, renewal.opened_because, renewal.renews_id) == (
        State.SUBMITTED,
        review.LEFT_DECLARED_USE,
        case.record.pk,
    )
    with scoped(gate.workspace.pk):
        told = renewal.transitions.get().text_for_colleagues
        assert "phone calls to Canada" in told
        assert "SMS to United States" in told
        assert not Decision.objects.filter(left_declared_use=True).exists()
    _call(gate, ABROAD)
    assert _swept(gate) == [renewal]


def test_opens_it_again_only_for_what_was_tried_after_somebody_looked(gate, uponai):
    _approved(gate)
    _call(gate, ABROAD)
    (renewal,) = _swept(gate)
    _call(gate, ABROAD)
    case = cases.Case(renewal, cases.reviewer(gate.workspace), cases.second_reviewer(gate.workspace))
    with scoped(gate.workspace.pk):
        cases.claim(case, moment())
        cases.reject(case, moment())

    assert len(_swept(gate)) == 1
    _call(gate, ABROAD)
    assert [row.state for row in _swept(gate)] == [State.REJECTED, State.SUBMITTED]


def test_counts_what_was_declared_for_a_day_and_lets_a_fresh_approval_ramp_up(gate, uponai):
    _approved(gate, now=moment() - timedelta(hours=30), declared_calls_per_day=4)

    answers = [_call(gate) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [201, 201, 429]
    refused = answers[2].json()
    assert refused["code"] == "rate_limited"
    assert refused["message"] == "Blocked: the volume declared for this end user, 2 in 1 day, growing to 4, is used up."
    recorder.drain(now=moment())
    with scoped(gate.workspace.pk):
        assert words.sentence(Decision.objects.get(reason="rate_limited")) == refused["message"]


def test_what_was_declared_last_holds(gate, uponai):
    """A renewal that was approved for less, and even one that was suspended then, leaves nothing of what it renews."""
    first = _approved(gate, declared_countries=["US", "CA"], declared_calls_per_day=50)
    renewal = review.reopen(record=first.record, acting_user=None, now=moment(), text_for_colleagues="Less.")
    with scoped(gate.workspace.pk):
        less = {"declared_countries": ["US"], "declared_calls_per_day": 10}
        first.record = records.edit_kyc_record(record=renewal, acting_user=None, now=moment(), **less)
        cases.claim(first, moment())
        cases.approve(first, moment())

    (approval,) = snapshots.load(gate.workspace.pk).engine.subjects["patient-7"]
    assert (approval.countries, approval.calls_per_day, approval.established_calls) == ({"US"}, 10, 50)
    review.suspend(record=first.record, reason_codes=["fraud_incident"], acting_user=None, now=moment())
    approvals = snapshots.load(gate.workspace.pk).engine.subjects["patient-7"]
    assert not any(approval.counts_at(None) for approval in approvals)


def test_an_approval_is_over_at_that_second(gate, uponai):
    key = gate.key(kyc_level=1)
    case = _approved(gate)
    assert _page(gate, key).status_code == 201
    review.suspend(record=case.record, reason_codes=["fraud_incident"], acting_user=None, now=moment())

    assert _page(gate, key).json()["code"] == "challenge_kyc"


def _page(gate, key):
    proof, _ = end_user_tokens.mint(workspace_id=gate.workspace.pk, subject="patient-7", now=moment())
    return gate.page(CALL, key, {"to_number": PEER}, X_End_User_Token=proof)


def test_a_complaint_suspends_the_subject_and_queues_the_case_once(gate, uponai):
    case = _approved(gate)
    started = _call(gate)

    for _ in range(2):
        told = {"decision_id": started["X-Decision-Id"], "outcome": "complaint"}
        assert gate.post(OUTCOMES, told).status_code == 200

    with scoped(gate.workspace.pk):
        record = KycRecord.objects.get(pk=case.record.pk)
        last = record.transitions.order_by("sequence").last()
    assert (record.state, last.verb, last.reason_codes) == (State.SUSPENDED, "suspend", ["complaint"])
    assert started["X-Decision-Id"] in last.text_for_colleagues
    assert record.due_at is not None
    refused = _call(gate)
    assert (refused.status_code, refused.json()["code"]) == (403, "kyc_expired")
    with scoped(gate.workspace.pk):
        case.record = record
        cases.claim(case, moment())
    assert _call(gate).json()["code"] == "kyc_expired"  # while somebody looks at it, too
