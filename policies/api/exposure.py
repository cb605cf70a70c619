"""REST for the exposure: the most money that could be burnt within an hour, and what bounds it."""

from __future__ import annotations

from dataclasses import asdict

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.views import ApiView
from policies import exposure


class LineSerializer(serializers.Serializer):
    name = serializers.CharField(help_text="The number, key, country or exposure tier.")
    usd_per_hour = serializers.FloatField()
    bound = serializers.CharField(help_text="What holds it there, in words.")
    also = serializers.CharField(help_text="A country's tier, a tier's countries, the private key's dearest country.")


class ExposureSerializer(serializers.Serializer):
    usd_per_hour = serializers.FloatField(help_text="Through the gate, by all keys and tokens together.")
    bound = serializers.CharField()
    without_gate = LineSerializer(help_text="If UponAI's private key leaked.")
    keys = LineSerializer(many=True)
    tokens = LineSerializer(allow_null=True)
    numbers = LineSerializer(many=True, help_text="The 20 that could cost most.")
    countries = LineSerializer(many=True, help_text="The 20 that could cost most.")
    tiers = LineSerializer(many=True)
    tiers_version = serializers.CharField()
    assumptions = serializers.ListField(child=serializers.CharField())


class ExposureOfWorkspace(ApiView):
    scope_resource = "exposure"
    is_one_object = True

    @extend_schema(responses=ExposureSerializer, operation_id="exposure_retrieve")
    def get(self, request: Request) -> Response:
        """The most money that could be burnt within one hour by today's configuration."""
        found = exposure.of_workspace(self.token.workspace_id, timezone.now())
        return Response(ExposureSerializer(asdict(found)).data)
