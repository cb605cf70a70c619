import pytest

from accounts.models import AuditEntry, PublicKey
from accounts.scoping import scoped
from tests.factories import make_workspace
from tests.rest import assert_problem, client_of

pytestmark = pytest.mark.django_db

KEYS = "/api/v1/public-keys/"
WEBSITE = {"name": "Website", "domains": ["WWW.example.com"], "channels": ["chat", "phone_call"]}


@pytest.fixture
def client(workspace):
    return client_of(workspace)


@pytest.fixture
def key(client):
    return client.post(KEYS, WEBSITE).json()


def test_mints_a_key_and_shows_it(client):
    response = client.post(KEYS, WEBSITE)

    assert response.status_code == 201
    key = response.json()
    assert key["key"].startswith("pk_")
    assert (key["domains"], key["channels"]) == (["www.example.com"], ["phone_call", "chat"])
    assert (key["fraud_protection"], key["captcha"], key["kyc_level"]) == (True, "none", 0)
    assert (key["mode"], key["status"], key["kind"]) == ("enforcing", "active", "gate_key")
    assert client.get(response["Location"]).json() == key
    assert client.get(response["Location"])["ETag"] == response["ETag"]
    assert client.get(KEYS).json()["results"] == [key]


def test_notes_a_key_of_uponai_s_own(client):
    body = {"name": "Old widget", "kind": "uponai", "key": "public_key_123"}

    key = client.post(KEYS, body).json()

    assert (key["kind"], key["key"]) == ("uponai", "public_key_123")


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        pytest.param({"name": None}, "name", "null", id="no name"),
        pytest.param({"name": " "}, "name", "blank", id="blank name"),
        pytest.param({"domains": []}, "domains", None, id="no domain"),
        pytest.param({"domains": ["https://example.com/"]}, "domains", None, id="an address for a domain"),
        pytest.param({"domains": "example.com"}, "domains", "not_a_list", id="text for a list"),
        pytest.param({"domains": [5]}, "domains.0", "invalid", id="a number for a domain"),
        pytest.param({"channels": ["fax"]}, "channels", None, id="unknown channel"),
        pytest.param({"phone_number": "415"}, "phone_number", None, id="no number"),
        pytest.param({"fraud_protection": "yes"}, "fraud_protection", "invalid", id="text for true"),
        pytest.param({"captcha": "riddle"}, "captcha", "invalid_choice", id="unknown captcha"),
        pytest.param({"kyc_level": 4}, "kyc_level", "max_value", id="unknown level"),
        pytest.param({"kyc_level": "1"}, "kyc_level", "invalid", id="text for a level"),
        pytest.param({"mode": "off"}, "mode", "invalid_choice", id="unknown mode"),
        pytest.param({"status": "active"}, "status", "read_only", id="status"),
        pytest.param({"key": "pk_mine"}, "key", "read_only", id="a key of one's own"),
        pytest.param({"limits": {}}, "limits", "read_only", id="limits of its own"),
        pytest.param({"colour": 1}, "colour", "unknown_field", id="unknown field"),
        pytest.param({"kind": "uponai"}, "key", "required", id="which of UponAI's"),
    ],
)
def test_refuses_to_mint_from_bad_input(workspace, client, change, field, code):
    problem = assert_problem(client.post(KEYS, WEBSITE | change), 422, field)

    assert code in (None, problem["errors"][0]["code"])
    with scoped(workspace.pk):
        assert not PublicKey.objects.exists()


def test_refuses_a_name_that_is_taken(client, key):
    assert_problem(client.post(KEYS, WEBSITE), 422, "name")


def test_changes_only_what_is_sent(workspace, client, key):
    changed = client.patch(f"{KEYS}{key['id']}/", {"fraud_protection": False, "captcha": "turnstile"}).json()

    assert changed == key | {"fraud_protection": False, "captcha": "turnstile"}
    with scoped(workspace.pk):
        entry = AuditEntry.objects.order_by("-sequence").first()
    assert (entry.action, entry.detail["after"]) == (
        "public_key.edit",
        {"fraud_protection": False, "captcha": "turnstile"},
    )


