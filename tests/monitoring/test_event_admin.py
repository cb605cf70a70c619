"""The list of events and the page of one: how far they are, what they say, and once more."""

import pytest
from django.urls import reverse

from accounts.roles import Role
from accounts.scoping import scoped
from monitoring.models import WebhookEvent
from tests import factories
from tests.monitoring.ingest.events import call_event, kept, process, send

LIST = "admin:monitoring_webhookevent_changelist"
PAGE = "admin:monitoring_webhookevent_change"
AGAIN = "admin:monitoring_webhookevent_replay"

pytestmark = pytest.mark.django_db


@pytest.fixture
def event(workspace):
    send(workspace, call_event("call_ended", metadata={"name": "Miller"}, access_token="token_secret"))
    return kept(workspace)[0]


def signed_in(client, workspace, role):
    client.force_login(factories.make_member(workspace, role))
    return client


def test_shows_an_event_without_what_was_said(client, workspace, event):
    viewer = signed_in(client, workspace, Role.VIEWER)

    html = viewer.get(reverse(PAGE, args=[event.pk])).content.decode()

    assert "+447400123456" in html
    assert "hidden: a text of" in html
    for secret in ("4242", "Miller", "token_secret"):
        assert secret not in html
    assert "Process it again" not in html
    assert viewer.post(reverse(AGAIN, args=[event.pk])).status_code == 403


def test_processes_one_event_again(client, workspace, event):
    process(workspace)
    editor = signed_in(client, workspace, Role.POLICY_EDITOR)
    assert "Process it again" in editor.get(reverse(PAGE, args=[event.pk])).content.decode()

    answer = editor.post(reverse(AGAIN, args=[event.pk]), follow=True)

    assert "1 event is processed once more." in answer.content.decode()
    assert kept(workspace)[0].state == "received"


def test_says_what_was_given_up_and_processes_it_again(client, workspace, event):
    with scoped(workspace.pk):
        WebhookEvent.objects.update(state="dead", due_at=None, error="CannotOpen: The key is gone.")
    owner = signed_in(client, workspace, Role.OWNER)

    html = owner.get(reverse(LIST)).content.decode()
    assert "1 event is given up" in html
    assert "CannotOpen: The key is gone." in html
    owner.post(reverse("admin:monitoring_webhookevent_replay_given_up"))

    assert kept(workspace)[0].state == "received"


def test_lists_events_under_the_name_and_in_the_words_of_the_menu(client, workspace, event):
    process(workspace)

    html = signed_in(client, workspace, Role.VIEWER).get(reverse(LIST)).content.decode()

    assert "Webhook" not in html
    assert 'fc-state-synced" data-tip="">Done</span>' in html


def test_processes_chosen_rows_again(client, workspace, event):
    process(workspace)
    owner = signed_in(client, workspace, Role.OWNER)

    owner.post(reverse(LIST), {"action": "replay_chosen", "_selected_action": [event.pk]})

    assert kept(workspace)[0].state == "received"


@pytest.mark.parametrize(
    ("query", "count"),
    [({"q": "call_1"}, 1), ({"q": "call_9"}, 0), ({"state__exact": "received"}, 1), ({"state__exact": "dead"}, 0)],
)
def test_is_found_by_the_call_and_the_state(client, workspace, event, query, count):
    answer = signed_in(client, workspace, Role.VIEWER).get(reverse(LIST), query)

    assert len(answer.context["cl"].result_list) == count


def test_an_event_of_another_workspace_has_no_page(client, workspace, event):
    stranger = signed_in(client, factories.make_workspace(), Role.OWNER)

    assert stranger.get(reverse(PAGE, args=[event.pk])).status_code == 404
    assert stranger.post(reverse(AGAIN, args=[event.pk])).status_code == 404
