"""A KYC record on its way, and whom it takes to decide about it."""

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction

from accounts import members, workspaces
from accounts.kyc import claims, evidence, records, review, transitions
from accounts.kyc.states import LEGAL, State
from accounts.kyc.transitions import Conflict, Move, NotEntitled
from accounts.models import (
    AuditEntry,
    KycDocument,
    KycRecord,
    KycTransition,
    Membership,
    ProviderResult,
    Workspace,
)
from accounts.roles import Role
from accounts.tokens import find_token
from tests import factories
from tests.accounts.kyc import cases


def version_of(workspace):
    return Workspace.objects.get(pk=workspace.pk).snapshot_version


def states():
    return list(KycTransition.objects.order_by("sequence").values_list("from_state", "to_state"))


def test_a_case_goes_from_the_draft_to_the_approval(in_workspace, now):
    case = cases.in_review(in_workspace, now)
    before = version_of(in_workspace)

    record = cases.approve(case, now, text_for_subject="Welcome.")

    assert (record.state, record.decided_by) == ("approved", f"user:{case.reviewer.pk}")
    assert record.expires_at == now + timedelta(days=365)
    assert (record.claimed_by, record.due_at) == ("", None)
    assert version_of(in_workspace) > before
    assert states() == [("draft", "submitted"), ("submitted", "in_review"), ("in_review", "approved")]
    assert AuditEntry.objects.order_by("-sequence").first().action == "kyc_record.approve"


def test_asking_for_more_stops_the_clock_and_the_answer_comes_back_to_who_asked(in_workspace, now):
    case = cases.in_review(in_workspace, now)
    asked_at, answered_at = now + timedelta(hours=3), now + timedelta(days=9)

    record = review.request_information(
        record=case.record,
        reason_codes=["document_missing"],
        text_for_subject="Please send your passport.",
        acting_user=case.reviewer,
        now=asked_at,
    )
    assert (record.state, record.due_at, record.clock_seconds) == ("needs_information", None, 3 * 3600)

    record = review.provide_information(record=record, acting_user=None, now=answered_at, by_subject=True)

    assert record.state == "submitted"
    assert record.due_at == answered_at + timedelta(hours=24 - 3)
    assert KycTransition.objects.last().actor == f"subject:{record.subject_id}"
    other = cases.submitted(in_workspace, now)  # longer due, but this one is the asker's
    taken = claims.claim_next(workspace=in_workspace, acting_user=case.reviewer, now=answered_at)
    assert (taken.pk, other.state) == (record.pk, "submitted")


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"level": 3}, "level"),
        ({"declared_countries": ["US", "SO"]}, "exposure"),
        ({"declared_countries": ["NG"]}, "exposure"),
        ({"subject": {"nationalities": ["US", "IR"]}}, "sanctioned_country"),
        ({"subject": {"country_of_residence": "CU"}}, "sanctioned_country"),
    ],
)
def test_where_it_matters_two_people_decide(in_workspace, now, facts, reason):
    case = cases.in_review(in_workspace, now, **facts)
    before = version_of(in_workspace)

    record = cases.approve(case, now)

    assert (record.state, record.second_reasons) == ("proposed_approve", [reason])
    assert record.due_at == now + timedelta(hours=8)
    assert version_of(in_workspace) == before
    for wrong in (case.reviewer, cases.reviewer(in_workspace), factories.make_member(in_workspace, Role.OWNER)):
        with pytest.raises(NotEntitled):
            cases.confirm(case, now, acting_user=wrong)
    record = cases.confirm(case, now)
    assert (record.state, record.confirmed_by) == ("approved", f"user:{case.second.pk}")
    assert version_of(in_workspace) > before


def test_a_sanctioned_nationality_is_not_rejected_by_one_person_either(in_workspace, now):
    case = cases.in_review(in_workspace, now, subject={"nationalities": ["SY"]})

    assert cases.reject(case, now).state == "proposed_reject"
    assert cases.confirm(case, now).state == "rejected"


def test_nobody_decides_what_they_submitted(in_workspace, now):
    submitter = cases.reviewer(in_workspace)
    case = cases.in_review(in_workspace, now, by=submitter)
    with pytest.raises(ValidationError):
        claims.hand_over(record=case.record, to=submitter, acting_user=case.reviewer, now=now)
    later = now + timedelta(hours=1)
    case.record = claims.claim(record=case.record, acting_user=submitter, now=later)

    with pytest.raises(NotEntitled, match="You submitted"):
        cases.approve(case, later, acting_user=submitter)
    with pytest.raises(NotEntitled, match="You submitted"):
        cases.reject(case, later, acting_user=submitter)


