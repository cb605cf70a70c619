"""REST for the sync as a whole: how much waits, for how long, how fast it goes, and whether UponAI may be asked."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.views import ApiView
from policies.models import SyncTarget
from policies.sync import words
from policies.sync.figures import Figures, figures

State = SyncTarget.State


@extend_schema_field(
    {
        "type": "object",
        "required": list(State.values),
        "properties": {state: {"type": "integer"} for state in State.values},
    }
)
class StatesField(serializers.DictField):
    """How many phone numbers are in each state."""


class ConnectionSerializer(serializers.Serializer):
    """Whether UponAI may be asked now, and what it last said."""

    breaker = serializers.ChoiceField(
        source="breaker.state",
        choices=["closed", "open", "half_open"],
        help_text="Open: nothing is sent until `blocked_until`. Half open: the next request will tell.",
    )
    blocked_until = serializers.DateTimeField(source="breaker.until", allow_null=True)
    failures = serializers.IntegerField(
        source="connection.failures", default=0, help_text="Requests that failed in a row."
    )
    key_refused_at = serializers.DateTimeField(
        allow_null=True, help_text="UponAI refuses the key in use: nothing is sent until there is another."
    )
    disconnected_at = serializers.DateTimeField(allow_null=True)
    last_answer_at = serializers.DateTimeField(source="connection.last_answer_at", default=None, allow_null=True)
    last_trouble = serializers.CharField(source="connection.last_trouble", default=None, allow_null=True)
    last_trouble_at = serializers.DateTimeField(source="connection.last_trouble_at", default=None, allow_null=True)
    drift_checked_at = serializers.DateTimeField(
        source="connection.drift_checked_at",
        default=None,
        allow_null=True,
        help_text="When all numbers had last been compared with UponAI.",
    )

    def to_representation(self, found: Figures) -> dict[str, Any]:
        shown: dict[str, Any] = super().to_representation(found)
        return {**shown, "last_trouble": shown["last_trouble"] or None}


class SyncSummarySerializer(serializers.Serializer):
    sentence = serializers.SerializerMethodField(help_text="All of it in words.")
    states = StatesField(child=serializers.IntegerField())
    oldest_unsynced_at = serializers.DateTimeField(
        allow_null=True, help_text="Since when the longest waiting number has waited."
    )
    oldest_unsynced_seconds = serializers.FloatField(allow_null=True)
    phone_numbers = serializers.IntegerField(source="total")
    waiting = serializers.IntegerField(help_text="The depth: numbers that are to be brought to UponAI.")
    in_trouble = serializers.IntegerField(help_text="Numbers whose last attempt failed.")
    missing = serializers.IntegerField(help_text="Numbers that UponAI does not list any more.")
    flagged = serializers.IntegerField(help_text="Numbers that appeared at UponAI and wait for a person.")
    applied_last_minute = serializers.IntegerField(help_text="Numbers that UponAI got in the last 60 seconds.")
    requests_per_second = serializers.IntegerField(help_text="The budget: the most that are sent to UponAI.")
    connection = serializers.SerializerMethodField()

    def get_sentence(self, found: Figures) -> str:
        return " ".join(part for part in (words.sentence(found), words.detail(found)) if part)

    @extend_schema_field(ConnectionSerializer)
    def get_connection(self, found: Figures) -> Any:
        return ConnectionSerializer(found).data


class SyncSummary(ApiView):
    scope_resource = "sync"

    @extend_schema(responses=SyncSummarySerializer, operation_id="sync_retrieve")
    def get(self, request: Request) -> Response:
        """How far UponAI is from what is wanted."""
        found = figures(workspace_id=self.token.workspace_id, now=timezone.now())
        return Response(SyncSummarySerializer(found).data)
