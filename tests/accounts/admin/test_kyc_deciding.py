"""Decisions on the page of a case: they are made by the verbs alone, by who may, about what was seen."""

import json

import pytest

from accounts.kyc import records
from accounts.models import ProviderResult, Workspace
from accounts.roles import Role
from tests.accounts.admin.kyc_pages import (
    address,
    as_user,
    case,
    decide,
    page_of,
    reviewer,
    text_of,
    verbs_on,
)
from tests.accounts.kyc import cases
from tests.factories import make_member
from tests.signing_in import messages_of

__all__ = ["case", "reviewer"]


def test_a_decision_on_changed_evidence_is_refused_with_what_changed(case, reviewer, now):
    seen = page_of(reviewer, case.record).context
    records.edit_subject(subject=case.record.subject, name="Ada Changed", acting_user=None, now=now)
    ProviderResult.objects.create(
        record=case.record, provider="persona", external_id="1", outcome="failed", sha256="0" * 64
    )
    form = {"seen_evidence": seen["seen_evidence"], "seen_pieces": seen["seen_pieces"]}

    refused = reviewer.post(
        address("decide", case.record), form | {"verb": "approve", "text_for_subject": "Welcome, Ada."}
    )

    said = text_of(refused)
    assert "has changed since you looked at it" in said
    assert "The name changed." in said
    assert "A result of persona was added." in said
    assert "Welcome, Ada." in said
    case.record.refresh_from_db()
    assert case.record.state == "in_review"
    # The page shows what is new, so the next decision is about that.
    decide(reviewer, case.record, "approve")
    case.record.refresh_from_db()
    assert case.record.state == "approved"


@pytest.mark.parametrize("pieces", ["", "[]", "{", '{"a": 1}', json.dumps({"subject.name": ["x", 2, 3]}), "9" * 30000])
def test_what_the_page_showed_may_be_any_text(case, reviewer, pieces):
    form = {"verb": "approve", "seen_evidence": "not it", "seen_pieces": pieces}

    refused = reviewer.post(address("decide", case.record), form)

    assert refused.status_code == 200
    assert "has changed since you looked at it" in text_of(refused)


@pytest.mark.parametrize(
    ("verb", "form", "words"),
    [
        ("reject", {}, "Name at least one reason"),
        ("reject", {"reason_codes": "made_up"}, "is none of the reasons"),
        ("request_information", {"reason_codes": "document_missing"}, "Write a sentence here"),
        ("confirm", {}, "This record is in review"),
        ("suspend", {"reason_codes": "fraud_incident"}, "This record is in review"),
        ("reopen", {"text_for_colleagues": "why"}, "This record is in review"),
    ],
)
def test_a_refused_decision_says_why_and_keeps_what_was_typed(case, reviewer, verb, form, words):
    refused = decide(reviewer, case.record, verb, **form)

    assert words in text_of(refused)
    assert refused.context["outcome"]["verb"] == verb
    case.record.refresh_from_db()
    assert case.record.state == "in_review"


def test_what_is_no_decision_is_not_found(case, reviewer):
    assert reviewer.post(address("decide", case.record), {"verb": "erase"}).status_code == 404
    assert reviewer.get(address("decide", case.record)).status_code == 403
    assert reviewer.post(address("change", case.record), {"state": "approved"}).status_code == 404


def test_asking_for_more_stops_the_clock_and_the_answer_starts_it(case, reviewer):
    form = {"reason_codes": "document_missing", "text_for_subject": "Send the back as well."}
    asked = decide(reviewer, case.record, "request_information", **form)
    waiting = page_of(reviewer, case.record)
    decide(reviewer, case.record, "provide_information")

    assert "needs information" in messages_of(asked)
    assert "Waiting for the subject. Document is missing." in text_of(waiting)
    assert "Send the back as well." in text_of(waiting)
    assert "Paused after" in text_of(waiting)
    case.record.refresh_from_db()
    assert case.record.state == "submitted"
    assert "You are to take it." in text_of(page_of(reviewer, case.record))