def test_a_second_reviewer_confirms_neither_their_own_proposal_nor_their_own_case(in_workspace, now):
    second = cases.second_reviewer(in_workspace)
    case = cases.in_review(in_workspace, now, level=3, by=second)
    cases.approve(case, now)
    with pytest.raises(NotEntitled):
        cases.confirm(case, now, acting_user=second)

    own = cases.submitted(in_workspace, now, level=3)
    mine = cases.Case(own, second, case.second)
    cases.claim(mine, now)
    cases.approve(mine, now)
    with pytest.raises(NotEntitled, match="You proposed"):
        cases.confirm(mine, now, acting_user=second)


def test_who_submitted_once_does_not_decide_after_somebody_reopened_it(in_workspace, now):
    submitter = cases.reviewer(in_workspace)
    case = cases.in_review(in_workspace, now, by=submitter)
    cases.reject(case, now, rejection="final")
    reopener = cases.reviewer(in_workspace)
    case.record = review.reopen(record=case.record, text_for_colleagues="New facts.", acting_user=reopener, now=now)
    case.reviewer = submitter
    cases.claim(case, now)

    with pytest.raises(NotEntitled, match="You submitted"):
        cases.approve(case, now)


def test_who_reopened_it_once_does_not_decide_it_when_somebody_else_submits_it_again(in_workspace, now):
    case = cases.in_review(in_workspace, now)
    cases.reject(case, now, rejection="final")
    reopener = cases.reviewer(in_workspace)
    case.record = review.reopen(record=case.record, text_for_colleagues="Appeal.", acting_user=reopener, now=now)
    cases.claim(case, now)
    cases.reject(case, now)
    cases.confirm(case, now)
    case.record = review.submit(record=case.record, acting_user=None, now=now)
    case.reviewer = reopener
    cases.claim(case, now)

    with pytest.raises(NotEntitled, match="You submitted"):
        cases.approve(case, now)


def test_a_final_rejection_is_reversed_by_two_people_alone(in_workspace, now):
    case = cases.in_review(in_workspace, now)
    cases.reject(case, now, rejection="final")
    with pytest.raises(Conflict, match="for good"):
        review.submit(record=case.record, acting_user=None, now=now)

    case.record = review.reopen(record=case.record, text_for_colleagues="Appeal.", acting_user=case.second, now=now)
    cases.claim(case, now)

    assert cases.approve(case, now).second_reasons == ["reversal"]
    with pytest.raises(NotEntitled):
        cases.confirm(case, now)  # who reopened it
    assert cases.confirm(case, now, acting_user=cases.second_reviewer(in_workspace)).state == "approved"


def test_a_record_with_nothing_that_tells_who_it_is_does_not_wait_in_the_queue(in_workspace, now):
    record = cases.draft(in_workspace, now, level=2)
    ProviderResult.objects.update(kind="name_screening", list_version="2026-11")

    with pytest.raises(ValidationError, match="passport, identity card"):
        review.submit(record=record, acting_user=None, now=now)
    elsewhere = cases.draft(in_workspace, now, level=2)
    token = find_token(factories.make_token(in_workspace), now=now)
    assert review.submit(record=elsewhere, acting_user=token, now=now).state == "submitted"

    passport = KycDocument.objects.create(record=record, kind="passport", state="quarantined")
    with pytest.raises(ValidationError):
        review.submit(record=record, acting_user=None, now=now)
    KycDocument.objects.filter(pk=passport.pk).update(state="clean")
    assert review.submit(record=record, acting_user=None, now=now).state == "submitted"


def test_a_renewal_rests_on_what_it_renews(in_workspace, now):
    case = cases.approved(in_workspace, now, level=2)
    renewal = review.renewal_of(case.record, because="reverification", acting_user=None, now=now)

    assert review.submit(record=renewal, acting_user=None, now=now).state == "submitted"


def test_a_rejection_that_allows_it_is_submitted_again(in_workspace, now):
    case = cases.in_review(in_workspace, now)
    cases.reject(case, now)

    record = review.submit(record=case.record, acting_user=None, now=now)

    assert (record.state, record.decided_by, record.is_reversal) == ("submitted", "", False)


