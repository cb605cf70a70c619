from datetime import timedelta

import pytest
from rest_framework.test import APIClient

from accounts import tokens
from accounts.models import ApiToken, AuditEntry
from accounts.scoping import scoped
from tests.factories import make_member, make_phone_number, make_token, make_workspace, moment
from tests.rest import assert_problem, client_of

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(None, id="none"),
        pytest.param("Bearer", id="no token"),
        pytest.param("Bearer fc_nonsense", id="a look-alike"),
        pytest.param("Bearer fc_é\u20ac", id="not ASCII"),
        pytest.param("Bearer one two", id="two words"),
        pytest.param("Basic ZGVtbzpkZW1v", id="another scheme"),
        pytest.param("Bearer " + "fc_" + "a" * 5000, id="a long one"),
    ],
)
def test_refuses_who_shows_no_valid_token(header):
    client = APIClient()
    if header:
        client.credentials(HTTP_AUTHORIZATION=header.encode().decode("latin-1"))

    response = client.get("/api/v1/phone-numbers/")

    assert_problem(response, 401)
    assert response["WWW-Authenticate"].startswith("Bearer")


def test_refuses_an_expired_and_a_revoked_token(workspace):
    ended = tokens.create_token(
        workspace=workspace,
        name="ended",
        scopes=["*"],
        acting_user=None,
        now=moment() - timedelta(days=2),
        expires_at=moment() - timedelta(seconds=1),
    )
    revoked = make_token(workspace)
    with scoped(workspace.pk):
        row = ApiToken.objects.get(prefix=revoked[:11])
    tokens.revoke_token(token=row, acting_user=None, now=moment())

    for token in (ended, revoked):
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
        assert_problem(client.get("/api/v1/workspace/"), 401)


def test_takes_the_scheme_in_any_case(workspace):
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"bearer {make_token(workspace)}")

    assert client.get("/api/v1/workspace/").status_code == 200


def test_does_not_take_a_session_for_a_token(workspace):
    client = APIClient()
    client.force_login(make_member(workspace))

    assert_problem(client.get("/api/v1/phone-numbers/"), 401)


def test_works_for_the_token_and_not_for_the_session_beside_it(workspace):
    other = make_workspace(slug="other")
    client = client_of(other)
    client.force_login(make_member(workspace))

    assert client.get("/api/v1/workspace/").json()["slug"] == "other"


def test_names_the_scope_that_is_missing(workspace):
    make_phone_number(workspace)
    reader = client_of(workspace, "phone-numbers:read")

    problem = assert_problem(reader.patch("/api/v1/phone-numbers/+14155550100/", {"nickname": "x"}), 403)

    assert "phone-numbers:write" in problem["detail"]
    assert reader.get("/api/v1/phone-numbers/+14155550100/").status_code == 200
    assert_problem(reader.get("/api/v1/calls/"), 403)


def test_lets_who_may_write_also_read(workspace):
    assert client_of(workspace, "phone-numbers:write").get("/api/v1/phone-numbers/").status_code == 200


def test_says_in_the_audit_log_which_token_did_it_and_from_where(workspace):
    make_phone_number(workspace)

    response = client_of(workspace).patch(
        "/api/v1/phone-numbers/+14155550100/", {"nickname": "Desk"}, REMOTE_ADDR="203.0.113.7"
    )

    with scoped(workspace.pk):
        entry = AuditEntry.objects.order_by("-sequence").first()
    assert entry.action == "phone_number.rename"
    assert entry.actor_label == "API token test"
    assert entry.detail["origin"] == {
        "ip": "203.0.113.7",
        "via": "api",
        "request_id": response["X-Request-Id"],
    }


@pytest.mark.parametrize("address", ["/api/schema/", "/api/docs/"])
def test_leaves_schema_and_pages_open(address):
    assert APIClient().get(address).status_code == 200
