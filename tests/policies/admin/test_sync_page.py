"""The page of the sync: the sentence, what is not in order and why, rights, other workspaces, queries."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.models import AuditEntry
from accounts.roles import Role
from policies.models import PhoneNumber, SyncTarget, UponaiConnection
from tests import factories
from tests.signing_in import in_place, messages_of, signed_in

PAGE = reverse("admin:policies_synctarget_changelist")


@pytest.fixture
def viewer(in_workspace):
    return signed_in(in_workspace, Role.VIEWER)


def words(client, **query):
    answer = client.get(PAGE, query)
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def troubled(workspace, e164, **facts):
    number = factories.make_phone_number(workspace, e164, synced=False)
    SyncTarget.objects.filter(phone_number=number).update(**facts)
    return number


def test_says_what_would_be_here_before_there_are_numbers(viewer):
    html = words(viewer)

    assert "No phone numbers yet, so there is nothing to bring to UponAI." in html
    assert "Nothing to bring to UponAI yet" in html


def test_is_calm_when_uponai_has_everything(viewer, in_workspace):
    factories.make_phone_number(in_workspace, "+14155550100")
    factories.make_phone_number(in_workspace, "+14155550101")

    html = words(viewer)

    assert "All 2 numbers are as UponAI has them." in html
    assert "Everything is in order" in html
    assert "<table" not in html


def test_lists_only_what_is_not_in_order_with_the_reason(viewer, in_workspace):
    now = factories.moment()
    factories.make_phone_number(in_workspace, "+14155550100")
    troubled(in_workspace, "+14155550101", state="failed", error="UponAI answered 422: no such agent.", due_at=None)
    troubled(in_workspace, "+14155550102", state="drift", drift_since=now - timedelta(minutes=10, seconds=5))
    later = {"attempts": 1, "error": "UponAI answered 503.", "due_at": now + timedelta(seconds=49)}
    troubled(in_workspace, "+14155550103", **later)
    gone = factories.make_phone_number(in_workspace, "+14155550104")
    PhoneNumber.objects.filter(pk=gone.pk).update(missing_since=now)

    html = words(viewer)

    assert "1 was refused by UponAI and is not tried again by itself;" in html
    assert "1 waits for UponAI (its last answer: 503, next try in 4" in html
    assert "1 was changed in UponAI&#x27;s dashboard 10 min ago;" in html
    assert "1 is not listed by UponAI any more." in html
    assert "+1 415-555-0100" not in html
    assert "UponAI refused this: UponAI answered 422: no such agent." in html
    shown = [html.index(f"+1 415-555-010{last}</a>") for last in (1, 2, 3, 4)]
    assert shown == sorted(shown)  # what needs a person comes first
    assert "Retry" not in html  # a viewer looks
    only = words(viewer, which="drift")
    assert "+1 415-555-0102" in only
    assert "+1 415-555-0101" not in only


def test_says_what_stands_in_the_way_of_all(viewer, in_workspace):
    troubled(in_workspace, "+14155550101")
    row = UponaiConnection.objects.create(failures=6, blocked_until=factories.moment() + timedelta(seconds=30))

    assert "UponAI failed 6 times in a row. Nothing is sent before the next try in 2" in words(viewer)
    UponaiConnection.objects.filter(pk=row.pk).update(failures=0)
    assert "UponAI asked us to wait. Nothing is sent before the next try in 2" in words(viewer)
    UponaiConnection.objects.filter(pk=row.pk).update(key_refused_at=factories.moment())
    assert "UponAI refuses the key in use." in words(viewer)


def test_fetches_itself_again_without_the_frame(viewer, in_workspace):
    factories.make_phone_number(in_workspace)

    part = viewer.get(PAGE, headers={"HX-Request": "true"}).content.decode()

    assert 'id="sync-live"' in part
    assert "<html" not in part


def test_retry_comes_back_to_the_list_and_is_for_those_who_may_change(viewer, in_workspace):
    number = troubled(in_workspace, "+14155550101", state="failed", due_at=None, attempts=3, error="no")
    retry = reverse("admin:policies_synctarget_retry", args=[SyncTarget.objects.get(phone_number=number).pk])
    assert viewer.post(retry).status_code == 403
    editor = signed_in(in_workspace, Role.POLICY_EDITOR)

    answer = editor.post(f"{retry}?which=failed")

    assert answer["Location"] == f"{PAGE}?which=failed"
    assert "+1 415-555-0101 is tried again now." in messages_of(answer)
    target = SyncTarget.objects.get(phone_number=number)
    assert (target.state, target.attempts) == ("pending", 0)
    assert AuditEntry.objects.order_by("-sequence").first().action == "sync.retry"


def test_another_workspace_is_neither_counted_nor_tried(viewer, in_workspace):
    from accounts.scoping import scoped

    other = factories.make_workspace()
    number = factories.make_phone_number(other, "+14155550109", synced=False)
    with scoped(other.pk):
        pk = SyncTarget.objects.get(phone_number=number).pk

    assert "No phone numbers yet" in words(viewer)
    owner = signed_in(in_workspace)
    assert owner.post(reverse("admin:policies_synctarget_retry", args=[pk])).status_code == 404


def test_shared_policies_on_their_way_show_their_progress(viewer, in_workspace):
    policy = factories.make_policy(in_workspace, name="Desk")
    for last in range(3):
        factories.make_phone_number(in_workspace, f"+1415555010{last}", policy=policy, synced=last == 0)

    html = words(viewer)

    assert "Desk</a>: <strong" in html
    assert "1 of 3 applied" in html


def test_as_many_queries_for_many_numbers_as_for_few(viewer, in_workspace, django_assert_num_queries):
    policy = factories.make_policy(in_workspace)

    def more(start):
        for last in range(start, start + 4):
            number = factories.make_phone_number(in_workspace, f"+141555501{last:02}", policy=policy, synced=False)
            SyncTarget.objects.filter(phone_number=number).update(state="failed" if last % 2 else "pending", error="no")

    more(0)
    in_place(viewer, PAGE)
    with CaptureQueriesContext(connection) as few:
        viewer.get(PAGE, headers={"HX-Request": "true"})
    more(10)
    more(20)
    with django_assert_num_queries(len(few)):
        viewer.get(PAGE, headers={"HX-Request": "true"})


@pytest.mark.parametrize(
    "query", ["which=nothing", "page=99", "page=x", "policy=-1", "policy=99999999999999999999", "q=%00"]
)
def test_an_address_that_makes_no_sense_shows_the_page(viewer, in_workspace, query):
    troubled(in_workspace, "+14155550101")

    assert viewer.get(f"{PAGE}?{query}").status_code == 200