def test_a_suspension_closes_the_gate_and_only_two_people_open_it_again(in_workspace, now):
    case = cases.approved(in_workspace, now)
    before = version_of(in_workspace)

    [record] = review.suspend_subject(
        subject=case.record.subject, reason_codes=["fraud_incident"], acting_user=None, now=now
    )

    assert (record.state, record.due_at) == ("suspended", now + timedelta(hours=24))
    assert version_of(in_workspace) > before
    taken = claims.claim_next(workspace=in_workspace, acting_user=case.reviewer, now=now)
    assert taken.pk == record.pk
    cases.claim(case, now)
    assert cases.approve(case, now).state == "proposed_approve"


def test_open_items_of_the_checklist_are_named_and_overridden_by_two_people_alone(in_workspace, now):
    case = cases.in_review(in_workspace, now, ticked=False)

    with pytest.raises(ValidationError, match="declared use is plausible"):
        cases.approve(case, now)
    assert cases.approve(case, now, override_reason="Known for years.").second_reasons == ["override"]


def test_a_decision_about_something_else_than_was_seen_is_refused(in_workspace, now):
    case = cases.in_review(in_workspace, now)
    seen = evidence.hash_of(case.record)
    records.edit_subject(subject=case.record.subject, name="Eve Example", acting_user=None, now=now)

    for decide in (cases.approve, cases.reject):
        with pytest.raises(Conflict, match="changed since you looked"):
            decide(case, now, seen_evidence=seen)
    assert KycRecord.objects.get().state == "in_review"


def test_changed_evidence_cancels_a_proposal(in_workspace, now):
    case = cases.in_review(in_workspace, now, level=3)
    cases.approve(case, now)

    records.edit_kyc_record(record=case.record, declared_countries=["GB"], acting_user=None, now=now)

    record = KycRecord.objects.get()
    assert (record.state, record.decided_by, record.evidence) == ("in_review", "", "")
    assert record.claimed_by == f"user:{case.reviewer.pk}"
    assert KycTransition.objects.last().reason_codes == ["evidence_changed"]
    with pytest.raises(Conflict):
        cases.confirm(case, now)


def test_evidence_that_changed_unnoticed_cancels_the_proposal_at_the_confirmation(in_workspace, now):
    case = cases.in_review(in_workspace, now, level=3)
    cases.approve(case, now)
    KycRecord.objects.update(declared_purpose="Something else")

    with pytest.raises(Conflict, match="cancelled"):
        cases.confirm(case, now)

    assert KycRecord.objects.get().state == "in_review"


def test_a_note_for_colleagues_is_no_evidence(in_workspace, now):
    case = cases.in_review(in_workspace, now, level=3)
    cases.approve(case, now)

    records.edit_kyc_record(record=case.record, note_for_colleagues="Look at page 2.", acting_user=None, now=now)

    assert cases.confirm(case, now).state == "approved"


def test_the_second_of_two_deciders_is_told_who_decided_what_and_when(in_workspace, now):
    case = cases.in_review(in_workspace, now)
    stale = KycRecord.objects.get()
    cases.approve(case, now)

    with pytest.raises(Conflict) as told:
        cases.reject(cases.Case(stale, case.second, case.second), now)

    assert "approved" in str(told.value)
    assert case.reviewer.email in str(told.value)
    assert f"{now:%Y-%m-%d %H:%M:%S}" in str(told.value)


def test_two_reviewers_never_work_on_one_case_unknowingly(in_workspace, now):
    case = cases.in_review(in_workspace, now)
    other = cases.reviewer(in_workspace)

    with pytest.raises(Conflict, match=case.reviewer.email):
        claims.claim(record=case.record, acting_user=other, now=now)
    with pytest.raises(Conflict, match=case.reviewer.email):
        cases.approve(case, now, acting_user=other)
    assert claims.claim_next(workspace=in_workspace, acting_user=other, now=now) is None

    later = now + timedelta(minutes=31)
    assert claims.claim_next(workspace=in_workspace, acting_user=other, now=later).pk == case.record.pk
    with pytest.raises(Conflict, match=other.email):
        cases.approve(case, later)


def test_a_proposer_who_lost_the_role_meanwhile_is_not_one_of_two_entitled_people(in_workspace, now):
    case = cases.in_review(in_workspace, now, level=3)
    cases.approve(case, now)
    members.change_role(
        membership=Membership.objects.get(user=case.reviewer), role=Role.VIEWER, acting_user=None, now=now
    )

    with pytest.raises(Conflict, match="does not review here"):
        cases.confirm(case, now)

    record = review.refuse_proposal(
        record=case.record, text_for_colleagues="Anew, please.", acting_user=case.second, now=now
    )
    assert record.state == "in_review"


