"""Messages of chats: passed on for whoever started the chat here, as long as they may, and not without end."""

import pytest

from accounts.scoping import scoped
from policies import actions, holds
from policies.gate.outbound import chatting
from policies.models import CountryPolicy
from tests.factories import make_token, make_workspace, moment
from tests.policies.gate.outbound.conftest import CHAT, DIAL, SAY, SMS, faulty, no_faults, started

pytestmark = pytest.mark.django_db


@pytest.fixture
def chat(gate, uponai):
    return gate.post(CHAT, {"agent_id": "agent_chat"})


def message(chat, content="Hello"):
    return {"chat_id": chat.json()["chat_id"], "content": content}


def test_passes_a_message_on_and_the_answer_back(gate, uponai, chat):
    response = gate.post(SAY, message(chat))

    assert response.status_code == 201
    assert response.json()["messages"][0]["content"] == "You said: Hello"
    assert response["X-Decision-Id"] == chat["X-Decision-Id"]


def test_talks_in_sms_chats_as_well(gate, uponai):
    assert gate.post(SAY, message(gate.post(SMS, DIAL))).status_code == 201


def test_a_page_talks_in_the_chat_that_it_started(gate, uponai):
    key = gate.key()
    chat = gate.page(CHAT, key, {})

    assert gate.page(SAY, key, message(chat)).status_code == 201
    assert gate.page(SAY, key, message(chat), origin="https://evil.example").status_code == 403
    assert gate.page(SAY, gate.key(), message(chat)).status_code == 403


def test_knows_only_chats_that_the_same_credential_started_here(gate, uponai, chat):
    elsewhere = uponai.retell.chat.create(agent_id="agent_chat").chat_id
    others = [
        (gate.token, elsewhere),
        (gate.token, "chat_nonsense"),
        (make_token(gate.workspace, "gate:write"), chat.json()["chat_id"]),
        (make_token(make_workspace(), "gate:write"), chat.json()["chat_id"]),
        (gate.key().key, chat.json()["chat_id"]),
    ]
    before = len(started(uponai))

    for credential, chat_id in others:
        response = gate.post(SAY, {"chat_id": chat_id, "content": "Hi"}, credential=credential)
        assert response.status_code == 403
    assert len(started(uponai)) == before


def test_only_the_same_end_user_goes_on(gate, uponai):
    chat = gate.post(CHAT, {"agent_id": "agent_chat"}, X_End_User_Id="ann")

    assert gate.post(SAY, message(chat), X_End_User_Id="ann").status_code == 201
    assert gate.post(SAY, message(chat), X_End_User_Id="bob").status_code == 403
    assert gate.post(SAY, message(chat)).status_code == 403


def test_the_brake_ends_a_running_chat(gate, uponai, chat):
    from datetime import timedelta

    now = moment()
    holds.impose(
        workspace_id=gate.workspace.pk,
        scope="workspace",
        value=None,
        reason="attack",
        expires_at=now + timedelta(hours=1),
        acting_user=None,
        now=now,
    )
    gate.publish()

    response = gate.post(SAY, message(chat))

    assert (response.status_code, response.json()["code"]) == (403, "held")


@pytest.mark.parametrize("action", ["guard", "challenge"])
def test_goes_on_with_what_was_let_through_under_a_rule(gate, uponai, action):
    """What the rule asked for was met when the chat began."""
    chat = gate.post(SMS, DIAL, X_End_User_Id="ann")
    with scoped(gate.workspace.pk):
        policy = CountryPolicy.objects.get()
        rules = policy.current_revision.outbound | {"prefix_rules": [{"prefix": "+1415", "action": action}]}
        actions.edit_country_policy(policy=policy, outbound=rules, acting_user=None, now=moment(), reason="a test")
    gate.publish()

    assert gate.post(SAY, message(chat), X_End_User_Id="ann").status_code == 201


def test_a_rule_that_blocks_ends_a_running_chat(gate, uponai):
    chat = gate.post(SMS, DIAL)
    with scoped(gate.workspace.pk):
        policy = CountryPolicy.objects.get()
        rules = policy.current_revision.outbound | {"prefix_rules": [{"prefix": "+1415", "action": "block"}]}
        actions.edit_country_policy(policy=policy, outbound=rules, acting_user=None, now=moment(), reason="a test")
    gate.publish()

    response = gate.post(SAY, message(chat))

    assert (response.status_code, response.json()["code"]) == (403, "prefix_blocked")


def test_a_chat_is_not_endless(gate, uponai, chat, monkeypatch):
    from policies.engine.limits import MINUTE, Limit

    monkeypatch.setattr(chatting, "MESSAGES", (Limit(3, MINUTE),))
    other = gate.post(CHAT, {"agent_id": "agent_chat"})

    answers = [gate.post(SAY, message(chat)) for _ in range(5)]

    assert [response.status_code for response in answers] == [201, 201, 201, 429, 429]
    assert int(answers[-1]["Retry-After"]) in range(1, 61)
    assert gate.post(SAY, message(other)).status_code == 201


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"chat_id": 7}, "chat_id"),
        ({"chat_id": None}, "chat_id"),
        ({"content": ""}, "content"),
        ({"content": []}, "content"),
        ({"tools": []}, "tools"),
        ({"idempotency_key": "k"}, "Idempotency-Key"),
    ],
)
def test_names_the_field_that_is_malformed(gate, uponai, chat, change, field):
    response = gate.post(SAY, message(chat) | change)

    assert (response.status_code, response.json()["message"].split(":")[0]) == (422, field)


def test_a_message_is_never_said_twice(gate, uponai, impatient, chat):
    faulty(uponai, "timeout_after", hold_seconds=2)

    response = gate.post(SAY, message(chat))

    no_faults(uponai)
    assert (response.status_code, response["x-should-retry"]) == (503, "false")
    assert len([entry for entry in started(uponai) if entry["path"] == "/create-chat-completion"]) == 1


def test_passes_uponais_refusal_on(gate, uponai, chat):
    uponai.http.patch(f"/end-chat/{chat.json()['chat_id']}")

    response = gate.post(SAY, message(chat))

    assert (response.status_code, "over already" in response.json()["message"]) == (400, True)
