"""A connection's life: a key that was tried, and an end that puts back what is chosen, whatever fails on the way."""

import http.server
import threading

import pytest

from accounts import workspaces
from accounts.models import AuditEntry, UponaiKey, Workspace
from policies import actions, approvals, asking, connecting
from policies.admin import phone_number_page
from policies.models import CountryPolicy, PhoneNumber, SyncTarget, UponaiConnection
from policies.rules_input import Refused
from policies.sync import push
from policies.sync.figures import figures
from policies.sync.importing import import_numbers
from policies.widening import NeedsApproval
from tests.factories import UPONAI_KEY, make_member, make_workspace, moment

pytestmark = pytest.mark.django_db

NUMBER, THEIRS = "+14155550100", "https://crm.example.com/calls?token=secret"
FRONT = {
    "phone_number": NUMBER,
    "inbound_agents": [{"agent_id": "agent_front", "weight": 1}],
    "inbound_webhook_url": THEIRS,
    "allowed_inbound_country_list": ["US", "CU"],
    "allowed_outbound_country_list": None,
}


@pytest.fixture
def stocked(in_workspace, uponai):
    uponai.post("numbers", numbers=[FRONT])
    connect(in_workspace)
    import_numbers(workspace=in_workspace, **who())
    pushed()
    return in_workspace


def who():
    return {"acting_user": None, "now": moment()}


def connect(workspace, key=UPONAI_KEY, **more):
    return connecting.connect(workspace=workspace, key=key, **who(), **more)


def disconnect(workspace, *put_back, **more):
    return connecting.disconnect(workspace=workspace, put_back=put_back, **who(), **more)


def pushed():
    return [push.push(row.pk, clock=moment) for row in SyncTarget.objects.exclude(due_at=None)]


def ask_console(workspace):
    asked = asking.ask_console(workspace=workspace, phone_numbers=asking.numbers_there(), **who())
    assert all(pushed())
    return asked


def at_uponai(uponai, name="inbound_webhook_url"):
    return getattr(uponai.retell.phone_number.retrieve(NUMBER), name)


def number():
    return PhoneNumber.objects.get(e164=NUMBER)


# --- Connecting -----------------------------------------------------------------------------------


def test_connects_with_a_key_that_uponai_knows(uponai):
    workspace = make_workspace(uponai_key="")

    account = connect(workspace)

    assert (account.org_name, account.org_id, account.numbers) == ("Sandbox", "org_sandbox", 0)
    row = connecting.connection_of(workspace.pk)
    assert (row.org_name, row.org_id, row.disconnected_at) == ("Sandbox", "org_sandbox", None)
    assert row.connected_at is not None
    assert workspaces.uponai_key(workspace.pk) == UPONAI_KEY


@pytest.mark.parametrize("key", ["", "short", "two words here", "kéy_of_nobody", 12345678, None, "k" * 1001])
def test_what_cannot_be_a_key_is_refused_before_anybody_is_asked(key):
    with pytest.raises(Refused, match="key must be one word") as refusal:
        connecting.check(key)

    assert refusal.value.problems[0].field == "key"


def answering(status, body):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    return server


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        pytest.param(401, b"{}", r"UponAI refuses it \(401\)", id="wrong key"),
        pytest.param(404, b"{}", "does not speak as UponAI does, it answers 404", id="another service"),
        pytest.param(200, b"<html>", "its answer is not in the agreed form", id="not JSON"),
        pytest.param(200, b"[]", "its answer is not in the agreed form", id="not an object"),
        pytest.param(200, b"{}", "its answer does not name an account", id="no account"),
        pytest.param(500, b"{}", "nothing was changed: UponAI answered 500", id="out of order"),
    ],
)
def test_a_key_that_cannot_be_tried_is_not_kept(workspace, settings, status, body, words):
    server = answering(status, body)
    settings.UPONAI_API_URL = f"http://127.0.0.1:{server.server_port}"

    with pytest.raises(Refused, match=words):
        connect(workspace, key="key_another_one")

    server.shutdown()
    assert workspaces.uponai_key(workspace.pk) == UPONAI_KEY