@pytest.mark.parametrize("role", [Role.POLICY_EDITOR, Role.ANALYST, Role.VIEWER])
def test_who_does_not_review_decides_nothing(in_workspace, now, role):
    case = cases.in_review(in_workspace, now)

    with pytest.raises(NotEntitled):
        cases.approve(case, now, acting_user=factories.make_member(in_workspace, role))
    with pytest.raises(NotEntitled):
        cases.approve(case, now, acting_user=None)


def test_a_workspace_without_a_second_reviewer_names_the_owner(in_workspace, now):
    case = cases.in_review(in_workspace, now, level=3)
    owner = factories.make_member(in_workspace, Role.OWNER)
    members.remove_member(membership=Membership.objects.get(user=case.second), acting_user=None, now=now)
    cases.approve(case, now)
    with pytest.raises(NotEntitled, match="names who stands in"):
        cases.confirm(case, now, acting_user=owner)

    workspaces.change_settings(workspace=in_workspace, kyc_fallback="owner", acting_user=None, now=now)

    record = cases.confirm(case, now, acting_user=owner)
    assert (record.state, record.fallback) == ("approved", "owner")
    assert KycTransition.objects.last().fallback == "owner"


def test_the_owner_stands_in_where_the_only_second_reviewer_proposed_it(in_workspace, now):
    owner = factories.make_member(in_workspace, Role.OWNER)
    workspaces.change_settings(workspace=in_workspace, kyc_fallback="owner", acting_user=None, now=now)
    second = cases.second_reviewer(in_workspace)
    case = cases.Case(cases.submitted(in_workspace, now, level=3), second, owner)
    cases.claim(case, now)
    cases.approve(case, now)

    record = cases.confirm(case, now)
    assert (record.state, record.fallback) == ("approved", "owner")


def test_one_person_alone_decides_only_where_the_workspace_said_so_and_it_is_recorded(in_workspace, now):
    owner = factories.make_member(in_workspace, Role.OWNER)
    case = cases.Case(cases.submitted(in_workspace, now, level=3, by=owner), owner, owner)
    cases.claim(case, now)
    with pytest.raises(NotEntitled):
        cases.approve(case, now)

    workspaces.change_settings(workspace=in_workspace, kyc_fallback="one_person", acting_user=None, now=now)
    case.record.refresh_from_db()

    record = cases.approve(case, now)
    assert (record.state, record.fallback, record.confirmed_by) == ("approved", "one_person", "")
    assert KycTransition.objects.last().fallback == "one_person"


def test_who_is_not_alone_leaves_their_own_case_to_somebody_else(in_workspace, now):
    workspaces.change_settings(workspace=in_workspace, kyc_fallback="one_person", acting_user=None, now=now)
    owner = factories.make_member(in_workspace, Role.OWNER)
    cases.reviewer(in_workspace)
    case = cases.Case(cases.submitted(in_workspace, now, by=owner), owner, owner)
    cases.claim(case, now)

    with pytest.raises(NotEntitled, match="You submitted"):
        cases.approve(case, now)


def test_one_person_is_not_enough_once_there_are_two(in_workspace, now):
    workspaces.change_settings(workspace=in_workspace, kyc_fallback="one_person", acting_user=None, now=now)
    case = cases.in_review(in_workspace, now, level=3)

    assert cases.approve(case, now).state == "proposed_approve"


@pytest.mark.parametrize(
    "given",
    [{"reason_codes": []}, {"reason_codes": ["because"]}, {"reason_codes": "fraud"}, {"rejection": "maybe"}],
)
def test_a_rejection_names_its_reasons(in_workspace, now, given):
    case = cases.in_review(in_workspace, now)

    with pytest.raises(ValidationError):
        cases.reject(case, now, **given)


def test_a_move_that_the_table_does_not_name_is_refused_in_words(in_workspace, now):
    record = cases.draft(in_workspace, now)
    for state in set(State) - set(LEGAL[State.DRAFT]):
        with pytest.raises(Conflict, match="is draft"), transaction.atomic():
            transitions.move(transitions.locked(record), Move("cheat", state, "console", None, now))

    review.mark_erased(record=record, acting_user=None, now=now)
    with pytest.raises(Conflict, match="is erased"):
        review.mark_erased(record=record, acting_user=None, now=now)


# --- What the database refuses, whoever asks ------------------------------------------------------


