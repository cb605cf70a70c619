"""What is started at UponAI past the gate is seen, whichever way around it was taken: over real HTTP, by lists alone
and by events, at a sandbox that a thief has the private key of.
"""

from datetime import timedelta

import httpx
import pytest

from accounts import keys
from accounts.models import Workspace
from accounts.scoping import scoped
from monitoring import senders, tasks
from monitoring.ingest import agents
from monitoring.models import AgentSeen, Call, PullProgress
from tests.factories import make_phone_number, make_workspace, moment
from tests.monitoring.ingest.pulling import call_of, pull_now
from tests.policies.gate.outbound.conftest import CALL, CHAT, DIAL, LONDON, OURS, PEER, SMS, WEB, Gate
from tests.policies.sync.conftest import uponai  # noqa: F401
from tests.sandbox.conftest import wait_for

pytestmark = pytest.mark.django_db(transaction=True)

SITE = "https://www.example.com"
WEBSITE_KEY = "public_key_of_the_website"


@pytest.fixture
def gate(uponai):  # noqa: F811
    uponai.put("settings", call_seconds=60, join_web_calls=True)
    uponai.add_number(OURS)
    workspace = make_workspace(requests_per_second=1000)
    # A call that the sandbox ends began as long before as it is to have lasted; none may seem older than this.
    Workspace.objects.filter(pk=workspace.pk).update(created_at=moment() - timedelta(hours=1))
    make_phone_number(workspace, OURS, outbound=["US", "GB"], number_type="retell-twilio")
    return Gate(workspace)


def _seen(workspace, reference):
    """The call as the list tells of it once it has begun."""

    def look():
        pull_now(workspace)
        call = call_of(workspace, reference)
        return call if call and call.gating else None

    return wait_for(look, seconds=20)


def _what(call):
    return call.gating, call.way_around, call.told_by


def test_knows_what_passed_the_gate_by_its_lists_alone(gate):
    started = [
        gate.post(CALL, DIAL).json()["call_id"],
        gate.post(WEB, {"agent_id": "agent_out"}).json()["call_id"],
        gate.post(CHAT, {"agent_id": "agent_out"}).json()["chat_id"],
        gate.post(SMS, DIAL).json()["chat_id"],
    ]

    assert [_what(_seen(gate.workspace, one)) for one in started] == [("gated", "", "list")] * 4


def test_knows_what_was_judged_here_and_dialled_elsewhere(gate, uponai):  # noqa: F811
    attempt = {"direction": "outbound", "channel": "phone_call", "from_number": OURS, "to_number": PEER}
    judged = [gate.post("/gate/v1/judge", attempt).json()["decision_id"] for _ in range(2)]
    dials = [uponai.dial(PEER, metadata={"decision_id": one}) for one in judged]

    assert [_what(_seen(gate.workspace, one))[0] for one in dials] == ["gated"] * 2


def test_sees_a_dial_with_the_private_key_that_hides_its_events(gate, uponai):  # noqa: F811
    hidden = uponai.dial(LONDON, agent_override={"agent": {"webhook_url": "http://127.0.0.1:9/nowhere"}})

    call = _seen(gate.workspace, hidden)

    assert _what(call) == ("ungated", "private_key", "list")
    assert (call.peer, call.country) == (LONDON, "GB")


def test_believes_no_decision_id_that_is_copied_borrowed_or_made_up(gate, uponai):  # noqa: F811
    used = gate.post(CALL, DIAL)
    attempt = {"direction": "outbound", "channel": "phone_call", "from_number": OURS, "to_number": PEER}
    unused = gate.post("/gate/v1/judge", attempt).json()["decision_id"]
    other = Gate(make_workspace(slug="other"))
    make_phone_number(other.workspace, "+14155550177")
    other.publish()
    theirs = other.post("/gate/v1/judge", attempt | {"from_number": "+14155550177"}).json()["decision_id"]
    _seen(gate.workspace, used.json()["call_id"])

    copied = uponai.dial(PEER, metadata={"decision_id": used["X-Decision-Id"]})
    elsewhere = uponai.dial(LONDON, metadata={"decision_id": unused})
    borrowed = uponai.dial(PEER, metadata={"decision_id": theirs})
    made_up = uponai.dial(PEER, metadata={"decision_id": "0b2c1f9e-5f6e-4a57-9f0e-3d2f4d1a7c11"})

    for one in (copied, elsewhere, borrowed, made_up):
        assert _what(_seen(gate.workspace, one)) == ("ungated", "private_key", "list")
    assert call_of(gate.workspace, used.json()["call_id"]).gating == "gated"


