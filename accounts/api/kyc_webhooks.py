"""Where the customer's systems are told of every change of a KYC record."""

from __future__ import annotations

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.inputs import filter_set
from accounts.api.kyc_bodies import AddKycWebhook
from accounts.api.views import ApiViewSet
from accounts.kyc import webhooks
from accounts.models import KycWebhook


class KycWebhookSerializer(serializers.ModelSerializer):
    class Meta:
        model = KycWebhook
        fields = ("id", "url", "created_at", "stopped_at")


class AddedKycWebhookSerializer(KycWebhookSerializer):
    secret = serializers.CharField(help_text="Signs every message; it is not shown again.")

    class Meta(KycWebhookSerializer.Meta):
        fields = (*KycWebhookSerializer.Meta.fields, "secret")


class KycWebhooks(ListModelMixin, ApiViewSet):
    """Addresses that are told of every change of state, each message signed."""

    scope_resource = "kyc-webhooks"
    queryset = KycWebhook.objects.all()
    serializer_class = KycWebhookSerializer
    filterset_class = filter_set("KycWebhookFilters")
    cursor_ordering = ("-created_at", "id")
    has_etag = True
    etag_fields = ("url", "stopped_at")

    @extend_schema(request=AddKycWebhook, responses={201: AddedKycWebhookSerializer})
    def create(self, request: Request) -> Response:
        given = AddKycWebhook.checked(request.data)
        row, secret = webhooks.add_webhook(
            workspace=self.token.workspace, acting_user=self.token, now=timezone.now(), **given
        )
        return self.answer(row, status=201, secret=secret)

    def destroy(self, request: Request, pk: str) -> Response:
        """Ends it at once. Doing it twice changes nothing."""
        webhooks.stop_webhook(webhook=self.get_matching(), acting_user=self.token, now=timezone.now())
        return Response(status=204)
