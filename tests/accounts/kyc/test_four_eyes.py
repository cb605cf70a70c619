"""A new record is no way around a rejection for good, or around a suspension."""

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError

from accounts.kyc import records, review
from tests.accounts.kyc import cases

pytestmark = pytest.mark.django_db


def another_record(case, now):
    """Of the same subject, in review by the same people."""
    draft = records.create_kyc_record(
        workspace=case.record.workspace, subject=case.record.subject, acting_user=None, now=now, level=1
    )
    other = cases.Case(review.submit(record=draft, acting_user=None, now=now), case.reviewer, case.second)
    cases.claim(other, now)
    return other


def rejected_for_good(workspace, now):
    case = cases.in_review(workspace, now)
    cases.reject(case, now, rejection="final")
    return case


def reopened_and_withdrawn(workspace, now):
    case = rejected_for_good(workspace, now)
    reopener = cases.reviewer(workspace)
    case.record = review.reopen(record=case.record, text_for_colleagues="Appeal.", acting_user=reopener, now=now)
    case.record = review.withdraw(record=case.record, acting_user=None, now=now)
    return case


def suspended(workspace, now):
    case = cases.approved(workspace, now)
    case.record = review.suspend(record=case.record, reason_codes=["fraud_incident"], acting_user=None, now=now)
    return case


def suspended_and_rejected(workspace, now):
    case = suspended(workspace, now)
    cases.claim(case, now)
    cases.reject(case, now)
    cases.confirm(case, now)
    return case


CLOSED = [rejected_for_good, reopened_and_withdrawn, suspended, suspended_and_rejected]


@pytest.mark.parametrize("closed", CLOSED, ids=lambda closed: closed.__name__)
def test_a_new_record_of_a_closed_subject_takes_two_people(in_workspace, now, closed):
    other = another_record(closed(in_workspace, now), now + timedelta(hours=1))

    record = cases.approve(other, now + timedelta(hours=1))

    assert (record.state, record.second_reasons) == ("proposed_approve", ["reversal"])


def test_a_record_that_is_in_review_while_another_one_is_suspended_takes_two_people(in_workspace, now):
    case = cases.approved(in_workspace, now)
    other = another_record(case, now)
    review.suspend(record=case.record, reason_codes=["fraud_incident"], acting_user=None, now=now)

    assert cases.approve(other, now).state == "proposed_approve"


def test_handing_a_rejected_record_in_again_keeps_the_suspension_before(in_workspace, now):
    case = suspended_and_rejected(in_workspace, now)
    case.record = review.submit(record=case.record, acting_user=None, now=now)
    cases.claim(case, now)

    assert cases.approve(case, now).second_reasons == ["reversal"]


def test_what_two_people_reversed_counts_no_more(in_workspace, now):
    case = suspended(in_workspace, now)
    other = another_record(case, now + timedelta(hours=1))
    cases.approve(other, now + timedelta(hours=1))
    assert cases.confirm(other, now + timedelta(hours=1)).state == "approved"

    third = another_record(case, now + timedelta(hours=2))

    assert cases.approve(third, now + timedelta(hours=2)).state == "approved"


def test_a_rejection_that_may_be_tried_again_leaves_the_next_record_to_one(in_workspace, now):
    case = cases.in_review(in_workspace, now)
    cases.reject(case, now)

    assert cases.approve(another_record(case, now), now).state == "approved"


def test_what_is_changed_in_review_tells_at_once_that_it_takes_two_people(in_workspace, now):
    case = cases.in_review(in_workspace, now)
    told = []
    for change in (
        {"declared_countries": ["SO"]},
        {"declared_countries": []},
        {"level": 3},
        {"level": 1},
    ):
        row = records.edit_kyc_record(record=case.record, acting_user=None, now=now, **change)
        told.append((row.second_needed, row.second_reasons))
    records.edit_subject(subject=case.record.subject, acting_user=None, now=now, nationalities=["IR"])
    case.record.refresh_from_db()

    assert told == [(True, ["exposure"]), (False, []), (True, ["level"]), (False, [])]
    assert (case.record.second_needed, case.record.second_reasons) == (True, ["sanctioned_country"])
    assert case.record.screening["countries"]["outcome"] == "hit"


def test_a_suspension_tells_at_once_that_it_takes_two_people(in_workspace, now):
    case = cases.approved(in_workspace, now)
    other = records.create_kyc_record(
        workspace=in_workspace, subject=case.record.subject, acting_user=None, now=now, level=1
    )
    review.suspend(record=case.record, reason_codes=["fraud_incident"], acting_user=case.reviewer, now=now)

    for record in (case.record, other):
        record.refresh_from_db()
        assert (record.second_needed, record.second_reasons) == (True, ["reversal"])


@pytest.mark.parametrize("said", ["XXX", "Stateless"])
def test_who_is_nobody_s_citizen_takes_two_people(in_workspace, now, said):
    case = cases.in_review(in_workspace, now, subject={"nationalities": [said]})

    assert [country.code for country in case.record.subject.nationalities] == ["XX"]
    assert cases.approve(case, now).second_reasons == ["stateless"]
    with pytest.raises(ValidationError):
        records.edit_kyc_record(record=case.record, acting_user=None, now=now, declared_countries=[said])
