"""The page of one case: what it says, who may do what, and that decisions are made by the verbs alone."""

import json
import random
import re
from datetime import timedelta
from html import unescape

import pytest
from django.urls import reverse

from accounts import roles
from accounts.kyc import claims, documents, evidence, records
from accounts.models import AuditEntry, KycRecord, ProviderResult, Workspace
from accounts.roles import Role
from tests.accounts.kyc import cases, hostile
from tests.factories import make_member
from tests.signing_in import in_place, messages_of, signed_in

PREFIX = "admin:accounts_kycrecord_"


def address(name, record):
    return reverse(PREFIX + name, args=[record.pk])


def page_of(client, record):
    return client.get(address("change", record))


def text_of(response):
    plain = re.sub(r"<[^>]+>", " ", response.content.decode())
    return re.sub(r"\s+", " ", unescape(plain))


def as_user(client, user):
    client.force_login(user)
    return client


def verbs_on(response):
    return [choice.verb for choice in response.context["choices"]]


def decide(client, record, verb, **form):
    """Posts the form as the page shows it to this person."""
    seen = page_of(client, record).context
    hidden = {"verb": verb, "seen_evidence": seen["seen_evidence"], "seen_pieces": seen["seen_pieces"]}
    return client.post(address("decide", record), hidden | form)


@pytest.fixture
def case(in_workspace, now):
    return cases.in_review(in_workspace, now, level=2, declared_countries=["GB", "DE"], declared_calls_per_day=50)


@pytest.fixture
def reviewer(client, case):
    return as_user(client, case.reviewer)


# --- Claims ---------------------------------------------------------------------------------------


def test_a_waiting_case_is_claimed_and_put_back(client, in_workspace, now):
    record = cases.submitted(in_workspace, now)
    as_user(client, cases.reviewer(in_workspace))

    assert verbs_on(page_of(client, record)) == []
    client.post(address("claim", record))
    mine = page_of(client, record)
    client.post(address("release", record))

    assert "You are working on this case." in text_of(mine)
    assert verbs_on(mine) == ["approve", "reject", "request_information", "withdraw"]
    record.refresh_from_db()
    assert record.state == "submitted"


def test_a_case_in_other_hands_says_so_and_is_not_taken_over(case, client, in_workspace):
    as_user(client, cases.reviewer(in_workspace))

    page = page_of(client, case.record)
    refused = client.post(address("claim", case.record))

    assert f"{case.reviewer} is working on this case since" in text_of(page)
    assert "Take over" not in text_of(page)
    assert verbs_on(page) == []
    assert f"{case.reviewer} works on this case" in messages_of(refused)
    case.record.refresh_from_db()
    assert case.record.claimed_by == f"user:{case.reviewer.pk}"


def test_a_claim_that_ran_out_may_be_taken_over_and_its_holder_is_told(case, client, reviewer, in_workspace, now):
    KycRecord.objects.update(claimed_until=now - timedelta(minutes=1))
    other = cases.reviewer(in_workspace)
    as_user(client, other)
    assert "Take over" in text_of(page_of(client, case.record))
    client.post(address("claim", case.record))

    as_user(client, case.reviewer)
    renewed = client.post(address("renew", case.record))
    refused = decide(client, case.record, "reject", reason_codes="fraud")

    assert "not yours any more" in renewed.content.decode()
    assert f"{other} works on this case" in text_of(refused)
    case.record.refresh_from_db()
    assert (case.record.state, case.record.claimed_by) == ("in_review", f"user:{other.pk}")


def test_working_on_it_keeps_the_claim(case, reviewer, now):
    KycRecord.objects.update(claimed_until=now + timedelta(minutes=1))

    assert reviewer.post(address("renew", case.record)).status_code == 204

    case.record.refresh_from_db()
    assert case.record.claimed_until > now + timedelta(minutes=20)


