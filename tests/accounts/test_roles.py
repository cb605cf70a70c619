"""Roles: what a person may do depends on the workspace they work in."""

import pytest

from accounts import workspaces
from accounts.models import User
from accounts.roles import Role
from accounts.scoping import scoped
from tests.factories import make_member, make_workspace, moment

pytestmark = pytest.mark.django_db


def test_gives_nobody_in_one_workspace_the_role_they_have_in_another():
    theirs, visited, foreign = make_workspace(), make_workspace(), make_workspace()
    person = make_member(theirs, Role.OWNER)
    workspaces.add_member(workspace=visited, user=person, role=Role.VIEWER, acting_user=None, now=moment())

    def role(workspace):
        with scoped(workspace.pk):
            return User.objects.get(pk=person.pk).role

    assert (role(theirs), role(visited), role(foreign)) == (Role.OWNER, Role.VIEWER, None)
    with scoped(visited.pk):
        assert not person.has_perm("policies.change_phonenumber")
    with scoped(theirs.pk):
        assert person.has_perm("policies.change_phonenumber")
