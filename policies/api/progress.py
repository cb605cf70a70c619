"""REST for how far an edit of a shared policy is on its way."""

from __future__ import annotations

from rest_framework import serializers


class PolicySyncSerializer(serializers.Serializer):
    """The numbers that follow the policy, by how far they are."""

    total = serializers.IntegerField()
    applied = serializers.IntegerField(help_text="UponAI has what the policy says now.")
    waiting = serializers.IntegerField()
    failed = serializers.IntegerField(help_text="Refused by UponAI; not tried again by themselves.")
    drift = serializers.IntegerField(help_text="Changed at UponAI by somebody else.")
