"""REST for the settings of the token's workspace: read, and changed by whoever may."""

from __future__ import annotations

import hashlib
from typing import Any

import orjson
from django.db import transaction
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import countries, workspaces
from accounts.api.inputs import AsWritten, Body, Text, WholeNumber
from accounts.api.limits import LimitsAsWritten
from accounts.api.views import ApiView
from accounts.models import Workspace
from accounts.models.people import ApprovalTier, DigestPeriod, NewNumbers


@extend_schema_field(OpenApiTypes.OBJECT)
class KycSettingsAsWritten(AsWritten):
    pass


class WorkspaceSerializer(serializers.ModelSerializer):
    home_country = serializers.CharField(source="home_country.code", help_text="ISO 3166-1 alpha-2.")
    carrier_prices = serializers.DictField(
        child=serializers.FloatField(), help_text="Your own prices in US dollars a minute, by country."
    )
    limits = LimitsAsWritten()
    kyc_settings = serializers.DictField(help_text="Where they differ from the factory's.")

    class Meta:
        model = Workspace
        fields = (
            "slug",
            "name",
            "home_country",
            "time_zone",
            "agent_minute_price",
            "carrier_prices",
            "limits",
            "kyc_settings",
            "new_numbers",
            "requests_per_second",
            "approval_tier",
            "approval_hours",
            "digest_period",
            "keep_events_days",
            "keep_calls_days",
        )


class EditWorkspace(Body):
    """Only what is sent is changed."""

    shown_only = ("slug", "agent_minute_price", "carrier_prices")

    name = Text(max_length=120, required=False)
    home_country = Text(max_length=2, required=False)
    time_zone = Text(max_length=64, required=False)
    limits = LimitsAsWritten(required=False)
    kyc_settings = KycSettingsAsWritten(required=False)
    new_numbers = serializers.ChoiceField(required=False, choices=NewNumbers.choices)
    requests_per_second = WholeNumber(required=False, min_value=1, max_value=1000)
    approval_tier = serializers.ChoiceField(
        required=False,
        choices=ApprovalTier.choices,
        allow_blank=True,
        help_text="From which exposure tier on a widening waits for a second person; empty for none.",
    )
    approval_hours = WholeNumber(required=False, min_value=1, max_value=720)
    digest_period = serializers.ChoiceField(required=False, choices=DigestPeriod.choices)
    keep_events_days = WholeNumber(required=False, min_value=7, max_value=400)
    keep_calls_days = WholeNumber(required=False, min_value=90, max_value=3660)

    def validate_home_country(self, code: str) -> str:
        if code not in countries.CODES:
            raise serializers.ValidationError("A country is two capital letters, such as US.", "unknown_country")
        return code


class WorkspaceSettings(ApiView):
    scope_resource = "workspace"
    has_etag = True
    is_one_object = True

    @extend_schema(responses=WorkspaceSerializer, operation_id="workspace_retrieve")
    def get(self, request: Request) -> Response:
        """The workspace that the token belongs to."""
        return self._answer(Workspace.objects.get(pk=self.token.workspace_id))

    @extend_schema(request=EditWorkspace, responses=WorkspaceSerializer, operation_id="workspace_partial_update")
    def patch(self, request: Request) -> Response:
        """Changes the settings. Prices are changed in the console, by an owner."""
        with transaction.atomic():
            workspace = Workspace.objects.select_for_update(no_key=True).get(pk=self.token.workspace_id)
            self.require_match(_etag_of(workspace))
            given = EditWorkspace.checked(request.data)
            workspace = workspaces.change_settings(
                workspace=workspace, acting_user=self.token, now=timezone.now(), **given
            )
        return self._answer(workspace)

    def _answer(self, workspace: Workspace) -> Response:
        return Response(WorkspaceSerializer(workspace).data, headers={"ETag": _etag_of(workspace)})


def _etag_of(workspace: Workspace) -> str:
    facts: list[Any] = [getattr(workspace, name) for name in workspaces.SETTINGS_FIELDS]
    return f'"{workspace.pk}-{hashlib.sha256(orjson.dumps(facts, default=str)).hexdigest()[:16]}"'