def test_a_case_is_handed_over(case, reviewer, in_workspace):
    other = cases.reviewer(in_workspace)

    refused = reviewer.post(address("hand_over", case.record), {"to": "nobody"})
    reviewer.post(address("hand_over", case.record), {"to": other.pk, "text_for_colleagues": "You know Berlin."})

    assert "Choose whom" in messages_of(refused)
    case.record.refresh_from_db()
    assert case.record.claimed_by == f"user:{other.pk}"
    assert "You know Berlin." in text_of(page_of(reviewer, case.record))


# --- What the page says ---------------------------------------------------------------------------


def test_the_page_says_what_approving_unlocks(case, reviewer):
    said = text_of(page_of(reviewer, case.record))

    assert "🇩🇪 Germany and 🇬🇧 United Kingdom, up to 50 a day" in said
    assert "It counts until" in said


def test_the_page_never_says_screened_when_it_was_not(case, reviewer, in_workspace, now):
    before = text_of(page_of(reviewer, case.record))
    assert "Not screened. No provider has compared this name" in before
    assert "No nationality, residence or document of a sanctioned country." in before

    from accounts.kyc import screening

    class Provider:
        name = "lists.example"

        def screen(self, **_):
            return screening.NameAnswer("passed", "2026-11-20", "1")

    screening.use(Provider())
    try:
        screening.screen_name(record=case.record, acting_user=None, now=now)
    finally:
        screening.use(None)

    assert "Passed, says lists.example, by its list 2026-11-20" in text_of(page_of(reviewer, case.record))
    records.edit_subject(subject=case.record.subject, name="Somebody Else", acting_user=None, now=now)
    assert "Not screened." in text_of(page_of(reviewer, case.record))


def test_a_sanctioned_nationality_is_shown_and_takes_two(client, in_workspace, now):
    case = cases.in_review(in_workspace, now, subject={"nationalities": ["CU", "US"]})
    page = page_of(as_user(client, case.reviewer), case.record)

    said = text_of(page)

    assert "On the sanctions list: nationality Cuba. That is no reason to reject" in said
    assert "Propose to approve" in said
    assert "of a sanctioned country" in said


def test_duplicates_stand_side_by_side(case, reviewer, in_workspace, now):
    records.edit_subject(
        subject=case.record.subject,
        phone="+14155550122",
        acting_user=None,
        now=now,
    )
    twin = cases.submitted(
        in_workspace, now, subject={"name": "Ida Sample", "phone": "+1 415 555 0122", "reference": "other-1"}
    )

    page = page_of(reviewer, case.record)

    assert [found.name for found in page.context["twins"]] == ["Ida Sample"]
    assert "the same phone number" in text_of(page)
    assert address("change", twin) in page.content.decode()
    same = [row[0] for row in page.context["twins"][0].rows if row[3]]
    assert same == ["Phone", "Nationality", "Lives in"]


def test_text_of_others_is_shown_as_text(client, in_workspace, now):
    case = cases.in_review(in_workspace, now, subject={"name": "<script>alert(1)</script>"})
    html = page_of(as_user(client, case.reviewer), case.record).content.decode()

    assert "<script>alert(1)" not in html
    assert "&lt;script&gt;alert(1)" in html


def test_earlier_records_and_moves_are_told(case, reviewer, in_workspace, now):
    other = records.create_kyc_record(
        workspace=in_workspace, subject=case.record.subject, level=1, acting_user=None, now=now
    )

    page = page_of(reviewer, case.record)

    assert address("change", other) in page.content.decode()
    assert [move.what for move in page.context["moves"]] == ["took it", "handed it in"]


# --- The checklist --------------------------------------------------------------------------------


