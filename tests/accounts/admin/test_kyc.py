"""The pages of subjects and KYC records."""

from datetime import timedelta

import pytest
from django.urls import reverse

from accounts.kyc import records, review
from accounts.models import KycRecord, Subject
from accounts.roles import Role
from tests import factories
from tests.accounts.kyc import cases
from tests.signing_in import signed_in

RECORDS = "admin:accounts_kycrecord_"
SUBJECTS = "admin:accounts_subject_"


@pytest.fixture
def reviewer(in_workspace):
    return signed_in(in_workspace, Role.KYC_REVIEWER)


def make_record(workspace, now, name="Ada Example", *, state="draft", waited=None):
    subject = records.create_subject(
        workspace=workspace, reference=name, name=name, phone="+14155550100", acting_user=None, now=now
    )
    record = records.create_kyc_record(
        workspace=workspace, subject=subject, level=2, declared_countries=["LV"], acting_user=None, now=now
    )
    if state != "draft":
        came_at = now - waited
        review.submit(record=record, acting_user=None, now=came_at)
        if state != "submitted":
            case = cases.Case(record, cases.reviewer(workspace), cases.second_reviewer(workspace))
            cases.claim(case, came_at)
        if state == "rejected":
            cases.reject(case, came_at)
            cases.confirm(case, came_at)
    return record


def test_what_waits_longest_stands_first(reviewer, in_workspace, now):
    make_record(in_workspace, now, "Draft", state="draft")
    make_record(in_workspace, now, "Decided", state="rejected", waited=timedelta(days=90))
    make_record(in_workspace, now, "Younger", state="submitted", waited=timedelta(hours=5))
    make_record(in_workspace, now, "Older", state="in_review", waited=timedelta(days=3))

    html = reviewer.get(reverse(RECORDS + "changelist")).content.decode()

    places = [html.index(f">{name}<") for name in ("Older", "Younger", "Decided", "Draft")]
    assert places == sorted(places)
    assert "3 days" in html
    assert "5 hours" in html


def test_the_form_keeps_declared_countries_that_were_not_touched(reviewer, in_workspace, now):
    record = make_record(in_workspace, now)
    where = reverse(RECORDS + "change", args=[record.pk])

    page = reviewer.get(where).content.decode()
    form = {"level": "2", "declared_countries": ["LV"], "declared_purpose": "Visits", "note_for_colleagues": ""}
    reviewer.post(where, form)

    assert '<option value="LV" selected>' in page
    record.refresh_from_db()
    assert ([country.code for country in record.declared_countries], record.declared_purpose) == (["LV"], "Visits")


def test_the_state_is_no_field_of_the_form(reviewer, in_workspace, now):
    record = make_record(in_workspace, now)

    reviewer.post(reverse(RECORDS + "change", args=[record.pk]), {"level": "2", "state": "approved"})

    assert KycRecord.objects.get().state == "draft"


def test_a_record_is_opened_for_a_subject(reviewer, in_workspace, now):
    subject = records.create_subject(workspace=in_workspace, reference="1", name="Bo", acting_user=None, now=now)

    reviewer.post(reverse(RECORDS + "add"), {"subject": subject.pk, "level": "1"})

    assert KycRecord.objects.get().subject == subject


@pytest.mark.parametrize("searched", ["example", "cust-7", "415 555 0100", "+1 (415) 555-0100"])
def test_a_subject_is_found_by_name_reference_or_phone(reviewer, in_workspace, now, searched):
    records.create_subject(
        workspace=in_workspace, reference="cust-7", name="Ada Example", phone="+14155550100", acting_user=None, now=now
    )
    records.create_subject(workspace=in_workspace, reference="cust-8", name="Bo Sample", acting_user=None, now=now)

    html = reviewer.get(reverse(SUBJECTS + "changelist"), {"q": searched}).content.decode()

    assert "Ada Example" in html
    assert "Bo Sample" not in html


def test_a_subject_is_written_down_with_its_problems_beside_the_fields(reviewer):
    where = reverse(SUBJECTS + "add")

    refused = reviewer.post(where, {"reference": "1", "name": "Ada", "phone": "12"})
    made = reviewer.post(where, {"reference": "1", "name": "Ada", "phone": "+1 415 555 0100"})

    assert "is not a telephone number" in refused.content.decode()
    assert made.status_code == 302
    assert Subject.objects.get().phone == "+14155550100"


@pytest.mark.parametrize("role", [Role.VIEWER, Role.ANALYST, Role.POLICY_EDITOR])
def test_who_does_not_review_sees_nobody(in_workspace, now, role):
    record = make_record(in_workspace, now)
    client = signed_in(in_workspace, role)

    assert client.get(reverse(RECORDS + "changelist")).status_code == 403
    assert client.get(reverse(RECORDS + "change", args=[record.pk])).status_code == 403
    assert client.get(reverse(SUBJECTS + "changelist")).status_code == 403


def test_another_workspaces_subject_does_not_exist(in_workspace, now):
    record = make_record(in_workspace, now)
    client = signed_in(factories.make_workspace())

    assert client.get(reverse(RECORDS + "change", args=[record.pk])).status_code == 404
    assert client.get(reverse(SUBJECTS + "change", args=[record.subject_id])).status_code == 404