def test_tells_the_ways_apart(gate, uponai):  # noqa: F811
    keys.register_public_key(
        workspace=gate.workspace,
        key=WEBSITE_KEY,
        name="Website",
        channels=["chat", "web_call", "phone_call"],
        acting_user=None,
        now=moment(),
    )
    uponai.post("public-keys", key=WEBSITE_KEY, domains=["www.example.com"])
    page = {"headers": {"Authorization": f"Bearer {WEBSITE_KEY}", "Origin": SITE}, "timeout": 20, "trust_env": False}
    chat = httpx.post(f"{uponai.url}/create-chat", json={"agent_id": "agent_web"}, **page).json()["chat_id"]
    web = httpx.post(f"{uponai.url}/v3/create-web-call", json={"agent_id": "agent_web"}, **page).json()["call_id"]
    uponai.http.post("/create-batch-call", json={"from_number": OURS, "tasks": [{"to_number": LONDON}]}).json()
    body = {"agent_id": "agent_sip", "direction": "outbound", "from_number": "+14155550188", "to_number": LONDON}
    registered = uponai.http.post("/v2/register-phone-call", json=body).json()["call_id"]
    uponai.post(f"calls/{registered}", disconnection_reason="user_hangup", duration_ms=100)

    assert _seen(gate.workspace, chat).way_around == "public_key"
    assert _seen(gate.workspace, web).way_around == "public_key"
    assert _seen(gate.workspace, registered).way_around == "registered"
    with scoped(gate.workspace.pk):
        batch = Call.objects.get(peer=LONDON, phone_number=OURS)
        assert (batch.gating, batch.way_around) == ("ungated", "batch")
        assert Call.objects.filter(gating="ungated").count() == 4


def test_marks_what_events_tell_of_at_once_and_a_declared_sender(gate, uponai, live_server):  # noqa: F811
    uponai.put("settings", events_url=f"{live_server.url}/hooks/{gate.workspace.endpoint}/events", call_seconds=1)
    stolen = uponai.dial(LONDON)
    passed = gate.post(CALL, DIAL).json()["call_id"]

    def told():
        tasks.sweep_events()
        return [call_of(gate.workspace, one) for one in (stolen, passed) if call_of(gate.workspace, one)]

    assert [_what(call) for call in wait_for(lambda: told() if len(told()) == 2 else None)] == [
        ("ungated", "private_key", "webhook"),
        ("gated", "", "webhook"),
    ]

    sender, _ = senders.declare(
        workspace_id=gate.workspace.pk,
        kind="agent",
        value="agent_outbound",
        reason="our own dialler",
        acting_user=None,
        now=moment(),
    )
    assert call_of(gate.workspace, stolen).gating == "known"
    later = uponai.dial(LONDON)
    assert _seen(gate.workspace, later).gating == "known"
    senders.remove(sender=sender, acting_user=None, now=moment())
    assert [call_of(gate.workspace, one).gating for one in (stolen, later, passed)] == ["ungated", "ungated", "gated"]


def test_says_which_agents_events_do_not_arrive(gate, uponai, live_server):  # noqa: F811
    uponai.put(
        "settings",
        events_url=f"{live_server.url}/hooks/{gate.workspace.endpoint}/events",
        agent_webhook_urls={"agent_silent": "http://127.0.0.1:9/nowhere"},
        call_seconds=1,
    )
    silent = uponai.dial(PEER, override_agent_id="agent_silent")
    heard = uponai.dial(PEER, override_agent_id="agent_heard")
    wait_for(lambda: tasks.sweep_events() or call_of(gate.workspace, heard))
    _seen(gate.workspace, silent)
    with scoped(gate.workspace.pk):
        Call.objects.update(started_at=moment() - timedelta(minutes=5))
        PullProgress.objects.update(read_until=moment())
        agents.count_missed(since=moment() - timedelta(days=1), now=moment())
        rows = {row.agent: row for row in AgentSeen.objects.all()}
        assert (rows["agent_silent"].missed, rows["agent_silent"].last_event_at) == (1, None)
        assert rows["agent_heard"].missed == 0
        assert rows["agent_heard"].last_event_at is not None
        (found,) = agents.silent(moment())
    assert found.sentence == (
        "agent_silent: no event ever, 1 call of the last 24 hours seen only in UponAI's list: "
        "its own webhook URL probably replaces the account's."
    )
