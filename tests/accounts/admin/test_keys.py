"""The pages of public keys."""

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
    "kyc_level": "0",
    "mode": "enforcing",
    "uponai_key": "",
}
ADD = "admin:accounts_publickey_add"


@pytest.fixture
def editor(in_workspace):
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
    response = editor.post(reverse(ADD), FORM | {"uponai_key": "public_key_1"})

    html = editor.get(response.url).content.decode()
    assert PublicKey.objects.get().kind == "uponai"
    assert "nothing here is measured" in html


def test_the_form_edits_a_key(editor, key):
    response = editor.post(address("change", key), FORM | {"mode": "observing"})

    key.refresh_from_db()
    assert response.status_code == 302
    assert (key.mode, key.captcha) == ("observing", "recaptcha_v3")


def test_the_buttons_rotate_and_revoke(editor, key):
    rotated = editor.post(address("rotate", key), {"overlap": "yes"})
    revoked = editor.post(address("revoke", key))

    key.refresh_from_db()
    successor = PublicKey.objects.get(name="Website")
    assert rotated.url == address("change", successor)
    assert "The old key works until you revoke it." in messages_of(rotated)
    assert revoked.status_code == 302
    assert (key.status, successor.status) == ("revoked", "active")


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
