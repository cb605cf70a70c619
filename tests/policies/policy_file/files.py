"""Policy files for tests, and what a workspace has of what they change."""

from accounts.models import AuditEntry, PublicKey, Workspace
from policies.models import CountryPolicy, PhoneNumber, PolicyRevision, SyncTarget
from policies.policy_file import applying, difference
from policies.policy_file.reading import read_text
from tests.factories import moment

NUMBER = "+14155550100"


def file_of(workspace: Workspace, rest: str = "") -> str:
    return f"version: 1\nworkspace: {workspace.slug}\n{rest}"


def planned(workspace, rest):
    return difference.plan(workspace=workspace, source=read_text(file_of(workspace, rest)))


def applied(workspace, rest, made_of=None, acting_user=None):
    return applying.carry_through(
        workspace=workspace,
        source=read_text(file_of(workspace, rest)),
        made_of=made_of,
        acting_user=acting_user,
        now=moment(),
    )


def everything(workspace):
    """All that applying a file may write, to prove that nothing was."""
    return (
        list(PolicyRevision.objects.order_by("pk").values_list("policy__name", "number")),
        list(CountryPolicy.objects.order_by("pk").values_list("name", flat=True)),
        list(PhoneNumber.objects.order_by("pk").values_list("e164", "policy_id")),
        list(PublicKey.objects.order_by("pk").values()),
        list(SyncTarget.objects.order_by("pk").values_list("desired_generation", "state", "due_at")),
        AuditEntry.objects.count(),
        Workspace.objects.get(pk=workspace.pk).snapshot_version,
    )
