"""What the addresses of trusted and of blocked callers share: entries that stay for good, or until a day."""

from __future__ import annotations

from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from policies import lists
from policies.api.exceptions import Exceptions, ExceptionSerializer, Making
from policies.models import ListEntry

_SHOWN_ONLY = ("id", "list", "added_at", "added_by", "notice", "would_have_hit")
FIELDS = ("id", "scope", "value", "direction", "channel", "reason", "added_at", "added_by", "expires_at")


class EntrySerializer(ExceptionSerializer):
    expires_at = serializers.DateTimeField(allow_null=True, help_text="Null: for good.")

    class Meta:
        model = ListEntry
        fields = FIELDS


class MakeEntry(Making):
    shown_only = _SHOWN_ONLY

    expires_at = serializers.DateTimeField(
        required=False, allow_null=True, help_text="When it ends by itself; for good, if left out."
    )


class Entries(Exceptions):
    """The entries of one list that are in force; what is removed is kept in the audit log alone."""

    serializer_class = EntrySerializer
    has_etag = True
    etag_fields = ("reason", "expires_at")

    def in_force(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        return rows.filter(Q(expires_at=None) | Q(expires_at__gt=timezone.now()))

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: str) -> Response:
        """Takes the entry off its list."""
        lists.remove(entry=self.get_matching(), **self.acting())
        return Response(status=204)
