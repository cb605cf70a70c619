"""The pages of holds, by role: imposing, lifting, the brake, and where a hold is told of."""

from datetime import timedelta
from html import unescape

import pytest
from django.urls import reverse

from accounts.roles import Role
from accounts.scoping import scoped
from policies import holds
from policies.gate import recorder
from policies.models import Decision, Hold, SyncTarget
from tests.factories import make_phone_number, make_workspace, moment
from tests.policies.gate.webhooks import JAMAICAN, OUR_NUMBER, body, deliver
from tests.signing_in import messages_of, signed_in

pytestmark = pytest.mark.django_db

LIST = reverse("admin:policies_hold_changelist")
ADD = reverse("admin:policies_hold_add")
BRAKE = reverse("admin:policies_hold_brake")
MAY_HOLD = {Role.OWNER, Role.POLICY_EDITOR}
FORM = {"scope": "country", "value": "jm", "direction": "", "channel": "", "minutes": "60", "reason": "pumping"}


def impose(workspace, scope="country", value="JM", **more):
    now = moment()
    return holds.impose(
        workspace_id=workspace.pk,
        scope=scope,
        value=value,
        reason="pumping",
        expires_at=now + timedelta(hours=1),
        acting_user=None,
        now=now,
        **more,
    )


def kept(workspace):
    with scoped(workspace.pk):
        return list(Hold.objects.order_by("pk"))


def shown(client, address, **parameters):
    answer = client.get(address, parameters)
    assert answer.status_code == 200
    return unescape(answer.content.decode())


@pytest.mark.parametrize("role", list(Role))
def test_owners_and_policy_editors_hold_and_lift_and_others_look(workspace, role):
    client, hold = signed_in(workspace, role), impose(workspace)
    lift = reverse("admin:policies_hold_lift", args=[hold.pk])
    allowed = role in MAY_HOLD

    for page in (LIST, reverse("admin:policies_hold_change", args=[hold.pk])):
        assert (lift in shown(client, page)) == allowed
    assert client.get(ADD).status_code == (200 if allowed else 403)
    assert client.post(ADD, FORM | {"value": "KE"}).status_code == (302 if allowed else 403)
    assert client.post(BRAKE, {"reason": "attack", "minutes": "60"}).status_code == (302 if allowed else 403)
    assert client.get(lift).status_code == 403
    assert client.post(lift).status_code == (302 if allowed else 403)

    states = [(row.value, row.state(moment())) for row in kept(workspace)]
    assert states == ([("JM", "lifted"), ("KE", "in_force"), ("", "in_force")] if allowed else [("JM", "in_force")])


def test_imposes_what_the_form_says(workspace):
    answer = signed_in(workspace).post(ADD, FORM | {"direction": "outbound", "end_running_calls": "on"})

    assert "On hold: Jamaica; nothing goes out." in messages_of(answer)
    (hold,) = kept(workspace)
    assert (hold.value, hold.direction, hold.reason) == ("JM", "outbound", "pumping")
    assert hold.expires_at - hold.imposed_at == timedelta(hours=1)
    assert hold.stop_calls_due_at is not None


def test_says_beside_the_field_what_cannot_be_held(workspace):
    html = unescape(signed_in(workspace).post(ADD, FORM | {"value": "CU"}).content.decode())

    assert "Cuba is on the platform sanctions list and blocked anyway" in html
    assert kept(workspace) == []


def test_the_form_can_be_opened_for_a_number(workspace):
    number = make_phone_number(workspace, OUR_NUMBER)
    client = signed_in(workspace)
    page = shown(client, reverse("admin:policies_phonenumber_change", args=[number.pk]))
    assert f"{ADD}?scope=phone_number&value=%2B14155550100" in page

    form = shown(client, ADD, scope="phone_number", value=OUR_NUMBER)

    assert f'value="{OUR_NUMBER}"' in form
    assert '<option value="phone_number" selected>' in form
    assert "Bouvet Island (BV)" in form


