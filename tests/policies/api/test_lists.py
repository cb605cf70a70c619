"""REST for the trusted and the blocked callers."""

from datetime import timedelta

import pytest

from accounts.scoping import scoped
from policies.models import Decision, ListEntry
from tests.factories import make_phone_number, make_workspace, moment
from tests.rest import assert_problem, client_of

pytestmark = pytest.mark.django_db

TRUSTED = "/api/v1/trusted/"
BLOCKED = "/api/v1/blocked-callers/"
CALLER = "+447400123456"


def body(**more):
    return {"scope": "peer", "value": "+44 7400 123456", "reason": "known"} | more


@pytest.mark.parametrize(("address", "direction"), [(TRUSTED, None), (BLOCKED, "inbound")])
def test_adds_shows_lists_and_removes(workspace, address, direction):
    client = client_of(workspace)

    made = client.post(address, body())

    assert made.status_code == 201, made.json()
    entry = made.json()
    assert made["Location"].endswith(f"{address}{entry['id']}/")
    assert (
        entry.items()
        >= {
            "scope": "peer",
            "value": CALLER,
            "direction": direction,
            "channel": None,
            "reason": "known",
            "added_by": "API token test",
            "expires_at": None,
        }.items()
    )
    shown = client.get(f"{address}{entry['id']}/").json()
    assert entry.items() >= shown.items()
    assert client.get(f"{address}?scope=peer").json()["results"] == [shown]

    assert client.delete(f"{address}{entry['id']}/").status_code == 204
    assert_problem(client.delete(f"{address}{entry['id']}/"), 404)
    assert client.get(address).json()["results"] == []


def test_an_entry_may_end_by_itself_and_is_not_listed_then(workspace):
    client = client_of(workspace)
    end = moment() + timedelta(hours=1)
    assert client.post(TRUSTED, body(expires_at=end.isoformat())).json()["expires_at"] is not None
    assert len(client.get(TRUSTED).json()["results"]) == 1

    with scoped(workspace.pk):
        ListEntry.objects.update(expires_at=moment() - timedelta(seconds=1))

    assert client.get(TRUSTED).json()["results"] == []


def test_each_list_shows_its_own(workspace):
    client = client_of(workspace)
    trusted = client.post(TRUSTED, body(scope="ip", value="203.0.113.0/24")).json()
    client.post(BLOCKED, body())

    assert [row["value"] for row in client.get(TRUSTED).json()["results"]] == ["203.0.113.0/24"]
    assert [row["value"] for row in client.get(BLOCKED).json()["results"]] == [CALLER]
    assert_problem(client.get(f"{BLOCKED}{trusted['id']}/"), 404)
    assert_problem(client.delete(f"{BLOCKED}{trusted['id']}/"), 404)


def test_blocking_says_whom_it_would_have_hit_and_which_own_numbers_it_covers(workspace):
    make_phone_number(workspace, "+14155550100")
    with scoped(workspace.pk):
        for peer in ("+14155550111", "+14155550111", "+14155550112"):
            facts = {"direction": "inbound", "channel": "phone_call", "verdict": "allow", "peer": peer}
            Decision.objects.create(at=moment(), phone_number="+14155550100", **facts)
    client = client_of(workspace)
    expected = {"days": 30, "attempts": 3, "numbers": 2, "capped": False, "own_numbers": ["+14155550100"]}
    asked = {"scope": "prefix", "value": "+1415"}

    assert client.post(f"{BLOCKED}blast-radius/", asked).json() == expected
    assert client.post(f"{BLOCKED}blast-radius/", asked | {"direction": "outbound"}).json()["attempts"] == 0
    assert client.get(BLOCKED).json()["results"] == []

    made = client.post(BLOCKED, body(**asked)).json()

    assert made["would_have_hit"] == expected
    assert made["notice"] == "It covers numbers of this workspace: +14155550100."
    assert "notice" not in client.post(BLOCKED, body()).json()


