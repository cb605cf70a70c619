"""The page of one case: whose it is, what it says, its checklist and the form of its facts."""

from datetime import timedelta

from django.urls import reverse

from accounts.kyc import claims, evidence, records
from accounts.models import KycRecord
from tests.accounts.admin.kyc_pages import (
    PREFIX,
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
from tests.signing_in import in_place, messages_of

__all__ = ["case", "reviewer"]


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

    assert f"Being looked at by {case.second}, until" in text_of(page)
    assert verbs_on(page) == []


def test_the_evidence_of_the_form_is_the_verbs_own(case, reviewer):
    assert page_of(reviewer, case.record).context["seen_evidence"] == evidence.hash_of(case.record)
