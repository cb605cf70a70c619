"""A call at a real UponAI sandbox, from the dial to the usage of the hour."""

from datetime import timedelta

import pytest

from accounts.scoping import scoped
from monitoring import tasks
from monitoring.models import UsageBucket
from policies.gate import recorder
from policies.models import Decision
from tests.factories import make_phone_number, moment
from tests.monitoring.ingest.events import BRITON, CANADIAN, OUR_NUMBER, calls
from tests.sandbox.conftest import wait_for

pytestmark = pytest.mark.django_db(transaction=True)


def _delivered(uponai, count):
    deliveries = uponai.get("deliveries")
    return len(deliveries) == count and all(one["state"] == "delivered" for one in deliveries)


def _buckets(workspace):
    with scoped(workspace.pk):
        return list(UsageBucket.objects.filter(outcome="connected"))


def test_shows_a_dialled_call_in_the_usage(workspace, uponai, live_server):
    uponai.put("settings", events_url=f"{live_server.url}/hooks/{workspace.endpoint}/events", call_seconds=2)
    uponai.add_number(OUR_NUMBER)
    call_id = uponai.retell.call.create_phone_call(from_number=OUR_NUMBER, to_number=BRITON).call_id

    wait_for(lambda: _delivered(uponai, 3), seconds=20)
    tasks.sweep_events()
    tasks.roll_up()

    call = calls(workspace)[call_id]
    told = uponai.retell.call.retrieve(call_id)
    assert (call["status"], call["disconnection_reason"]) == ("ended", "user_hangup")
    assert (call["peer"], call["country"], call["direction"]) == (BRITON, "GB", "outbound")
    assert float(call["cost_cents"]) == pytest.approx(told.call_cost.combined_cost)
    assert call["cost_cents"] > 0
    assert call["ended_at"] - call["started_at"] == timedelta(milliseconds=call["duration_ms"])
    (bucket,) = _buckets(workspace)
    assert (bucket.calls, bucket.country, bucket.cost_cents) == (1, "GB", call["cost_cents"])


def test_shows_an_answered_call_with_the_decision_that_let_it_in(workspace, uponai, live_server):
    make_phone_number(workspace, OUR_NUMBER)
    hooks = f"{live_server.url}/hooks/{workspace.endpoint}"
    uponai.put("settings", events_url=f"{hooks}/events", call_seconds=1)
    uponai.add_number(OUR_NUMBER, inbound_webhook_url=f"{hooks}/inbound")

    assert uponai.post("inbound-call", from_number=CANADIAN, to_number=OUR_NUMBER)["outcome"] == "answered"
    wait_for(lambda: _delivered(uponai, 3), seconds=20)
    recorder.drain(now=moment())
    tasks.sweep_events()
    tasks.roll_up()

    (call,) = calls(workspace).values()
    with scoped(workspace.pk):
        assert call["decision_id"] == Decision.objects.get(verdict="allow").decision_id
    assert (call["peer"], call["country"]) == (CANADIAN, "CA")
    assert _buckets(workspace)[0].calls == 1
