from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from accounts.scoping import scoped
from monitoring.models import Call
from tests.factories import make_workspace
from tests.rest import assert_problem, client_of

pytestmark = pytest.mark.django_db

CALLS = "/api/v1/calls/"
NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)


def make_call(workspace, reference="call_1", **facts):
    values = {
        "channel": "phone_call",
        "direction": "outbound",
        "phone_number": "+14155550100",
        "peer": "+447400123456",
        "country": "GB",
        "number_class": "mobile",
        "status": "ended",
        "disconnection_reason": "user_hangup",
        "started_at": NOON,
        "ended_at": NOON + timedelta(seconds=61),
        "duration_ms": 61_000,
        "cost_cents": Decimal("12.5000"),
        "changed_at": NOON,
    }
    with scoped(workspace.pk):
        return Call.objects.create(call_reference=reference, **values | facts)


def test_shows_a_call(workspace):
    make_call(workspace)
    client = client_of(workspace)

    shown = client.get(f"{CALLS}call_1/").json()

    assert shown == {
        "call_reference": "call_1",
        "channel": "phone_call",
        "direction": "outbound",
        "phone_number": "+14155550100",
        "peer": "+447400123456",
        "country": "GB",
        "number_class": "mobile",
        "agent": None,
        "public_key": None,
        "status": "ended",
        "disconnection_reason": "user_hangup",
        "started_at": "2026-11-02T12:00:00Z",
        "ended_at": "2026-11-02T12:01:01Z",
        "duration_ms": 61000,
        "cost_usd": 0.125,
        "decision_id": None,
        "gating": None,
        "way_around": None,
        "told_by": "webhook",
        "undecided": False,
    }
    assert client.get(CALLS).json()["results"] == [shown]


def test_treats_another_workspace_s_call_as_absent(workspace):
    make_call(make_workspace(), "call_2")
    client = client_of(workspace)

    foreign, absent = client.get(f"{CALLS}call_2/"), client.get(f"{CALLS}call_3/")

    assert_problem(foreign, 404)
    assert foreign.content == absent.content
    assert client.get(CALLS).json()["results"] == []


@pytest.mark.parametrize(
    ("query", "matches"),
    [
        ("direction=outbound&channel=phone_call&country=gb&status=ended", True),
        ("peer=+447400123456", True),
        ("peer=%2B447400123457", False),
        ("phone_number=14155550100", True),
        ("direction=inbound", False),
        ("disconnection_reason=user_hangup&number_class=mobile", True),
        ("public_key=pk_site", False),
        ("agent=agent_x", False),
        ("decision_id=6f9619ff-8b86-4d11-b42d-00c04fc964ff", False),
        ("status=ongoing", False),
        ("from=2026-11-02T12:00:00Z&to=2026-11-02T12:00:01Z", True),
        ("to=2026-11-02T12:00:00Z", False),
    ],
)
def test_filters(workspace, query, matches):
    make_call(workspace)

    assert len(client_of(workspace).get(f"{CALLS}?{query}").json()["results"]) == int(matches)
