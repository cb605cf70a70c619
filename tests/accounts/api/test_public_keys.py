from datetime import datetime

import pytest
from django.utils import timezone

from accounts.models import AuditEntry, PublicKey
from accounts.scoping import scoped
from tests.factories import make_phone_number, make_workspace
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
        pytest.param({"effective_limits": {}}, "effective_limits", "read_only", id="what holds"),
        pytest.param({"limits": []}, "limits", None, id="a list of limits"),
        pytest.param({"limits": {"ip": 5}}, "limits", None, id="a number for a limit"),
        pytest.param({"limits": {"ip": {"limit": "5", "window": 60}}}, "limits", None, id="text for an amount"),
        pytest.param({"limits": {"ip\u0000": None}}, "limits", None, id="unknown limit"),
        pytest.param({"kyc_rules": {"channels": []}}, "kyc_rules", None, id="a list of levels"),
        pytest.param({"phone_number": "+14155550199"}, "phone_number", None, id="a foreign number"),
        pytest.param({"captcha_threshold": "0.5"}, "captcha_threshold", "invalid", id="text for a score"),
        pytest.param({"captcha_threshold": 2}, "captcha_threshold", "max_value", id="more than a score"),
        pytest.param({"captcha": "hcaptcha", "captcha_secret": "s"}, "captcha_site_key", None, id="no site key"),
        pytest.param({"captcha": "hcaptcha", "captcha_site_key": "k"}, "captcha_secret", None, id="no secret"),
        pytest.param({"retires_at": None}, "retires_at", "read_only", id="its end"),
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
    changed = client.patch(f"{KEYS}{key['id']}/", {"fraud_protection": False, "kyc_level": 2}).json()

    differs = {name for name in key if changed[name] != key[name]}
    assert differs == {"fraud_protection", "kyc_level", "effective_limits"}
    assert changed["effective_limits"]["ip_destination"] == {"limit": None, "window": None, "source": "key"}
    with scoped(workspace.pk):
        entry = AuditEntry.objects.order_by("-sequence").first()
    assert (entry.action, entry.detail["after"]) == (
        "public_key.edit",
        {"fraud_protection": False, "kyc_level": 2},
    )


def test_takes_a_captcha_secret_and_never_shows_it(client):
    captcha = {
        "captcha": "recaptcha_v3",
        "captcha_site_key": "6Lc",
        "captcha_secret": "s3cret",
        "captcha_threshold": 0.7,
    }

    key = client.post(KEYS, WEBSITE | captcha).json()
    before = client.get(f"{KEYS}{key['id']}/")["ETag"]
    kept = client.patch(f"{KEYS}{key['id']}/", {"captcha_secret": ""})
    replaced = client.patch(f"{KEYS}{key['id']}/", {"captcha_secret": "another"})

    assert (key["captcha_secret_set"], key["captcha_threshold"]) == (True, 0.7)
    assert not any(name == "secret" or "s3cret" in str(value) for name, value in key.items())
    assert "captcha_secret" not in replaced.json()
    assert (kept["ETag"] == before, replaced["ETag"] == before) == (True, False)


def test_says_which_limits_hold_and_where_each_is_set(workspace, client):
    number = make_phone_number(workspace, outbound=["US"])
    client.patch("/api/v1/workspace/", {"limits": {"ip": {"limit": 30, "window": 600}, "key": None}})
    outbound = {"limits": {"call_seconds": {"limit": 60}}}
    client.patch(f"/api/v1/country-policies/{number.policy_id}/", {"outbound": outbound})
    body = WEBSITE | {"phone_number": number.e164, "limits": {"ip_56": {"limit": 7, "window": 60}}}

    key = client.post(KEYS, body).json()

    limits = key["effective_limits"]
    assert limits["ip"] == {"limit": 30, "window": 600, "source": "workspace"}
    assert limits["key"] == {"limit": None, "window": None, "source": "workspace"}
    assert limits["call_seconds"] == {"limit": 60, "window": None, "source": "policy"}
    assert limits["ip_56"] == {"limit": 7, "window": 60, "source": "key"}
    assert limits["spend_key"] == {"limit": 25, "window": 86400, "source": "factory"}
    assert "caller" not in limits
    assert key["limits"] == {"ip_56": {"limit": 7, "window": 60}}


def test_looks_the_limits_of_a_whole_page_up_at_once(workspace, client, django_assert_max_num_queries):
    client.get(KEYS)
    for number in range(5):
        client.post(KEYS, WEBSITE | {"name": f"Website {number}"})

    with django_assert_max_num_queries(8):
        assert len(client.get(KEYS).json()["results"]) == 5


def test_promises_no_limits_for_a_key_of_uponai_s_own(client):
    noted = client.post(KEYS, {"name": "Old widget", "kind": "uponai", "key": "public_key_123"}).json()

    assert noted["effective_limits"] == {}
    assert_problem(client.patch(f"{KEYS}{noted['id']}/", {"limits": {"ip": None}}), 422, "limits")


def test_refuses_to_edit_a_version_that_is_gone(client, key):
    address = f"{KEYS}{key['id']}/"
    stale = client.get(address)["ETag"]
    client.patch(address, {"kyc_level": 2}, headers={"If-Match": stale})

    for way, body in (("", {"kyc_level": 0}), ("rotate/", {}), ("revoke/", {})):
        method = client.post if way else client.patch
        assert_problem(method(f"{address}{way}", body, headers={"If-Match": stale}), 412)

    after = client.get(address).json()
    assert (after["kyc_level"], after["status"]) == (2, "active")


@pytest.mark.parametrize(
    ("overlap", "status", "seconds"),
    [(True, "active", 7 * 86400), (3600, "active", 3600), (False, "revoked", 0), (0, "revoked", 0)],
)
def test_rotates_with_or_without_overlap(client, key, overlap, status, seconds):
    before = timezone.now()
    response = client.post(f"{KEYS}{key['id']}/rotate/", {"overlap": overlap})

    assert response.status_code == 201
    successor = response.json()
    assert (successor["name"], successor["domains"]) == ("Website", key["domains"])
    assert successor["key"] != key["key"]
    old = client.get(f"{KEYS}{key['id']}/").json()
    assert (old["key"], old["status"], old["successor_id"]) == (key["key"], status, successor["id"])
    assert (successor["retires_at"], successor["successor_id"]) == (None, None)
    assert 0 <= (datetime.fromisoformat(old["retires_at"]) - before).total_seconds() - seconds < 60


def test_rotates_with_overlap_when_nothing_is_said(client, key):
    client.post(f"{KEYS}{key['id']}/rotate/")

    assert_problem(client.post(f"{KEYS}{key['id']}/rotate/"), 422, "")
    assert client.get(f"{KEYS}{key['id']}/").json()["status"] == "active"


def test_refuses_to_rotate_what_is_revoked_or_not_ours(client, key):
    client.post(f"{KEYS}{key['id']}/revoke/")
    noted = client.post(KEYS, {"name": "Old widget", "kind": "uponai", "key": "public_key_123"}).json()

    assert_problem(client.post(f"{KEYS}{key['id']}/rotate/"), 422, "")
    assert_problem(client.post(f"{KEYS}{noted['id']}/rotate/"), 422, "")
    assert_problem(client.post(f"{KEYS}{noted['id']}/revoke/", {"exposed": True}), 422, "exposed")
    for overlap in ("1h", -1, 1.5, 91 * 86400, None, 10**30):
        assert_problem(client.post(f"{KEYS}{noted['id']}/rotate/", {"overlap": overlap}), 422, "overlap")


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
