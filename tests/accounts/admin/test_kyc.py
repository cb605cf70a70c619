"""The list and the form of subjects, and who sees them at all."""

import pytest
from django.urls import reverse

from accounts.kyc import records
from accounts.models import Subject
from accounts.roles import Role
from tests import factories
from tests.accounts.kyc import cases
from tests.signing_in import signed_in

RECORDS = "admin:accounts_kycrecord_"
SUBJECTS = "admin:accounts_subject_"


@pytest.fixture
def reviewer(in_workspace):
    return signed_in(in_workspace, Role.KYC_REVIEWER)


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
    record = cases.submitted(in_workspace, now)
    client = signed_in(in_workspace, role)

    assert client.get(reverse(RECORDS + "changelist")).status_code == 403
    assert client.get(reverse(RECORDS + "change", args=[record.pk])).status_code == 403
    assert client.post(reverse(RECORDS + "next")).status_code == 403
    assert client.post(reverse(RECORDS + "claim", args=[record.pk])).status_code == 403
    assert client.get(reverse(SUBJECTS + "changelist")).status_code == 403


def test_another_workspaces_subject_does_not_exist(in_workspace, now):
    record = cases.submitted(in_workspace, now)
    client = signed_in(factories.make_workspace())

    assert client.get(reverse(RECORDS + "change", args=[record.pk])).status_code == 404
    assert client.post(reverse(RECORDS + "claim", args=[record.pk])).status_code == 404
    assert client.get(reverse(SUBJECTS + "change", args=[record.subject_id])).status_code == 404
