"""REST for opens: what is let through for a time, opening, closing."""

from __future__ import annotations

from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.inputs import filter_set, one_of
from policies import opens
from policies.api.edits import refusals
from policies.api.exceptions import Making, TemporaryExceptions, TemporarySerializer, scope_field
from policies.models import Hold, Open
from policies.open_input import LONGEST

SCOPES = [scope for scope in Hold.Scope.values if scope != Hold.Scope.WORKSPACE]
_SHOWN_ONLY = ("id", "state", "opened_at", "opened_by", "ends_soon", "closed_at", "closed_by")


class OpenSerializer(TemporarySerializer):
    scope = scope_field(SCOPES)
    closed_by = serializers.CharField(allow_null=True)
    ends_soon = serializers.SerializerMethodField(help_text="It ends within the hour.")
    nulls = ("direction", "channel", "closed_by")

    class Meta:
        model = Open
        fields = (
            *("id", "scope", "value", "direction", "channel", "reason", "state"),
            *("opened_at", "opened_by", "expires_at", "ends_soon", "closed_at", "closed_by"),
        )

    def get_ends_soon(self, row: Open) -> bool:
        return opens.ends_soon(row, timezone.now())


class OpenTemporarily(Making):
    """Opening what is open already keeps it open longer, never shorter."""

    shown_only = _SHOWN_ONLY

    scope = scope_field(SCOPES)
    expires_at = serializers.DateTimeField(help_text=f"When it ends by itself; at most {LONGEST.days} days ahead.")


class Opens(TemporaryExceptions):
    """Temporary exceptions: they override rules for countries and kinds of numbers, never sanctions or holds."""

    scope_resource = "opens"
    queryset = Open.objects.all()
    serializer_class = OpenSerializer
    filterset_class = filter_set("OpenFilters", scope=one_of(SCOPES))

    @extend_schema(
        request=OpenTemporarily,
        responses={201: OpenSerializer},
        examples=[
            OpenApiExample(
                "Calls to Kenya during a conference",
                {
                    "scope": "country",
                    "value": "KE",
                    "direction": "outbound",
                    "channel": "phone_call",
                    "expires_at": "2026-12-04T18:00:00Z",
                    "reason": "Conference in Nairobi until Friday",
                },
                request_only=True,
            )
        ],
    )
    def create(self, request: Request) -> Response:
        """Lets something through for a time. The gate obeys at once; UponAI's country lists follow where they can."""
        given = OpenTemporarily.checked(request.data)
        with refusals():
            row = opens.open_temporarily(workspace_id=self.token.workspace_id, **given, **self.acting())
        return self.made(row)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: str) -> Response:
        """Closes it. One that has ended stays as it is."""
        opens.close(open_=self.get_matching(), **self.acting())
        return Response(status=204)
