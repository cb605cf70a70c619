"""What is forgotten when it is old, what stays, and that counts of before stay as they were."""

import logging
from datetime import timedelta

import pytest
from django.urls import reverse

from accounts import workspaces
from accounts.models import AuditEntry, Workspace
from accounts.scoping import scoped
from monitoring import tasks
from monitoring.ingest import parties, retention, rollups
from monitoring.models import BlockedCall, Call, HourTotal, PartyBucket, UsageBucket, WebhookEvent
from policies.models import Decision, DecisionOutcome
from tests.factories import make_phone_number, make_workspace, moment
from tests.monitoring.dashboards.rows import list_blocked, make_call, make_decision
from tests.monitoring.ingest.events import call_event, kept, process, send
from tests.rest import assert_problem, client_of
from tests.signing_in import signed_in

pytestmark = pytest.mark.django_db

KEPT = (Call, BlockedCall, Decision, DecisionOutcome)


def _filled(workspace, *ages):
    """A call, a blocked attempt, its place in the list and what was told of it, from each so many days ago."""
    number = make_phone_number(workspace)
    with scoped(workspace.pk):
        for age in ages:
            at = moment() - timedelta(days=age)
            make_call(at, changed_at=moment())
            blocked = make_decision(number, "+442079460018", at)
            DecisionOutcome.objects.create(decision_id=blocked.decision_id, outcome="complaint", at=at)
        list_blocked(workspace.pk, moment())


def _count(workspace):
    rollups.roll_up(workspace_id=workspace.pk, now=moment())
    parties.count(workspace_id=workspace.pk, now=moment())
    with scoped(workspace.pk):
        facts = ("hour", "outcome", "calls", "seconds")
        return [sorted(model.objects.values_list(*facts)) for model in (UsageBucket, HourTotal, PartyBucket)]


def _left(workspace):
    with scoped(workspace.pk):
        return [model.objects.count() for model in KEPT]


def test_forgets_what_is_older_than_its_workspace_keeps_it_and_keeps_the_counts(workspace, caplog):
    other = make_workspace()
    workspaces.change_settings(workspace=workspace, keep_calls_days=90, acting_user=None, now=moment())
    for each in (workspace, other):
        _filled(each, 401, 300, 100, 80)
    before = _count(workspace)

    with caplog.at_level(logging.INFO):
        tasks.forget_history()

    assert _left(workspace) == [1, 1, 1, 1]
    assert _left(other) == [3, 3, 3, 3]
    assert "were forgotten, being too old: 3 blocked calls, 3 calls, 3 decisions." in caplog.text
    assert _count(workspace) == before
    with scoped(workspace.pk):
        # It comes years late, into an hour whose other rows are gone.
        make_call(moment() - timedelta(days=300), changed_at=moment())
    assert _count(workspace) == before


def test_goes_on_batch_by_batch_the_oldest_first(workspace, monkeypatch):
    monkeypatch.setattr(retention, "AT_ONCE", 2)
    _filled(workspace, 410, 430, 420)

    assert retention.forget_some(workspace=workspace, now=moment())["calls"] == 2
    with scoped(workspace.pk):
        assert (moment() - Call.objects.get().started_at).days == 410
    while retention.forget_some(workspace=workspace, now=moment()):
        pass
    assert _left(workspace) == [0, 0, 0, 0]


def test_a_decision_that_reviewers_are_yet_to_know_of_stays(workspace):
    _filled(workspace, 410)
    with scoped(workspace.pk):
        Decision.objects.update(left_declared_use=True)

    tasks.forget_history()

    assert _left(workspace) == [0, 0, 1, 1]


def test_forgets_old_events_that_need_nothing_more(workspace):
    send(workspace, call_event("call_started"))
    process(workspace)
    send(workspace, call_event("call_ended"))
    with scoped(workspace.pk):
        WebhookEvent.objects.update(received_at=moment() - timedelta(days=31))
    workspaces.change_settings(workspace=workspace, keep_events_days=32, acting_user=None, now=moment())

    tasks.forget_history()
    assert len(kept(workspace)) == 2
    workspaces.change_settings(workspace=workspace, keep_events_days=30, acting_user=None, now=moment())
    tasks.forget_history()

    assert [row.event for row in kept(workspace)] == ["call_ended"]


def test_how_long_is_said_in_the_settings_by_the_page_and_by_rest(workspace):
    client, address = client_of(workspace), "/api/v1/workspace/"
    assert client.get(address).json().items() >= {"keep_events_days": 30, "keep_calls_days": 400}.items()

    assert client.patch(address, {"keep_calls_days": 500}).json()["keep_calls_days"] == 500
    assert_problem(client.patch(address, {"keep_calls_days": 89}), 422, "keep_calls_days")
    with scoped(workspace.pk):
        assert AuditEntry.objects.filter(action="workspace.change_settings").count() == 1
    page = signed_in(workspace).get(reverse("admin:accounts_workspace_change", args=[workspace.pk]))
    assert "Counts by the hour stay for ever" in page.content.decode()
    assert Workspace.objects.get(pk=workspace.pk).keep_events_days == 30
