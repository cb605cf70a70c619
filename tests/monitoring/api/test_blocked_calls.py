from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.scoping import scoped
from policies.models import Decision
from tests.factories import make_phone_number, make_workspace
from tests.monitoring.dashboards.rows import NOW, list_blocked, make_call, make_decision
from tests.monitoring.ingest.test_blocked_calls import make_dial
from tests.rest import assert_problem, client_of

pytestmark = pytest.mark.django_db

BLOCKED = "/api/v1/blocked-calls/"


@pytest.fixture
def three(workspace):
    """What the gate blocked, what UponAI refused of what the gate let through, and what a network blocked."""
    number = make_phone_number(workspace)
    with scoped(workspace.pk):
        make_decision(number, "+442079460018", NOW)
        allowed = make_decision(number, "+14165550123", NOW - timedelta(minutes=1), direction="outbound")
        Decision.objects.filter(pk=allowed.pk).update(ip="203.0.113.7")
        make_dial(NOW - timedelta(minutes=1), decision_id=allowed.decision_id, to_number="+14165550123", country="CA")
        make_call(NOW - timedelta(minutes=2), call_reference="call_x", disconnection_reason="network_blocked")
    list_blocked(workspace.pk, NOW)
    return workspace


def test_shows_each_source_in_one_form(three):
    gate, refused, network = client_of(three).get(BLOCKED).json()["results"]

    assert gate.keys() == refused.keys() == network.keys()
    assert {row["verdict"] for row in (gate, refused, network)} == {"block"}
    assert (gate["source"], gate["reason"], gate["said"]) == ("inbound", "country_not_allowed", None)
    assert {line["check"] for line in gate["trace"] if line["outcome"] == "fail"} == {"country"}
    assert (len(gate["counterfactuals"]), gate["policy"]["revision"]) == (1, 1)
    assert (refused["source"], refused["uponai_reason"]) == ("refused", "uponai_country_refused")
    assert (refused["reason"], refused["reasons"]) == ("country_not_allowed", ["country_not_allowed"])
    assert (refused["counterfactuals"], gate["uponai_reason"]) == ([], None)
    assert (refused["ip"], refused["said"]) == ("203.0.113.7", "Country is not in the allowed outbound country list")
    assert (network["reference"], network["decision_id"], network["trace"]) == ("call_x", None, [])
    assert (network["reason"], network["reasons"]) == (None, [])
    assert network["uponai_reason"] == "uponai_network_blocked"
    assert network["sentence"] == "Blocked: blocked by a telephone network. It did not come about: network blocked."


def test_is_found_by_the_id_of_its_decision_or_call(three):
    client = client_of(three)

    for row in client.get(BLOCKED).json()["results"]:
        assert client.get(f"{BLOCKED}{row['decision_id'] or 'call_x'}/").json() == row
    assert_problem(client_of(make_workspace()).get(f"{BLOCKED}call_x/"), 404)


@pytest.mark.parametrize(
    ("query", "sources"),
    [
        ("uponai_reason=uponai_network_blocked", ["not_connected"]),
        ("reason=country_not_allowed", ["inbound", "refused"]),
        ("reason=invalid_number", []),
        ("source=refused", ["refused"]),
        ("country=ca", ["refused"]),
        ("direction=outbound", ["refused"]),
        ("channel=sms", []),
        ("phone_number=14155550100&peer=+442079460018", ["inbound"]),
        ("public_key=pk_none", []),
        ("from=2026-03-04T12:29:00Z&to=2026-03-04T12:30:00Z", ["refused"]),
    ],
)
def test_filters(three, query, sources):
    assert [row["source"] for row in client_of(three).get(f"{BLOCKED}?{query}").json()["results"]] == sources


@pytest.mark.parametrize(
    "query",
    [
        *("reason=because", "reason=uponai_network_blocked", "source=nobody", "country=USA", "from=soon"),
        "from=2026-03-05&to=2026-03-04T23:59:59Z",
    ],
)
def test_refuses_filters_that_mean_nothing(workspace, query):
    assert_problem(client_of(workspace).get(f"{BLOCKED}?{query}"), 422, query.partition("=")[0])


def test_pages_by_cursor_with_the_same_queries_for_any_number_of_rows(three):
    client, counts = client_of(three), []
    client.get(BLOCKED)  # which notes when the token was used
    for size in (1, 3):
        with CaptureQueriesContext(connection) as queries:
            page = client.get(f"{BLOCKED}?page_size={size}").json()
        counts.append(len(queries))

    assert counts[0] == counts[1]
    assert page["next"] is None
    second = client.get(client.get(f"{BLOCKED}?page_size=2").json()["next"]).json()
    assert [row["source"] for row in second["results"]] == ["not_connected"]
