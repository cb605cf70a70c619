"""KYC by REST: subjects and records are written and handed in; deciding takes a scope of its own."""

import pytest
from rest_framework.test import APIClient

from accounts import tokens
from accounts.kyc import records
from accounts.models import KycRecord
from accounts.roles import Role
from accounts.scoping import scoped
from tests import factories
from tests.accounts.kyc import cases
from tests.rest import assert_problem, client_of

pytestmark = pytest.mark.django_db
RECORDS, SUBJECTS, WEBHOOKS = "/api/v1/kyc-records/", "/api/v1/subjects/", "/api/v1/kyc-webhooks/"
DECIDE = "kyc-records:decide"


def client_for(workspace, person, *scopes):
    """With a token that `person` made."""
    text = tokens.create_token(
        workspace=workspace, name="theirs", scopes=list(scopes), acting_user=person, now=factories.moment()
    )
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {text}")
    return client


@pytest.fixture
def deciding(workspace):
    return client_for(workspace, cases.reviewer(workspace), "kyc-records:read", DECIDE)


def make_case(workspace, **facts):
    with scoped(workspace.pk):
        return f"{RECORDS}{cases.submitted(workspace, factories.moment(), **facts).pk}/"


def test_a_customer_creates_a_subject_and_hands_in_a_record(workspace):
    client = client_of(workspace)
    subject = client.post(
        SUBJECTS,
        {"reference": "patient-7", "name": "Ada Example", "phone": "+1 415 555 0100", "nationalities": ["GBR"]},
    )
    assert (subject.status_code, subject.json()["nationalities"]) == (201, ["GB"])
    assert client.get(subject["Location"]).json() == subject.json()

    made = client.post(RECORDS, {"subject": "patient-7", "level": 1, "declared_countries": ["us", "Canada"]})
    assert (made.status_code, made.json()["state"]) == (201, "draft")
    assert sorted(made.json()["declared_countries"]) == ["CA", "US"]

    edited = client.patch(made["Location"], {"declared_channels": ["chat"], "declared_calls_per_day": 20})
    assert (edited.status_code, edited.json()["declared_channels"]) == (200, ["chat"])

    submitted = client.post(made["Location"] + "submit/")
    assert (submitted.status_code, submitted.json()["state"]) == (200, "submitted")
    assert submitted.json()["screening"]["name"] == {"outcome": "not_screened"}
    assert_problem(client.post(made["Location"] + "submit/"), 409)


@pytest.mark.parametrize(
    ("address", "body", "field"),
    [
        (SUBJECTS, {"reference": "a"}, "name"),
        (SUBJECTS, {"reference": "a", "name": "A", "nationalities": ["Atlantis"]}, "nationalities"),
        (SUBJECTS, {"reference": "a", "name": "A", "date_of_birth": 19900101}, "date_of_birth"),
        (SUBJECTS, {"reference": "a", "name": "A", "devices": [""]}, "devices.0"),
        (SUBJECTS, {"reference": "a", "name": "A", "erased_at": None}, "erased_at"),
        (RECORDS, {"subject": "nobody", "level": 1}, "subject"),
        (RECORDS, {"subject": "known", "level": 4}, "level"),
        (RECORDS, {"subject": "known", "level": 1, "state": "approved"}, "state"),
        (RECORDS, {"subject": "known", "level": 1, "declared_channels": ["fax"]}, "declared_channels"),
        (RECORDS, {"subject": "known", "level": 1, "declared_countries": ["XX"]}, "declared_countries"),
        (WEBHOOKS, {"url": "http://10.0.0.1/hook"}, "url"),
        (WEBHOOKS, {"url": "ftp://example.com/"}, "url"),
        (WEBHOOKS, {"url": 7}, "url"),
    ],
)
def test_what_cannot_be_accepted_is_refused_naming_the_field(workspace, address, body, field):
    with scoped(workspace.pk):
        records.create_subject(
            workspace=workspace, reference="known", name="Known", acting_user=None, now=factories.moment()
        )

    assert_problem(client_of(workspace).post(address, body), 422, field)


@pytest.mark.parametrize(
    "verb", ["claim", "release", "request-information", "approve", "reject", "confirm", "refuse-proposal", "suspend"]
)
@pytest.mark.parametrize("scopes", [["*"], ["kyc-records:write"]])
def test_deciding_takes_a_scope_that_nothing_else_includes(workspace, verb, scopes):
    case = make_case(workspace)

    problem = assert_problem(client_of(workspace, *scopes).post(f"{case}{verb}/", {}), 403)

    assert DECIDE in problem["detail"]


def test_the_scope_to_decide_does_not_hand_anything_in(workspace):
    assert_problem(client_of(workspace, DECIDE).post(make_case(workspace) + "withdraw/"), 403)
    assert_problem(client_of(workspace, DECIDE).get(RECORDS), 403)


