"""REST for the sync as a whole: how many numbers are where, and how long the oldest has waited."""

from __future__ import annotations

from django.db.models import Count, Min
from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.views import ApiView
from policies.models import SyncTarget

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


class SyncSummarySerializer(serializers.Serializer):
    states = StatesField(child=serializers.IntegerField())
    oldest_unsynced_at = serializers.DateTimeField(
        allow_null=True, help_text="Since when the longest waiting number has waited."
    )
    oldest_unsynced_seconds = serializers.FloatField(allow_null=True)


class SyncSummary(ApiView):
    scope_resource = "sync"

    @extend_schema(responses=SyncSummarySerializer, operation_id="sync_retrieve")
    def get(self, request: Request) -> Response:
        """How far UponAI is from what is wanted."""
        counted = SyncTarget.objects.values_list("state").annotate(Count("pk"))
        states = dict.fromkeys(State.values, 0) | dict(counted)
        oldest = SyncTarget.objects.exclude(state=State.SYNCED).aggregate(at=Min("desired_at"))["at"]
        age = (timezone.now() - oldest).total_seconds() if oldest else None
        summary = {"states": states, "oldest_unsynced_at": oldest, "oldest_unsynced_seconds": age}
        return Response(SyncSummarySerializer(summary).data)
