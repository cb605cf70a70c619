"""The side bar: what each role sees, and which entry is marked."""

import pytest
from django.urls import reverse

from accounts.roles import Role
from tests.signing_in import signed_in


def side_bar(client, address="admin:policies_phonenumber_changelist", **query):
    html = client.get(reverse(address), query).content.decode()
    return html.split('id="nav-sidebar-apps"')[1].split('id="main"')[0]


@pytest.mark.parametrize(
    ("role", "seen", "unseen"),
    [
        (Role.OWNER, ["Members", "API tokens", "Audit log", "KYC records"], []),
        (Role.POLICY_EDITOR, ["Country policies", "Audit log"], ["Members", "API tokens", "KYC records"]),
        (Role.KYC_REVIEWER, ["KYC records", "Subjects"], ["Members", "Audit log"]),
        (Role.VIEWER, ["Blocked calls", "Settings"], ["Members", "Audit log", "KYC records", "Subjects"]),
    ],
)
def test_it_shows_only_what_the_role_may_see(in_workspace, role, seen, unseen):
    side = side_bar(signed_in(in_workspace, role))

    for title in seen:
        assert f"<span>{title}</span>" in side
    for title in unseen:
        assert f"<span>{title}</span>" not in side


def test_it_marks_blocked_calls_and_not_all_decisions_too(in_workspace):
    client = signed_in(in_workspace)

    side = side_bar(client, "admin:monitoring_blockedcall_changelist", reason__exact="held")

    marked = [part.split("</a>")[0] for part in side.split(' active">')[1:]]
    assert len(marked) == 1
    assert "Blocked calls" in marked[0]
