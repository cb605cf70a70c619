"""What becomes of a call at UponAI while the console is down, out of order or answers nonsense: what its page says."""

from __future__ import annotations

import json

import httpx
import pytest

from accounts.scoping import scoped
from policies import closing
from policies.models import PhoneNumber, SyncTarget
from policies.sync import push
from tests.factories import make_phone_number, moment
from tests.policies.sync.conftest import uponai
from tests.sandbox.conftest import receiver

__all__ = ["receiver", "uponai"]

pytestmark = pytest.mark.django_db(transaction=True)

OURS, CANADIAN, JAMAICAN, CUBAN = "+14155550100", "+14165550123", "+18765550123", "+5351234567"
NOBODY = "http://127.0.0.1:9"


@pytest.fixture
def number(workspace, uponai):
    uponai.put("settings", retry_seconds=0.01)
    row = make_phone_number(workspace, OURS, inbound=["US", "CA"], synced=False, inbound_agents=["agent_inbound"])
    uponai.add_number(OURS, inbound_webhook_url=f"{NOBODY}/hooks/{workspace.endpoint}/inbound")
    sync(row)
    return row


def sync(number):
    with scoped(number.workspace_id):
        target = SyncTarget.objects.get(phone_number=number)
        SyncTarget.objects.filter(pk=target.pk).update(due_at=moment())
    assert push.push(target.pk, clock=moment)


def close(number):
    closing.close_when_down(phone_number=number, acting_user=None, now=moment())
    sync(number)


def ask_at(uponai, number, origin):
    path = f"/hooks/{number.workspace.endpoint}/inbound"
    uponai.retell.phone_number.update(OURS, inbound_webhook_url=f"{origin}{path}")


def call(uponai, caller=CANADIAN):
    answer = uponai.post("inbound-call", from_number=caller, to_number=OURS)
    return answer["outcome"], answer["by"]


def page_says(number):
    with scoped(number.workspace_id):
        return PhoneNumber.objects.get(pk=number.pk).inbound_when_console_down


def test_down_means_answered_with_an_agent_bound_and_dropped_once_closed(number, uponai):
    assert page_says(number) == "answered"
    assert call(uponai) == ("answered", "agent")

    close(number)

    assert page_says(number) == "dropped"
    assert call(uponai) == ("dropped", "no_agent")

    closing.reopen(phone_number=number, acting_user=None, now=moment())
    sync(number)

    assert page_says(number) == "answered"
    assert call(uponai) == ("answered", "agent")


@pytest.mark.parametrize("is_closed", [False, True])
def test_up_means_judged_and_answered_by_the_same_agent(number, uponai, live_server, is_closed):
    if is_closed:
        close(number)
    ask_at(uponai, number, live_server.url)

    assert call(uponai) == ("answered", "agent")
    assert call(uponai, JAMAICAN) == ("rejected", "webhook")
    answered = uponai.retell.call.list().items
    assert [one.agent_id for one in answered] == ["agent_inbound"]
    assert [one.agent_version for one in answered] == [3]


NONSENSE = [
    (500, b"oops"),
    (503, b"{}"),
    (200, b"<html>garbage"),
    (200, b"[]"),
    (200, json.dumps({"call_inbound": {"reject": "true"}}).encode()),
    (200, json.dumps({"call_inbound": {"reject": 1}}).encode()),
]


@pytest.mark.parametrize("is_closed", [False, True])
def test_nonsense_from_our_address_ends_as_the_page_says(number, uponai, receiver, is_closed):
    """Whatever stands where the console should: what the page says of its being down holds, and so do the lists."""
    if is_closed:
        close(number)
    ask_at(uponai, number, receiver.url.removesuffix("/hook"))
    outcomes = []
    for told in NONSENSE:
        receiver.answer = lambda count, told=told: told
        outcomes.append(call(uponai)[0])

    assert outcomes == [page_says(number)] * len(NONSENSE)
    assert call(uponai, CUBAN) == ("rejected", "sanctions")
    assert call(uponai, JAMAICAN) == ("rejected", "country_list")


def test_down_for_one_delivery_is_judged_all_the_same(number, uponai, receiver, live_server):
    """The first delivery finds nobody; the second comes to the console, as when a proxy fails over."""
    path = f"/hooks/{number.workspace.endpoint}/inbound"

    def answer(count):
        if count == 1:
            return 502, b""
        delivery = receiver.received[-1]
        names = ("X-Uponai-Signature", "X-Retell-Signature", "Content-Type")
        headers = {name: value for name, value in delivery.headers.items() if name.title() in names}
        judged = httpx.post(f"{live_server.url}{path}", content=delivery.raw, headers=headers)
        return judged.status_code, judged.content

    receiver.answer = answer
    ask_at(uponai, number, receiver.url.removesuffix("/hook"))

    assert call(uponai) == ("answered", "agent")
    assert len(receiver.received) == 2


def test_down_still_blocks_sanctioned_and_unlisted_countries_by_the_synced_list(number, uponai):
    assert call(uponai, CUBAN) == ("rejected", "sanctions")
    assert call(uponai, JAMAICAN) == ("rejected", "country_list")