def test_a_second_reviewer_sees_the_proposal_and_why_two_decide(client, in_workspace, now):
    case = cases.in_review(in_workspace, now, level=3)
    decide(as_user(client, case.reviewer), case.record, "approve", text_for_colleagues="All papers are there.")
    own = page_of(client, case.record)

    as_user(client, case.second)
    page = page_of(client, case.record)
    decide(client, case.record, "confirm")

    assert "You proposed this, so somebody else confirms it." in text_of(own)
    assert verbs_on(own) == []
    assert verbs_on(page) == ["confirm", "refuse_proposal"]
    assert f"Approval was proposed by {case.reviewer}" in text_of(page)
    assert "Level 3 is confirmed by a second reviewer" in text_of(page)
    assert "All papers are there." in text_of(page)
    case.record.refresh_from_db()
    assert (case.record.state, case.record.confirmed_by) == ("approved", f"user:{case.second.pk}")


def test_a_second_reviewer_sends_a_proposal_back(client, in_workspace, now):
    case = cases.in_review(in_workspace, now, level=3)
    cases.approve(case, now)
    as_user(client, case.second)

    wordless = decide(client, case.record, "refuse_proposal")
    decide(client, case.record, "refuse_proposal", text_for_colleagues="The photo is of somebody else.")

    assert "Write a sentence here" in text_of(wordless)
    case.record.refresh_from_db()
    assert case.record.state == "in_review"
    assert "The photo is of somebody else." in text_of(page_of(client, case.record))


def test_a_plain_reviewer_cannot_confirm(client, in_workspace, now):
    case = cases.in_review(in_workspace, now, level=3)
    cases.approve(case, now)
    as_user(client, cases.reviewer(in_workspace))

    page = page_of(client, case.record)
    refused = decide(client, case.record, "confirm")

    assert "Confirming takes the role of a second reviewer." in text_of(page)
    assert verbs_on(page) == []
    assert "Confirming takes the role" in text_of(refused)
    case.record.refresh_from_db()
    assert case.record.state == "proposed_approve"


def test_the_owner_confirms_where_the_workspace_named_the_owner(client, in_workspace, now):
    Workspace.objects.filter(pk=in_workspace.pk).update(kyc_fallback="owner")
    record = cases.submitted(in_workspace, now, level=3)
    case = cases.Case(record, cases.reviewer(in_workspace), make_member(in_workspace, Role.OWNER))
    cases.claim(case, now)
    cases.approve(case, now)

    decide(as_user(client, case.second), case.record, "confirm")

    case.record.refresh_from_db()
    assert (case.record.state, case.record.fallback) == ("approved", "owner")


def test_who_handed_it_in_is_told_that_somebody_else_decides(client, in_workspace, now):
    submitter = cases.reviewer(in_workspace)
    record = cases.submitted(in_workspace, now, by=submitter)
    as_user(client, submitter)

    page = page_of(client, record)
    client.post(address("claim", record))
    refused = decide(client, record, "approve", override_reason="I know them.")

    assert "You handed this case in, so somebody else decides it." in text_of(page)
    assert not page.context["may_claim"]
    assert "so somebody else must decide it" in text_of(refused)
    assert verbs_on(refused) == []
    record.refresh_from_db()
    assert record.state != "approved"


def test_a_workspace_of_one_person_lets_that_person_decide_and_says_so(client, in_workspace, now):
    Workspace.objects.filter(pk=in_workspace.pk).update(kyc_fallback="one_person")
    alone = make_member(in_workspace, Role.OWNER)
    record = cases.submitted(in_workspace, now, by=alone)
    as_user(client, alone)

    assert page_of(client, record).context["may_claim"]
    client.post(address("claim", record))
    decide(client, record, "approve", override_reason="Known for years.")

    assert "one person decided, for want of a second" in text_of(page_of(client, record))


def test_an_approval_is_suspended_with_a_reason(client, in_workspace, now):
    case = cases.approved(in_workspace, now)
    as_user(client, case.reviewer)

    assert verbs_on(page_of(client, case.record)) == ["suspend", "reopen"]
    decide(client, case.record, "suspend", reason_codes="fraud_incident")

    case.record.refresh_from_db()
    assert case.record.state == "suspended"
    assert "Suspended: fraud incident. The gate does not count this approval." in text_of(page_of(client, case.record))
