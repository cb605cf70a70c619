"""REST for end-user tokens."""

from datetime import datetime, timedelta

import pytest

from accounts import end_user_tokens
from tests.factories import moment
from tests.rest import assert_problem, client_of

pytestmark = pytest.mark.django_db

ADDRESS = "/api/v1/end-user-tokens/"


@pytest.fixture
def client(workspace):
    return client_of(workspace, "gate:write")


def test_mints_one_that_the_gate_believes(workspace, client):
    response = client.post(ADDRESS, {"subject": "user-17", "expires_in": 60, "destination": "+1 415 555 0142"})

    assert response.status_code == 201
    body = response.json()
    assert body.keys() == {"token", "expires_at", "subject", "destination"}
    found = end_user_tokens.read(body["token"], workspace_id=workspace.pk, now=moment())
    assert (found.subject, found.destination) == ("user-17", "+14155550142")
    assert (body["subject"], body["destination"]) == ("user-17", "+14155550142")
    assert datetime.fromisoformat(body["expires_at"]) == found.expires_at


def test_lasts_ten_minutes_when_nothing_is_said(client):
    body = client.post(ADDRESS, {"subject": "user-17"}).json()

    lasts = datetime.fromisoformat(body["expires_at"]) - moment()
    assert timedelta(minutes=9) < lasts <= timedelta(minutes=10)
    assert body["destination"] is None


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "subject"),
        ({"subject": 17}, "subject"),
        ({"subject": "x" * 121}, "subject"),
        ({"subject": "a\x00b"}, "subject"),
        ({"subject": "a", "expires_in": "60"}, "expires_in"),
        ({"subject": "a", "expires_in": 1}, "expires_in"),
        ({"subject": "a", "expires_in": 10**12}, "expires_in"),
        ({"subject": "a", "destination": "nobody"}, "destination"),
        ({"subject": "a", "level": 3}, "level"),
        ({"subject": "a", "expires_at": "2030-01-01"}, "expires_at"),
    ],
)
def test_names_the_field_that_is_wrong(client, body, field):
    assert_problem(client.post(ADDRESS, body), 422, field)


def test_is_for_tokens_that_may_use_the_gate(workspace):
    assert_problem(client_of(workspace, "gate:read").post(ADDRESS, {"subject": "user-17"}), 403)