def test_says_that_nobody_can_be_reached_or_answers_in_time(workspace, settings, monkeypatch, receiver_that_waits):
    with pytest.raises(Refused, match="nothing was changed: UponAI cannot be reached"):
        connect(workspace)

    settings.UPONAI_API_URL = receiver_that_waits
    monkeypatch.setattr("policies.connecting.UponaiClient", quick_client)
    with pytest.raises(Refused, match="nothing was changed: UponAI did not answer in time"):
        connect(workspace)


def quick_client(key):
    from policies.uponai.client import UponaiClient

    return UponaiClient(key, read_seconds=0.05)


@pytest.fixture
def receiver_that_waits():
    released = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            released.wait(10)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    released.set()
    server.shutdown()


def test_a_key_of_another_account_is_refused(stocked):
    UponaiConnection.objects.update(org_id="org_other", org_name="Other Inc")

    with pytest.raises(Refused, match=r"this workspace to Other Inc \(org_other\)"):
        connect(stocked)


def test_the_key_before_goes_on_verifying_for_a_while(stocked):
    until = moment().replace(microsecond=0, year=2099)

    connect(stocked, old_verifies_until=until)

    assert {None, until} <= set(UponaiKey.objects.values_list("verifies_until", flat=True))


# --- Disconnecting --------------------------------------------------------------------------------


def test_disconnecting_leaves_uponai_as_it_is_unless_asked(stocked, uponai):
    ask_console(stocked)
    log = len(uponai.get("log", after=0))

    row = disconnect(stocked)

    assert row.disconnected_at is not None
    assert asking.address(stocked) == at_uponai(uponai)
    assert len(uponai.get("log", after=0)) == log
    target = SyncTarget.objects.get()
    assert (target.state, target.due_at) == ("unknown", None)
    badge = phone_number_page.badge_sentence(number())
    assert badge.startswith("What UponAI has is not known. The workspace is disconnected")
    assert figures(workspace_id=stocked.pk, now=moment()).waiting == 0
    with pytest.raises(workspaces.NoUponaiKey):
        workspaces.uponai_key(stocked.pk)
    # UponAI still asks here, so its webhooks are still believed.
    assert [secret.text for secret in workspaces.webhook_secrets(stocked.pk, moment())] == [UPONAI_KEY]
    assert PhoneNumber.objects.exists()
    with pytest.raises(Refused, match="disconnected from UponAI already"):
        disconnect(stocked)


def test_puts_webhooks_and_lists_back_before_it_ends(stocked, uponai):
    ask_console(stocked)
    assert number().chained_webhook_url == THEIRS
    assert uponai.retell.phone_number.retrieve(NUMBER).allowed_inbound_country_list == ["US"]
    uponai.retell.phone_number.update(NUMBER, allowed_inbound_country_list=["FR"])

    row = disconnect(stocked, "webhooks", "lists")
    assert row.disconnected_at is None
    uponai.post("faults", rate=1, kinds=["500"], seed=1)
    assert pushed() == [False]
    assert connecting.settle_disconnections(now=moment()) == 0
    assert connecting.progress() == connecting.Progress(1, 0)
    uponai.post("faults", rate=0, kinds=["500"], seed=1)
    SyncTarget.objects.update(due_at=moment())
    assert pushed() == [True]
    # What UponAI left unanswered may still come: it ends when that cannot be any more.
    assert connecting.progress() == connecting.Progress(1, 0)
    assert push.push(SyncTarget.objects.get().pk, clock=lambda: moment() + push.LOOKS_AFTER[-1])
    assert connecting.progress() == connecting.Progress(1, 1)
    assert connecting.settle_disconnections(now=moment()) == 1

    shown = uponai.retell.phone_number.retrieve(NUMBER)
    assert (shown.inbound_webhook_url, shown.inbound_sms_webhook_url) == (THEIRS, None)
    # Cuba was on the list that was found. It is never sent as allowed.
    assert (shown.allowed_inbound_country_list, shown.allowed_outbound_country_list or None) == (["US"], None)
    assert number().chained_webhook_url == ""
    assert workspaces.webhook_secrets(stocked.pk, moment()) == []
    entries = list(AuditEntry.objects.values_list("action", flat=True))
    assert (entries.count("workspace.disconnect"), entries.count("workspace.disconnected")) == (1, 1)


