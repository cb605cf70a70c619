"""REST: how a number is answered, and whether it is while the console is down."""

from __future__ import annotations

import pytest

from accounts.models import AuditEntry
from accounts.scoping import scoped
from policies.gate import snapshots
from policies.models import PhoneNumber, SyncTarget
from tests.factories import make_phone_number, make_workspace
from tests.rest import assert_problem, client_of

pytestmark = pytest.mark.django_db

NUMBER = "/api/v1/phone-numbers/+14155550100/"
CHAINED = "https://crm.example.com/calls?key=s3cret"


@pytest.fixture
def client(workspace):
    return client_of(workspace)


@pytest.fixture
def number(workspace):
    return make_phone_number(workspace, inbound_agents=["agent_front"])


def edit(client, **fields):
    return client.patch(NUMBER, fields, format="json")


def row(workspace):
    with scoped(workspace.pk):
        return PhoneNumber.objects.get(e164="+14155550100")


def test_changes_what_is_sent_and_nothing_else(workspace, client, number):
    sent = {
        "mode": "observing",
        "guarded_agent": "agent_guarded",
        "chained_webhook_url": CHAINED,
        "chained_sms_webhook_url": "https://crm.example.com/sms",
    }

    shown = edit(client, **sent).json()

    assert {name: shown[name] for name in sent} == sent
    assert {name: getattr(row(workspace), name) for name in sent} == sent
    assert edit(client, guarded_agent="").json()["guarded_agent"] == ""
    assert row(workspace).chained_webhook_url == CHAINED
    loaded = snapshots.load(workspace.pk)
    assert loaded.engine.numbers["+14155550100"].observing
    assert loaded.answering["+14155550100"].chained_webhook_url == CHAINED


def test_tells_the_gate_and_the_audit_log_without_the_secret(workspace, client, number):
    before = snapshots.load(workspace.pk).version
    edit(client, chained_webhook_url=CHAINED)
    assert snapshots.load(workspace.pk).version == before + 1
    edit(client, chained_webhook_url=CHAINED)
    assert snapshots.load(workspace.pk).version == before + 1

    with scoped(workspace.pk):
        (entry,) = AuditEntry.objects.filter(action="phone_number.edit_answering")
    assert entry.detail["after"] == {"chained_webhook_url": "https://crm.example.com/calls…"}
    assert entry.detail["before"] == {"chained_webhook_url": ""}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("mode", "off"),
        ("mode", None),
        ("mode", ["observing"]),
        ("guarded_agent", "x" * 81),
        ("guarded_agent", "agent\nx"),
        ("guarded_agent", 7),
        ("chained_webhook_url", "crm.example.com"),
        ("chained_webhook_url", "ftp://crm.example.com/"),
        ("chained_webhook_url", "https:///calls"),
        ("chained_webhook_url", "https://[::1/"),
        ("chained_webhook_url", "https://crm.example.com:99999/"),
        ("chained_webhook_url", "https://10.0.0.7/calls"),
        ("chained_webhook_url", "http://169.254.169.254/latest"),
        ("chained_sms_webhook_url", "http://[fd00::1]/"),
        ("chained_sms_webhook_url", "https://crm.example.com/a b"),
        ("chained_sms_webhook_url", "https://crm.example.com/" + "x" * 500),
        ("inbound_when_console_down", "maybe"),
    ],
)
def test_refuses_what_makes_no_sense_naming_the_field(workspace, client, number, field, value):
    before = row(workspace)

    assert_problem(edit(client, **{field: value, "nickname": "Other"}), 422, field)

    after = row(workspace)
    assert (after.nickname, getattr(after, field)) == (before.nickname, getattr(before, field))


@pytest.mark.parametrize("host", ["https://console.example.com", "http://127.0.0.1:8000"])
def test_refuses_to_ask_itself(workspace, client, number, host):
    problem = assert_problem(
        edit(client, chained_webhook_url=f"{host}/hooks/{workspace.endpoint}/inbound"), 422, "chained_webhook_url"
    )

    assert "it would ask itself" in problem["errors"][0]["detail"]


def test_refuses_this_machine_where_the_console_is_not_on_it(client, number, settings):
    settings.CHAINED_WEBHOOKS_ON_LOOPBACK = False

    for url in ("http://127.0.0.1:9/", "http://localhost:9/", "http://[::1]:9/"):
        assert_problem(edit(client, chained_webhook_url=url), 422, "chained_webhook_url")


def test_dropped_makes_the_number_due_and_answered_takes_it_back(workspace, client, number):
    assert edit(client, inbound_when_console_down="dropped").json()["sync"]["state"] == "pending"
    assert row(workspace).closed_when_down

    assert edit(client, inbound_when_console_down="answered").status_code == 200
    assert not row(workspace).closed_when_down
    with scoped(workspace.pk):
        assert SyncTarget.objects.get().desired_generation == 3


def test_answered_needs_an_agent(workspace, client):
    make_phone_number(workspace)

    assert_problem(edit(client, inbound_when_console_down="answered"), 422, "inbound_when_console_down")


def test_an_edit_changes_the_version(client, number):
    first = client.get(NUMBER)["ETag"]

    second = edit(client, mode="observing")["ETag"]
    third = edit(client, inbound_when_console_down="dropped")["ETag"]

    assert len({first, second, third}) == 3
    assert client.patch(NUMBER, {"mode": "enforcing"}, format="json", headers={"If-Match": second}).status_code == 412


def test_numbers_of_other_workspaces_are_not_there(number):
    assert edit(client_of(make_workspace()), mode="observing").status_code == 404


def test_a_token_that_only_reads_changes_nothing(workspace, number):
    assert edit(client_of(workspace, "phone-numbers:read"), mode="observing").status_code == 403
