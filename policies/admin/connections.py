"""The page "UponAI": connect, import, set webhooks, disconnect. Each shows what it would change before it does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils import timezone

from accounts.admin.base import ConsoleAdmin, acting
from accounts.models import Workspace
from accounts.workspaces import NoUponaiKey
from policies import asking, connecting
from policies.admin import connection_page as page
from policies.connecting import PutBack
from policies.models import PhoneNumber, UponaiConnection
from policies.rules_input import Refused
from policies.sync import importing
from policies.sync.importing import ImportReport
from policies.uponai.client import UponaiTrouble

OVERLAPS: Final = {"0": timedelta(0), "1": timedelta(hours=1), "24": timedelta(hours=24), "168": timedelta(days=7)}
HOME: Final = "admin:policies_uponaiconnection_changelist"


@admin.register(UponaiConnection)
class UponaiConnectionAdmin(ConsoleAdmin):
    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Who may change numbers may import them and say whom UponAI asks."""
        return bool(request.user.has_perm("policies.change_phonenumber"))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def may_connect(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("accounts.change_uponaikey"))

    def own_urls(self) -> list[tuple[str, str, Callable[..., HttpResponse]]]:
        return [
            ("live/", "live", self.live_view),
            ("connect/", "connect", self.connect_view),
            ("import/", "import", self.import_view),
            ("webhooks/<str:wanted>/", "webhooks", self.webhooks_view),
            ("disconnect/", "disconnect", self.disconnect_view),
            ("stay/", "stay", self.stay_view),
        ]

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        return redirect(HOME)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        context = self._facts(request) | {"title": "UponAI"}
        return self.page(request, "policies/uponai.html", context)

    def live_view(self, request: HttpRequest) -> HttpResponse:
        """The parts that change by themselves; nothing where they would say the same."""
        workspace = self._workspace(request)
        numbers = PhoneNumber.objects.only("e164", "asks_console", "missing_since", "inbound_webhook_url")
        connection = connecting.connection_of(workspace.pk)
        context = page.live(workspace, connection, numbers, now=timezone.now())
        if request.GET.get("seen") == context["seen"]:
            return HttpResponse(status=204)
        return TemplateResponse(request, "policies/_uponai_live.html", context)

    def connect_view(self, request: HttpRequest) -> HttpResponse:
        workspace = self._workspace(request)
        if request.method != "POST" or not self.may_connect(request):
            raise PermissionDenied
        who = acting(request)
        replaces = connecting.has_key(workspace.pk)
        overlap = OVERLAPS.get(request.POST.get("overlap", ""), OVERLAPS["0"])
        try:
            account = connecting.connect(
                workspace=workspace,
                key=request.POST.get("key", "").strip(),
                old_verifies_until=who["now"] + overlap,
                **who,
            )
        except Refused as refusal:
            messages.error(request, f"The key was not changed: {refusal}")
        else:
            name = account.org_name or account.org_id
            said = f"Connected to {name} as {account.org_id}, which has {account.numbers} numbers."
            until = connecting.old_key_verifies_until(now=who["now"]) if replaces else None
            messages.success(request, f"{said} {_old_key_words(until)}" if replaces else said)
        return redirect(HOME)

    def import_view(self, request: HttpRequest) -> HttpResponse:
        workspace = self._workspace_to_change(request)
        try:
            if request.method != "POST":
                context = page.import_preview(workspace) | {"title": "Import from UponAI"}
                return self.page(request, "policies/uponai_import.html", context)
            report = importing.import_numbers(workspace=workspace, **acting(request))
        except (UponaiTrouble, NoUponaiKey) as trouble:
            messages.error(request, f"Nothing was imported. {trouble}")
            return redirect(HOME)
        messages.success(request, import_words(report))
        return redirect("admin:policies_phonenumber_changelist")

    def webhooks_view(self, request: HttpRequest, wanted: str) -> HttpResponse:
        workspace = self._workspace_to_change(request)
        if wanted not in ("console", "previous"):
            raise Http404
        if request.method != "POST":
            context = page.webhooks_preview(workspace, wanted) | {
                "title": "Ask this console" if wanted == "console" else "Ask the webhooks of before",
                "way_in_problem": asking.way_in_problem() if wanted == "console" else "",
                "address": asking.address(workspace),
            }
            return self.page(request, "policies/uponai_webhooks.html", context)
        numbers = asking.numbers_there()
        try:
            if wanted == "console":
                even = request.POST.get("even_if_unreachable") == "yes"
                asked = asking.ask_console(
                    workspace=workspace, phone_numbers=numbers, even_if_unreachable=even, **acting(request)
                )
            else:
                asked = asking.ask_previous(workspace=workspace, phone_numbers=numbers, **acting(request))
        except Refused as refusal:
            messages.error(request, f"Nothing was changed. {refusal}")
            return redirect(HOME)
        left = f" {len(asked.left)} were left as they are." if asked.left else ""
        messages.success(request, f"{len(asked.changed)} numbers are on their way to UponAI.{left}")
        return redirect(HOME)

    def disconnect_view(self, request: HttpRequest) -> HttpResponse:
        workspace = self._workspace(request)
        if not self.may_connect(request):
            raise PermissionDenied
        if request.method != "POST":
            context = page.disconnecting_preview(workspace) | {"title": "Disconnect from UponAI"}
            return self.page(request, "policies/uponai_disconnect.html", context)
        put_back = [choice for choice in PutBack if request.POST.get(choice) == "yes"]
        try:
            connection = connecting.disconnect(
                workspace=workspace,
                put_back=put_back,
                at_once=request.POST.get("at_once") == "yes",
                **acting(request),
            )
        except Refused as refusal:
            messages.error(request, str(refusal))
            return redirect(HOME)
        if connection.disconnected_at is not None:
            messages.success(request, "Disconnected. Nothing is sent to UponAI any more.")
        return redirect(HOME)

    def stay_view(self, request: HttpRequest) -> HttpResponse:
        workspace = self._workspace(request)
        if request.method != "POST" or not self.may_connect(request):
            raise PermissionDenied
        if connecting.stay_connected(workspace=workspace, **acting(request)):
            messages.success(request, "The workspace stays connected.")
        return redirect(HOME)

    def _facts(self, request: HttpRequest) -> dict[str, Any]:
        return page.facts(
            self._workspace(request),
            now=timezone.now(),
            may_see_key=request.user.has_perm("accounts.view_uponaikey"),
            may_connect=self.may_connect(request),
            may_change=self.has_change_permission(request),
        )

    def _workspace(self, request: HttpRequest) -> Workspace:
        workspace: Workspace | None = getattr(request, "workspace", None)
        if workspace is None or not self.has_view_permission(request):
            raise PermissionDenied
        return workspace

    def _workspace_to_change(self, request: HttpRequest) -> Workspace:
        if not self.has_change_permission(request):
            raise PermissionDenied
        return self._workspace(request)


def _old_key_words(until: datetime | None) -> str:
    if until is None:
        return "Webhooks signed with the old key are not believed any more."
    return f"Webhooks signed with the old key are believed until {timezone.localtime(until):%-d %B, %H:%M}."


def import_words(report: ImportReport) -> str:
    """What an import did, in a line."""
    said = [f"UponAI has {report.found} numbers: {report.added} new here, {report.changed} changed."]
    if report.missing:
        said.append(f"{report.missing} are no longer listed by UponAI.")
    if report.flagged:
        said.append(f"{report.flagged} are flagged until somebody says what they may do.")
    return " ".join(said)