@pytest.mark.parametrize(
    ("put_back", "opens"),
    [
        (["lists"], {"outbound": 20, "inbound": 0}),
        (["webhooks"], {"inbound": 0}),
        ([], None),
    ],
)
def test_what_is_put_back_needs_a_second_person_where_it_opens_something(stocked, put_back, opens):
    policy = CountryPolicy.objects.get()
    actions.edit_country_policy(policy=policy, outbound={"mode": "list", "countries": ["US"]}, **who())
    actions.edit_country_policy(policy=policy, inbound={"countries": ["US", "NG"]}, **who())
    ask_console(stocked)
    Workspace.objects.update(approval_tier="T2")

    if opens is None:
        assert disconnect(stocked).disconnected_at is not None
        return
    with pytest.raises(NeedsApproval) as needs:
        disconnect(stocked, *put_back)

    assert connecting.connection_of(stocked.pk).disconnect_asked_at is None
    assert (number().asks_console, number().put_back) == (True, {})
    row = approvals.propose(needs.value)
    assert {part["direction"] for part in row.difference["parts"]} <= opens.keys()
    for part in row.difference["parts"]:
        assert len(part["countries"]) >= opens[part["direction"]]

    approvals.approve(proposal=row, acting_user=make_member(stocked), now=moment())

    assert connecting.connection_of(stocked.pk).disconnect_asked_at is not None
    assert number().put_back.keys() & {"lists", "inbound_webhook_url"}


def test_a_number_edited_since_makes_a_waiting_end_stale(stocked):
    ask_console(stocked)
    actions.edit_country_policy(policy=CountryPolicy.objects.get(), inbound={"countries": ["US", "NG"]}, **who())
    Workspace.objects.update(approval_tier="T2")
    with pytest.raises(NeedsApproval) as needs:
        disconnect(stocked, "webhooks")
    row = approvals.propose(needs.value)
    actions.edit_country_policy(policy=CountryPolicy.objects.get(), inbound={"countries": ["US"]}, **who())

    with pytest.raises(approvals.Conflict):
        approvals.approve(proposal=row, acting_user=make_member(stocked), now=moment())

    assert number().asks_console


def test_can_be_ended_although_uponai_does_not_take_something_back(stocked, uponai):
    ask_console(stocked)
    disconnect(stocked, "webhooks")

    row = disconnect(stocked, at_once=True)

    assert row.disconnected_at is not None
    assert at_uponai(uponai) == asking.address(stocked)


def test_staying_connected_takes_it_back(stocked, uponai):
    ask_console(stocked)
    disconnect(stocked, "webhooks", "lists")

    assert connecting.stay_connected(workspace=stocked, **who())
    assert pushed() == [True]

    assert (number().asks_console, number().put_back, number().chained_webhook_url) == (True, {}, THEIRS)
    assert at_uponai(uponai) == asking.address(stocked)
    assert connecting.settle_disconnections(now=moment()) == 0


def test_agents_that_were_unbound_are_bound_again_with_the_webhook_of_before(stocked, uponai):
    from policies import closing

    ask_console(stocked)
    closing.close_when_down(phone_number=number(), **who())
    assert pushed() == [True]
    assert not uponai.retell.phone_number.retrieve(NUMBER).inbound_agents

    disconnect(stocked, "webhooks")
    assert pushed() == [True]

    shown = uponai.retell.phone_number.retrieve(NUMBER)
    assert [agent.agent_id for agent in shown.inbound_agents] == ["agent_front"]
    assert (shown.inbound_webhook_url, number().closed_when_down) == (THEIRS, False)


def test_connecting_again_takes_up_where_it_ended(stocked, uponai):
    ask_console(stocked)
    disconnect(stocked, "webhooks", "lists")
    pushed()
    connecting.settle_disconnections(now=moment())
    uponai.retell.phone_number.update(NUMBER, allowed_inbound_country_list=["FR"])

    connect(stocked)

    assert connecting.connection_of(stocked.pk).disconnected_at is None
    assert pushed() == [True]
    assert uponai.retell.phone_number.retrieve(NUMBER).allowed_inbound_country_list == ["US"]
    assert (at_uponai(uponai), number().asks_console) == (THEIRS, False)


def test_refuses_to_put_back_what_there_is_not(stocked):
    with pytest.raises(Refused, match="not 'numbers'"):
        disconnect(stocked, "numbers")
