"""The pages of opens, by role: opening, closing, and what they say."""

from datetime import timedelta
from html import unescape

import pytest
from django.urls import reverse

from accounts.roles import Role
from accounts.scoping import scoped
from policies import opens
from policies.models import Open
from tests.factories import make_workspace, moment
from tests.signing_in import messages_of, signed_in

pytestmark = pytest.mark.django_db

LIST = reverse("admin:policies_open_changelist")
ADD = reverse("admin:policies_open_add")
MAY_OPEN = {Role.OWNER, Role.POLICY_EDITOR}
FORM = {"scope": "country", "value": "ke", "direction": "", "channel": "", "minutes": "60", "reason": "conference"}


def open_(workspace, scope="country", value="KE", **more):
    now = moment()
    return opens.open_temporarily(
        workspace_id=workspace.pk,
        scope=scope,
        value=value,
        reason="conference",
        expires_at=now + timedelta(hours=1),
        acting_user=None,
        now=now,
        **more,
    )


def kept(workspace):
    with scoped(workspace.pk):
        return list(Open.objects.order_by("pk"))


def shown(client, address, **parameters):
    answer = client.get(address, parameters)
    assert answer.status_code == 200
    return unescape(answer.content.decode())


@pytest.mark.parametrize("role", list(Role))
def test_owners_and_policy_editors_open_and_close_and_others_look(workspace, role):
    client, row = signed_in(workspace, role), open_(workspace)
    close = reverse("admin:policies_open_close", args=[row.pk])
    allowed = role in MAY_OPEN

    for page in (LIST, reverse("admin:policies_open_change", args=[row.pk])):
        assert (close in shown(client, page)) == allowed
    assert client.get(ADD).status_code == (200 if allowed else 403)
    assert client.post(ADD, FORM | {"value": "UG"}).status_code == (302 if allowed else 403)
    assert client.get(close).status_code == 403
    assert client.post(close).status_code == (302 if allowed else 403)

    states = [(row.value, row.state(moment())) for row in kept(workspace)]
    assert states == ([("KE", "closed"), ("UG", "in_force")] if allowed else [("KE", "in_force")])


def test_opens_what_the_form_says_and_says_what_uponai_gets(workspace):
    answer = signed_in(workspace).post(ADD, FORM | {"direction": "outbound", "channel": "phone_call"})

    assert "Kenya is open: phone calls, outbound. UponAI's lists have Kenya meanwhile." in messages_of(answer)
    (row,) = kept(workspace)
    assert (row.value, row.direction, row.channel, row.reason) == ("KE", "outbound", "phone_call", "conference")
    assert row.expires_at - row.opened_at == timedelta(hours=1)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"value": "CU"}, "Cuba is on the platform sanctions list; nothing opens it"),
        ({"scope": "peer", "value": "+5351234567"}, "Cuba is on the platform sanctions list"),
        ({"scope": "prefix", "value": "+4"}, "covers several calling codes"),
    ],
)
def test_says_beside_the_field_what_cannot_be_opened(workspace, given, said):
    assert said in unescape(signed_in(workspace).post(ADD, FORM | given).content.decode())
    assert kept(workspace) == []


def test_everything_is_no_choice_of_the_form(workspace):
    client = signed_in(workspace)

    assert 'value="workspace"' not in shown(client, ADD)
    assert client.post(ADD, FORM | {"scope": "workspace", "value": ""}).status_code == 200
    assert kept(workspace) == []


@pytest.mark.parametrize(
    ("scope", "value", "said"),
    [
        ("peer", "+254712345678", "UponAI's lists have Kenya meanwhile; this console still decides about everybody"),
        ("prefix", "+1876", "Numbers that begin with +1876 are open"),
        ("prefix", "+1876", "UponAI's lists have Jamaica meanwhile"),
        ("prefix", "+7701", "UponAI's lists have Kazakhstan meanwhile"),
        ("prefix", "+882", "It lies in no country"),
        ("ip", "203.0.113.0/24", "The addresses 203.0.113.0/24 are open"),
        ("subject", "patient-7", "UponAI's country lists stay as they are"),
    ],
)
def test_says_what_it_lets_through_and_what_uponai_has_of_it(workspace, scope, value, said):
    row = open_(workspace, scope, value)

    assert said in shown(signed_in(workspace), reverse("admin:policies_open_change", args=[row.pk]))


def test_closing_leads_back_and_nowhere_else(workspace):
    row, client = open_(workspace), signed_in(workspace)
    page = reverse("admin:policies_open_change", args=[row.pk])
    close = reverse("admin:policies_open_close", args=[row.pk])

    assert client.post(f"{close}?next=https://example.org/")["Location"] == LIST
    again = client.post(f"{close}?next={page}")
    assert again["Location"] == page
    assert "Not open any more: Kenya." in shown(client, page)


def test_the_form_can_be_opened_for_a_country(workspace):
    form = shown(signed_in(workspace), ADD, scope="country", value="KE", direction="outbound")

    assert 'value="KE"' in form
    assert '<option value="country" selected>' in form
    assert '<option value="outbound" selected>' in form


def test_does_not_show_opens_of_another_workspace(workspace):
    row = open_(make_workspace(), "subject", "somebody-else")
    client = signed_in(workspace)

    assert "somebody-else" not in shown(client, LIST)
    assert client.get(reverse("admin:policies_open_change", args=[row.pk])).status_code == 404
    assert client.post(reverse("admin:policies_open_close", args=[row.pk])).status_code == 404
