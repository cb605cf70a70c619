import pytest
from django.db import OperationalError

from accounts.api.problems import as_problem
from tests.factories import make_phone_number, make_policy
from tests.rest import assert_problem, client_of

pytestmark = pytest.mark.django_db

NUMBER = "/api/v1/phone-numbers/+14155550100/"
HALF_CHARACTER = b'{"nickname": "\\ud800"}'


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param(b"{", 400, id="cut off"),
        pytest.param(b"\xff\xfe", 400, id="not UTF-8"),
        pytest.param(b'{"nickname": NaN}', 400, id="NaN"),
        pytest.param(b'{"nickname": 1e999}', 400, id="infinite"),
        pytest.param(b"[" * 100_000, 400, id="deep"),
        pytest.param(HALF_CHARACTER, 400, id="half a character"),
        pytest.param(b'{"a": "' + b"x" * 1_048_576 + b'"}', 413, id="large"),
        pytest.param(b"x" * 3_000_000, 413, id="huge"),
        pytest.param(b"null", 422, id="null"),
        pytest.param(b"[]", 422, id="list"),
        pytest.param(b'"text"', 422, id="string"),
    ],
)
def test_says_what_is_wrong_with_a_body(workspace, body, status):
    make_phone_number(workspace)

    response = client_of(workspace).generic("PATCH", NUMBER, body, content_type="application/json")

    assert_problem(response, status, *([""] if status == 422 else []))


def test_refuses_a_body_in_chunks_instead_of_reading_none(workspace):
    make_phone_number(workspace)

    response = client_of(workspace).generic("PATCH", NUMBER, headers={"Transfer-Encoding": "chunked"})

    assert_problem(response, 411)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_takes_only_json(workspace, kind):
    make_phone_number(workspace)

    assert_problem(client_of(workspace).generic("PATCH", NUMBER, "nickname=x", content_type=kind), 415)


def test_answers_json_whatever_is_accepted(workspace):
    response = client_of(workspace).get("/api/v1/workspace/?format=xml", HTTP_ACCEPT="text/html")

    assert response.status_code == 200
    assert response["Content-Type"] == "application/json"


@pytest.mark.parametrize("address", ["/api/v1/", "/api/v1/nothing/", "/api/v1/phone-numbers/+1/nothing/"])
def test_answers_an_address_that_is_nothing(workspace, address):
    assert_problem(client_of(workspace).get(address), 404)
    assert_problem(client_of(workspace).post(address, {}), 404)


def test_puts_a_forgotten_slash_right(workspace):
    make_phone_number(workspace)

    response = client_of(workspace).patch(f"{NUMBER[:-1]}?wait=synced", {"nickname": "x"})

    assert response.status_code == 308
    assert response["Location"] == f"{NUMBER}?wait=synced"


def test_names_every_wrong_field_at_once(workspace):
    make_phone_number(workspace)

    response = client_of(workspace).patch(
        NUMBER, {"nickname": 7, "confirm_unrestricted": "yes", "nickmane": "x", "sync": {}}
    )

    problem = assert_problem(response, 422, "nickmane", "sync", "confirm_unrestricted", "nickname")
    assert [error["code"] for error in problem["errors"]][:2] == ["unknown_field", "read_only"]


def test_says_when_the_database_is_busy():
    response = as_problem(OperationalError("database is locked"), {})

    assert response.status_code == 503
    assert response.data["type"] == "/api/docs/problems#unavailable"
    assert response["Retry-After"] == "1"
    assert "locked" not in response.data["detail"]


def test_tells_nothing_of_its_insides():
    response = as_problem(RuntimeError("secret"), {})

    assert response.status_code == 500
    assert "secret" not in str(response.data)


def test_keeps_the_code_that_a_verb_gave(workspace):
    make_policy(workspace, name="Twice")

    response = client_of(workspace).post(
        "/api/v1/country-policies/",
        {"name": "Twice", "inbound": {"countries": ["US"]}, "outbound": {"countries": ["US"]}},
    )

    problem = assert_problem(response, 422, "name")
    assert problem["errors"][0]["code"] == "taken"
