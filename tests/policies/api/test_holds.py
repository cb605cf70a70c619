"""REST for holds and the brake."""

from datetime import datetime, timedelta

import pytest

from accounts.models import AuditEntry
from accounts.scoping import scoped
from policies.models import Hold
from tests.factories import make_phone_number, make_workspace, moment
from tests.rest import assert_problem, client_of

pytestmark = pytest.mark.django_db

HOLDS = "/api/v1/holds/"


def ahead(**length):
    return (moment() + timedelta(**length)).isoformat()


def body(**more):
    return {"scope": "country", "value": "jm", "expires_at": ahead(hours=1), "reason": "pumping"} | more


def test_imposes_shows_lists_and_lifts(workspace):
    client = client_of(workspace)

    made = client.post(HOLDS, body(direction="outbound"))

    assert made.status_code == 201, made.json()
    hold = made.json()
    assert made["Location"].endswith(f"{HOLDS}{hold['id']}/")
    assert (
        hold.items()
        >= {
            "scope": "country",
            "value": "JM",
            "direction": "outbound",
            "channel": None,
            "reason": "pumping",
            "state": "in_force",
            "imposed_by": "API token test",
            "lifted_at": None,
            "lifted_by": None,
            "calls_ended": 0,
        }.items()
    )
    assert client.get(f"{HOLDS}{hold['id']}/").json() == hold
    assert client.get(HOLDS).json()["results"] == [hold]

    assert client.delete(f"{HOLDS}{hold['id']}/").status_code == 204
    assert client.delete(f"{HOLDS}{hold['id']}/").status_code == 204

    assert client.get(HOLDS).json()["results"] == []
    (ended,) = client.get(f"{HOLDS}?all=1").json()["results"]
    assert (ended["state"], ended["lifted_by"]) == ("lifted", "API token test")


def test_does_not_list_what_ran_out_though_no_sweep_was_there(workspace):
    client = client_of(workspace)
    client.post(HOLDS, body())
    with scoped(workspace.pk):
        Hold.objects.update(imposed_at=moment() - timedelta(hours=2), expires_at=moment() - timedelta(seconds=1))

    assert client.get(HOLDS).json()["results"] == []
    assert client.get(f"{HOLDS}?all=1").json()["results"][0]["state"] == "expired"


def test_imposing_again_answers_the_same_hold_with_the_later_end(workspace):
    client = client_of(workspace)
    first = client.post(HOLDS, body(expires_at=ahead(hours=2))).json()

    second = client.post(HOLDS, body(expires_at=ahead(hours=1), reason="again")).json()

    assert (second["id"], second["expires_at"], second["reason"]) == (first["id"], first["expires_at"], "again")


def test_the_brake_holds_everything_and_is_lifted_like_a_hold(workspace):
    client = client_of(workspace)

    made = client.post("/api/v1/brake/", {"reason": "attack", "expires_at": ahead(minutes=30)})

    assert made.status_code == 201, made.json()
    assert (made.json()["scope"], made.json()["value"]) == ("workspace", None)
    (listed,) = client.get(f"{HOLDS}?scope=workspace").json()["results"]
    assert listed == made.json()
    with scoped(workspace.pk):
        assert AuditEntry.objects.filter(action="hold.impose").count() == 1
    assert client.delete(f"{HOLDS}{listed['id']}/").status_code == 204


def test_is_seen_in_the_preview_at_once(workspace):
    make_phone_number(workspace, "+14155550100")
    client = client_of(workspace)
    attempt = {"direction": "inbound", "channel": "phone_call", "from_number": "+14165550123"}
    attempt["to_number"] = "+14155550100"
    assert client.post("/api/v1/decisions/preview/", attempt).json()["verdict"] == "allow"

    client.post(HOLDS, body(scope="prefix", value="+1416"))

    verdict = client.post("/api/v1/decisions/preview/", attempt).json()
    assert verdict["reason"] == "held"
    assert verdict["counterfactuals"][0]["sentence"].startswith("when the hold ends in ")


@pytest.mark.parametrize(
    ("fields", "given"),
    [
        (["value"], {"value": "CU"}),
        (["value"], {"value": "Jamaica"}),
        (["value"], {"value": None}),
        (["value"], {"value": 5}),
        (["value"], {"scope": "phone_number", "value": "+14155550199"}),
        (["value"], {"scope": "key", "value": "pk_unknown"}),
        (["value"], {"scope": "prefix", "value": "4474"}),
        (["value"], {"scope": "ip", "value": "203.0.113.300"}),
        (["value"], {"scope": "peer", "value": "+1"}),
        (["value"], {"scope": "workspace", "value": "JM"}),
        (["scope"], {"scope": "planet"}),
        (["reason"], {"reason": ""}),
        (["reason"], {"reason": " "}),
        (["expires_at"], {"expires_at": "2020-01-01T00:00:00Z"}),
        (["expires_at"], {"expires_at": "9999-12-31T23:59:59Z"}),
        (["expires_at"], {"expires_at": "soon"}),
        (["direction"], {"direction": "up"}),
        (["channel"], {"channel": "fax"}),
        (["end_running_calls"], {"end_running_calls": "yes"}),
        (["end_running_calls"], {"scope": "subject", "value": "p7", "end_running_calls": True}),
        (["country"], {"country": "JM"}),
        (["imposed_by"], {"imposed_by": "me"}),
    ],
)
def test_refuses_and_names_the_field(workspace, fields, given):
    assert_problem(client_of(workspace).post(HOLDS, body(**given)), 422, *fields)
    with scoped(workspace.pk):
        assert not Hold.objects.exists()


@pytest.mark.parametrize("missing", ["scope", "expires_at", "reason"])
def test_names_what_is_missing(workspace, missing):
    given = body()
    del given[missing]

    assert_problem(client_of(workspace).post(HOLDS, given), 422, missing)


def test_the_brake_takes_no_scope(workspace):
    client = client_of(workspace)

    assert_problem(client.post("/api/v1/brake/", {}), 422, "reason", "expires_at")
    given = {"reason": "attack", "expires_at": ahead(hours=1), "scope": "country"}
    assert_problem(client.post("/api/v1/brake/", given), 422, "scope")


def test_refuses_another_word_for_all(workspace):
    assert_problem(client_of(workspace).get(f"{HOLDS}?all=yes"), 422, "all")


def test_needs_the_scope(workspace):
    reader = client_of(workspace, "holds:read")
    hold = client_of(workspace, "holds:write").post(HOLDS, body()).json()

    assert reader.get(HOLDS).status_code == 200
    assert_problem(reader.post(HOLDS, body()), 403)
    assert_problem(reader.post("/api/v1/brake/", {}), 403)
    assert_problem(reader.delete(f"{HOLDS}{hold['id']}/"), 403)
    assert_problem(client_of(workspace, "opens:write").get(HOLDS), 403)


def test_does_not_know_holds_of_another_workspace(workspace):
    hold = client_of(workspace).post(HOLDS, body()).json()
    other = client_of(make_workspace())

    assert_problem(other.get(f"{HOLDS}{hold['id']}/"), 404)
    assert_problem(other.delete(f"{HOLDS}{hold['id']}/"), 404)
    assert other.get(f"{HOLDS}?all=1").json()["results"] == []


def test_answers_times_in_utc(workspace):
    given = datetime.fromisoformat(ahead(hours=1)).replace(microsecond=0)

    made = client_of(workspace).post(HOLDS, body(expires_at=given.isoformat())).json()

    assert made["expires_at"] == f"{given:%Y-%m-%dT%H:%M:%S}Z"
