"""REST for the blocked callers, and for whom a block would have hit."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.inputs import Body, Text, filter_set, one_of
from policies import lists
from policies.api.edits import refusals
from policies.api.exceptions import CHANNELS, DIRECTIONS, VALUES, scope_field
from policies.api.list_entries import Entries, EntrySerializer, MakeEntry
from policies.blast_radius import DAYS, MOST_COUNTED, BlastRadius, blast_radius
from policies.engine.names import Direction
from policies.exception_input import LONGEST_VALUE
from policies.list_input import scopes_of, wanted_entry
from policies.models import BlockedCaller, ListEntry

SCOPES = [scope for scope, _ in scopes_of(ListEntry.List.BLOCKED)]
_DIRECTION = serializers.ChoiceField(
    choices=DIRECTIONS,
    required=False,
    allow_null=True,
    default=Direction.INBOUND.value,
    help_text="Inbound, if left out; null: both.",
)


class BlastRadiusSerializer(serializers.Serializer):
    """Attempts of the last days that were let through and would not have been."""

    days = serializers.IntegerField()
    attempts = serializers.IntegerField()
    numbers = serializers.IntegerField(help_text="How many different numbers made them, or were called.")
    capped = serializers.BooleanField(help_text=f"Counting ended at {MOST_COUNTED} attempts; it is more.")
    own_numbers = serializers.ListField(
        child=serializers.CharField(), help_text="Numbers of this workspace that it covers."
    )

    def to_representation(self, radius: BlastRadius) -> dict[str, Any]:
        return {
            "days": DAYS,
            "attempts": radius.attempts,
            "numbers": radius.peers,
            "capped": radius.capped,
            "own_numbers": list(radius.own_numbers),
        }


class BlockedCallerSerializer(EntrySerializer):
    scope = scope_field(SCOPES)
    would_have_hit = BlastRadiusSerializer(read_only=True, required=False)
    notice = serializers.CharField(read_only=True, required=False, help_text="What else should be known of it.")

    class Meta(EntrySerializer.Meta):
        model = BlockedCaller
        fields = (*EntrySerializer.Meta.fields, "would_have_hit", "notice")


class BlockCaller(MakeEntry):
    """Blocking who is blocked already keeps the later end."""

    scope = scope_field(SCOPES)
    direction = _DIRECTION


class WhomToHit(Body):
    scope = scope_field(SCOPES)
    value = Text(max_length=LONGEST_VALUE, help_text=VALUES)
    direction = _DIRECTION
    channel = serializers.ChoiceField(choices=CHANNELS, required=False, allow_null=True, help_text="All, if left out.")


class BlockedCallers(Entries):
    """Numbers and prefixes that are never let through."""

    scope_resource = "blocked-callers"
    scope_verbs = {"blast_radius": "read"}
    queryset = BlockedCaller.objects.filter(list=ListEntry.List.BLOCKED)
    serializer_class = BlockedCallerSerializer
    filterset_class = filter_set("BlockedCallerFilters", scope=one_of(SCOPES))

    @extend_schema(request=BlockCaller, responses={201: BlockedCallerSerializer})
    def create(self, request: Request) -> Response:
        """Blocks a number or prefix for good or until a day; the answer says whom it would have hit."""
        given = BlockCaller.checked(request.data)
        with refusals():
            entry = lists.block_caller(workspace_id=self.token.workspace_id, **given, **self.acting())
        radius = _radius_of(entry)
        own = ", ".join(radius.own_numbers)
        notice = {"notice": f"It covers numbers of this workspace: {own}."} if own else {}
        return self.made(entry, would_have_hit=BlastRadiusSerializer(radius).data, **notice)

    @extend_schema(request=WhomToHit, responses=BlastRadiusSerializer)
    @action(detail=False, methods=["post"], filterset_class=None, pagination_class=None, url_path="blast-radius")
    def blast_radius(self, request: Request) -> Response:
        """Says whom a block would have hit in the last 30 days. Nothing is blocked."""
        given = WhomToHit.checked(request.data)
        asked = {"channel": None, "reason": "asked", "expires_at": None, "now": timezone.now()} | given
        with refusals():
            wanted = wanted_entry(ListEntry.List.BLOCKED, **asked)
        return Response(BlastRadiusSerializer(_radius_of(wanted)).data)


def _radius_of(entry: Any) -> BlastRadius:
    return blast_radius(
        scope=entry.scope,
        value=entry.value,
        direction=entry.direction,
        channel=entry.channel,
        now=timezone.now(),
    )
