"""REST for what an edit would change at UponAI."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from policies.sync.preview import MOST_NAMED

_CODES = {"type": "array", "items": {"type": "string", "pattern": "^[A-Z]{2}$"}, "nullable": True}


@extend_schema_field(_CODES)
class CodesField(serializers.Field):
    """A list as UponAI has it; null for no restriction."""

    def to_representation(self, value: Any) -> Any:
        return list(value)


class SideSerializer(serializers.Serializer):
    """One direction, as the first number of the group has it."""

    before = CodesField(allow_null=True)
    after = CodesField(allow_null=True)
    added = CodesField()
    removed = CodesField()
    widens = serializers.BooleanField()


class GroupSerializer(serializers.Serializer):
    """Numbers whose lists change in the same way."""

    phone_numbers = serializers.IntegerField(source="numbers")
    examples = serializers.ListField(
        child=serializers.CharField(), help_text=f"The first {MOST_NAMED} of them at most."
    )
    inbound = SideSerializer()
    outbound = SideSerializer()
    widens = serializers.BooleanField()


class PlanSerializer(serializers.Serializer):
    changed = serializers.IntegerField(help_text="Numbers whose lists at UponAI would change.")
    unchanged = serializers.IntegerField(help_text="Numbers whose lists would stay as they are.")
    widens = serializers.BooleanField(help_text="Whether anything would be allowed that is not allowed now.")
    groups = GroupSerializer(many=True)
