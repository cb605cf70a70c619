"""REST for everything that was blocked, from every source that can be seen."""

from __future__ import annotations

from typing import Any

from django_filters import rest_framework as filters
from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from drf_spectacular.plumbing import ResolvedComponent
from rest_framework import serializers
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.inputs import CountryCode, PhoneNumberText, filter_set, one_of, period
from accounts.api.views import ApiViewSet
from monitoring.dashboards.blocked_call_page import decisions_of, sentence
from monitoring.models import BlockedCall
from policies.api.decisions import DecisionSerializer, ReasonField
from policies.engine.names import Channel, Direction, NumberClass, Reason, VerdictKind
from policies.uponai import refusals

BY_UPONAI = (BlockedCall.Source.REFUSED, BlockedCall.Source.NOT_CONNECTED)


class UponaiReasonField(serializers.CharField):
    """One of a closed list: what UponAI or a network blocked for."""


class UponaiReasonSchema(OpenApiSerializerFieldExtension):
    """The closed list as one component with a name."""

    target_class = UponaiReasonField

    def map_serializer_field(self, auto_schema: Any, direction: str) -> dict[str, Any]:
        told = "What UponAI or a network blocked it for. The list is closed."
        schema = {"type": "string", "enum": list(refusals.WORDS), "description": told}
        name = "UponaiReason"
        component = ResolvedComponent(name, ResolvedComponent.SCHEMA, schema=schema, object=UponaiReasonField)
        auto_schema.registry.register_on_missing(component)
        return dict(component.ref)


class ReasonOfAnybody(filters.ChoiceFilter):
    """A reason of our verdicts, for which UponAI may have blocked as well."""

    def filter(self, qs: Any, value: str) -> Any:
        return qs.filter(reason__in=refusals.codes_that_mean(value)) if value else qs


class BlockedCallSerializer(DecisionSerializer):
    """What was blocked, with all that is known of the decision about it.

    Where UponAI or a network blocked what the gate had let through, trace and policy are those of that decision.
    """

    source = serializers.ChoiceField(
        choices=BlockedCall.Source.choices,
        help_text="Who blocked it: the gate, our answer to UponAI's inbound webhook, UponAI when it was to be started, "
        "or UponAI or a network later.",
    )
    reference = serializers.CharField(help_text="What it is found by here: the decision's id, or UponAI's of the call.")
    reason = ReasonField(
        allow_null=True,
        help_text="Null where UponAI or a network blocked it for what no verdict of ours says; see `uponai_reason`.",
    )
    uponai_reason = UponaiReasonField(allow_null=True, help_text="Null where the console blocked it.")
    said = serializers.CharField(allow_null=True, help_text="What UponAI said of it.")
    decision_id = serializers.UUIDField(allow_null=True)

    def to_representation(self, row: BlockedCall) -> dict[str, Any]:
        decision = self.context["decisions"].get(row.decision_id)
        known = super().to_representation(decision) if decision is not None else _without_decision(row)
        known.pop("would_be", None)
        by_uponai = row.source in BY_UPONAI
        reason = refusals.SAME_AS.get(row.reason) if by_uponai else row.reason
        listed = {
            "source": row.source,
            "reference": row.reference,
            "said": row.said or None,
            "at": serializers.DateTimeField().to_representation(row.at),
            "verdict": VerdictKind.BLOCK.value,
            "reason": reason,
            "uponai_reason": row.reason if by_uponai else None,
            "sentence": sentence(row, decision),
            "call_reference": row.call_reference or known["call_reference"],
        }
        if decision is None or by_uponai:
            listed |= {"reasons": [reason] if reason else [], "counterfactuals": []}
        return {**known, **listed}


def _without_decision(row: BlockedCall) -> dict[str, Any]:
    number_class = row.number_class or NumberClass.UNKNOWN.value
    peer = {"e164": row.peer or None, "country": row.country or None, "number_class": number_class, "flags": []}
    return {
        "decision_id": str(row.decision_id) if row.decision_id else None,
        "direction": row.direction,
        "channel": row.channel,
        "phone_number": row.phone_number,
        "peer_text": row.peer,
        "ip": None,
        "public_key": row.public_key or None,
        "subject": None,
        "call_reference": None,
        "peer": peer,
        "trace": [],
        "policy": None,
        "degraded": False,
    }


class BlockedCalls(ListModelMixin, ApiViewSet):
    """What was blocked, newest first: at the gate, by our answers to UponAI, and by UponAI and the networks."""

    scope_resource = "blocked-calls"
    queryset = BlockedCall.objects.all()
    serializer_class = BlockedCallSerializer
    lookup_field = "reference"
    filterset_class = filter_set(
        "BlockedCallFilters",
        reason=ReasonOfAnybody(
            choices=[(reason.value, reason.value) for reason in Reason],
            label="Of our verdicts; also what UponAI blocked for the same.",
        ),
        uponai_reason=one_of(refusals.WORDS, field_name="reason", label="What UponAI or a network blocked for."),
        source=one_of(BlockedCall.Source.values),
        country=CountryCode(),
        direction=one_of(Direction),
        channel=one_of(Channel),
        number_class=one_of(NumberClass),
        phone_number=PhoneNumberText(label="The workspace's own number."),
        peer=PhoneNumberText(label="The other side."),
        public_key=filters.CharFilter(),
        **period("at"),
    )
    cursor_ordering = ("-at", "-id")

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        rows = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(as_by_rest(rows))

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return Response(as_by_rest([self.get_object()])[0])


def as_by_rest(rows: list[BlockedCall]) -> list[dict[str, Any]]:
    """Each row as this interface shows it; two queries for any number of them."""
    serializer = BlockedCallSerializer(context={"decisions": decisions_of(rows)})
    return [serializer.to_representation(row) for row in rows]
