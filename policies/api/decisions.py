"""REST for verdicts: those that were given, and what one would be."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from django_filters import rest_framework as filters
from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from drf_spectacular.plumbing import ResolvedComponent
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.inputs import CountryCode, PhoneNumberText, filter_set, one_of, period
from accounts.api.problems import Unprocessable
from accounts.api.views import ApiViewSet
from policies import words
from policies.engine.names import Channel, Check, Direction, NumberClass, Reason, TraceOutcome, VerdictKind
from policies.engine.types import Attempt
from policies.gate import judge, snapshots
from policies.models import Decision

ANYTHING: dict[str, Any] = {"description": "Any JSON value."}


class ReasonField(serializers.CharField):
    """One of a closed list."""

    def to_representation(self, value: Any) -> str | None:
        return value or None


class ReasonSchema(OpenApiSerializerFieldExtension):
    """The closed list as one component with a name."""

    target_class = ReasonField

    def map_serializer_field(self, auto_schema: Any, direction: str) -> dict[str, Any]:
        schema = {
            "type": "string",
            "enum": [reason.value for reason in Reason],
            "description": "Why an attempt was not simply allowed. The list is closed.",
        }
        component = ResolvedComponent("Reason", ResolvedComponent.SCHEMA, schema=schema, object=Reason)
        auto_schema.registry.register_on_missing(component)
        return dict(component.ref)


@extend_schema_field(ANYTHING)
class AnyValue(serializers.Field):
    def to_internal_value(self, data: Any) -> Any:
        return data

    def to_representation(self, value: Any) -> Any:
        return value


class PeerSerializer(serializers.Serializer):
    """The other side, as far as its number tells."""

    e164 = serializers.CharField(allow_null=True)
    country = serializers.CharField(allow_null=True)
    number_class = serializers.ChoiceField(choices=[(name.value, name.value) for name in NumberClass])
    flags = serializers.ListField(child=serializers.CharField())


class TraceLineSerializer(serializers.Serializer):
    check = serializers.ChoiceField(choices=[(name.value, name.value) for name in Check])
    outcome = serializers.ChoiceField(choices=[(name.value, name.value) for name in TraceOutcome])
    value = AnyValue()
    threshold = AnyValue()
    observed = serializers.BooleanField(required=False, help_text="It failed where failing is only observed.")


class PolicyReferenceSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    revision = serializers.IntegerField()


class WouldBeSerializer(serializers.Serializer):
    """What the verdict would have been, were what failed not only observed."""

    verdict = serializers.ChoiceField(choices=[(name.value, name.value) for name in VerdictKind])
    reason = ReasonField(allow_null=True)


class VerdictSerializer(serializers.Serializer):
    """A judgement with all that led to it."""

    verdict = serializers.ChoiceField(choices=[(name.value, name.value) for name in VerdictKind])
    reason = ReasonField(allow_null=True)
    reasons = serializers.ListField(child=ReasonField(), help_text="All that failed, the deciding one first.")
    peer = PeerSerializer()
    trace = TraceLineSerializer(many=True)
    counterfactuals = serializers.ListField(child=serializers.DictField(), help_text="What would have made it pass.")
    policy = PolicyReferenceSerializer(allow_null=True)
    degraded = serializers.BooleanField()
    would_be = WouldBeSerializer(required=False, help_text="Only where something was merely observed.")


class DecisionSerializer(VerdictSerializer):
    """A stored verdict with its attempt."""

    decision_id = serializers.UUIDField()
    at = serializers.DateTimeField()
    direction = serializers.ChoiceField(choices=[(name.value, name.value) for name in Direction])
    channel = serializers.ChoiceField(choices=[(name.value, name.value) for name in Channel])
    phone_number = serializers.CharField(help_text="The workspace's own side.")
    peer_text = serializers.CharField(help_text="The other side as it was given.")
    ip = serializers.CharField(allow_null=True)
    public_key = serializers.CharField(allow_null=True)
    subject = serializers.CharField(allow_null=True)
    call_reference = serializers.CharField(allow_null=True, help_text="UponAI's id of the call or chat.")
    sentence = serializers.CharField(help_text="What was decided and why, for people.")

    def to_representation(self, decision: Decision) -> dict[str, Any]:
        policy = {"id": decision.policy_id, "revision": decision.policy_revision}
        would_be = {"verdict": decision.would_be, "reason": decision.would_be_reason or None}
        return {
            "decision_id": str(decision.decision_id),
            "at": serializers.DateTimeField().to_representation(decision.at),
            "direction": decision.direction,
            "channel": decision.channel,
            "phone_number": decision.phone_number,
            "peer_text": decision.peer_text,
            "ip": decision.ip,
            "public_key": decision.public_key or None,
            "subject": decision.subject or None,
            "call_reference": decision.call_reference or None,
            "sentence": words.sentence(decision),
            "verdict": decision.verdict,
            "reason": decision.reason or None,
            "reasons": decision.reasons,
            "peer": {
                "e164": decision.peer or None,
                "country": decision.country or None,
                "number_class": decision.number_class or NumberClass.UNKNOWN.value,
                "flags": decision.flags,
            },
            "trace": decision.trace,
            "counterfactuals": decision.counterfactuals,
            "policy": policy if decision.policy_id is not None else None,
            "degraded": decision.degraded,
        } | ({"would_be": would_be} if decision.would_be else {})


class AttemptSerializer(serializers.Serializer):
    """What someone wants to do. For an inbound attempt `from_number` is the other side."""

    direction = serializers.ChoiceField(choices=[(name.value, name.value) for name in Direction])
    channel = serializers.ChoiceField(choices=[(name.value, name.value) for name in Channel])
    from_number = serializers.CharField(required=False, allow_null=True)
    to_number = serializers.CharField(required=False, allow_null=True)
    ip = serializers.CharField(required=False, allow_null=True)
    public_key = serializers.CharField(required=False, allow_null=True)
    origin = serializers.CharField(required=False, allow_null=True)
    subject = serializers.CharField(required=False, allow_null=True)
    captcha = AnyValue(required=False)


_FILTERS: dict[str, filters.Filter] = {
    "reason": one_of(Reason),
    "country": CountryCode(),
    "direction": one_of(Direction),
    "channel": one_of(Channel),
    "phone_number": PhoneNumberText(label="The workspace's own number."),
    **period("at"),
}


class WouldBe(filters.ChoiceFilter):
    """What it would have been, were what failed not only observed."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(choices=[(name.value, name.value) for name in VerdictKind if name != "allow"], **kwargs)

    def filter(self, qs: Any, value: str) -> Any:
        # Said twice: so the index of what was observed is the one that is read.
        return super().filter(qs.exclude(would_be="") if value else qs, value)


