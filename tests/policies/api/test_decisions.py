import uuid
from datetime import UTC, datetime, timedelta

import pytest

from accounts.scoping import scoped
from policies.engine.decide import decide
from policies.engine.types import Attempt
from policies.gate import recorder, snapshots
from policies.models import Decision
from tests.factories import make_phone_number, make_workspace
from tests.monitoring.dashboards.rows import list_blocked
from tests.rest import assert_problem, client_of

pytestmark = pytest.mark.django_db

DECISIONS, BLOCKED, PREVIEW = "/api/v1/decisions/", "/api/v1/blocked-calls/", "/api/v1/decisions/preview/"
NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)

TO_CUBA = {
    "direction": "outbound",
    "channel": "phone_call",
    "from_number": "+14155550100",
    "to_number": "+5351234567",
}
TO_CANADA = TO_CUBA | {"to_number": "+14165550123"}
FROM_GERMANY = {
    "direction": "inbound",
    "channel": "phone_call",
    "from_number": "+4915112345678",
    "to_number": "+14155550100",
}


@pytest.fixture
def client(workspace):
    return client_of(workspace)


def record(workspace, attempt, *, at=NOON, **changed):
    """A decision as the gate would store it."""
    snapshot = snapshots.load(workspace.pk).engine
    judged = Attempt.from_json(attempt)
    values = recorder.facts(judged, decide(judged, snapshot), decision_id=uuid.uuid4(), at=at)
    row = recorder.as_row(workspace.pk, values | changed, now=at)
    with scoped(workspace.pk):
        row.save()
    return row


def test_shows_a_decision_with_all_that_led_to_it(workspace, client):
    number = make_phone_number(workspace)
    row = record(workspace, TO_CUBA)

    shown = client.get(f"{DECISIONS}{row.decision_id}/").json()

    assert shown["decision_id"] == str(row.decision_id)
    assert shown["at"] == "2026-11-02T12:00:00Z"
    assert (shown["verdict"], shown["reason"]) == ("block", "sanctioned_country")
    assert shown["peer"]["country"] == "CU"
    assert shown["phone_number"] == "+14155550100"
    assert shown["policy"] == {"id": number.policy_id, "revision": 1}
    assert shown["trace"][0].keys() == {"check", "outcome", "value", "threshold"}
    assert "Cuba" in shown["sentence"]
    assert (shown["public_key"], shown["ip"], shown["subject"]) == (None, None, None)


def test_shows_null_for_the_reason_of_what_was_allowed(workspace, client):
    make_phone_number(workspace)
    row = record(workspace, TO_CANADA)

    shown = client.get(f"{DECISIONS}{row.decision_id}/").json()

    assert (shown["verdict"], shown["reason"], shown["sentence"]) == ("allow", None, "Allowed.")


def test_says_what_an_older_or_newer_version_decided(workspace, client):
    row = record(workspace, TO_CUBA, reason="moon_phase")

    assert client.get(f"{DECISIONS}{row.decision_id}/").json()["sentence"] == "Blocked: moon phase."


@pytest.mark.parametrize(
    ("query", "matches"),
    [
        ("verdict=block", True),
        ("verdict=allow", False),
        ("reason=sanctioned_country", True),
        ("reason=held", False),
        ("country=CU", True),
        ("country=cu", True),
        ("country=DE", False),
        ("direction=outbound", True),
        ("direction=inbound", False),
        ("channel=phone_call", True),
        ("channel=sms", False),
        ("phone_number=%2B14155550100", True),
        ("phone_number=+14155550100", True),
        ("phone_number=14155550100", True),
        ("phone_number=%2B14155550101", False),
        ("from=2026-11-02T12:00:00Z", True),
        ("from=2026-11-02T12:00:00.000001Z", False),
        ("from=2026-11-02T13:00:00+01:00", True),
        ("from=2026-11-02", True),
        ("to=2026-11-02T12:00:00Z", False),
        ("to=2026-11-02T12:00:01Z", True),
        ("to=2026-11-02T12:00:01", True),
        ("verdict=block&country=CU&from=2026-11-01&to=2026-11-03", True),
    ],
)
def test_filters(workspace, client, query, matches):
    record(workspace, TO_CUBA)

    assert len(client.get(f"{DECISIONS}?{query}").json()["results"]) == int(matches)


