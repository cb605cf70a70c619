"""REST for holds and the brake: what is held, imposing, lifting."""

from __future__ import annotations

from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.inputs import Body, Flag, Text, filter_set, one_of
from accounts.api.views import ApiView
from policies import holds
from policies.api.edits import LONGEST_REASON, refusals
from policies.api.exceptions import VALUES, Making, TemporaryExceptions, TemporarySerializer
from policies.hold_input import LONGEST, LONGEST_VALUE
from policies.models import Hold

_ENDS = f"When it ends by itself; at most {LONGEST.days} days ahead."
_STOPS = "Also stop the calls at UponAI that are running and that it covers."
_SHOWN_ONLY = ("id", "state", "imposed_at", "imposed_by", "lifted_at", "lifted_by", "calls_ended")


class HoldSerializer(TemporarySerializer):
    value = serializers.CharField(allow_null=True, help_text="Null for the workspace.")
    lifted_by = serializers.CharField(allow_null=True)
    calls_ended = serializers.IntegerField(help_text="Running calls that were stopped because of it.")
    nulls = ("value", "direction", "channel", "lifted_by")

    class Meta:
        model = Hold
        fields = (
            *("id", "scope", "value", "direction", "channel", "reason", "state"),
            *("imposed_at", "imposed_by", "expires_at", "lifted_at", "lifted_by", "calls_ended"),
        )


class Ending(Body):
    """What every hold is imposed with."""

    shown_only = _SHOWN_ONLY

    reason = Text(max_length=LONGEST_REASON, help_text="Why; kept in the audit log.")
    expires_at = serializers.DateTimeField(help_text=_ENDS)
    end_running_calls = Flag(required=False, help_text=_STOPS)


class ImposeHold(Ending, Making):
    """Imposing what is held already holds it longer, never shorter."""

    scope = serializers.ChoiceField(choices=Hold.Scope.choices)
    value = Text(
        required=False,
        allow_null=True,
        allow_blank=True,
        max_length=LONGEST_VALUE,
        help_text=f"{VALUES} Nothing for the workspace.",
    )


class Holds(TemporaryExceptions):
    """Temporary blocks."""

    scope_resource = "holds"
    queryset = Hold.objects.all()
    serializer_class = HoldSerializer
    filterset_class = filter_set("HoldFilters", scope=one_of(Hold.Scope.values))

    @extend_schema(
        request=ImposeHold,
        responses={201: HoldSerializer},
        examples=[
            OpenApiExample(
                "Nothing to Jamaica for now",
                {
                    "scope": "country",
                    "value": "JM",
                    "direction": "outbound",
                    "expires_at": "2026-12-01T12:00:00Z",
                    "reason": "Pumping since this morning",
                    "end_running_calls": True,
                },
                request_only=True,
            )
        ],
    )
    def create(self, request: Request) -> Response:
        """Holds something. The gate obeys at once; UponAI's country lists follow where they can say it."""
        given = {"value": None} | ImposeHold.checked(request.data)
        with refusals():
            hold = holds.impose(workspace_id=self.token.workspace_id, **given, **self.acting())
        return self.made(hold)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: str) -> Response:
        """Lifts the hold. One that has ended stays as it is."""
        holds.lift(hold=self.get_matching(), **self.acting())
        return Response(status=204)


class Brake(ApiView):
    scope_resource = "holds"

    @extend_schema(request=Ending, responses={201: HoldSerializer}, operation_id="brake_create")
    def post(self, request: Request) -> Response:
        """Holds the whole workspace: nothing calls, and nothing is called. Lifted like any other hold."""
        given = Ending.checked(request.data)
        with refusals():
            hold = holds.brake(
                workspace_id=self.token.workspace_id, acting_user=self.token, now=timezone.now(), **given
            )
        return Response(HoldSerializer(hold).data, status=201)
