"""REST for UponAI's events as they came in, without what was said in them, and for having them processed once more."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.utils import timezone
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.inputs import Body, Text, WholeNumber, filter_set, one_of, period
from accounts.api.problems import Unprocessable
from accounts.api.views import ApiViewSet
from monitoring.ingest import replaying
from monitoring.models import WebhookEvent

LONGEST_NAME = 40
LONGEST_REFERENCE = 120
MOST_IDS = 500


class EventSerializer(serializers.ModelSerializer):
    class Meta:
        model = WebhookEvent
        fields = ("id", "event", "call_reference", "state", "received_at", "processed_at", "attempts", "error")


class ReplaySerializer(Body):
    """All that is said must fit."""

    ids = serializers.ListField(child=WholeNumber(min_value=1), required=False, max_length=MOST_IDS)
    since = serializers.DateTimeField(required=False, help_text="Received at or after.")
    until = serializers.DateTimeField(required=False, help_text="Received before.")
    state = Text(required=False, help_text="One of received, done, failed and dead.")
    event = Text(required=False, max_length=LONGEST_NAME)
    call_reference = Text(required=False, max_length=LONGEST_REFERENCE)
    after_id = WholeNumber(required=False, min_value=0, help_text="The `last_id` of an answer that was not all.")


class ReplayedSerializer(serializers.Serializer):
    events = serializers.IntegerField(help_text="How many are processed once more.")
    last_id = serializers.IntegerField()
    is_all = serializers.BooleanField(help_text="False: ask again with `after_id`, there are more.")


class Events(ListModelMixin, ApiViewSet):
    """UponAI's events, newest first. The scope is that of calls, which they tell of."""

    scope_resource = "calls"
    queryset = WebhookEvent.objects.defer("sealed_body")
    serializer_class = EventSerializer
    filterset_class = filter_set(
        "EventFilters",
        state=one_of(WebhookEvent.State),
        event=filters.CharFilter(),
        call_reference=filters.CharFilter(),
        **period("received_at"),
    )
    cursor_ordering = ("-id",)

    @extend_schema(request=ReplaySerializer, responses=ReplayedSerializer)
    @action(detail=False, methods=["post"])
    def replay(self, request: Request) -> Response:
        """Has events of a range processed once more; what they did right stays as it is."""
        given: dict[str, Any] = ReplaySerializer.checked(request.data)
        after_id = given.pop("after_id", 0)
        try:
            done = replaying.replay(
                workspace_id=self.token.workspace_id,
                which=replaying.Which(**given),
                acting_user=self.token,
                now=timezone.now(),
                after_id=after_id,
            )
        except ValidationError as refusal:
            [(field, sentences)] = refusal.message_dict.items()
            raise Unprocessable.one(field, "invalid", " ".join(sentences)) from None
        return Response(ReplayedSerializer(done).data)
