"""The audit log tells those who may not see subjects that something was done, and nothing of the person."""

import pytest
from django.urls import reverse

from accounts import audit
from accounts.kyc import records, review
from accounts.models import AuditEntry
from accounts.roles import Role
from accounts.scoping import scoped
from tests import factories
from tests.accounts.kyc import cases
from tests.rest import client_of

pytestmark = pytest.mark.django_db
PERSON = {
    "reference": "cust-4711",
    "name": "Wilhelmina Zauberfloete",
    "phone": "+14155550142",
    "email": "wilhelmina@example.org",
    "date_of_birth": factories.moment().date().replace(year=1971),
}
TRACES = ("ilhelmina", "4155550142", "example.org", "1971", "told in confidence", "cust-4711")
LOG = "admin:accounts_auditentry_changelist"


@pytest.fixture
def entry(workspace, now):
    """Of a changed name; among others about the same person."""
    with scoped(workspace.pk):
        record = cases.draft(workspace, now, subject=PERSON)
        records.edit_subject(subject=record.subject, acting_user=None, now=now, name="Wilhelmina Zauber")
        review.withdraw(record=record, acting_user=None, now=now, text_for_colleagues="told in confidence")
        return AuditEntry.objects.get(action="subject.edit")


def _seen_by(client, workspace, role, entry):
    with scoped(workspace.pk):
        client.force_login(factories.make_member(workspace, role))
        entries = list(AuditEntry.objects.filter(object_type__in=["accounts.subject", "accounts.kycrecord"]))
    pages = [reverse(LOG), *(reverse("admin:accounts_auditentry_change", args=[one.pk]) for one in entries)]
    return "".join(client.get(page).content.decode() for page in pages)


@pytest.mark.parametrize("role", [Role.ANALYST, Role.POLICY_EDITOR])
def test_pages_show_a_role_without_subjects_dots(client, workspace, entry, role):
    seen = _seen_by(client, workspace, role, entry)

    assert [trace for trace in TRACES if trace in seen] == []
    assert "••••" in seen
    assert f"Subject {entry.object_id}" in seen
    assert "Subject: edit" in seen
    found = client.get(reverse(LOG), {"q": "Wilhelmina"}).content.decode()
    assert "Subject: edit" not in found
    assert audit.verify(workspace.pk).problem == ""


def test_pages_show_an_owner_everything(client, workspace, entry):
    seen = _seen_by(client, workspace, Role.OWNER, entry)

    assert [
        trace for trace in ("Wilhelmina", "wilhelmina@example.org", "told in confidence") if trace not in seen
    ] == []
    assert "Subject: edit" in client.get(reverse(LOG), {"q": "Wilhelmina"}).content.decode()


@pytest.mark.parametrize(
    ("scopes", "is_shown"), [(["audit-log:read"], False), (["audit-log:read", "subjects:read"], True)]
)
def test_a_token_without_subjects_is_shown_dots(workspace, entry, scopes, is_shown):
    answer = client_of(workspace, *scopes).get("/api/v1/audit-log/")

    assert [trace in answer.content.decode() for trace in TRACES] == [is_shown] * len(TRACES)
    (edit,) = (row for row in answer.json()["results"] if row["action"] == "subject.edit")
    shown = ("Wilhelmina Zauberfloete", "Wilhelmina Zauber") if is_shown else ("••••", "••••")
    assert (edit["before"]["name"], edit["after"]["name"]) == shown
    (withdrawal,) = (row for row in answer.json()["results"] if row["action"] == "kyc_record.withdraw")
    assert withdrawal["after"]["state"] == "withdrawn"
