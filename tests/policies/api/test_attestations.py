"""REST of what people saw in UponAI's dashboard."""

import pytest

from accounts import keys
from policies.models import Attestation
from tests.factories import make_workspace, moment
from tests.policies.test_attestations import make_key
from tests.rest import assert_problem, client_of

pytestmark = pytest.mark.django_db


def test_notes_and_shows_looks_and_never_calls_them_measured(in_workspace):
    client, key = client_of(in_workspace), make_key(in_workspace)
    address = f"/api/v1/public-keys/{key.pk}/attestations/"

    made = client.post(address, {"topic": "fraud_protection", "seen": "on", "note": "seen"})
    assert made.status_code == 201
    body = made.json()
    assert (body["seen"], body["checked_by"], body["measured"]) == ("on", "API token test", False)

    shown = client.get(address).json()
    assert shown["assumed_api"] is None
    by_topic = {line["topic"]: line for line in shown["results"]}
    assert by_topic["fraud_protection"]["newest"] == body
    assert not by_topic["fraud_protection"]["is_due"]
    assert by_topic["allowed_domains"] == {
        "topic": "allowed_domains",
        "is_due": True,
        "sentence": "Allowed domains: nobody has looked yet",
        "newest": None,
    }


def test_notes_the_kyc_of_the_account(in_workspace):
    client, address = client_of(in_workspace), "/api/v1/workspace/attestations/"

    assert client.get(address).json()["newest"] is None
    assert client.post(address, {"topic": "kyc", "seen": "off"}).status_code == 201
    assert client.get(address).json()["newest"]["seen"] == "off"
    assert_problem(client.post(address, {"topic": "fraud_protection", "seen": "on"}), 422, "topic")


def test_names_what_is_wrong_and_keeps_nothing(in_workspace):
    client, key = client_of(in_workspace), make_key(in_workspace)
    address = f"/api/v1/public-keys/{key.pk}/attestations/"
    good = {"topic": "fraud_protection", "seen": "on"}

    assert_problem(client.post(address, {}), 422, "topic", "seen")
    assert_problem(client.post(address, good | {"seen": True}), 422, "seen")
    assert_problem(client.post(address, good | {"topic": "kyc"}), 422, "topic")
    assert_problem(client.post(address, good | {"link": "file:///etc/passwd"}), 422, "link")
    assert_problem(client.post(address, good | {"checked_at": "2026-01-01"}), 422, "checked_at")
    assert_problem(client.post(address, good | {"colour": "red"}), 422, "colour")
    gate_key = keys.mint_public_key(
        workspace=in_workspace, name="W", domains=["a.example"], channels=["chat"], acting_user=None, now=moment()
    )
    assert_problem(client.post(f"/api/v1/public-keys/{gate_key.pk}/attestations/", good), 422, "public_key")
    assert not Attestation.objects.exists()


@pytest.mark.parametrize("name", ["98765", "999999999999999999999999", "abc", "%00", "١"], ids=str)
def test_the_absent_and_the_foreign_are_the_same(in_workspace, name):
    client, foreign = client_of(in_workspace), make_key(make_workspace())

    for address in (f"/api/v1/public-keys/{name}/attestations/", f"/api/v1/public-keys/{foreign.pk}/attestations/"):
        assert_problem(client.get(address), 404)
        assert_problem(client.post(address, {"topic": "fraud_protection", "seen": "on"}), 404)
    assert not Attestation._base_manager.exists()
