"""REST for the connection to UponAI: how it stands, connect, import, whom UponAI asks, disconnect."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.inputs import Body, Flag, Text, WholeNumber
from accounts.api.problems import Unprocessable
from accounts.api.views import ApiView
from accounts.models import Workspace
from accounts.workspaces import NoUponaiKey
from policies import asking, connecting, reached
from policies.api.edits import refusals
from policies.asking import Asked, WebhookChange
from policies.connecting import PutBack
from policies.models import PhoneNumber
from policies.reached import Reached
from policies.sync import bindings, importing
from policies.sync import connection as sync_connection
from policies.uponai.client import UponaiTrouble

LONGEST_OVERLAP = timedelta(days=30)
OVERLAP = timedelta(hours=24)
MOST_NUMBERS = 10_000
STATES = [(one, one) for one in ("connected", "not_connected", "disconnecting", "disconnected")]


class ReachedSerializer(serializers.Serializer):
    at = serializers.DateTimeField()
    phone_number = serializers.CharField()
    channel = serializers.CharField(help_text="phone_call or sms.")


class ProgressSerializer(serializers.Serializer):
    total = serializers.IntegerField()
    done = serializers.IntegerField()
    refused = serializers.ListField(child=serializers.CharField(), help_text="Numbers that UponAI refuses it for.")


class UponaiConnectionSerializer(serializers.Serializer):
    """Whether the workspace is connected to its UponAI account, and whether UponAI gets through to us."""

    state = serializers.ChoiceField(choices=STATES)
    trouble = serializers.CharField(allow_null=True, help_text="Why nothing is sent to UponAI now.")
    org_id = serializers.CharField(allow_null=True)
    org_name = serializers.CharField(allow_null=True)
    connected_at = serializers.DateTimeField(allow_null=True)
    disconnected_at = serializers.DateTimeField(allow_null=True)
    phone_numbers = serializers.IntegerField(help_text="That UponAI lists.")
    ask_console = serializers.IntegerField(help_text="How many of them ask this console about calls.")
    flagged = serializers.IntegerField(help_text="That appeared at UponAI and wait for somebody's word.")
    webhook_url = serializers.CharField(help_text="What UponAI is to ask about calls and messages.")
    webhook_problem = serializers.CharField(allow_null=True, help_text="Why UponAI cannot reach this console.")
    reached = ReachedSerializer(allow_null=True, help_text="The newest genuine webhook of UponAI.")
    old_key_verifies_until = serializers.DateTimeField(
        allow_null=True, help_text="Until when webhooks signed with a key before this one are believed; null: not now."
    )
    put_back = ProgressSerializer(allow_null=True, help_text="While it is being disconnected.")


class Connect(Body):
    key = Text(max_length=connecting.LONGEST_KEY, write_only=True, help_text="UponAI's private key; never shown again.")
    old_key_verifies_for = WholeNumber(
        required=False,
        min_value=0,
        max_value=int(LONGEST_OVERLAP.total_seconds()),
        help_text="Seconds for which webhooks signed with the key before are still believed, also where UponAI refuses "
        "that key by now; a day, where it is not given. 0, for a key that leaked: they are refused at once, and UponAI "
        "lets its agent answer. `old_key_verifies_until` says what holds.",
    )


class Import(Body):
    dry_run = Flag(required=False, help_text="Only tell what would change.")


class ImportedNumberSerializer(serializers.Serializer):
    phone_number = serializers.CharField()
    nickname = serializers.CharField(allow_blank=True)
    change = serializers.ChoiceField(choices=[(one, one) for one in ("new", "changed", "back", "gone")])
    details = serializers.ListField(child=serializers.CharField())
    warnings = serializers.ListField(child=serializers.CharField(), help_text="Those of the details to look at twice.")


class ImportedSerializer(serializers.Serializer):
    dry_run = serializers.BooleanField()
    found = serializers.IntegerField()
    added = serializers.IntegerField()
    changed = serializers.IntegerField()
    back = serializers.IntegerField()
    missing = serializers.IntegerField()
    flagged = serializers.IntegerField(required=False)
    phone_numbers = ImportedNumberSerializer(many=True, required=False, help_text="Of a dry run.")


class AskWebhooks(Body):
    ask = serializers.ChoiceField(
        choices=["console", "previous"],
        help_text="console: this one, with the webhook of before behind it. previous: that one by itself again.",
    )
    phone_numbers = serializers.ListField(
        child=Text(max_length=20), required=False, max_length=MOST_NUMBERS, help_text="All, where none is named."
    )
    dry_run = Flag(required=False, help_text="Only tell what would change.")
    even_if_unreachable = Flag(required=False, help_text="Although UponAI does not seem to reach this address.")


class WebhookChangeSerializer(serializers.Serializer):
    phone_number = serializers.CharField()
    details = serializers.ListField(child=serializers.CharField())


class LeftNumberSerializer(serializers.Serializer):
    phone_number = serializers.CharField()
    problem = serializers.CharField()


class AskedSerializer(serializers.Serializer):
    dry_run = serializers.BooleanField()
    changed = WebhookChangeSerializer(many=True)
    left = LeftNumberSerializer(many=True, help_text="Left as they are, since somebody has to decide first.")
    unchanged = serializers.IntegerField()


class Disconnect(Body):
    put_back = serializers.ListField(
        child=serializers.ChoiceField(choices=[choice.value for choice in PutBack]),
        required=False,
        max_length=len(PutBack),
        help_text="What UponAI gets back first: the webhooks of before, the country lists as they were found.",
    )
    at_once = Flag(required=False, help_text="Without waiting for what is not put back yet.")
    dry_run = Flag(required=False, help_text="Only tell what would be put back.")


class DisconnectingSerializer(UponaiConnectionSerializer):
    dry_run = serializers.BooleanField()
    changes = WebhookChangeSerializer(many=True, required=False, help_text="Of a dry run: number by number.")


class UponaiView(ApiView):
    scope_resource = "uponai"

    @property
    def workspace(self) -> Workspace:
        workspace: Workspace = Workspace.objects.get(pk=self.token.workspace_id)
        return workspace

    def acting(self) -> dict[str, Any]:
        return {"workspace": self.workspace, "acting_user": self.token, "now": timezone.now()}


class Connection(UponaiView):
    @extend_schema(responses=UponaiConnectionSerializer, operation_id="uponai_retrieve")
    def get(self, request: Request) -> Response:
        """How the connection to UponAI stands."""
        return Response(UponaiConnectionSerializer(_state(self.workspace)).data)


class ConnectView(UponaiView):
    @extend_schema(request=Connect, responses=UponaiConnectionSerializer, operation_id="uponai_connect")
    def post(self, request: Request) -> Response:
        """Tries a key at UponAI, and uses it from now on. Also replaces the key in use."""
        given = Connect.checked(request.data)
        who = self.acting()
        overlap = timedelta(seconds=given.get("old_key_verifies_for", OVERLAP.total_seconds()))
        with refusals():
            connecting.connect(key=given["key"], old_verifies_until=who["now"] + overlap, **who)
        return Response(UponaiConnectionSerializer(_state(self.workspace)).data)


class ImportView(UponaiView):
    @extend_schema(request=Import, responses=ImportedSerializer, operation_id="uponai_import")
    def post(self, request: Request) -> Response:
        """Brings the numbers of the UponAI account, or tells what that would change."""
        dry_run = Import.checked(request.data).get("dry_run", False)
        try:
            if dry_run:
                return Response({"dry_run": True, **importing.preview_import(workspace=self.workspace).as_json()})
            report = importing.import_numbers(**self.acting())
        except (UponaiTrouble, NoUponaiKey) as trouble:
            raise Unprocessable.one("", "uponai", f"Nothing was imported. {trouble}") from None
        return Response(ImportedSerializer({"dry_run": False, **report.as_dict()}).data)


class WebhooksView(UponaiView):
    @extend_schema(request=AskWebhooks, responses=AskedSerializer, operation_id="uponai_webhooks")
    def post(self, request: Request) -> Response:
        """Says whom UponAI asks about calls and messages. UponAI gets it in the background."""
        given = AskWebhooks.checked(request.data)
        dry_run, to_console = given.get("dry_run", False), given["ask"] == "console"
        with refusals():
            numbers = asking.numbers_there(given.get("phone_numbers"))
            if dry_run:
                asking.require_connected(self.workspace, now=timezone.now())
                plan = asking.plan_console if to_console else asking.plan_previous
                asked = plan(self.workspace, numbers)
            elif to_console:
                even = given.get("even_if_unreachable", False)
                asked = asking.ask_console(phone_numbers=numbers, even_if_unreachable=even, **self.acting())
            else:
                asked = asking.ask_previous(phone_numbers=numbers, **self.acting())
        return Response(_asked(asked, dry_run=dry_run))


class DisconnectView(UponaiView):
    @extend_schema(request=Disconnect, responses=DisconnectingSerializer, operation_id="uponai_disconnect")
    def post(self, request: Request) -> Response:
        """Ends the connection once UponAI has back what is chosen. Without a choice it stays there as it is now."""
        given = Disconnect.checked(request.data)
        put_back = given.get("put_back", [])
        if given.get("dry_run"):
            changes = [
                {"phone_number": one.phone_number, "details": list(one.details)}
                for one in connecting.plan_disconnecting(self.workspace, put_back)
                if one.details
            ]
            return Response(
                {**UponaiConnectionSerializer(_state(self.workspace)).data, "dry_run": True, "changes": changes}
            )
        with refusals():
            connecting.disconnect(put_back=put_back, at_once=given.get("at_once", False), **self.acting())
        return Response({**UponaiConnectionSerializer(_state(self.workspace)).data, "dry_run": False})


def _state(workspace: Workspace) -> dict[str, Any]:
    connection = connecting.connection_of(workspace.pk)
    said = sync_connection.standing(workspace.pk, now=timezone.now())
    is_ending = connection.disconnect_asked_at is not None
    state = "connected" if connecting.has_key(workspace.pk) else "not_connected"
    if is_ending:
        state = "disconnecting"
    if connection.disconnected_at is not None:
        state = "disconnected"
    numbers = list(PhoneNumber.objects.filter(missing_since=None).values_list("inbound_webhook_url", flat=True))
    last: Reached | None = reached.newest()
    return {
        "state": state,
        "trouble": said.sentence or None,
        "org_id": connection.org_id or None,
        "org_name": connection.org_name or None,
        "connected_at": connection.connected_at,
        "disconnected_at": connection.disconnected_at,
        "phone_numbers": len(numbers),
        "ask_console": sum(bindings.is_ours(url, workspace.endpoint) for url in numbers),
        "flagged": PhoneNumber.objects.exclude(flagged_since=None).count(),
        "webhook_url": asking.address(workspace),
        "webhook_problem": asking.way_in_problem() or None,
        "reached": last,
        "old_key_verifies_until": connecting.old_key_verifies_until(now=timezone.now()),
        "put_back": connecting.progress() if state == "disconnecting" else None,
    }


def _asked(asked: Asked, *, dry_run: bool) -> dict[str, Any]:
    def shown(change: WebhookChange) -> dict[str, Any]:
        return {"phone_number": change.phone_number, "details": list(change.details)}

    return {
        "dry_run": dry_run,
        "changed": [shown(change) for change in asked.changed],
        "left": [{"phone_number": one.phone_number, "problem": one.problem} for one in asked.left],
        "unchanged": asked.unchanged,
    }
