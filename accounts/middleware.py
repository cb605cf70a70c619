"""Finds the workspace that a signed-in person works in, for the time of the request."""

from __future__ import annotations

import uuid
import zoneinfo
from collections.abc import Callable
from importlib import import_module
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from accounts import audit
from accounts.addresses import client_address
from accounts.models import Workspace
from accounts.scoping import scoped
from accounts.workspaces import workspaces_of

SESSION_KEY = "workspace"


class CurrentWorkspace:
    """Sets scope, time zone and audit origin. Who belongs to no workspace gets none, and sees nothing."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        # All pages are imported now: within the first request, their querysets would be bound to its workspace.
        import_module(settings.ROOT_URLCONF)

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request_id = uuid.uuid4().hex
        workspace = self._workspace(request)
        request.workspace = workspace  # type: ignore[attr-defined]
        with audit.origin(ip=client_address(request), request_id=request_id, via="console"):
            if workspace is None:
                return self.get_response(request)
            with scoped(workspace.pk), timezone.override(zoneinfo.ZoneInfo(workspace.time_zone)):
                return self.get_response(request)

    def _workspace(self, request: HttpRequest) -> Workspace | None:
        if not request.user.is_authenticated:
            return None
        request.workspaces = workspaces_of(request.user)  # type: ignore[attr-defined,arg-type]
        chosen = request.session.get(SESSION_KEY)
        for workspace in request.workspaces:  # type: ignore[attr-defined]
            if workspace.slug == chosen:
                return workspace
        return next(iter(request.workspaces), None)  # type: ignore[attr-defined]


def workspace_context(request: HttpRequest) -> dict[str, Any]:
    """What every template may know: the current workspace and the others one could change to."""
    return {
        "current_workspace": getattr(request, "workspace", None),
        "workspaces": getattr(request, "workspaces", []),
    }
