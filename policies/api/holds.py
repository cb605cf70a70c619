"""REST for holds and the brake: what is held, imposing, lifting."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.inputs import Body, Flag, Text, filter_set, one_of
from accounts.api.problems import Unprocessable
from accounts.api.views import ApiView, ApiViewSet
from policies import holds
from policies.api.edits import LONGEST_REASON, refusals
from policies.engine.names import Channel, Direction
from policies.hold_input import LONGEST, LONGEST_VALUE
from policies.models import Hold

_ENDS = f"When it ends by itself; at most {LONGEST.days} days ahead."
_STOPS = "Also stop the calls at UponAI that are running and that it covers."
_DIRECTIONS = [(name.value, name.value) for name in Direction]
_CHANNELS = [(name.value, name.value) for name in Channel]
_SHOWN_ONLY = ("id", "state", "imposed_at", "imposed_by", "lifted_at", "lifted_by", "calls_ended")


class HoldSerializer(serializers.ModelSerializer):
    value = serializers.CharField(allow_null=True, help_text="Null for the workspace.")
    direction = serializers.ChoiceField(choices=_DIRECTIONS, allow_null=True, help_text="Null: both.")
    channel = serializers.ChoiceField(choices=_CHANNELS, allow_null=True, help_text="Null: all.")
    state = serializers.SerializerMethodField()
    lifted_by = serializers.CharField(allow_null=True)
    calls_ended = serializers.IntegerField(help_text="Running calls that were stopped because of it.")

    class Meta:
        model = Hold
        fields = (
            *("id", "scope", "value", "direction", "channel", "reason", "state"),
            *("imposed_at", "imposed_by", "expires_at", "lifted_at", "lifted_by", "calls_ended"),
        )

    @extend_schema_field({"type": "string", "enum": ["in_force", "lifted", "expired"]})
    def get_state(self, hold: Hold) -> str:
        return hold.state(timezone.now())

    def to_representation(self, hold: Hold) -> dict[str, Any]:
        shown: dict[str, Any] = super().to_representation(hold)
        return shown | {name: shown[name] or None for name in ("value", "direction", "channel", "lifted_by")}


class Ending(Body):
    """What every hold is imposed with."""

    shown_only = _SHOWN_ONLY

    reason = Text(max_length=LONGEST_REASON, help_text="Why; kept in the audit log.")
    expires_at = serializers.DateTimeField(help_text=_ENDS)
    end_running_calls = Flag(required=False, help_text=_STOPS)


class ImposeHold(Ending):
    """Imposing what is held already holds it longer, never shorter."""

    scope = serializers.ChoiceField(choices=Hold.Scope.choices)
    value = Text(
        required=False,
        allow_null=True,
        allow_blank=True,
        max_length=LONGEST_VALUE,
        help_text="By scope: an E.164 number, a public key, a prefix such as +4474, an ISO country, an IP address or "
        "range, a subject. Nothing for the workspace.",
    )
    direction = serializers.ChoiceField(
        choices=_DIRECTIONS, required=False, allow_null=True, help_text="Both, if left out."
    )
    channel = serializers.ChoiceField(choices=_CHANNELS, required=False, allow_null=True, help_text="All, if left out.")


ALL = OpenApiParameter("all", str, enum=["1"], description="Also those that have ended or were lifted.")


class Holds(ListModelMixin, ApiViewSet):
    """Temporary blocks."""

    scope_resource = "holds"
    queryset = Hold.objects.all()
    serializer_class = HoldSerializer
    filterset_class = filter_set("HoldFilters", scope=one_of(Hold.Scope.values))
    cursor_ordering = ("-id",)

    def get_queryset(self) -> QuerySet[Hold]:
        rows = super().get_queryset()
        if self.action != "list" or self._wants_all():
            return rows
        return rows.filter(settled_at=None, expires_at__gt=timezone.now())

    def _wants_all(self) -> bool:
        wanted = self.request.query_params.get("all")
        if wanted not in (None, "1"):
            raise Unprocessable.one("all", "invalid", "all can only be 1.")
        return wanted == "1"

    @extend_schema(parameters=[ALL])
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """What is held now, the newest first."""
        return super().list(request, *args, **kwargs)

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
            hold = holds.impose(
                workspace_id=self.token.workspace_id, acting_user=self.token, now=timezone.now(), **given
            )
        response = self.answer(hold, status=201)
        response["Location"] = self.reverse_action("detail", kwargs={"pk": hold.pk})
        return response

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: str) -> Response:
        """Lifts the hold. One that has ended stays as it is."""
        holds.lift(hold=self.get_object(), acting_user=self.token, now=timezone.now())
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