def test_refuses_to_edit_a_version_that_is_gone(client, key):
    address = f"{KEYS}{key['id']}/"
    stale = client.get(address)["ETag"]
    client.patch(address, {"kyc_level": 2}, headers={"If-Match": stale})

    for way, body in (("", {"kyc_level": 0}), ("rotate/", {}), ("revoke/", {})):
        method = client.post if way else client.patch
        assert_problem(method(f"{address}{way}", body, headers={"If-Match": stale}), 412)

    after = client.get(address).json()
    assert (after["kyc_level"], after["status"]) == (2, "active")


@pytest.mark.parametrize(("overlap", "status"), [(True, "active"), (False, "revoked")])
def test_rotates_with_or_without_overlap(client, key, overlap, status):
    response = client.post(f"{KEYS}{key['id']}/rotate/", {"overlap": overlap})

    assert response.status_code == 201
    successor = response.json()
    assert (successor["name"], successor["domains"]) == ("Website", key["domains"])
    assert successor["key"] != key["key"]
    old = client.get(f"{KEYS}{key['id']}/").json()
    assert (old["key"], old["status"]) == (key["key"], status)


def test_rotates_with_overlap_when_nothing_is_said(client, key):
    client.post(f"{KEYS}{key['id']}/rotate/")

    assert client.get(f"{KEYS}{key['id']}/").json()["status"] == "active"


def test_refuses_to_rotate_what_is_revoked_or_not_ours(client, key):
    client.post(f"{KEYS}{key['id']}/revoke/")
    noted = client.post(KEYS, {"name": "Old widget", "kind": "uponai", "key": "public_key_123"}).json()

    assert_problem(client.post(f"{KEYS}{key['id']}/rotate/"), 422, "")
    assert_problem(client.post(f"{KEYS}{noted['id']}/rotate/"), 422, "")
    assert_problem(client.post(f"{KEYS}{noted['id']}/revoke/", {"exposed": True}), 422, "exposed")
    assert_problem(client.post(f"{KEYS}{noted['id']}/rotate/", {"overlap": "1h"}), 422, "overlap")


def test_revokes_at_once_and_only_once(workspace, client, key):
    for _ in range(2):
        revoked = client.post(f"{KEYS}{key['id']}/revoke/", {"reason": "No longer used."}).json()

        assert revoked["status"] == "revoked"
        assert "successor" not in revoked
    with scoped(workspace.pk):
        assert AuditEntry.objects.filter(action="public_key.revoke").count() == 1


def test_gives_an_exposed_key_a_successor(client, key):
    revoked = client.post(f"{KEYS}{key['id']}/revoke/", {"exposed": True}).json()

    assert revoked["status"] == "revoked"
    assert revoked["successor"]["status"] == "active"
    assert client.get(f"{KEYS}{revoked['successor']['id']}/").json()["name"] == "Website"


@pytest.mark.parametrize("way", ["", "rotate/", "revoke/"])
def test_treats_another_workspace_s_key_as_absent(client, way):
    stranger = client_of(make_workspace())
    foreign = stranger.post(KEYS, WEBSITE).json()["id"]
    method = client.post if way else client.patch

    assert_problem(method(f"{KEYS}{foreign}/{way}", {}), 404)
    assert_problem(client.get(f"{KEYS}{foreign}/"), 404)
    assert client.get(KEYS).json()["results"] == []
    assert stranger.get(f"{KEYS}{foreign}/").json()["status"] == "active"


def test_filters_by_status(client, key):
    assert client.get(f"{KEYS}?status=revoked").json()["results"] == []
    assert len(client.get(f"{KEYS}?status=active&fraud_protection=true").json()["results"]) == 1
