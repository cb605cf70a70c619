"""Members: admitting, changing roles, letting go, and the owner who always stays."""

import pytest
from django.core.exceptions import ValidationError

from accounts import members
from accounts.models import AuditEntry, Membership, User
from accounts.roles import Role
from tests import factories

PASSWORD = "amber-falcon-4821"


def admit(workspace, now, **facts):
    given = {"email": "New@Example.com", "role": Role.VIEWER, "password": PASSWORD} | facts
    return members.admit_member(workspace=workspace, acting_user=None, now=now, **given)


def test_it_gives_somebody_without_an_account_one(in_workspace, now):
    membership = admit(in_workspace, now, name="Nia New")

    user = User.objects.get(email="new@example.com")
    assert user.check_password(PASSWORD)
    assert (membership.user, membership.role, user.name) == (user, Role.VIEWER, "Nia New")
    assert AuditEntry.objects.order_by("-sequence").first().action == "workspace.add_member"


def test_it_leaves_the_password_of_somebody_who_has_an_account(in_workspace, now):
    user = factories.make_user("new@example.com")

    admit(in_workspace, now)

    user.refresh_from_db()
    assert user.check_password(factories.PASSWORD)


@pytest.mark.parametrize(
    ("facts", "field"),
    [({"email": "nobody"}, "email"), ({"password": ""}, "password"), ({"password": "short"}, "password")],
)
def test_it_refuses_naming_the_field(in_workspace, now, facts, field):
    with pytest.raises(ValidationError) as refusal:
        admit(in_workspace, now, **facts)

    assert set(refusal.value.message_dict) == {field}
    assert not User.objects.filter(email="new@example.com").exists()


def test_it_does_not_admit_a_member_twice(in_workspace, now):
    admit(in_workspace, now)

    with pytest.raises(ValidationError):
        admit(in_workspace, now, role=Role.OWNER)

    assert Membership.objects.get().role == Role.VIEWER


def test_the_only_owner_can_neither_go_nor_become_less(in_workspace, now):
    factories.make_member(in_workspace, Role.OWNER)
    owner = Membership.objects.get()

    with pytest.raises(ValidationError):
        members.change_role(membership=owner, role=Role.VIEWER, acting_user=None, now=now)
    with pytest.raises(ValidationError):
        members.remove_member(membership=owner, acting_user=None, now=now)

    assert Membership.objects.get().role == Role.OWNER


def test_one_of_two_owners_may_go(in_workspace, now):
    factories.make_member(in_workspace, Role.OWNER)
    factories.make_member(in_workspace, Role.OWNER)

    members.remove_member(membership=Membership.objects.first(), acting_user=None, now=now)

    assert Membership.objects.count() == 1
    assert AuditEntry.objects.order_by("-sequence").first().action == "workspace.remove_member"