def test_a_tick_is_kept_and_opens_the_way_to_approve(client, in_workspace, now):
    case = cases.in_review(in_workspace, now, ticked=False)
    as_user(client, case.reviewer)

    refused = decide(client, case.record, "approve")
    for item in ("contact_reached", "use_plausible"):
        ticked = in_place(client, address("tick", case.record), item=item, done="yes")
    again = page_of(client, case.record)
    decide(client, case.record, "approve")

    assert "Not ticked yet" in text_of(refused)
    assert ticked.content.decode().count('aria-checked="true"') == 2
    assert "Not ticked yet" not in ticked.content.decode()
    assert [item.done for item in again.context["checklist"]] == [True, True]
    case.record.refresh_from_db()
    assert case.record.state == "approved"


def test_only_who_works_on_it_ticks(case, client, in_workspace):
    as_user(client, cases.reviewer(in_workspace))

    answer = in_place(client, address("tick", case.record), item="use_plausible", done="no")

    assert f"{case.reviewer} works on this case" in text_of(answer)
    case.record.refresh_from_db()
    assert case.record.checklist["use_plausible"] is True


def test_approving_with_open_items_takes_a_reason_and_a_second_reviewer(client, in_workspace, now):
    case = cases.in_review(in_workspace, now, ticked=False)

    decide(as_user(client, case.reviewer), case.record, "approve", override_reason="Known for years.")

    case.record.refresh_from_db()
    assert case.record.state == "proposed_approve"
    assert "The checklist was overridden" in text_of(page_of(client, case.record))


# --- Decisions ------------------------------------------------------------------------------------


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


# --- The form of the facts ------------------------------------------------------------------------


def test_what_was_declared_is_changed_by_its_form(case, reviewer):
    where = address("edit", case.record)

    page = reviewer.get(where).content.decode()
    form = {"level": "2", "declared_countries": ["GB"], "declared_purpose": "Visits", "note_for_colleagues": ""}
    saved = reviewer.post(
        where, form | {"declared_channels": ["sms"], "declared_calls_per_day": "20", "state": "approved"}
    )

    assert '<option value="DE" selected>' in page
    assert saved.url == address("change", case.record)
    case.record.refresh_from_db()
    assert [country.code for country in case.record.declared_countries] == ["GB"]
    assert (case.record.declared_channels, case.record.declared_purpose) == (["sms"], "Visits")
    assert case.record.state == "in_review"


def test_a_record_is_opened_for_a_subject(reviewer, in_workspace, now):
    subject = records.create_subject(workspace=in_workspace, reference="1", name="Bo", acting_user=None, now=now)

    made = reviewer.post(reverse(PREFIX + "add"), {"subject": subject.pk, "level": "1"})

    assert made.url == address("change", KycRecord.objects.get(subject=subject))


def test_a_decided_record_keeps_its_use_and_says_so(client, in_workspace, now):
    case = cases.approved(in_workspace, now)
    as_user(client, case.reviewer)

    refused = client.post(address("edit", case.record), {"level": "2", "declared_purpose": "More"})

    assert "open another record for another level or use" in text_of(refused)


def test_a_claim_of_a_proposal_keeps_other_second_reviewers_away(client, in_workspace, now):
    case = cases.in_review(in_workspace, now, level=3)
    cases.approve(case, now)
    claims.claim(record=case.record, acting_user=case.second, now=now)
    as_user(client, cases.second_reviewer(in_workspace))

    page = page_of(client, case.record)

    assert f"{case.second} is looking at it" in text_of(page)
    assert verbs_on(page) == []


def test_the_evidence_of_the_form_is_the_verbs_own(case, reviewer):
    assert page_of(reviewer, case.record).context["seen_evidence"] == evidence.hash_of(case.record)


# --- Documents ------------------------------------------------------------------------------------


SPECIMEN = "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<\nL898902C36UTO7408122F1204159ZE184226B<<<<<10"


@pytest.fixture
def passport(case, now, settings, tmp_path):
    settings.DOCUMENTS_DIR = str(tmp_path)
    content = hostile.saved(hostile.picture(random.Random(7)), "PNG")
    return documents.accept(
        record=case.record, content=content, name="passport.png", kind="passport", acting_user=None, now=now
    )


