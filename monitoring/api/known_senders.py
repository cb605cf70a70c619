"""REST for who may start calls at UponAI without passing the gate."""

from __future__ import annotations

from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.inputs import Body, Text, filter_set, one_of
from accounts.api.views import ApiViewSet
from monitoring import senders
from monitoring.models import KnownSender
from policies.api.edits import refusals

KINDS = [kind.value for kind in KnownSender.Kind]


class KnownSenderSerializer(serializers.ModelSerializer):
    kind = serializers.ChoiceField(choices=KnownSender.Kind.choices)
    value = serializers.CharField(help_text="The number or the agent; empty for all.")

    class Meta:
        model = KnownSender
        fields = ("id", "kind", "value", "reason", "declared_by", "declared_at", "expires_at")


class Declare(Body):
    shown_only = ("id", "declared_by", "declared_at")

    kind = serializers.ChoiceField(choices=KnownSender.Kind.choices)
    value = Text(required=False, default="", allow_blank=True, max_length=120, help_text="A number, or an agent's id.")
    reason = Text(max_length=senders.LONGEST_REASON, help_text="Why; kept in the audit log.")
    expires_at = serializers.DateTimeField(required=False, allow_null=True, help_text="For good, if left out.")


class KnownSenders(ListModelMixin, ApiViewSet):
    """Senders whose calls are no surprise though they pass the gate by. Declaring one blocks and opens nothing."""

    scope_resource = "known-senders"
    queryset = KnownSender.objects.filter(removed_at=None)
    serializer_class = KnownSenderSerializer
    filterset_class = filter_set("KnownSenderFilters", kind=one_of(KnownSender.Kind))
    cursor_ordering = ("-id",)
    has_etag = True
    etag_fields = ("reason", "expires_at", "removed_at")

    def get_queryset(self) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset()
        if self.action != "list":
            return rows
        return rows.filter(Q(expires_at=None) | Q(expires_at__gt=timezone.now()))

    @extend_schema(request=Declare, responses={201: KnownSenderSerializer, 200: KnownSenderSerializer})
    def create(self, request: Request) -> Response:
        """Declares a sender. What it has started so far is marked as known, too.

        201: a new one. 200: it was declared already, and has the reason and the end of now.
        """
        given = Declare.checked(request.data)
        with refusals():
            row, is_new = senders.declare(
                workspace_id=self.token.workspace_id, acting_user=self.token, now=timezone.now(), **given
            )
        response = self.answer(row, status=201 if is_new else 200)
        response["Location"] = self.reverse_action("detail", kwargs={"pk": row.pk})
        return response

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: str) -> Response:
        """Removes it: its calls count as ungated again."""
        senders.remove(sender=self.get_matching(), acting_user=self.token, now=timezone.now())
        return Response(status=204)
