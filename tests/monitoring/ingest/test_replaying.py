"""Events processed once more because somebody asked: what they missed is made up for, what was right stays."""

import json
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command

from accounts.models import AuditEntry
from accounts.scoping import scoped
from monitoring.ingest import replaying
from monitoring.models import Call, WebhookEvent
from policies.gate import store
from policies.models import CallToEnd, Decision
from tests.factories import make_phone_number, make_workspace, moment
from tests.monitoring.ingest.events import CANADIAN, OUR_NUMBER, call_event, calls, kept, life, process, send

pytestmark = pytest.mark.django_db


def replay(workspace, **which):
    return replaying.replay(
        workspace_id=workspace.pk, which=replaying.Which(**which), acting_user=None, now=moment()
    ).events


def test_changes_nothing_that_was_right(workspace, monkeypatch):
    make_phone_number(workspace, OUR_NUMBER)
    told = []
    monkeypatch.setattr(store, "note_short_call", lambda *noted: told.append(noted))
    now_ms = int(moment().timestamp() * 1000)
    short = {"direction": "inbound", "from_number": CANADIAN, "to_number": OUR_NUMBER, "duration_ms": 3000}
    for event in (
        *life("call_1", **short, start_timestamp=now_ms - 3000, end_timestamp=now_ms),
        {"event": "transfer_started", "call": {"call_id": "call_1"}, "transfer_destination": {"number": "+5351234567"}},
        {"event": "of_tomorrow"},
    ):
        send(workspace, event)
    process(workspace)
    before = calls(workspace)
    with scoped(workspace.pk):
        effects = [list(rows.order_by("pk").values()) for rows in (Call.objects, Decision.objects, CallToEnd.objects)]

    assert replay(workspace, since=moment() - timedelta(days=1)) == 5
    process(workspace, clock=lambda: moment() + timedelta(minutes=1))

    assert calls(workspace) == before
    with scoped(workspace.pk):
        assert effects == [
            list(rows.order_by("pk").values()) for rows in (Call.objects, Decision.objects, CallToEnd.objects)
        ]
    assert {row.state for row in kept(workspace)} == {"done"}
    assert len(told) <= 1


def test_makes_up_for_what_was_given_up(workspace):
    for event in life("call_1"):
        send(workspace, event)
    with scoped(workspace.pk):
        WebhookEvent.objects.update(state="dead", due_at=None, attempts=12, error="It was a bad day.")

    assert replay(workspace, state="dead") == 3
    process(workspace)

    assert calls(workspace)["call_1"]["status"] == "ended"
    assert {(row.state, row.attempts, row.error) for row in kept(workspace)} == {("done", 1, "")}
    with scoped(workspace.pk):
        entry = AuditEntry.objects.get(action="webhook_event.replay")
    assert (entry.detail["after"]["state"], entry.detail["after"]["events"]) == ("dead", 3)


def test_takes_only_what_was_asked_for(workspace):
    other = make_workspace()
    send(other, call_event("call_ended"))
    for event in life("call_1") + life("call_2"):
        send(workspace, event)
    process(workspace)
    process(other)
    first, *_ = kept(workspace)

    assert replay(workspace, call_reference="call_2") == 3
    assert replay(workspace, event="call_ended", call_reference="call_1") == 1
    assert replay(workspace, ids=[first.pk]) == 1
    assert replay(workspace, until=first.received_at) == 0
    assert [row.state for row in kept(other)] == ["done"]


def test_takes_nothing_from_a_worker(workspace):
    send(workspace, call_event("call_ended"))
    with scoped(workspace.pk):
        WebhookEvent.objects.update(state="processing")

    assert replay(workspace, event="call_ended") == 0


def test_goes_through_a_long_range_in_steps(workspace, monkeypatch, capsys):
    monkeypatch.setattr(replaying, "AT_ONCE", 2)
    for event in (*life("call_1"), *life("call_2")):
        send(workspace, event)
    process(workspace)

    call_command("replay_events", workspace=workspace.slug, since="2000-01-01", json=True)

    assert json.loads(capsys.readouterr().out) == {"events": 6}
    assert {row.state for row in kept(workspace)} == {"received"}


@pytest.mark.parametrize(
    ("which", "field"),
    [({}, "since"), ({"state": "processing"}, "state"), ({"state": "gone"}, "state")],
)
def test_wants_to_know_which(workspace, which, field):
    with pytest.raises(ValidationError) as refused:
        replay(workspace, **which)

    assert list(refused.value.message_dict) == [field]


@pytest.mark.parametrize("options", [{"since": "yesterday"}, {"until": "2026-02-31"}, {"state": "gone"}, {}])
def test_the_command_says_what_it_does_not_understand(workspace, options):
    with pytest.raises(CommandError):
        call_command("replay_events", workspace=workspace.slug, **options)
