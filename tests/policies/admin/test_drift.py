"""The page of a number that somebody changed at UponAI: what is different, who did it, and the two ways on."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.urls import reverse

from accounts.roles import Role
from policies import actions
from policies.models import PhoneNumber, SyncTarget, UponaiConnection
from policies.sync.comparing import OUTRUN
from tests import factories
from tests.factories import make_phone_number, moment
from tests.signing_in import in_place, messages_of, signed_in

pytestmark = pytest.mark.django_db

OURS = {"inbound": ["CA", "US"], "outbound": ["US"]}


def address(name: str, number: PhoneNumber) -> str:
    return reverse(f"admin:policies_phonenumber_{name}", args=[number.pk])


def fresh(number: PhoneNumber) -> PhoneNumber:
    return PhoneNumber.objects.select_related("policy__current_revision", "sync_target").get(pk=number.pk)


@pytest.fixture
def number(in_workspace):
    return make_phone_number(in_workspace, inbound=["CA", "US"], outbound=["US"])


@pytest.fixture
def editor(in_workspace):
    return signed_in(in_workspace, Role.POLICY_EDITOR)


def drift(error, *, outbound, **facts):
    since = moment() - timedelta(minutes=3)
    SyncTarget.objects.update(
        state="drift",
        applied=OURS,
        applied_at=since - timedelta(hours=1),
        observed={**OURS, "outbound": outbound},
        verified_at=since,
        drift_since=since,
        error=error,
        **facts,
    )


def page(client, number) -> str:
    return " ".join(client.get(address("change", number)).content.decode().split())


def test_says_what_differs_since_when_and_what_each_way_does(editor, number):
    drift("UponAI also allows Jamaica and Latvia to be called", outbound=["JM", "LV", "US"], due_at=moment())

    html = page(editor, number)

    assert "UponAI also allows Jamaica and Latvia to be called. It is being put right." in html
    assert "at the latest. Nobody here did that." in html
    assert "This takes Jamaica and Latvia away from its destinations at UponAI." in html
    assert "What UponAI has becomes the newest revision of this number&#x27;s policy." in html
    assert '<td class="fc-differs">' in html


def test_a_merely_narrower_number_waits_for_a_person(editor, number):
    drift("UponAI does not allow United States to be called", outbound=["BV"], unsure_since=moment())

    html = page(editor, number)

    assert "adopt theirs, or re-assert ours" in html
    assert "that UponAI had left unanswered" in html
    assert "This gives United States back to its destinations at UponAI." in html


def test_says_that_nothing_more_is_sent(editor, number):
    drift(f"UponAI allows calls to every country. {OUTRUN}", outbound=None, reasserted_at=[moment().isoformat()] * 3)

    html = page(editor, number)

    assert "UponAI allows calls to every country. It was put right three times within an hour" in html
    assert 'name="reason"' in html


def test_re_asserting_sends_ours_again(editor, number):
    drift("UponAI does not allow United States to be called", outbound=["BV"])

    html = in_place(editor, address("re_assert", number)).content.decode()

    assert "What is wanted is sent to UponAI again." in html
    assert fresh(number).sync_target.due_at is not None
    assert "May call: wanted United States; at UponAI no country." in html


def test_adopting_takes_theirs_over_and_both_sides_stay_in_the_history(editor, number):
    drift("UponAI also allows Jamaica to be called", outbound=["JM", "US"])

    html = in_place(editor, address("adopt", number), version=actions.version_of(fresh(number))).content.decode()

    assert "What UponAI had is this number&#x27;s policy now." in html
    assert fresh(number).policy.current_revision.outbound["countries"] == ["JM", "US"]
    assert "May call: wanted United States; at UponAI Jamaica, United States." in html


def test_adopting_every_country_needs_a_reason_and_a_fresh_page(editor, number):
    drift("UponAI allows calls to every country", outbound=None)
    version = actions.version_of(fresh(number))

    refused = in_place(editor, address("adopt", number), version=version).content.decode()
    stale = in_place(editor, address("adopt", number), version="1-1-0", confirm="yes", reason="a test")

    assert "No restriction means that every country is allowed" in refused
    assert "Somebody else changed this number meanwhile" in stale.content.decode()
    assert fresh(number).policy.current_revision.number == 1
    in_place(editor, address("adopt", number), version=version, confirm="yes", reason="a test")
    assert fresh(number).policy.current_revision.outbound["mode"] == "unrestricted"


def test_who_may_only_look_sees_no_buttons(in_workspace, number):
    drift("UponAI also allows Jamaica to be called", outbound=["JM", "US"])
    viewer = signed_in(in_workspace, Role.VIEWER)

    html = page(viewer, number)

    assert "UponAI also allows Jamaica to be called" in html
    assert "Adopt theirs" not in html
    for verb in ("re_assert", "adopt"):
        assert in_place(viewer, address(verb, number)).status_code == 403


def test_all_numbers_are_compared_on_request(editor, number):
    response = editor.post(reverse("admin:policies_phonenumber_check"), {"number": number.pk})

    assert "All numbers are being compared" in messages_of(response)
    assert response.url == address("change", number)
    assert UponaiConnection.objects.get().drift_due_at is not None


def test_numbers_of_other_workspaces_are_not_there(editor):
    foreign = make_phone_number(factories.make_workspace(), "+14155550177")

    for verb in ("re_assert", "adopt"):
        assert in_place(editor, address(verb, foreign)).status_code == 404
