"""REST for what the console tells by itself: alerts, relays of events, digests."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.inputs import Body, Nothing, Text, YesOrNo, filter_set, one_of, period
from accounts.api.views import ApiViewSet
from monitoring import alerts, digest_words, relays
from monitoring.api.calls import TextOrNull
from monitoring.models import Alert, Digest, Relay


class AlertSerializer(serializers.ModelSerializer):
    is_open = serializers.SerializerMethodField(help_text="It lasts, and nobody has said that they know.")
    about = serializers.CharField(help_text="What tells it from others of its kind.")
    seen_by = TextOrNull(help_text="Who said that they know.")
    mail_error = TextOrNull(source="error", help_text="Why it could not be mailed.")

    class Meta:
        model = Alert
        fields = (
            *("id", "kind", "about", "sentence", "path", "details", "is_open", "raised_at", "resolved_at"),
            *("seen_at", "seen_by", "mailed_at", "mail_error"),
        )

    def get_is_open(self, alert: Alert) -> bool:
        return alert.resolved_at is None and alert.seen_at is None


class OpenAlerts(YesOrNo):
    def filter(self, qs: Any, value: str) -> Any:
        if not value:
            return qs
        return alerts.only_open(qs) if value == "true" else alerts.only_closed(qs)


class Alerts(ListModelMixin, ApiViewSet):
    """What somebody should know now, and what it was; newest first."""

    scope_resource = "alerts"
    queryset = Alert.objects.all()
    serializer_class = AlertSerializer
    filterset_class = filter_set(
        "AlertFilters",
        open=OpenAlerts(label="Whether it lasts and nobody has said that they know."),
        kind=one_of(Alert.Kind.values),
        **period("raised_at"),
    )
    cursor_ordering = ("-raised_at", "-id")
    has_etag = True
    etag_fields = ("resolved_at", "seen_at")

    @extend_schema(request=Nothing, responses=AlertSerializer)
    @action(detail=True, methods=["post"])
    def seen(self, request: Request, pk: str) -> Response:
        """Says that somebody knows. Doing it twice changes nothing."""
        Nothing.checked(request.data)
        return self.answer(alerts.mark_seen(alert=self.get_matching(), acting_user=self.token, now=timezone.now()))


class RelaySerializer(serializers.ModelSerializer):
    url = serializers.SerializerMethodField(help_text="Without what may be a secret: a query, a name and a password.")
    last_error = TextOrNull()
    waiting = serializers.IntegerField(help_text="Events that are still to be passed on.")
    given_up = serializers.IntegerField(help_text="Events that were tried eight times, or not any more.")

    class Meta:
        model = Relay
        fields = (
            *("id", "url", "created_at", "stopped_at", "failing_since", "last_delivered_at", "last_error"),
            *("waiting", "given_up"),
        )

    def get_url(self, relay: Relay) -> str:
        return relays.shown_url(relay.url)


class AddRelay(Body):
    url = Text(max_length=500, help_text="Where your own system takes in UponAI's events.")


class RetriedSerializer(serializers.Serializer):
    events = serializers.IntegerField(help_text="How many events are sent again now.")


class Relays(ListModelMixin, ApiViewSet):
    """Addresses of yours that get UponAI's events as well, byte for byte.

    The list has those that are not stopped; `stopped=true` has the others, which tell what was not passed on.
    """

    scope_resource = "relays"
    queryset = Relay.objects.all()
    serializer_class = RelaySerializer
    filterset_class = filter_set(
        "RelayFilters",
        stopped=YesOrNo(field_name="stopped_at", lookup_expr="isnull", exclude=True),
    )
    cursor_ordering = ("-created_at", "-id")
    has_etag = True
    etag_fields = ("url", "stopped_at")

    def get_queryset(self) -> Any:
        rows = relays.with_figures()
        everything = self.action != "list" or "stopped" in self.request.query_params
        return rows if everything else rows.filter(stopped_at=None)

    @extend_schema(request=AddRelay, responses={201: RelaySerializer})
    def create(self, request: Request) -> Response:
        """Passes every event that comes from now on to this address as well."""
        given = AddRelay.checked(request.data)
        row = relays.add_relay(
            workspace=self.token.workspace, acting_user=self.token, now=timezone.now(), url=given["url"]
        )
        return self.answer(self.get_queryset().get(pk=row.pk), status=201)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: str) -> Response:
        """Ends it at once. Doing it twice changes nothing."""
        relays.stop_relay(relay=self.get_matching(), acting_user=self.token, now=timezone.now())
        return Response(status=204)

    @extend_schema(request=Nothing, responses=RetriedSerializer)
    @action(detail=True, methods=["post"])
    def retry(self, request: Request, pk: str) -> Response:
        """Sends everything again that was given up or waits for its next try."""
        Nothing.checked(request.data)
        count = relays.retry(relay=self.get_matching(), acting_user=self.token, now=timezone.now())
        return Response({"events": count})


class DigestSerializer(serializers.ModelSerializer):
    sentence = serializers.SerializerMethodField()
    content = serializers.JSONField(help_text="Figures of the period (`now`) beside those of the one `before`.")

    class Meta:
        model = Digest
        fields = ("id", "period", "start", "end", "sentence", "content", "created_at", "mailed_at")

    def get_sentence(self, digest: Digest) -> str:
        return digest_words.sentence(digest)


class Digests(ListModelMixin, ApiViewSet):
    """What happened in a day or a week, as it was mailed; newest first."""

    scope_resource = "digests"
    queryset = Digest.objects.all()
    serializer_class = DigestSerializer
    filterset_class = filter_set("DigestFilters", period=one_of(("daily", "weekly")))
    cursor_ordering = ("-start", "-id")
