"""The page of a phone number: how it is answered, and what becomes of calls while the console is down."""

from __future__ import annotations

import pytest
from django.urls import reverse

from accounts.roles import Role
from policies import actions, closing
from policies.gate import chaining
from policies.models import PhoneNumber, SyncTarget
from tests.factories import make_phone_number, moment
from tests.signing_in import in_place, signed_in

pytestmark = pytest.mark.django_db


def address(name, number):
    return reverse(f"admin:policies_phonenumber_{name}", args=[number.pk])


def fresh(number):
    return PhoneNumber.objects.select_related("policy__current_revision", "sync_target").get(pk=number.pk)


@pytest.fixture
def number(in_workspace):
    url = f"https://console.example.com/hooks/{in_workspace.endpoint}/inbound"
    return make_phone_number(in_workspace, inbound_agents=["agent_front"], inbound_webhook_url=url)


@pytest.fixture
def editor(in_workspace):
    return signed_in(in_workspace, Role.POLICY_EDITOR)


def shown(client, number):
    return " ".join(client.get(address("change", number)).content.decode().split())


def test_says_that_calls_are_answered_and_offers_to_drop_them(editor, number):
    html = shown(editor, number)

    assert "Answered. UponAI asks the console again some times" in html
    assert "(agent_front)" in html
    assert "Drop calls instead" in html


def test_closing_says_what_will_happen_and_makes_the_number_due(editor, number):
    html = in_place(editor, address("when_down", number), wanted="dropped").content.decode()

    assert "as soon as UponAI has unbound the agents" in html
    assert "Soon dropped: agent_front is being unbound at UponAI" in html
    assert "Answer calls instead" in html
    assert fresh(number).closed_when_down
    assert SyncTarget.objects.get(phone_number=number).state == "pending"


def test_a_closed_number_names_the_agent_of_every_answer(editor, number):
    PhoneNumber.objects.update(
        closed_when_down=True, inbound_agents=[], answering_agents=[{"agent_id": "agent_front", "weight": 1}]
    )

    html = shown(editor, number)
    assert "Dropped. No agent is bound to the number at UponAI" in html
    assert "The console names agent_front with every answer." in html

    again = in_place(editor, address("when_down", number), wanted="answered").content.decode()
    assert "Dropped until UponAI has bound agent_front again" in again
    assert not fresh(number).closed_when_down


@pytest.mark.parametrize(
    ("url", "words"), [("", "asks no webhook"), ("https://crm.example.com/", "asks another webhook")]
)
def test_offers_nothing_where_uponai_does_not_ask_this_console(editor, number, url, words):
    PhoneNumber.objects.update(inbound_webhook_url=url)

    html = shown(editor, number)

    assert words in html
    assert "Drop calls instead" not in html


def test_saves_how_calls_are_answered(editor, number):
    fields = {
        "mode": "observing",
        "guarded_agent": " agent_guarded ",
        "chained_webhook_url": "https://crm.example.com/calls",
        "chained_sms_webhook_url": "",
    }
    html = in_place(editor, address("answering", number), version=actions.version_of(fresh(number)), **fields)

    assert "How calls are answered is saved." in html.content.decode()
    row = fresh(number)
    assert (row.mode, row.guarded_agent) == ("observing", "agent_guarded")
    assert row.chained_webhook_url == "https://crm.example.com/calls"


def test_refuses_in_words_and_changes_nothing(editor, number):
    version = actions.version_of(fresh(number))

    html = in_place(editor, address("answering", number), version=version, mode="observing", chained_webhook_url="crm")

    assert "must be a whole address" in html.content.decode()
    assert fresh(number).mode == "enforcing"


def test_does_not_overwrite_a_colleague(editor, number):
    html = in_place(editor, address("answering", number), version="old", mode="observing").content.decode()

    assert "Somebody else changed this number meanwhile." in html
    assert fresh(number).mode == "enforcing"


def test_a_viewer_sees_it_without_secrets_and_changes_nothing(in_workspace, number):
    PhoneNumber.objects.update(chained_webhook_url="https://user:pass@crm.example.com/calls?key=s3cret")
    viewer = signed_in(in_workspace, Role.VIEWER)

    html = shown(viewer, number)

    assert "https://crm.example.com/calls…" in html
    assert "s3cret" not in html
    assert "user:pass" not in html
    assert "Drop calls instead" not in html
    assert in_place(viewer, address("when_down", number), wanted="dropped").status_code == 403
    assert in_place(viewer, address("answering", number), mode="observing").status_code == 403


def test_tells_how_the_chained_webhook_answered_today(in_workspace, editor, number):
    PhoneNumber.objects.update(chained_webhook_url="https://crm.example.com/calls")
    assert "Your webhook was not asked today." in shown(editor, number)
    chaining._note(in_workspace.pk, number.e164, chaining.ANSWERED)
    chaining._note(in_workspace.pk, number.e164, "answered 500")

    html = shown(editor, number)

    assert "Your webhook was asked about 2 calls and messages today and answered 1." in html
    assert "Last trouble: it answered 500" in html


def test_says_that_it_does_not_know_without_the_store(editor, number, nobody_listens):
    PhoneNumber.objects.update(chained_webhook_url="https://crm.example.com/calls")

    assert "is not known now" in shown(editor, number)


def test_reopening_what_never_had_an_agent_is_refused_in_words(editor, in_workspace):
    bare = make_phone_number(in_workspace, "+14155550177")

    html = in_place(editor, address("when_down", bare), wanted="answered").content.decode()

    assert "No agent is bound to this number at UponAI" in html
    assert closing.close_when_down(phone_number=bare, acting_user=None, now=moment())
