"""Reading UponAI's lists as the worker does, whenever a test likes."""

from __future__ import annotations

from accounts.models import Workspace
from accounts.scoping import scoped
from monitoring.ingest import gating, pull
from monitoring.models import Call, PullProgress
from tests.factories import moment


def pull_now(workspace: Workspace, clock=moment) -> int:
    """How many calls nobody had told of."""
    new = 0
    for kind in PullProgress.Kind.values:
        with scoped(workspace.pk):
            row, _ = PullProgress.objects.get_or_create(kind=kind)
            PullProgress.objects.filter(pk=row.pk).update(due_at=None)
        report = pull.pull_if_due(workspace.pk, kind, clock=clock)
        new += report.new if report else 0
    gating.settle_waiting(workspace.pk, now=clock())
    return new


def call_of(workspace: Workspace, reference: str) -> Call | None:
    with scoped(workspace.pk):
        return Call.objects.filter(call_reference=reference).first()
