"""Drift over REST: the three sides of a number, re-assert, adopt, and asking for a comparison."""

import pytest

from accounts.scoping import scoped
from policies.models import SyncTarget, UponaiConnection
from tests.factories import make_phone_number, make_workspace, moment
from tests.rest import assert_problem, client_of

pytestmark = pytest.mark.django_db

NUMBER = "/api/v1/phone-numbers/+14155550100/"
CHECK = "/api/v1/sync/check/"


@pytest.fixture
def client(workspace):
    return client_of(workspace)


@pytest.fixture
def drifted(workspace):
    """UponAI lacks Canada outbound."""
    number = make_phone_number(workspace)
    since = moment()
    with scoped(workspace.pk):
        SyncTarget.objects.update(
            state="drift",
            applied={"inbound": ["CA", "US"], "outbound": ["CA", "US"]},
            observed={"inbound": ["CA", "US"], "outbound": ["JM", "US"]},
            verified_at=since,
            drift_since=since,
            error="x",
        )
    return number


def test_shows_the_three_sides(client, drifted):
    shown = client.get(f"{NUMBER}drift/").json()

    assert shown["state"] == "drift"
    assert shown["wanted"] == shown["applied"] == {"inbound": ["CA", "US"], "outbound": ["CA", "US"]}
    assert shown["observed"]["outbound"] == ["JM", "US"]
    assert shown["drift_since"] == shown["observed_at"]
    assert shown["given_up"] is False
    assert shown["differences"] == [
        {
            "direction": "outbound",
            "unrestricted_at_uponai": False,
            "also_allowed": ["JM"],
            "not_allowed": ["CA"],
            "widens": True,
            "detail": "UponAI also allows Jamaica to be called and does not allow Canada to be called.",
        }
    ]


def test_re_asserts(client, drifted):
    response = client.post(f"{NUMBER}re-assert/")

    assert response.status_code == 200
    assert response.json()["sync"]["state"] == "pending"
    assert response.json()["sync"]["next_attempt_at"]
    assert response["ETag"] == client.get(NUMBER)["ETag"]


def test_adopts_what_uponai_has(client, drifted):
    response = client.post(f"{NUMBER}adopt/", {"reason": "They asked for it."})

    assert response.status_code == 200
    assert response.json()["allowed_outbound_country_list"] == ["JM", "US"]
    assert response.json()["policy"]["revision"] == 2
    problem = assert_problem(client.post(f"{NUMBER}adopt/"), 422, "phone_number")
    assert problem["errors"][0]["code"] == "on_its_way"


@pytest.mark.parametrize("verb", ["re-assert", "adopt"])
def test_honours_the_version_and_the_workspace(client, drifted, verb):
    assert_problem(client.post(f"{NUMBER}{verb}/", headers={"If-Match": '"other"'}), 412)
    assert_problem(client_of(make_workspace()).post(f"{NUMBER}{verb}/"), 404)
    assert client.get(NUMBER).json()["sync"]["state"] == "drift"


def test_takes_nothing_over_that_it_was_not_told_of(client, drifted):
    assert_problem(client.post(f"{NUMBER}adopt/", {"wanted": ["JM"]}), 422, "wanted")
    assert_problem(client.post(f"{NUMBER}re-assert/?wait=forever"), 422, "wait")
    for verb in ("re-assert", "retry", "confirm"):
        assert_problem(client.post(f"{NUMBER}{verb}/", {"wanted": ["JM"]}, format="json"), 422, "wanted")
        assert_problem(client.post(f"{NUMBER}{verb}/", [], format="json"), 422, "")
    assert client.get(NUMBER).json()["sync"]["state"] == "drift"


def test_asks_for_a_comparison(workspace, client):
    assert client.get(CHECK).json() == {"is_running": False, "due_at": None, "checked_at": None, "error": None}

    response = client.post(CHECK)

    assert response.status_code == 202
    assert response.json()["due_at"]
    with scoped(workspace.pk):
        assert UponaiConnection.objects.get().drift_due_at is not None


def test_a_workspace_without_a_key_has_nothing_to_be_compared_with():
    assert_problem(client_of(make_workspace(uponai_key="")).post(CHECK), 422, "")
