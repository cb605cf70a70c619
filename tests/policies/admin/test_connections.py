"""The page "UponAI": what it says, who may do what, and that everything is shown before it is done."""

import pytest
from django.urls import reverse

from accounts import workspaces
from accounts.models import UponaiKey
from accounts.roles import Role
from policies import connecting
from policies.models import Decision, PhoneNumber, UponaiConnection
from tests.factories import UPONAI_KEY, make_phone_number, moment
from tests.policies.sync.conftest import uponai
from tests.signing_in import in_place, messages_of, signed_in

__all__ = ["uponai"]

pytestmark = pytest.mark.django_db

NUMBER, THEIRS = "+14155550100", "https://crm.example.com/calls?token=secret"


def address(name="changelist", *arguments):
    return reverse(f"admin:policies_uponaiconnection_{name}", args=arguments)


@pytest.fixture
def owner(in_workspace):
    return signed_in(in_workspace, Role.OWNER)


@pytest.fixture
def stocked(in_workspace, uponai):
    uponai.add_number(NUMBER, inbound_webhook_url=THEIRS, allowed_inbound_country_list=["US", "CU"])
    connecting.connect(workspace=in_workspace, key=UPONAI_KEY, acting_user=None, now=moment())
    return in_workspace


def text_of(response):
    return " ".join(response.content.decode().split())


def test_says_whose_account_it_is_who_is_asked_and_when_uponai_reached_us(owner, stocked):
    owner.post(address("import"))
    page = text_of(owner.get(address()))
    assert "Connected to Sandbox as org_sandbox." in page
    assert "1 number, none of which asks this console about calls." in page
    assert "fc-tone-warning" in page
    assert "UponAI has not reached us yet" in page
    seen = page.split("seen=")[1].split('"')[0]
    assert owner.get(address("live"), {"seen": seen}).status_code == 204

    Decision.objects.create(
        at=moment(), direction="inbound", channel="phone_call", verdict="allow", phone_number=NUMBER
    )
    Decision.objects.create(
        at=moment(), direction="inbound", channel="sms", verdict="allow", phone_number=NUMBER, credential="token:1"
    )
    Decision.objects.create(at=moment(), direction="inbound", channel="chat", verdict="allow")

    live = owner.get(address("live"), {"seen": seen})
    assert "(a call to +1 415-555-0100)" in text_of(live)


def test_a_key_is_tried_and_never_shown(owner, in_workspace, uponai):
    UponaiKey.objects.update(verifies_until=moment())
    assert "Not connected to UponAI yet." in text_of(owner.get(address()))

    refused = owner.post(address("connect"), {"key": "key_very_secret_9876"})
    assert messages_of(refused).startswith("The key was not changed: key: UponAI refuses it (401).")
    done = owner.post(address("connect"), {"key": UPONAI_KEY, "overlap": "24"})

    assert "Connected to Sandbox as org_sandbox" in messages_of(done)
    again = owner.post(address("connect"), {"key": UPONAI_KEY, "overlap": "24"})
    assert "Webhooks signed with the old key are believed until" in messages_of(again)
    assert workspaces.uponai_key(in_workspace.pk) == UPONAI_KEY
    assert UPONAI_KEY not in text_of(owner.get(address()))
    assert UPONAI_KEY[-4:] in text_of(owner.get(address()))


def test_an_import_is_shown_before_it_is_done(owner, stocked):
    page = text_of(owner.get(address("import")))

    assert "UponAI has 1 number: 1 new." in page
    assert "Every country may be called from it: UponAI has no restriction on it." in page
    assert "Cuba: on the list at UponAI, always blocked all the same" in page
    assert "secret" not in page
    assert not PhoneNumber.objects.exists()
    assert messages_of(owner.post(address("import"))).startswith("UponAI has 1 numbers: 1 new here")
    assert "Nothing would change." in text_of(owner.get(address("import")))


def test_setting_webhooks_is_shown_before_it_is_done(owner, stocked):
    owner.post(address("import"))

    page = text_of(owner.get(address("webhooks", "console")))
    assert "1 number would ask this console" in page
    assert "https://crm.example.com/calls… is asked behind it." in page
    assert not PhoneNumber.objects.get().asks_console

    owner.post(address("webhooks", "console"))
    assert PhoneNumber.objects.get().asks_console
    assert "1 number would ask the webhook of before again." in text_of(owner.get(address("webhooks", "previous")))


def test_disconnecting_says_what_stays_and_shows_how_far_it_is(owner, stocked):
    owner.post(address("import"))
    page = text_of(owner.get(address("disconnect")))
    assert "Running calls go on." in page
    assert "Its lists as they were found: called from United States, calls every country." in page

    owner.post(address("disconnect"), {"lists": "yes"})
    page = text_of(owner.get(address()))
    assert "Being disconnected from Sandbox as org_sandbox." in page
    assert "0 of 1 numbers have back what they had before." in page

    owner.post(address("stay"))
    assert UponaiConnection.objects.get().disconnect_asked_at is None
    owner.post(address("disconnect"))
    assert "Disconnected from Sandbox as org_sandbox." in text_of(owner.get(address()))


@pytest.mark.parametrize("role", [Role.VIEWER, Role.POLICY_EDITOR])
def test_only_owners_connect_and_see_the_addresses(in_workspace, role):
    client = signed_in(in_workspace, role)
    editor = role == Role.POLICY_EDITOR

    assert in_workspace.endpoint not in text_of(client.get(address()))
    posts = ["connect", "disconnect", "stay"]
    assert [client.post(address(name)).status_code for name in posts] == [403] * 3
    assert client.get(address("disconnect")).status_code == 403
    assert client.get(address("webhooks", "console")).status_code == (200 if editor else 403)
    assert client.get(address("webhooks", "nobody")).status_code == (404 if editor else 403)


def test_a_flagged_number_is_found_and_confirmed_on_its_page(in_workspace, owner):
    number = make_phone_number(in_workspace, flagged_since=moment())
    other = make_phone_number(in_workspace, "+14155550101")
    listed = text_of(owner.get(reverse("admin:policies_phonenumber_changelist"), {"flagged": "yes"}))
    page = reverse("admin:policies_phonenumber_change", args=[number.pk])
    assert page in listed
    assert reverse("admin:policies_phonenumber_change", args=[other.pk]) not in listed
    assert "It appeared at UponAI" in text_of(owner.get(page))

    answer = in_place(owner, reverse("admin:policies_phonenumber_confirm", args=[number.pk]))

    assert "It may stay as it is." in text_of(answer)
    assert "It appeared at UponAI" not in text_of(owner.get(page))


def test_one_number_is_asked_about_from_its_own_page(owner, stocked):
    owner.post(address("import"))
    number = PhoneNumber.objects.get()
    page = text_of(owner.get(reverse("admin:policies_phonenumber_change", args=[number.pk])))
    assert "UponAI asks https://crm.example.com/calls… about calls, so the console judges none of them." in page

    answer = in_place(owner, reverse("admin:policies_phonenumber_asking", args=[number.pk]), wanted="console")

    assert "That is on its way to UponAI." in text_of(answer)
    assert PhoneNumber.objects.get().chained_webhook_url == THEIRS