@pytest.mark.parametrize("named", ["outbound", None])
def test_blocks_another_direction_when_it_is_named(workspace, named):
    assert client_of(workspace).post(BLOCKED, body(direction=named)).json()["direction"] == named


def test_says_why_a_number_under_a_sanctioned_code_is_not_trusted(workspace):
    problem = assert_problem(client_of(workspace).post(TRUSTED, body(value="+5351234567")), 422, "value")

    assert "Cuba is on the platform sanctions list; trust never stands above it" in problem["errors"][0]["detail"]


@pytest.mark.parametrize(
    ("address", "fields", "given"),
    [
        (TRUSTED, ["scope"], {"scope": "prefix", "value": "+4474"}),
        (TRUSTED, ["scope"], {"scope": None}),
        (TRUSTED, ["value"], {"scope": "ip", "value": "0.0.0.0/0"}),
        (TRUSTED, ["value"], {"value": 5}),
        (TRUSTED, ["reason"], {"reason": ""}),
        (TRUSTED, ["expires_at"], {"expires_at": "2020-01-01T00:00:00Z"}),
        (TRUSTED, ["expires_at"], {"expires_at": "soon"}),
        (TRUSTED, ["added_by"], {"added_by": "me"}),
        (BLOCKED, ["scope"], {"scope": "ip", "value": "203.0.113.7"}),
        (BLOCKED, ["value"], {"scope": "prefix", "value": "4474"}),
        (BLOCKED, ["direction"], {"direction": "up"}),
        (BLOCKED, ["list"], {"list": "trusted"}),
        (f"{BLOCKED}blast-radius/", ["value"], {"value": "x"}),
        (f"{BLOCKED}blast-radius/", ["scope"], {"scope": "country"}),
    ],
)
def test_refuses_and_names_the_field(workspace, address, fields, given):
    sent = body(**given)
    if "blast" in address:
        del sent["reason"]
    assert_problem(client_of(workspace).post(address, sent), 422, *fields)
    with scoped(workspace.pk):
        assert not ListEntry.objects.exists()


@pytest.mark.parametrize(("address", "scope"), [(TRUSTED, "trusted"), (BLOCKED, "blocked-callers")])
def test_needs_the_scope(workspace, address, scope):
    reader = client_of(workspace, f"{scope}:read")
    entry = client_of(workspace, f"{scope}:write").post(address, body()).json()

    assert reader.get(address).status_code == 200
    assert_problem(reader.post(address, body()), 403)
    assert_problem(reader.delete(f"{address}{entry['id']}/"), 403)
    assert_problem(client_of(workspace, "holds:write").get(address), 403)


def test_asking_for_the_blast_radius_is_reading(workspace):
    reader = client_of(workspace, "blocked-callers:read")

    assert reader.post(f"{BLOCKED}blast-radius/", {"scope": "peer", "value": CALLER}).json()["attempts"] == 0


def test_does_not_know_entries_of_another_workspace(workspace):
    entry = client_of(workspace).post(TRUSTED, body()).json()
    other = client_of(make_workspace())

    assert_problem(other.get(f"{TRUSTED}{entry['id']}/"), 404)
    assert_problem(other.delete(f"{TRUSTED}{entry['id']}/"), 404)
    assert other.get(TRUSTED).json()["results"] == []


def test_a_blocked_caller_is_seen_in_the_preview_at_once(workspace):
    make_phone_number(workspace, "+14155550100", inbound=["GB"])
    client = client_of(workspace)
    attempt = {"direction": "inbound", "channel": "phone_call", "from_number": CALLER, "to_number": "+14155550100"}
    assert client.post("/api/v1/decisions/preview/", attempt).json()["verdict"] == "allow"

    client.post(TRUSTED, body())
    entry = client.post(BLOCKED, body(scope="prefix", value="+4474")).json()

    assert client.post("/api/v1/decisions/preview/", attempt).json()["reason"] == "listed"
    assert client.delete(f"{BLOCKED}{entry['id']}/").status_code == 204
    assert client.post("/api/v1/decisions/preview/", attempt).json()["verdict"] == "allow"