def document_address(name, record, document, *more):
    return reverse(PREFIX + name, args=[record.pk, document.pk, *more])


def test_a_page_of_a_document_is_looked_at_by_an_address_of_one_minute(case, reviewer, passport, in_workspace):
    where = document_address("document_page", case.record, passport, 1)
    assert where in page_of(reviewer, case.record).content.decode()

    sent = reviewer.get(where)
    image = reviewer.get(sent.url)

    assert sent.status_code == 302
    assert "no-store" in sent["Cache-Control"]
    assert sent.url.startswith("/admin/kyc/documents/")
    assert (image.status_code, image["Content-Type"]) == (200, "image/jpeg")
    assert AuditEntry.objects.filter(action="kyc_document.view").count() == 1
    other = signed_in(in_workspace, Role.KYC_REVIEWER)
    assert other.get(sent.url).status_code == 403
    assert reviewer.get(document_address("document_page", case.record, passport, 2)).status_code == 404


def test_a_document_is_opened_by_its_own_record_alone(case, reviewer, passport, in_workspace, now):
    another = cases.submitted(in_workspace, now)

    assert reviewer.get(document_address("document_page", another, passport, 1)).status_code == 404
    assert (
        signed_in(in_workspace, Role.VIEWER)
        .get(document_address("document_page", case.record, passport, 1))
        .status_code
        == 403
    )


def test_a_document_that_came_after_the_page_was_shown_stops_the_decision(case, reviewer, now, settings, tmp_path):
    settings.DOCUMENTS_DIR = str(tmp_path)
    seen = page_of(reviewer, case.record).context
    content = hostile.saved(hostile.picture(random.Random(8)), "PNG")
    documents.accept(record=case.record, content=content, name="p.png", kind="passport", acting_user=None, now=now)
    form = {"verb": "approve", "seen_evidence": seen["seen_evidence"], "seen_pieces": seen["seen_pieces"]}

    assert "The passport was added." in text_of(reviewer.post(address("decide", case.record), form))


def test_typed_lines_are_compared_and_said_to_fit_or_not(case, reviewer, passport):
    where = document_address("document_lines", case.record, passport)
    assert "machine-readable lines are right" not in text_of(page_of(reviewer, case.record))

    reviewer.post(where, {"lines": SPECIMEN})
    right = text_of(page_of(reviewer, case.record))
    reviewer.post(where, {"lines": SPECIMEN.replace("L898902C36", "L898902C37")})
    wrong = text_of(page_of(reviewer, case.record))
    wordless = reviewer.post(where, {"lines": " "})

    assert "The check digits of its machine-readable lines are right." in right
    assert "Its machine-readable lines do not fit, as they were typed in." in wrong
    assert "Type the lines first" in messages_of(wordless)


def test_who_reads_cases_without_deciding_sees_no_documents_and_no_numbers(
    case, client, in_workspace, passport, now, monkeypatch
):
    """No role is like that now; the page must hold when one is."""
    reads = {"accounts.view_kycrecord", "accounts.view_subject"}
    monkeypatch.setitem(roles.PERMISSIONS, Role.ANALYST, roles.PERMISSIONS[Role.ANALYST] | reads)
    documents.read_lines(document=passport, text=SPECIMEN, acting_user=case.reviewer, now=now)
    as_user(client, make_member(in_workspace, Role.ANALYST))

    page = page_of(client, case.record)

    where = document_address("document_page", case.record, passport, 1)
    assert where not in page.content.decode()
    assert "Your role does not see documents." in text_of(page)
    assert "02C3" in text_of(page)
    assert "L898902C3" not in text_of(page)
    assert verbs_on(page) == []
    assert client.get(where).status_code == 403
    assert client.post(document_address("document_lines", case.record, passport), {"lines": "x"}).status_code == 403
