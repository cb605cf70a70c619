"""What a web page's form is told of its gate key, and who is told."""

from datetime import timedelta

import pytest
from django.test import Client

from accounts import keys
from accounts.scoping import scoped
from policies.models import Hold
from tests.factories import make_phone_number, make_workspace, moment
from tests.policies.gate.judging.conftest import CAPTCHA, FORM
from tests.policies.gate.outbound.conftest import OURS, SITE, Gate

pytestmark = pytest.mark.django_db


def _form(gate, key, *, origin=SITE, **headers):
    shown = {"Authorization": f"Bearer {getattr(key, 'key', key)}"} | ({"Origin": origin} if origin else {})
    return Client().get(FORM, headers=shown | headers)


def test_tells_what_a_form_needs(gate):
    response = _form(gate, gate.key(**CAPTCHA, channels=["chat", "phone_call"]))

    assert response.status_code == 200
    assert response.json() == {
        "channels": ["phone_call", "chat"],
        "countries": [{"code": "CA", "name": "Canada"}, {"code": "US", "name": "United States"}],
        "captcha": {"kind": "recaptcha_v3", "site_key": "site-key"},
        "kyc_required": False,
    }
    assert CAPTCHA["captcha_secret"] not in response.content.decode()


def test_may_be_read_by_the_key_s_page_and_kept_for_a_minute(gate):
    response = _form(gate, gate.key())

    assert response["Access-Control-Allow-Origin"] == SITE
    assert response["Cache-Control"] == "private, max-age=60"
    assert {"Origin", "Authorization"} <= set(response["Vary"].split(", "))


def test_names_no_captcha_where_none_is_asked_for(gate):
    assert _form(gate, gate.key()).json()["captcha"] is None


@pytest.mark.parametrize(
    "asks",
    [
        {"kyc_level": 1},
        {"kyc_rules": {"channels": {"sms": 1}}},
        {"kyc_rules": {"exposure_tiers": {"T2": 2}}},
    ],
)
def test_says_where_kyc_may_be_asked_for(gate, asks):
    assert _form(gate, gate.key(**asks)).json()["kyc_required"]


def test_names_no_country_where_nothing_restricts_them():
    gate = Gate(make_workspace())
    make_phone_number(gate.workspace, OURS, outbound=None)

    assert _form(gate, gate.key()).json()["countries"] is None


def test_names_no_country_where_nothing_can_be_called():
    gate = Gate(make_workspace())

    assert _form(gate, gate.key(phone_number="")).json()["countries"] == []


def test_leaves_out_what_is_held(gate):
    key = gate.key()
    facts = {"expires_at": moment() + timedelta(hours=1), "imposed_at": moment(), "reason": "x", "imposed_by": "me"}
    with scoped(gate.workspace.pk):
        Hold.objects.create(scope="country", value="CA", direction="outbound", **facts)
    gate.publish()

    assert [country["code"] for country in _form(gate, key).json()["countries"]] == ["US"]


@pytest.mark.parametrize("origin", ["", "null", "https://evil.com", "https://www.example.com.evil.com", "http://["])
def test_is_for_the_pages_of_the_key(gate, origin):
    response = _form(gate, gate.key(), origin=origin)

    assert (response.status_code, response.json()["code"]) == (403, "blocked")
    assert "Access-Control-Allow-Origin" not in response


def test_is_for_gate_keys_that_work(gate):
    key = gate.key()
    keys.revoke_public_key(public_key=key, acting_user=None, now=moment())
    gate.publish()

    assert (_form(gate, key).status_code, _form(gate, key).json()["code"]) == (401, "blocked")
    assert _form(gate, gate.token).status_code == 403
    assert _form(gate, "pk_nobody").status_code == 401
    assert Client().post(FORM).status_code == 405


def test_lets_browsers_ask_whether_they_may(gate):
    response = Client().options(
        FORM,
        headers={
            "Origin": SITE,
            "Access-Control-Request-Method": "GET",
            "Access-Control-Request-Headers": "authorization",
        },
    )

    assert response.status_code == 204
    assert "GET" in response["Access-Control-Allow-Methods"]