TRANSITION = "INSERT INTO accounts_kyctransition (workspace_id, record_id, sequence, from_state, to_state, at, verb, \
actor, actor_label, reason_codes, text_for_subject, text_for_colleagues, evidence, fallback) \
SELECT workspace_id, id, %s, %s, %s, submitted_at, 'sql', 'sql', 'sql', '[]', '', '', '', '' FROM accounts_kycrecord"
APPROVED = "UPDATE accounts_kycrecord SET state = 'approved', decided_by = 'user:1', confirmed_by = 'user:2', \
second_needed = true, evidence = '0', decided_at = submitted_at, expires_at = submitted_at"


def run(sql, *values):
    with connection.cursor() as cursor:
        cursor.execute(sql, values)


def refused(sql, *values):
    with pytest.raises(IntegrityError) as refusal, transaction.atomic():
        run(sql, *values)
    return str(refusal.value)


def test_the_database_lets_a_record_follow_its_next_transition_alone(in_workspace, now):
    cases.in_review(in_workspace, now)
    guard = "kyc_record_moves_by_a_transition"

    assert guard in refused(APPROVED)
    assert guard in refused(f"{APPROVED}, came_from = 'in_review', moves = 3")
    assert guard in refused("UPDATE accounts_kycrecord SET state = 'submitted', came_from = 'draft', moves = 1")
    assert guard in refused("UPDATE accounts_kycrecord SET came_from = 'suspended'")
    assert guard in refused("UPDATE accounts_kycrecord SET moves = 7")
    with transaction.atomic():
        run(TRANSITION, 3, "in_review", "rejected")
        assert guard in refused(f"{APPROVED}, came_from = 'in_review', moves = 3")
        transaction.set_rollback(True)
    run(TRANSITION, 3, "in_review", "approved")
    assert guard in refused(APPROVED)
    assert guard in refused(f"{APPROVED}, came_from = 'proposed_approve', moves = 3")
    assert guard in refused(f"{APPROVED}, came_from = 'in_review', moves = 4")
    run(f"{APPROVED}, came_from = 'in_review', moves = 3")
    assert KycRecord.objects.get().state == "approved"


def test_the_database_takes_only_the_next_transition_of_a_legal_pair_and_lets_it_stay(in_workspace, now):
    cases.submitted(in_workspace, now)

    assert "kyc_transition_legal" in refused(TRANSITION, 2, "submitted", "approved")
    for sequence, before in ((2, "in_review"), (3, "submitted"), (1, "submitted")):
        assert "kyc_transition_is_the_next" in refused(TRANSITION, sequence, before, "withdrawn")
    for change in ("to_state = 'withdrawn'", "from_state = 'rejected'", "actor = 'user:2'", "sequence = 2"):
        assert "kyc_transition_stays" in refused(f"UPDATE accounts_kyctransition SET {change}")
    run("UPDATE accounts_kyctransition SET text_for_colleagues = ''")  # as an erasure does


def test_the_database_lets_records_begin_as_drafts_alone(in_workspace, now):
    record = cases.draft(in_workspace, now)

    for columns in ({"state": "submitted", "came_from": "draft", "moves": 1}, {"moves": 1}):
        with pytest.raises(IntegrityError, match="kyc_record_begins_as_draft"), transaction.atomic():
            KycRecord.objects.create(subject=record.subject, level=1, **columns)
    assert KycRecord.objects.count() == 1


def test_the_database_wants_the_people_that_an_approval_takes(in_workspace, now):
    case = cases.in_review(in_workspace, now, level=3)
    cases.approve(case, now)
    me, second = f"user:{case.reviewer.pk}", f"user:{case.second.pk}"
    run(TRANSITION, 4, "proposed_approve", "approved")
    to_approved = "UPDATE accounts_kycrecord SET state = 'approved', came_from = 'proposed_approve', moves = 4, \
        decided_at = submitted_at, expires_at = submitted_at"

    assert "kyc_record_four_eyes" in refused(to_approved)
    assert "second_reviewer_is_another" in refused(f"{to_approved}, confirmed_by = %s", me)
    assert "second_reviewer_is_another" in refused(
        f"{to_approved}, confirmed_by = %s, submitted_by = %s", second, second
    )
    assert "reviewer_is_not_submitter" in refused(f"{to_approved}, confirmed_by = %s, submitted_by = %s", second, me)
    assert "level_3_four_eyes" in refused(f"{to_approved}, second_needed = false")
    assert "decided_by_somebody" in refused(f"{to_approved}, confirmed_by = %s, evidence = ''", second)
    run(f"{to_approved}, confirmed_by = %s", second)
