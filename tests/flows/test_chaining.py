"""A call at UponAI reaches the console, and behind it the webhook that UponAI asked before: nothing breaks."""

from __future__ import annotations

import json

import pytest

from accounts.scoping import scoped
from policies import asking, connecting, reached
from policies.gate import recorder
from policies.models import PhoneNumber, SyncTarget
from policies.sync import push
from policies.sync.importing import import_numbers
from tests.factories import UPONAI_KEY, make_workspace, moment
from tests.policies.sync.conftest import uponai
from tests.sandbox.conftest import receiver

__all__ = ["receiver", "uponai"]

pytestmark = pytest.mark.django_db(transaction=True)

OURS, CANADIAN, JAMAICAN = "+14155550100", "+14165550123", "+18765550123"


def who():
    return {"acting_user": None, "now": moment()}


def pushed():
    rows = SyncTarget.objects.exclude(due_at=None)
    return [push.push(row.pk, clock=moment) for row in rows]


def call(uponai, caller):
    answer = uponai.post("inbound-call", from_number=caller, to_number=OURS)
    return answer["outcome"], answer["by"]


def test_from_the_first_key_to_the_last_call(uponai, receiver, live_server, settings):
    """Connect, import, ask this console, be called, disconnect: their webhook is asked all along, once a call."""
    settings.CONSOLE_URL = live_server.url
    settings.CHAINED_WEBHOOKS_ON_LOOPBACK = True
    uponai.add_number(OURS, inbound_webhook_url=receiver.url, allowed_inbound_country_list=["US", "CA"])
    theirs = {"call_inbound": {"override_agent_id": "agent_of_theirs"}}
    receiver.answer = lambda count: (200, json.dumps(theirs).encode())
    workspace = make_workspace(uponai_key="")

    connecting.connect(workspace=workspace, key=UPONAI_KEY, **who())
    with scoped(workspace.pk):
        import_numbers(workspace=workspace, **who())
        assert reached.newest() is None
        asking.ask_console(workspace=workspace, phone_numbers=asking.numbers_there(), **who())
        assert pushed() == [True]

        assert call(uponai, CANADIAN) == ("answered", "agent")
        assert call(uponai, JAMAICAN) == ("rejected", "webhook")

        # Theirs was asked about the one that was let through, with UponAI's own bytes, and chose the agent.
        assert [delivery.body["call_inbound"]["from_number"] for delivery in receiver.received] == [CANADIAN]
        assert uponai.retell.call.list().items[0].agent_id == "agent_of_theirs"
        recorder.drain(now=moment())
        last = reached.newest()
        assert last is not None
        assert (last.phone_number, last.what) == (OURS, "a call")
        assert reached.newest(OURS) == last
        assert reached.newest("+14155550101") is None

        connecting.disconnect(workspace=workspace, put_back=["webhooks"], **who())
        assert pushed() == [True]
        assert connecting.settle_disconnections(now=moment()) == 1
        assert PhoneNumber.objects.get().chained_webhook_url == ""

        assert call(uponai, CANADIAN) == ("answered", "agent")
        assert len(receiver.received) == 2
        assert recorder.drain(now=moment()) == 0
