"""The pages of public keys."""

from datetime import timedelta

import pytest
from django.urls import reverse

from accounts import keys
from accounts.models import PublicKey
from accounts.roles import Role
from accounts.scoping import scoped
from tests import factories
from tests.signing_in import messages_of, signed_in

FORM = {
    "name": "Website",
    "domains": "www.example.com\nshop.example.com",
    "channels": ["phone_call", "chat"],
    "phone_number": "+14155550100",
    "agent": "agent_1",
    "allowed_fields": "first_name",
    "fraud_protection": "on",
    "captcha": "recaptcha_v3",
    "captcha_site_key": "6Lc",
    "new_captcha_secret": "s3cret",
    "captcha_threshold": "0.6",
    "kyc_level": "0",
    "mode": "enforcing",
    "uponai_key": "",
}
ADD = "admin:accounts_publickey_add"


@pytest.fixture
def editor(in_workspace):
    factories.make_phone_number(in_workspace, FORM["phone_number"])
    return signed_in(in_workspace, Role.POLICY_EDITOR)


@pytest.fixture
def key(in_workspace, now):
    return keys.mint_public_key(
        workspace=in_workspace,
        name="Website",
        domains=["www.example.com"],
        channels=["chat"],
        acting_user=None,
        now=now,
    )


def address(name, key):
    return reverse(f"admin:accounts_publickey_{name}", args=[key.pk])


def test_the_form_mints_a_key_that_is_shown_in_full(editor):
    response = editor.post(reverse(ADD), FORM)

    key = PublicKey.objects.get()
    assert (response.status_code, response.url) == (302, address("change", key))
    assert key.domains == ["shop.example.com", "www.example.com"]
    assert key.key in editor.get(response.url).content.decode()


def test_the_form_shows_each_problem_beside_its_field_and_keeps_what_was_typed(editor):
    response = editor.post(reverse(ADD), FORM | {"domains": "https://example.com", "phone_number": "12"})

    html = response.content.decode()
    assert "is not a host name" in html
    assert "is not a telephone number" in html
    assert 'value="agent_1"' in html
    assert not PublicKey.objects.exists()


def test_a_key_of_uponais_own_is_called_a_register_entry(editor):
    response = editor.post(reverse(ADD), FORM | {"uponai_key": "public_key_1", "new_captcha_secret": ""})

    html = editor.get(response.url).content.decode()
    assert PublicKey.objects.get().kind == "uponai"
    assert "nothing here is measured" in html


def test_the_form_edits_a_key(editor, key):
    response = editor.post(address("change", key), FORM | {"mode": "observing"})

    key.refresh_from_db()
    assert response.status_code == 302
    assert (key.mode, key.captcha) == ("observing", "recaptcha_v3")


def test_the_buttons_rotate_and_revoke(editor, key):
    rotated = editor.post(address("rotate", key), {"overlap": "week"})
    revoked = editor.post(address("revoke", key))

    key.refresh_from_db()
    successor = PublicKey.objects.get(name="Website")
    assert rotated.url == address("change", successor)
    assert "The old key works until" in messages_of(rotated)
    assert revoked.status_code == 302
    assert (key.status, successor.status) == ("revoked", "active")


def test_the_form_never_shows_a_secret_and_keeps_it_when_it_is_left_empty(editor):
    editor.post(reverse(ADD), FORM)
    key = PublicKey.objects.get()

    html = editor.get(address("change", key)).content.decode()
    editor.post(address("change", key), FORM | {"new_captcha_secret": "", "captcha_threshold": "0.9"})

    key.refresh_from_db()
    assert "s3cret" not in html
    assert "One is kept." in html
    assert (keys.captcha_secret(key), key.captcha_threshold) == ("s3cret", 0.9)


def test_a_captcha_without_its_secret_is_refused_beside_the_field(editor, key):
    html = editor.post(address("change", key), FORM | {"new_captcha_secret": ""}).content.decode()

    assert "Enter the captcha" in html
    key.refresh_from_db()
    assert key.captcha == "none"


