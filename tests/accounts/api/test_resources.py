import pytest
from django.db import connection

from accounts.kyc import records
from tests.factories import make_workspace, moment
from tests.rest import assert_problem, client_of

pytestmark = pytest.mark.django_db


def make_record(workspace, reference="patient-7", level=2):
    subject = records.create_subject(
        workspace=workspace,
        reference=reference,
        name="Ada Example",
        nationalities=["GB", "US"],
        country_of_residence="GB",
        acting_user=None,
        now=moment(),
    )
    return records.create_kyc_record(
        workspace=workspace,
        subject=subject,
        level=level,
        declared_countries=["DE"],
        declared_purpose="Booking",
        acting_user=None,
        now=moment(),
    )


def test_shows_the_token_s_workspace():
    workspace = make_workspace(slug="clinic", home_country="DE", time_zone="Europe/Berlin", carrier_prices={"GB": 0.05})

    assert client_of(workspace).get("/api/v1/workspace/").json() == {
        "slug": "clinic",
        "name": "Clinic",
        "home_country": "DE",
        "time_zone": "Europe/Berlin",
        "agent_minute_price": "0.1000",
        "carrier_prices": {"GB": 0.05},
        "limits": {},
        "kyc_settings": {},
        "new_numbers": "flagged",
        "requests_per_second": 10,
        "approval_tier": "",
        "approval_hours": 24,
        "digest_period": "weekly",
        "keep_calls_days": 400,
        "keep_events_days": 30,
    }


def test_changes_what_an_owner_chooses_and_names_what_cannot_be():
    client = client_of(make_workspace(slug="clinic"))
    chosen = {"new_numbers": "default_policy", "requests_per_second": 25, "approval_tier": "T2", "approval_hours": 8}
    chosen["digest_period"] = "never"

    changed = client.patch("/api/v1/workspace/", chosen, format="json").json()
    wrong = {"new_numbers": "x", "requests_per_second": 0, "approval_tier": "T9", "approval_hours": 721}
    refused = client.patch("/api/v1/workspace/", wrong | {"digest_period": 1}, format="json")

    assert {name: changed[name] for name in chosen} == chosen
    assert refused.status_code == 422
    assert {error["field"] for error in refused.json()["errors"]} == set(chosen)
    assert client.get("/api/v1/workspace/").json() == changed


def test_shows_kyc_records_by_what_the_customer_calls_the_person(workspace):
    record = make_record(workspace)
    make_record(make_workspace())

    results = client_of(workspace).get("/api/v1/kyc-records/").json()["results"]

    assert len(results) == 1
    shown = client_of(workspace).get(f"/api/v1/kyc-records/{record.pk}/").json()
    assert shown | results[0] == shown
    assert (shown["subject"], shown["level"], shown["state"]) == ("patient-7", 2, record.state)
    assert (shown["expires_at"], shown["declared_countries"]) == (None, ["DE"])


@pytest.mark.parametrize(
    ("query", "count"), [("state=approved", 0), ("level=2", 1), ("level=1", 0), ("subject=patient-7", 1)]
)
def test_filters_kyc_records(workspace, query, count):
    make_record(workspace)

    assert len(client_of(workspace).get(f"/api/v1/kyc-records/?{query}").json()["results"]) == count


@pytest.mark.parametrize("query", ["state=lost", "level=9", "subject=%00"])
def test_refuses_filters_that_mean_nothing(workspace, query):
    assert_problem(client_of(workspace).get(f"/api/v1/kyc-records/?{query}"), 422, query.partition("=")[0])


def test_shows_subjects(workspace):
    subject = make_record(workspace).subject
    make_record(make_workspace(), reference="another")

    client = client_of(workspace)
    shown = client.get(f"/api/v1/subjects/{subject.pk}/").json()

    assert shown["reference"] == "patient-7"
    assert shown["nationalities"] == ["GB", "US"]
    assert shown["country_of_residence"] == "GB"
    assert client.get("/api/v1/subjects/?reference=patient-7").json()["results"] == [shown]
    assert client.get("/api/v1/subjects/?reference=another").json()["results"] == []


def test_shows_the_audit_log_newest_first(workspace):
    make_record(workspace)
    client = client_of(workspace)

    entries = client.get("/api/v1/audit-log/").json()["results"]

    assert [entry["sequence"] for entry in entries] == list(range(len(entries), 0, -1))
    assert entries[0]["action"] == "token.create"
    assert entries[-1]["after"]["slug"] == workspace.slug
    assert client.get(f"/api/v1/audit-log/{entries[0]['sequence']}/").json() == entries[0]


def test_filters_the_audit_log(workspace):
    make_record(workspace)
    client = client_of(workspace)

    chosen = client.get("/api/v1/audit-log/?action=workspace.create").json()["results"]

    assert [entry["object_type"] for entry in chosen] == ["accounts.workspace"]
    assert client.get("/api/v1/audit-log/?to=2020-01-01").json()["results"] == []
    assert len(client.get("/api/v1/audit-log/?from=2020-01-01T00:00:00+00:00").json()["results"]) > 1


@pytest.mark.parametrize(
    "moment_text", ["yesterday", "2026-13-01", "2026-01-01T25:00", "0001-01-01T00:00:00%2B14:00", "%00"]
)
def test_refuses_a_time_that_is_none(workspace, moment_text):
    assert_problem(client_of(workspace).get(f"/api/v1/audit-log/?from={moment_text}"), 422, "from")


def test_shows_an_entry_whose_details_were_erased(workspace):
    client = client_of(workspace)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE accounts_auditentry SET detail = NULL, detail_key = ''")

    entry = client.get("/api/v1/audit-log/1/").json()

    assert (entry["before"], entry["after"], entry["reason"], entry["origin"]) == (None, None, "", {})


def test_a_misspelt_filter_is_refused_and_not_taken_for_none(workspace):
    client = client_of(workspace)

    problem = assert_problem(client.get("/api/v1/public-keys/?statsu=active"), 422, "statsu")

    assert problem["errors"][0]["code"] == "unknown_parameter"
    assert "status" in problem["errors"][0]["detail"]
    assert client.get("/api/v1/public-keys/?page_size=5").status_code == 200