class Decisions(ListModelMixin, ApiViewSet):
    """Every verdict that was given, newest first."""

    scope_resource = "decisions"
    scope_verbs = {"preview": "read"}
    queryset = Decision.objects.all()
    serializer_class = DecisionSerializer
    lookup_field = "decision_id"
    filterset_class = filter_set(
        "DecisionFilters",
        verdict=one_of(VerdictKind),
        would_be=WouldBe(label="Where it was only observed."),
        **_FILTERS,
    )
    cursor_ordering = ("-at", "-id")

    @extend_schema(
        request=AttemptSerializer,
        responses=VerdictSerializer,
        examples=[
            OpenApiExample(
                "A call to Cuba",
                {
                    "direction": "outbound",
                    "channel": "phone_call",
                    "from_number": "+14155550100",
                    "to_number": "+5351234567",
                },
                request_only=True,
            )
        ],
    )
    @action(detail=False, methods=["post"], filterset_class=None, pagination_class=None)
    def preview(self, request: Request) -> Response:
        """Says what the verdict on an attempt would be. Nothing is recorded, no counter is spent."""
        if not isinstance(request.data, dict):
            raise Unprocessable.one("", "invalid", "The body must be a JSON object that describes an attempt.")
        loaded = snapshots.load(self.token.workspace_id)
        return Response(judge.look(loaded, Attempt.from_json(request.data), now=timezone.now()).as_dict())
