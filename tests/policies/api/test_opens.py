"""REST for opens."""

from datetime import timedelta

import pytest

from accounts.models import AuditEntry
from accounts.scoping import scoped
from policies.models import Open
from tests.factories import make_phone_number, make_workspace, moment
from tests.rest import assert_problem, client_of

pytestmark = pytest.mark.django_db

OPENS = "/api/v1/opens/"


def ahead(**length):
    return (moment() + timedelta(**length)).isoformat()


def body(**more):
    return {"scope": "country", "value": "ke", "expires_at": ahead(hours=1), "reason": "conference"} | more


def test_opens_shows_lists_and_closes(workspace):
    client = client_of(workspace)

    made = client.post(OPENS, body(direction="outbound"))

    assert made.status_code == 201, made.json()
    row = made.json()
    assert made["Location"].endswith(f"{OPENS}{row['id']}/")
    assert (
        row.items()
        >= {
            "scope": "country",
            "value": "KE",
            "direction": "outbound",
            "channel": None,
            "reason": "conference",
            "state": "in_force",
            "opened_by": "API token test",
            "closed_at": None,
            "closed_by": None,
        }.items()
    )
    assert client.get(f"{OPENS}{row['id']}/").json() == row
    assert client.get(f"{OPENS}?scope=country").json()["results"] == [row]
    assert client.get(f"{OPENS}?scope=peer").json()["results"] == []

    assert client.delete(f"{OPENS}{row['id']}/").status_code == 204
    assert client.delete(f"{OPENS}{row['id']}/").status_code == 204

    assert client.get(OPENS).json()["results"] == []
    (ended,) = client.get(f"{OPENS}?all=1").json()["results"]
    assert (ended["state"], ended["closed_by"]) == ("closed", "API token test")
    with scoped(workspace.pk):
        assert AuditEntry.objects.filter(action="open.close").count() == 1


def test_closes_only_the_version_that_was_seen(workspace):
    client = client_of(workspace)
    row = client.post(OPENS, body())
    path = f"{OPENS}{row.json()['id']}/"
    longer = client.post(OPENS, body(expires_at=ahead(hours=2)))

    assert_problem(client.delete(path, headers={"If-Match": row["ETag"]}), 412)
    assert client.get(path).json()["state"] == "in_force"
    assert client.delete(path, headers={"If-Match": longer["ETag"]}).status_code == 204


def test_does_not_list_what_ran_out_though_no_sweep_was_there(workspace):
    client = client_of(workspace)
    client.post(OPENS, body())
    with scoped(workspace.pk):
        Open.objects.update(opened_at=moment() - timedelta(hours=2), expires_at=moment() - timedelta(seconds=1))

    assert client.get(OPENS).json()["results"] == []
    assert client.get(f"{OPENS}?all=1").json()["results"][0]["state"] == "expired"


@pytest.mark.parametrize(
    ("fields", "given"),
    [
        (["scope"], {"scope": "workspace"}),
        (["scope"], {"scope": "planet"}),
        (["scope"], {"scope": 5}),
        (["value"], {"value": "CU"}),
        (["value"], {"scope": "peer", "value": "+5351234567"}),
        (["value"], {"value": None}),
        (["value"], {"value": ""}),
        (["value"], {"scope": "prefix", "value": "+4"}),
        (["value"], {"scope": "ip", "value": "::/0"}),
        (["reason"], {"reason": " "}),
        (["expires_at"], {"expires_at": ahead(days=31)}),
        (["expires_at"], {"expires_at": None}),
        (["direction"], {"direction": "up"}),
        (["end_running_calls"], {"end_running_calls": True}),
        (["opened_by"], {"opened_by": "me"}),
    ],
)
def test_refuses_and_names_the_field(workspace, fields, given):
    assert_problem(client_of(workspace).post(OPENS, body(**given)), 422, *fields)
    with scoped(workspace.pk):
        assert not Open.objects.exists()


def test_says_why_everything_cannot_be_opened(workspace):
    problem = assert_problem(client_of(workspace).post(OPENS, body(scope="workspace", value="x")), 422, "scope")

    assert "change the country policy" in problem["errors"][0]["detail"]


@pytest.mark.parametrize("missing", ["scope", "value", "expires_at", "reason"])
def test_names_what_is_missing(workspace, missing):
    given = body()
    del given[missing]

    assert_problem(client_of(workspace).post(OPENS, given), 422, missing)


def test_needs_the_scope(workspace):
    reader = client_of(workspace, "opens:read")
    row = client_of(workspace, "opens:write").post(OPENS, body()).json()

    assert reader.get(OPENS).status_code == 200
    assert_problem(reader.post(OPENS, body()), 403)
    assert_problem(reader.delete(f"{OPENS}{row['id']}/"), 403)
    assert_problem(client_of(workspace, "holds:write").get(OPENS), 403)


def test_does_not_know_opens_of_another_workspace(workspace):
    row = client_of(workspace).post(OPENS, body()).json()
    other = client_of(make_workspace())

    assert_problem(other.get(f"{OPENS}{row['id']}/"), 404)
    assert_problem(other.delete(f"{OPENS}{row['id']}/"), 404)
    assert other.get(f"{OPENS}?all=1").json()["results"] == []


def test_is_seen_in_the_preview_at_once_and_never_over_sanctions(workspace):
    make_phone_number(workspace, "+14155550100")
    client = client_of(workspace)
    attempt = {"direction": "inbound", "channel": "phone_call", "from_number": "+254712345678"}
    attempt["to_number"] = "+14155550100"
    assert client.post("/api/v1/decisions/preview/", attempt).json()["reason"] == "country_not_allowed"

    row = client.post(OPENS, body(direction="inbound")).json()
    client.post(OPENS, body(scope="phone_number", value="+14155550100"))

    assert client.post("/api/v1/decisions/preview/", attempt).json()["verdict"] == "allow"
    cuban = attempt | {"from_number": "+5351234567"}
    assert client.post("/api/v1/decisions/preview/", cuban).json()["reason"] == "sanctioned_country"
    assert row["state"] == "in_force"