def test_the_brake_stands_on_every_page_it_concerns_until_it_is_lifted(workspace):
    number = make_phone_number(workspace, OUR_NUMBER)
    client = signed_in(workspace)
    home = reverse("admin:index")
    number_page = reverse("admin:policies_phonenumber_change", args=[number.pk])
    assert "UponAI is told to close its one phone number" in shown(client, home)

    assert "pulled" in messages_of(client.post(BRAKE, {"reason": "attack", "minutes": "15"}))

    (hold,) = kept(workspace)
    assert hold.expires_at - hold.imposed_at == timedelta(minutes=15)
    for page in (home, LIST, number_page, reverse("monitoring:panel-overview")):
        assert "The emergency brake is pulled: nothing comes in and nothing goes out." in shown(client, page)
    assert "Release brake" in shown(client, home)

    lifted = client.post(reverse("admin:policies_hold_lift", args=[hold.pk]) + f"?next={number_page}")

    assert lifted["Location"] == number_page
    for page in (home, LIST, number_page):
        assert "emergency brake is pulled" not in shown(client, page).replace(messages_of(lifted), "")


def test_the_number_s_page_says_that_uponai_has_less_than_the_policy(workspace):
    number = make_phone_number(workspace, OUR_NUMBER, inbound=["US", "JM"])
    state = reverse("admin:policies_phonenumber_sync_state", args=[number.pk])
    client = signed_in(workspace)
    assert "less what is on hold" not in shown(client, state)

    impose(workspace)
    with scoped(workspace.pk):
        SyncTarget.objects.update(state="synced", due_at=None)

    assert "UponAI has the same, less what is on hold" in shown(client, state)


def test_the_brake_needs_a_reason_and_a_time(workspace):
    client = signed_in(workspace)

    assert "was not pulled. Say why" in messages_of(client.post(BRAKE, {"reason": " ", "minutes": "60"}))
    assert "was not pulled" in messages_of(client.post(BRAKE, {"reason": "attack", "minutes": "soon"}))
    assert client.get(BRAKE).status_code == 403
    assert kept(workspace) == []


def test_nobody_is_sent_elsewhere_after_lifting(workspace):
    hold = impose(workspace)
    lift = reverse("admin:policies_hold_lift", args=[hold.pk])

    assert signed_in(workspace).post(f"{lift}?next=https://example.org/")["Location"] == LIST


def test_home_names_what_is_held_without_a_list_of_everything(workspace):
    for code in ("JM", "KE", "LV", "GM"):
        impose(workspace, value=code)

    page = shown(signed_in(workspace, Role.VIEWER), reverse("admin:index"))

    assert "4 things are on hold:" in page
    assert "and more." in page
    assert "brake-dialog" not in page


def test_a_held_decision_says_which_hold(workspace):
    make_phone_number(workspace, OUR_NUMBER, inbound=["JM"])
    hold = impose(workspace)
    deliver(workspace, body(JAMAICAN, call_id="call_1"))
    recorder.drain(now=moment())
    with scoped(workspace.pk):
        decision = Decision.objects.get()

    page = shown(signed_in(workspace), reverse("admin:policies_decision_change", args=[decision.pk]))

    assert "The hold: Jamaica. “pumping” Imposed by" in page
    assert reverse("admin:policies_hold_change", args=[hold.pk]) in page
    assert "when the hold ends in" in page
    assert "Open the number's lists" not in page


def test_does_not_show_holds_of_another_workspace(workspace):
    hold = impose(make_workspace(), "subject", "somebody-else")
    client = signed_in(workspace)

    assert "somebody-else" not in shown(client, LIST)
    assert client.get(reverse("admin:policies_hold_change", args=[hold.pk])).status_code == 404
    assert client.post(reverse("admin:policies_hold_lift", args=[hold.pk])).status_code == 404
