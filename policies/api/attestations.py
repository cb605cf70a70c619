"""REST for what people saw in UponAI's dashboard: of its own public keys, and of the account."""

from __future__ import annotations

import re
from typing import Any

from django.http import Http404
from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.inputs import Body, Text
from accounts.api.views import ApiView
from accounts.models import PublicKey
from policies import attestations
from policies.api.edits import refusals
from policies.attestations import LONGEST_LINK, LONGEST_NOTE, Standing
from policies.models import Attestation
from policies.sync import management
from policies.uponai import management as assumed_api

_ID = re.compile(r"[1-9][0-9]{0,17}")
_SHOWN_ONLY = ("id", "checked_by", "checked_at", "due_at", "measured")


class AttestationSerializer(serializers.ModelSerializer):
    checked_by = serializers.CharField(source="checked_label", help_text="The person or token that told.")
    due_at = serializers.DateTimeField(help_text="When somebody should look again.")
    measured = serializers.SerializerMethodField(help_text="Always false: somebody said so.")

    class Meta:
        model = Attestation
        fields = ("id", "topic", "seen", "checked_by", "checked_at", "due_at", "link", "note", "measured")

    @extend_schema_field({"type": "boolean", "enum": [False]})
    def get_measured(self, row: Attestation) -> bool:
        return False


class StandingSerializer(serializers.Serializer):
    topic = serializers.ChoiceField(choices=Attestation.Topic.choices)
    is_due = serializers.BooleanField(help_text="Nobody has looked yet, or not for a month.")
    sentence = serializers.CharField()
    newest = AttestationSerializer(allow_null=True)


class AssumedSerializer(serializers.Serializer):
    """What an API that is only assumed shows. UponAI itself has none, and then this is null."""

    shown_by = serializers.CharField()
    same = serializers.BooleanField(help_text="It was last seen to have what is wanted here.")
    checked_at = serializers.DateTimeField(allow_null=True)
    error = serializers.CharField(allow_blank=True)


class KeyStandingsSerializer(serializers.Serializer):
    results = StandingSerializer(many=True)
    assumed_api = AssumedSerializer(allow_null=True)


class Attest(Body):
    shown_only = _SHOWN_ONLY

    topic = serializers.ChoiceField(choices=Attestation.Topic.choices)
    seen = serializers.ChoiceField(choices=Attestation.Seen.choices)
    link = Text(required=False, allow_blank=True, max_length=LONGEST_LINK, help_text="Where it was seen.")
    note = Text(required=False, allow_blank=True, max_length=LONGEST_NOTE)


EXAMPLE = OpenApiExample(
    "The toggle was on",
    {"topic": "fraud_protection", "seen": "on", "note": "Public Keys, first in the list"},
    request_only=True,
)


class KeyAttestations(ApiView):
    scope_resource = "public-keys"

    @extend_schema(responses=KeyStandingsSerializer, operation_id="public_keys_attestations_retrieve")
    def get(self, request: Request, pk: str) -> Response:
        """The newest look at each of its topics; `newest` is null where nobody has looked yet."""
        key = _key(pk)
        shown = {"results": _standings(attestations.of_key(key)), "assumed_api": _assumed(key)}
        return Response(KeyStandingsSerializer(shown).data)

    @extend_schema(
        request=Attest,
        responses={201: AttestationSerializer},
        operation_id="public_keys_attestations_create",
        examples=[EXAMPLE],
    )
    def post(self, request: Request, pk: str) -> Response:
        """Notes what somebody saw of one of UponAI's own keys in its dashboard, now."""
        return _attested(self, request, public_key=_key(pk))


class AccountAttestations(ApiView):
    scope_resource = "workspace"

    @extend_schema(responses=StandingSerializer, operation_id="workspace_attestations_retrieve")
    def get(self, request: Request) -> Response:
        """The newest look at the account's own KYC at UponAI."""
        return Response(StandingSerializer(_standings([attestations.of_account()])[0]).data)

    @extend_schema(request=Attest, responses={201: AttestationSerializer}, operation_id="workspace_attestations_create")
    def post(self, request: Request) -> Response:
        """Notes what somebody saw of the account in UponAI's dashboard, now; `topic` is `kyc`."""
        return _attested(self, request)


def _attested(view: ApiView, request: Request, **about: Any) -> Response:
    given = Attest.checked(request.data)
    with refusals():
        row = attestations.attest(
            workspace_id=view.token.workspace_id, acting_user=view.token, now=timezone.now(), **given, **about
        )
    return Response(AttestationSerializer(row).data, status=201)


def _key(pk: str) -> PublicKey:
    """What is not there and what is another workspace's are the same 404."""
    found = PublicKey.objects.filter(pk=int(pk)).first() if _ID.fullmatch(pk) else None
    if found is None:
        raise Http404
    return found


def _standings(standings: list[Standing]) -> list[dict[str, Any]]:
    now = timezone.now()
    return [
        {
            "topic": standing.topic,
            "is_due": standing.is_due(now),
            "sentence": attestations.in_words(standing),
            "newest": standing.newest,
        }
        for standing in standings
    ]


def _assumed(key: PublicKey) -> dict[str, Any] | None:
    record = management.of_key(key)
    if record is None:
        return None
    return {
        "shown_by": assumed_api.called(),
        "same": record.applied_at is not None and record.applied == record.wanted,
        "checked_at": record.applied_at,
        "error": record.error,
    }
