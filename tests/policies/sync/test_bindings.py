"""Closing a number: its agents leave UponAI only once the gate names them, and come back as they were."""

import pytest

from accounts.models import AuditEntry
from policies import closing
from policies.gate import snapshots, store
from policies.models import PhoneNumber, SyncTarget
from policies.rules_input import Refused
from policies.sync import push
from tests.factories import make_phone_number, moment

pytestmark = pytest.mark.django_db

NUMBER = "+14155550100"
BOUND = [
    {"agent_id": "agent_a", "weight": 0.75, "agent_version": 3},
    {"agent_id": "agent_b", "weight": 0.25, "agent_version": 4},
]


@pytest.fixture
def number(in_workspace, uponai):
    url = f"https://console.example.com/hooks/{in_workspace.endpoint}/inbound"
    uponai.post("numbers", numbers=[{"phone_number": NUMBER, "inbound_agents": BOUND, "inbound_webhook_url": url}])
    return make_phone_number(in_workspace, NUMBER, inbound_agents=["agent_a", "agent_b"], inbound_webhook_url=url)


def close(number):
    return closing.close_when_down(phone_number=number, acting_user=None, now=moment())


def reopen(number):
    return closing.reopen(phone_number=number, acting_user=None, now=moment())


def pushed(number):
    return push.push(number.sync_target.pk, clock=moment)


def at_uponai(uponai):
    agents = uponai.retell.phone_number.retrieve(NUMBER).inbound_agents or []
    return [{"agent_id": one.agent_id, "weight": one.weight, "agent_version": one.agent_version} for one in agents]


def target(number):
    return SyncTarget.objects.get(phone_number=number)


def test_closing_unbinds_the_agents_and_keeps_them(number, uponai):
    assert close(number)
    assert target(number).state == "pending"

    assert pushed(number)

    number.refresh_from_db()
    assert at_uponai(uponai) == []
    assert number.answering_agents == BOUND
    assert number.inbound_when_console_down == "dropped"
    assert target(number).state == "synced"


def test_reopening_binds_the_same_agents_with_their_weights(number, uponai):
    close(number)
    pushed(number)

    assert reopen(number)
    assert pushed(number)

    number.refresh_from_db()
    assert at_uponai(uponai) == BOUND
    assert (number.answering_agents, number.inbound_agents) == ([], ["agent_a", "agent_b"])
    assert number.inbound_when_console_down == "answered"


def test_the_gate_names_the_agents_until_they_are_seen_bound_again(in_workspace, number, uponai):
    close(number)
    pushed(number)
    reopen(number)

    assert snapshots.load(in_workspace.pk).answering[NUMBER].agents == tuple(BOUND)

    pushed(number)
    assert NUMBER not in snapshots.load(in_workspace.pk).answering


def test_the_gate_knows_the_agents_before_they_are_unbound(in_workspace, number, uponai):
    close(number)
    before = snapshots.load(in_workspace.pk).version
    uponai.post("faults", rate=1, kinds=["500"], seed=1)
    assert not pushed(number)
    uponai.post("faults", rate=0, kinds=["500"], seed=1)
    assert not PhoneNumber.objects.get(pk=number.pk).answering_agents

    push.retry(sync_target=number.sync_target, acting_user=None, now=moment())
    assert pushed(number)

    loaded = snapshots.load(in_workspace.pk)
    assert loaded.version > before
    assert loaded.answering[NUMBER].agents == tuple(BOUND)
    published = store.connection().get(f"fraudconsole:{{{in_workspace.pk}}}:snapshot-version")
    assert int(published) == loaded.version


def test_nothing_is_unbound_while_the_gate_cannot_be_told(number, uponai, nobody_listens):
    close(number)

    assert not pushed(number)

    assert at_uponai(uponai) == BOUND
    assert "stay bound until the live store answers" in target(number).error
    assert target(number).due_at is not None


@pytest.mark.parametrize(
    "url", [None, "https://crm.example.com/calls", "https://console.example.com/hooks/other/inbound"]
)
def test_nothing_is_unbound_where_uponai_asks_another_webhook(number, uponai, url):
    uponai.retell.phone_number.update(NUMBER, inbound_webhook_url=url)
    close(number)

    assert not pushed(number)

    assert at_uponai(uponai) == BOUND
    assert target(number).state == "failed"
    assert "every call would be dropped" in target(number).error


def test_an_agent_bound_at_uponai_meanwhile_becomes_the_one_that_is_named(number, uponai):
    close(number)
    pushed(number)
    other = [{"agent_id": "agent_c", "weight": 1, "agent_version": 1}]
    uponai.retell.phone_number.update(NUMBER, inbound_agents=other)

    push.retry(sync_target=number.sync_target, acting_user=None, now=moment())
    pushed(number)

    number.refresh_from_db()
    assert (at_uponai(uponai), number.answering_agents) == ([], other)


def test_agents_of_other_numbers_are_never_mentioned(number, uponai):
    push.retry(sync_target=number.sync_target, acting_user=None, now=moment())
    assert pushed(number)

    sent = [entry["body"] for entry in uponai.get("log", after=0) if "update-phone-number" in entry["path"]]
    assert sent
    assert all("inbound_agents" not in body for body in sent)


def test_each_change_is_audited_once(number, uponai):
    assert [close(number), close(number), reopen_after_push(number), reopen(number)] == [True, False, True, False]

    actions = list(AuditEntry.objects.order_by("sequence").values_list("action", flat=True))
    assert actions.count("phone_number.close_when_down") == 1
    assert actions.count("phone_number.reopen_when_down") == 1


def reopen_after_push(number):
    pushed(number)
    return reopen(number)


def test_a_number_that_never_had_an_agent_cannot_be_answered(in_workspace):
    bare = make_phone_number(in_workspace, "+14155550177")

    with pytest.raises(Refused) as refusal:
        reopen(bare)

    assert refusal.value.problems[0].field == "inbound_when_console_down"


def test_closing_and_reopening_before_uponai_was_reached_changes_nothing_there(number, uponai):
    close(number)
    reopen(number)

    assert pushed(number)

    assert at_uponai(uponai) == BOUND
    number.refresh_from_db()
    assert number.inbound_agents == ["agent_a", "agent_b"]
