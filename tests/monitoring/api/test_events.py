import pytest

from tests.factories import make_workspace
from tests.monitoring.ingest.events import call_event, kept, life, process, send
from tests.rest import assert_problem, client_of

pytestmark = pytest.mark.django_db

EVENTS = "/api/v1/events/"


def test_lists_events_without_their_bodies(workspace):
    send(make_workspace(), call_event("call_ended", "theirs"))
    for event in life("call_1"):
        send(workspace, event)
    client = client_of(workspace)

    results = client.get(EVENTS, {"event": "call_ended"}).json()["results"]

    assert [row["call_reference"] for row in results] == ["call_1"]
    assert "4242" not in str(results)
    assert set(results[0]) == {
        *("id", "event", "call_reference", "state", "received_at", "processed_at", "attempts", "error"),
    }


def test_processes_a_range_again(workspace):
    for event in life("call_1"):
        send(workspace, event)
    process(workspace)

    answer = client_of(workspace).post(f"{EVENTS}replay/", {"since": "2026-01-01T00:00:00Z", "event": "call_ended"})

    last = kept(workspace)[1]
    assert (answer.status_code, answer.json()) == (200, {"events": 1, "last_id": last.pk, "is_all": True})
    assert [row.state for row in kept(workspace)] == ["done", "received", "done"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "since"),
        ({"state": "gone"}, "state"),
        ({"since": "yesterday"}, "since"),
        ({"ids": ["1"]}, "ids.0"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_says_which_field_it_does_not_understand(workspace, body, field):
    answer = client_of(workspace).post(f"{EVENTS}replay/", body)

    assert_problem(answer, 422, field)


def test_needs_the_right_to_write(workspace):
    assert client_of(workspace, "calls:read").post(f"{EVENTS}replay/", {"state": "dead"}).status_code == 403
