"""The pages of approvals and of the exposure, by role: what waits, the answer, and what a widening leads to."""

from __future__ import annotations

from html import unescape

import pytest
from django.urls import reverse

from accounts.models import Workspace
from accounts.roles import Role
from accounts.scoping import scoped
from policies import exposure
from policies.models import CountryPolicy, PhoneNumber, ProposedChange
from tests.factories import make_phone_number, make_policy
from tests.signing_in import messages_of, signed_in

pytestmark = pytest.mark.django_db
LIST = reverse("admin:policies_proposedchange_changelist")
State = ProposedChange.State


@pytest.fixture
def careful(workspace):
    number = make_phone_number(workspace)
    make_policy(workspace, name="Wide", outbound=["US", "NG"])
    Workspace.objects.filter(pk=workspace.pk).update(approval_tier="T1")
    Workspace.objects.filter(pk=workspace.pk).update(approval_tier="T2")
    yield number
    exposure.forget()


def followed(client, number, **headers):
    """What comes of letting the number follow the wide policy, on its page."""
    with scoped(number.workspace_id):
        wide = CountryPolicy.objects.get(name="Wide").pk
    address = reverse("admin:policies_phonenumber_policy", args=[number.pk])
    version = client.get(reverse("admin:policies_phonenumber_change", args=[number.pk])).context["version"]
    return client.post(address, {"policy": wide, "version": version}, headers=headers)


def proposal(workspace):
    with scoped(workspace.pk):
        return ProposedChange.objects.select_related("proposed_by").get()


def page_of(row):
    return reverse("admin:policies_proposedchange_change", args=[row.pk])


def answered(client, row, how, **given):
    return client.post(reverse(f"admin:policies_proposedchange_{how}", args=[row.pk]), given)


def test_an_edit_leads_to_its_proposal_and_another_person_carries_it_out(workspace, careful):
    anna, ben = signed_in(workspace), signed_in(workspace, Role.POLICY_EDITOR)

    response = followed(anna, careful)

    row = proposal(workspace)
    assert response["Location"] == page_of(row)
    shown = unescape(anna.get(page_of(row)).content.decode())
    assert "You proposed this" in shown
    assert "Nigeria" in shown
    assert "Canada" in shown[shown.index("Taken away:") :]
    assert "Given up unless answered within 23 h" in " ".join(shown.split())
    assert "Approve</button>" not in shown
    assert "Approve</button>" in ben.get(page_of(row)).content.decode()
    assert row.about == "+14155550100 follows “Wide”"
    assert "+1 415-555-0100 follows “Wide”" in unescape(ben.get(LIST).content.decode())
    assert "change waits for a second person" in " ".join(ben.get(reverse("admin:index")).content.decode().split())

    answered(anna, row, "approve")
    assert proposal(workspace).state == State.AWAITING
    response = answered(ben, row, "approve", answer="Checked")

    assert "Approved, and done." in messages_of(response)
    with scoped(workspace.pk):
        assert PhoneNumber.objects.get().policy.name == "Wide"
    assert "Checked" in unescape(anna.get(page_of(row)).content.decode())


def test_an_edit_in_place_sends_the_whole_page_to_the_proposal(workspace, careful):
    response = followed(signed_in(workspace), careful, **{"HX-Request": "true"})

    assert response["HX-Redirect"] == page_of(proposal(workspace))


def test_is_withdrawn_rejected_and_only_by_who_may(workspace, careful):
    anna, ben, viewer = signed_in(workspace), signed_in(workspace), signed_in(workspace, Role.VIEWER)
    followed(anna, careful)
    row = proposal(workspace)

    assert viewer.get(page_of(row)).status_code == 200
    assert answered(viewer, row, "approve").status_code == 403
    answered(ben, row, "withdraw")
    assert proposal(workspace).state == State.AWAITING
    answered(ben, row, "reject", answer="No")
    assert (proposal(workspace).state, proposal(workspace).answer) == (State.REJECTED, "No")
    assert "rejected" in messages_of(answered(anna, row, "withdraw"))


def test_to_ask_for_less_takes_a_second_person_too(workspace, careful):
    anna, ben = signed_in(workspace), signed_in(workspace)
    address = reverse("admin:accounts_workspace_change", args=[workspace.pk])
    form = anna.get(address).context["adminform"].form
    given = {name: form[name].value() for name in form.fields if name != "limits"}
    given = {name: "" if value is None else value for name, value in given.items()}

    response = anna.post(address, given | {"approval_tier": "T1"})

    row = proposal(workspace)
    assert response["Location"] == page_of(row)
    assert Workspace.objects.get(pk=workspace.pk).approval_tier == "T2"
    assert "would not wait any more" in unescape(ben.get(page_of(row)).content.decode())
    answered(ben, row, "approve")
    assert Workspace.objects.get(pk=workspace.pk).approval_tier == "T1"
    anna.post(address, given | {"approval_tier": "T3", "digest_period": "daily", "approval_hours": 2})
    stored = Workspace.objects.get(pk=workspace.pk)
    assert (stored.approval_tier, stored.digest_period, stored.approval_hours) == ("T3", "daily", 2)


def test_shows_what_could_be_burnt_and_why(workspace, careful):
    shown = unescape(signed_in(workspace, Role.VIEWER).get(reverse("exposure-page")).content.decode())

    assert "could be burnt within one hour" in shown
    assert "nothing opens the gate" in shown
    assert "With a leaked private key" in shown
