"""What a person sees where there is no page, or none for them: what happened, and the way on."""

from __future__ import annotations

from django.test import Client
from django.urls import reverse

from accounts import workspaces
from accounts.models import User
from accounts.roles import Role
from tests.factories import make_phone_number, make_workspace
from tests.signing_in import signed_in


def test_what_belongs_to_another_of_ones_workspaces_can_be_looked_for_there(in_workspace, now):
    second = make_workspace()
    number = make_phone_number(second, "+14155550177")
    client = signed_in(in_workspace)
    user = User.objects.get(pk=client.session["_auth_user_id"])
    workspaces.add_member(workspace=second, user=user, role=Role.OWNER, acting_user=None, now=now)
    address = reverse("admin:policies_phonenumber_change", args=[number.pk])

    missed = client.get(address)
    entered = client.post(reverse("admin:accounts_workspace_enter"), {"workspace": second.slug, "next": address})

    page = missed.content.decode()
    assert missed.status_code == 404
    assert "There is no such phone number in this workspace." in page
    assert f"Look in {second.name}" in page
    assert f'name="next" value="{address}"' in page
    assert entered.url == address
    assert client.get(address).status_code == 200


def test_nobody_is_sent_away_from_the_console(in_workspace):
    client = signed_in(in_workspace)

    for elsewhere in ("https://evil.example/", "//evil.example/", "javascript:alert(1)"):
        entered = client.post(
            reverse("admin:accounts_workspace_enter"), {"workspace": in_workspace.slug, "next": elsewhere}
        )
        assert entered.url == reverse("admin:index")


def test_what_a_role_may_not_do_is_said_with_the_way_on(in_workspace):
    refused = signed_in(in_workspace, Role.VIEWER).get(reverse("admin:accounts_auditentry_changelist"))

    assert refused.status_code == 403
    assert f"You may not do this in {in_workspace.name}." in refused.content.decode()
    assert 'href="/admin/"' in refused.content.decode()


def test_a_form_that_is_too_old_says_so(in_workspace):
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.get(pk=signed_in(in_workspace).session["_auth_user_id"]))

    refused = client.post(reverse("admin:accounts_workspace_enter"), {"workspace": in_workspace.slug})

    assert refused.status_code == 403
    assert "The page was too old, so nothing was changed." in refused.content.decode()