def test_the_form_edits_limits_and_kyc_levels(editor, key):
    typed = {
        "limits-ip-limit": "30",
        "limits-ip-window": "5",
        "limits-ip-unit": "60",
        "limits-spend_key-limit": "$2.50",
        "limits-key-off": "on",
        "limits-call_seconds-limit": "4",
        "limits-call_seconds-unit": "60",
        "limits-running_workspace-limit": "1,000",
        "kyc_rules-channels-sms": "1",
        "kyc_rules-exposure_tiers-T2": "3",
    }

    editor.post(address("change", key), FORM | typed)

    key.refresh_from_db()
    assert key.limits == {
        "ip": {"limit": 30, "window": 300},
        "spend_key": {"limit": 2.5, "window": 86400},
        "key": None,
        "call_seconds": {"limit": 240},
        "running_workspace": {"limit": 1000},
    }
    assert key.kyc_rules == {"channels": {"sms": 1}, "exposure_tiers": {"T2": 3}}
    shown = " ".join(editor.get(address("change", key)).content.decode().split())
    assert 'name="limits-ip-window" value="5"' in shown
    assert '<option value="60" selected>minutes</option>' in shown
    assert 'name="limits-call_seconds-limit" value="4"' in shown
    editor.post(address("change", key), FORM | {"new_captcha_secret": ""})
    key.refresh_from_db()
    assert (key.limits, key.kyc_rules) == ({}, {})


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({"limits-ip-limit": "many"}, "Attempts from one IP address: “many” is not a number."),
        ({"limits-ip-window": "5"}, "Attempts from one IP address: say how many"),
        ({"limits-ip-limit": "nan"}, "is not a number that a limit can have."),
        ({"limits-ip-limit": "2.5"}, "must be a whole number"),
        ({"limits-spend_workspace-limit": "5"}, "say within which time."),
        (
            {"limits-destination-limit": "2", "limits-destination-window": "2", "limits-destination-unit": "3600"},
            "locks",
        ),
    ],
)
def test_a_limit_that_cannot_be_is_refused_by_its_name_and_stays_as_typed(editor, key, typed, words):
    html = editor.post(address("change", key), FORM | typed).content.decode()

    assert words in html
    key.refresh_from_db()
    assert key.limits == {}
    name, value = next(iter(typed.items()))
    assert f'name="{name}" value="{value}"' in " ".join(html.split())


def test_the_page_says_what_a_large_limit_may_let_through(editor, key):
    editor.post(address("change", key), FORM | {"limits-key-limit": "5000"})

    html = " ".join(editor.get(address("change", key)).content.decode().split())

    assert "Above 1,000, a burst after a quiet time may reach twice the limit (10,000)" in html


def test_the_page_says_what_fraud_protection_allows(editor, key):
    editor.post(address("change", key), FORM | {"limits-ip_destination-limit": "2"})
    on = editor.get(address("change", key)).content.decode()
    editor.post(address("change", key), {name: value for name, value in FORM.items() if name != "fraud_protection"})
    off = editor.get(address("change", key)).content.decode()

    assert "at most 2 in 10 minutes and 10 in 1 day calls and SMS" in " ".join(on.split())
    assert "Today: 0 attempts with this key" in on
    assert "Fraud protection is off" in off


def test_keys_that_nobody_uses_are_shown(editor, key, now):
    changelist = reverse("admin:accounts_publickey_changelist")
    fresh = editor.get(changelist, {"use": "unused"}).content.decode()
    PublicKey.objects.update(created_at=now - timedelta(days=40))
    page = editor.get(address("change", key)).content.decode()
    never = editor.get(changelist, {"use": "unused"}).content.decode()
    PublicKey.objects.update(last_used_at=now - timedelta(days=3))

    assert "Never used in the 40 days since it was minted." in page
    assert (key.key in fresh, key.key in never) == (False, True)
    assert key.key not in editor.get(changelist, {"use": "unused"}).content.decode()


def test_a_rotated_key_says_how_long_it_works_and_where_its_successor_is(editor, key):
    editor.post(address("rotate", key), {"overlap": "day"})
    successor = PublicKey.objects.get(name="Website")

    html = editor.get(address("change", key)).content.decode()

    assert "It was rotated, and works until" in html
    assert address("change", successor) in html
    assert address("rotate", key) not in html


def test_nothing_is_claimed_of_uponais_own_key(editor):
    response = editor.post(reverse(ADD), FORM | {"uponai_key": "public_key_1", "new_captcha_secret": ""})

    html = editor.get(response.url).content.decode()
    listed = editor.get(reverse("admin:accounts_publickey_changelist")).content.decode()
    assert "Its protection, as noted" in html
    assert "Fraud protection is on" not in html
    assert "limits-ip-limit" not in html
    assert "Noted: fraud protection" in listed
    assert "Not known" in listed


def test_status_is_no_field_of_the_form(editor, key):
    editor.post(address("change", key), FORM | {"status": "revoked", "key": "pk_mine"})

    key.refresh_from_db()
    assert key.status == "active"
    assert key.key != "pk_mine"


@pytest.mark.parametrize("role", [Role.VIEWER, Role.ANALYST, Role.KYC_REVIEWER])
def test_who_may_only_look_cannot_post(in_workspace, key, role):
    client = signed_in(in_workspace, role)

    posts = [
        client.post(reverse(ADD), FORM),
        client.post(address("change", key), FORM),
        client.post(address("rotate", key)),
        client.post(address("revoke", key)),
    ]

    assert client.get(address("change", key)).status_code == 200
    assert [response.status_code for response in posts] == [403] * 4
    assert PublicKey.objects.get().status == "active"


def test_another_workspaces_key_does_not_exist(key):
    client = signed_in(factories.make_workspace())

    assert client.get(address("change", key)).status_code == 404
    assert client.post(address("revoke", key)).status_code == 404
    with scoped(key.workspace_id):
        assert PublicKey.objects.get().status == "active"