def test_a_decision_says_what_was_seen(workspace, deciding):
    case = make_case(workspace)
    claimed = deciding.post(case + "claim/")
    assert (claimed.status_code, claimed.json()["state"]) == (200, "in_review")

    assert_problem(deciding.post(case + "approve/", {}), 422, "evidence")
    changed = assert_problem(deciding.post(case + "approve/", {"evidence": "f" * 64}), 409)
    assert changed["type"].endswith("#evidence-changed")
    assert_problem(deciding.post(case + "approve/", {}, HTTP_IF_MATCH='"stale"'), 412)
    approved = deciding.post(case + "approve/", {"text_for_subject": "Welcome."}, HTTP_IF_MATCH=claimed["ETag"])

    assert (approved.status_code, approved.json()["state"]) == (200, "approved")
    assert approved.json()["expires_at"]
    late = assert_problem(deciding.post(case + "reject/", {"evidence": "f" * 64, "reason_codes": ["fraud"]}), 409)
    assert "approved" in late["detail"]
    assert late["type"].endswith("#wrong-state")


def test_changed_evidence_is_another_version(workspace, deciding):
    case = make_case(workspace)
    seen = deciding.post(case + "claim/")
    with scoped(workspace.pk):
        record = KycRecord.objects.get()
        records.edit_subject(subject=record.subject, name="Eve", acting_user=None, now=factories.moment())

    assert_problem(deciding.post(case + "approve/", {}, HTTP_IF_MATCH=seen["ETag"]), 412)
    assert_problem(deciding.post(case + "approve/", {"evidence": seen.json()["evidence"]}), 409)


def test_two_tokens_of_one_person_are_one_person(workspace):
    second = cases.second_reviewer(workspace)
    one, other = (client_for(workspace, second, "kyc-records:read", DECIDE) for _ in range(2))
    case = make_case(workspace, level=3)
    one.post(case + "claim/")
    proposed = one.post(case + "approve/", {"evidence": one.get(case).json()["evidence"]}).json()
    assert (proposed["state"], proposed["second_reasons"]) == ("proposed_approve", ["level"])

    problem = assert_problem(other.post(case + "confirm/", {"evidence": proposed["evidence"]}), 403)
    assert "You proposed" in problem["detail"]
    assert problem["type"].endswith("#four-eyes")
    third = client_for(workspace, cases.second_reviewer(workspace), DECIDE)
    assert third.post(case + "confirm/", {"evidence": proposed["evidence"]}).json()["state"] == "approved"


def test_a_token_of_nobody_does_not_make_up_for_a_person(workspace):
    machine = client_of(workspace, "kyc-records:read", DECIDE)
    case = make_case(workspace, level=3)
    evidence = machine.post(case + "claim/").json()["evidence"]

    assert_problem(machine.post(case + "approve/", {"evidence": evidence}), 403)
    simple = make_case(workspace)
    evidence = machine.post(simple + "claim/").json()["evidence"]
    assert machine.post(simple + "approve/", {"evidence": evidence}).json()["state"] == "approved"


def test_a_token_of_somebody_who_does_not_review_decides_nothing(workspace):
    viewer = client_for(workspace, factories.make_member(workspace, Role.VIEWER), DECIDE)

    problem = assert_problem(viewer.post(make_case(workspace) + "claim/"), 403)
    assert problem["type"].endswith("#role-missing")


@pytest.mark.parametrize(
    ("verb", "body", "field"),
    [
        ("reject", {"evidence": "x"}, "reason_codes"),
        ("reject", {"evidence": "x", "reason_codes": ["because"]}, "reason_codes"),
        ("request-information", {"reason_codes": ["data_missing"]}, "text_for_subject"),
        ("suspend", {"reason_codes": []}, "reason_codes"),
        ("approve", {"evidence": "x", "force": True}, "force"),
        ("claim", {"force": True}, "force"),
    ],
)
def test_a_decision_that_lacks_something_is_refused_naming_the_field(workspace, deciding, verb, body, field):
    case = make_case(workspace)
    deciding.post(case + "claim/")

    response = deciding.post(f"{case}{verb}/", body)

    assert response.status_code == 422
    assert response.json()["errors"][0]["field"].partition(".")[0] == field


def test_a_webhook_s_secret_is_shown_once_and_it_can_be_stopped(workspace):
    client = client_of(workspace)

    made = client.post(WEBHOOKS, {"url": "https://hooks.example.com/kyc"}).json()

    assert made["secret"].startswith("whsec_")
    [listed] = client.get(WEBHOOKS).json()["results"]
    assert "secret" not in listed
    assert client.delete(f"{WEBHOOKS}{made['id']}/").status_code == 204
    assert client.get(WEBHOOKS).json()["results"][0]["stopped_at"]
    assert_problem(client_of(factories.make_workspace()).delete(f"{WEBHOOKS}{made['id']}/"), 404)


def test_the_history_shows_no_text_for_colleagues(workspace, deciding):
    case = make_case(workspace)
    seen = deciding.post(case + "claim/").json()["evidence"]
    body = {"evidence": seen, "reason_codes": ["fraud"], "text_for_colleagues": "Known ring."}

    shown = deciding.post(case + "reject/", body)

    assert "Known ring" not in shown.content.decode()
    assert [move["to_state"] for move in shown.json()["transitions"]] == ["submitted", "in_review", "rejected"]