@pytest.mark.parametrize(
    "query",
    ["verdict=maybe", "reason=because", "country=USA", "country=1", "direction=up", "channel=fax", "to=soon"],
)
def test_refuses_filters_that_mean_nothing(client, query):
    assert_problem(client.get(f"{DECISIONS}?{query}"), 422, query.partition("=")[0])


def test_shows_the_newest_first_and_only_the_workspace_s_own(workspace, client):
    older = record(workspace, TO_CUBA, at=NOON - timedelta(hours=1))
    newer = record(workspace, TO_CUBA)
    foreign = record(make_workspace(), TO_CUBA)

    shown = [row["decision_id"] for row in client.get(DECISIONS).json()["results"]]

    assert shown == [str(newer.decision_id), str(older.decision_id)]
    assert_problem(client.get(f"{DECISIONS}{foreign.decision_id}/"), 404)


def test_lists_as_blocked_what_was_blocked(workspace, client):
    make_phone_number(workspace)
    blocked, allowed = record(workspace, FROM_GERMANY), record(workspace, TO_CANADA)

    list_blocked(workspace.pk, NOON)
    results = client.get(BLOCKED).json()["results"]

    assert [row["decision_id"] for row in results] == [str(blocked.decision_id)]
    assert results[0]["reason"] == "country_not_allowed"
    assert "Germany" in results[0]["sentence"]
    assert client.get(f"{BLOCKED}{blocked.decision_id}/").json() == results[0]
    assert_problem(client.get(f"{BLOCKED}{allowed.decision_id}/"), 404)


# --- Preview --------------------------------------------------------------------------------------


def test_previews_in_exactly_the_agreed_shape(workspace, client):
    number = make_phone_number(workspace)

    verdict = client.post(PREVIEW, TO_CUBA | {"ip": "203.0.113.7", "public_key": None, "captcha": None}).json()

    assert list(verdict) == [
        "verdict",
        "reason",
        "reasons",
        "peer",
        "trace",
        "counterfactuals",
        "policy",
        "degraded",
    ]
    assert (verdict["verdict"], verdict["reason"]) == ("block", "sanctioned_country")
    assert verdict["reasons"] == ["sanctioned_country", "country_not_allowed"]
    assert verdict["peer"]["country"] == "CU"
    assert verdict["policy"] == {"id": number.policy_id, "revision": 1}
    assert verdict["degraded"] is False
    assert {"check": "sanctions", "outcome": "fail", "value": "CU", "threshold": "CU IR KP SY RU BY VE"} in (
        verdict["trace"]
    )


def test_previews_what_was_edited_a_moment_ago(workspace, client):
    make_phone_number(workspace)
    assert client.post(PREVIEW, TO_CANADA).json()["verdict"] == "allow"

    client.patch("/api/v1/phone-numbers/+14155550100/", {"allowed_outbound_country_list": ["US"]})

    assert client.post(PREVIEW, TO_CANADA).json()["reason"] == "country_not_allowed"


def test_previews_with_the_right_to_read_and_records_nothing(workspace):
    make_phone_number(workspace)

    response = client_of(workspace, "decisions:read").post(PREVIEW, TO_CUBA)

    assert response.status_code == 200
    with scoped(workspace.pk):
        assert not Decision.objects.exists()


@pytest.mark.parametrize(
    "attempt",
    [
        {},
        {"direction": "sideways", "channel": 7},
        {"to_number": [], "from_number": {}},
        {"to_number": 10**30, "from_number": -1.5},
        {"to_number": "+" + "9" * 10_000},
        {"to_number": "\0", "from_number": "\u202e"},
        {"unheard": "of"},
    ],
)
def test_lets_nothing_through_that_it_cannot_read(workspace, client, attempt):
    make_phone_number(workspace)

    response = client.post(PREVIEW, attempt)

    assert response.status_code == 200
    assert response.json()["verdict"] == "block"


def test_does_not_know_another_workspace_s_number(client):
    make_phone_number(make_workspace())

    assert client.post(PREVIEW, TO_CANADA).json()["reason"] == "unknown_number"


@pytest.mark.parametrize("body", [[], "x", 1])
def test_previews_only_an_object(client, body):
    assert_problem(client.post(PREVIEW, body), 422, "")
