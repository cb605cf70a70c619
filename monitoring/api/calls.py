"""REST for what happened: calls, chats and messages as UponAI told of them."""

from __future__ import annotations

from typing import Any

from django.db import models
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.mixins import ListModelMixin

from accounts.api.inputs import CountryCode, PhoneNumberText, YesOrNo, filter_set, one_of, period
from accounts.api.views import ApiViewSet
from monitoring.models import Call
from policies.engine.names import Channel, Direction, NumberClass


@extend_schema_field({"type": "string", "nullable": True})
class TextOrNull(serializers.CharField):
    def to_representation(self, value: str) -> str | None:
        return value or None


class ChoiceOrNull(serializers.ChoiceField):
    def __init__(self, choices: type[models.TextChoices], **kwargs: Any) -> None:
        super().__init__(choices=choices.choices, allow_null=True, **kwargs)

    def to_representation(self, value: str) -> str | None:
        return value or None


class CallSerializer(serializers.ModelSerializer):
    peer = TextOrNull(help_text="The other side.")
    country = TextOrNull()
    agent = TextOrNull()
    public_key = TextOrNull()
    disconnection_reason = TextOrNull(help_text="As UponAI says it.")
    gating = ChoiceOrNull(Call.Gating, help_text="Null: not the gate's to say, or from before it was here.")
    way_around = ChoiceOrNull(Call.WayAround, help_text="What an ungated one probably was.")
    cost_usd = serializers.SerializerMethodField(help_text="What UponAI charged, in US dollars.")

    class Meta:
        model = Call
        fields = (
            "call_reference",
            "channel",
            "direction",
            "phone_number",
            "peer",
            "country",
            "number_class",
            "agent",
            "public_key",
            "status",
            "disconnection_reason",
            "started_at",
            "ended_at",
            "duration_ms",
            "cost_usd",
            "decision_id",
            "gating",
            "way_around",
            "told_by",
            "undecided",
        )

    def get_cost_usd(self, call: Call) -> float:
        return round(float(call.cost_cents) / 100, 6)


class Calls(ListModelMixin, ApiViewSet):
    """Calls, web calls, chats and SMS, newest first."""

    scope_resource = "calls"
    queryset = Call.objects.all()
    serializer_class = CallSerializer
    lookup_field = "call_reference"
    filterset_class = filter_set(
        "CallFilters",
        direction=one_of(Direction),
        channel=one_of(Channel),
        country=CountryCode(),
        phone_number=PhoneNumberText(label="The workspace's own number."),
        peer=PhoneNumberText(label="The other side."),
        status=filters.CharFilter(),
        disconnection_reason=filters.CharFilter(),
        number_class=one_of(NumberClass),
        agent=filters.CharFilter(),
        public_key=filters.CharFilter(),
        decision_id=filters.UUIDFilter(),
        batch_reference=filters.CharFilter(),
        gating=one_of(Call.Gating),
        way_around=one_of(Call.WayAround),
        told_by=one_of(Call.ToldBy),
        undecided=YesOrNo(),
        **period("started_at"),
    )
    cursor_ordering = ("-started_at", "-id")
