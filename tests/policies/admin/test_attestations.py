"""Pages keep what people saw in UponAI's dashboard apart from what was measured."""

from datetime import timedelta
from html import unescape

import pytest
from django.urls import reverse

from accounts import keys
from accounts.roles import Role
from accounts.scoping import scoped
from policies.models import Attestation
from policies.sync import management
from tests.factories import make_workspace, moment
from tests.policies.sync.conftest import uponai  # noqa: F401
from tests.policies.test_attestations import make_key
from tests.signing_in import in_place, messages_of, signed_in

pytestmark = pytest.mark.django_db

OF_KEYS = reverse("admin:policies_attestation_keys_panel")
OF_ACCOUNT = reverse("admin:policies_attestation_account_panel")
MAY_ATTEST = {Role.OWNER, Role.POLICY_EDITOR}


def _panel(key):
    return reverse("admin:policies_attestation_key_panel", args=[key.pk])


def _words(answer):
    assert answer.status_code == 200
    return " ".join(unescape(answer.content.decode()).split())


@pytest.mark.parametrize("role", list(Role), ids=str)
def test_owners_and_policy_editors_look_and_all_read(workspace, role):
    client, key = signed_in(workspace, role), make_key(workspace)
    allowed = role in MAY_ATTEST

    assert ("I looked" in _words(client.get(_panel(key)))) == allowed
    answer = in_place(client, _panel(key), seen_fraud_protection="on")
    assert answer.status_code == (200 if allowed else 403)
    assert Attestation._base_manager.count() == int(allowed)
    for page in (OF_KEYS, OF_ACCOUNT, reverse("admin:policies_attestation_changelist")):
        assert client.get(page).status_code == 200


def test_a_look_is_noted_in_place_with_who_and_when(workspace):
    client, key = signed_in(workspace), make_key(workspace)

    words = _words(in_place(client, _panel(key), seen_fraud_protection="on", seen_allowed_domains="off", note="ok"))

    assert "Noted, with your name" in words
    assert "Fraud Protection: on, as person" in words
    assert "Allowed domains: other ones than noted here, as person" in words
    assert "Abuse Prevention (reCAPTCHA): nobody has looked yet" in words
    assert "none of this is measured" in words
    assert "assumed API" not in words


def test_a_bad_answer_is_named_and_nothing_is_noted(workspace):
    client, key = signed_in(workspace), make_key(workspace)

    for fields, named in (
        ({}, "at least one"),
        ({"seen_fraud_protection": "perhaps"}, "one of on, off, not_found"),
        ({"seen_fraud_protection": "on", "link": "nowhere"}, "https://example.com/page"),
        ({"seen_kyc": "on", "seen_fraud_protection": "on"}, "can be looked up"),
    ):
        assert named in _words(in_place(client, _panel(key), **fields))
    assert not Attestation._base_manager.exists()


def test_without_scripts_the_whole_page_comes_back(workspace):
    client, key = signed_in(workspace), make_key(workspace)

    answer = client.post(_panel(key), {"seen_fraud_protection": "not_found"})

    assert answer.url == reverse("admin:accounts_publickey_change", args=[key.pk])
    assert "Noted" in messages_of(answer)
    assert client.post(OF_ACCOUNT, {"seen_kyc": "on"}).status_code == 302


def test_the_list_of_keys_names_those_to_look_at_again(workspace):
    client, key = signed_in(workspace), make_key(workspace)
    assert "Somebody should look into UponAI's dashboard: Landing page" in _words(client.get(OF_KEYS))

    in_place(client, _panel(key), seen_fraud_protection="on", seen_abuse_prevention="on", seen_allowed_domains="on")
    assert "the next look is due by" in _words(client.get(OF_KEYS))

    Attestation._base_manager.filter(topic="fraud_protection").update(due_at=moment() - timedelta(days=1))
    words = _words(client.get(OF_KEYS))
    assert "Somebody should look" in words
    assert "Fraud Protection: on, as" in words
    assert "Allowed domains" not in words


def test_says_nothing_where_there_is_no_key_of_uponais_own(workspace):
    with scoped(workspace.pk):
        gate_key = keys.mint_public_key(
            workspace=workspace, name="W", domains=["a.example"], channels=["sms"], acting_user=None, now=moment()
        )
    client = signed_in(workspace)

    assert "fc-sentence" not in client.get(OF_KEYS).content.decode()
    assert client.get(_panel(gate_key)).status_code == 404
    assert client.get(_panel(make_key(make_workspace()))).status_code == 404
    page = _words(client.get(reverse("admin:accounts_publickey_change", args=[gate_key.pk])))
    assert "Measured at this console's gate." in page
    assert "seen-there" not in page


def test_the_assumed_api_speaks_under_its_own_name(workspace, uponai, settings):  # noqa: F811
    settings.UPONAI_MANAGEMENT = "sandbox"
    management._compared.clear()
    client, key = signed_in(workspace), make_key(workspace)
    assert "assumed API" not in _words(client.get(_panel(key)))

    management.note_changes(now=moment())
    assert "UponAI (sandbox, assumed API) is being told" in _words(client.get(_panel(key)))

    management.sweep(clock=moment, seconds=10)
    words = _words(client.get(_panel(key)))
    assert "UponAI (sandbox, assumed API) has the same, checked just now." in words
    assert "Fraud Protection: nobody has looked yet" in words

    opposite, really = ("off", "on") if key.fraud_protection else ("on", "off")
    assert f"assumed API) shows it {really}: look again" in _words(
        in_place(client, _panel(key), seen_fraud_protection=opposite)
    )
    assert "look again, and" not in _words(in_place(client, _panel(key), seen_fraud_protection=really))
