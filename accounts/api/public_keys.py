"""REST for public keys: list, mint, edit, rotate, revoke. The verbs are in accounts/keys.py."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any

import orjson
from django.db import transaction
from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import gate_rules, keys
from accounts.api.inputs import Body, Flag, Number, Text, WholeNumber, YesOrNo, filter_set, one_of
from accounts.api.limits import EFFECTIVE_LIMITS, KycRulesAsWritten, LimitsAsWritten
from accounts.api.problems import Unprocessable
from accounts.api.views import ApiViewSet
from accounts.models import PublicKey

READ_ONLY = (
    "id",
    "key",
    "kind",
    "status",
    "created_at",
    "last_used_at",
    "retires_at",
    "successor_id",
    "captcha_secret_set",
    "effective_limits",
)
MOST_ENTRIES = 200
LONGEST_OVERLAP_SECONDS = int(keys.LONGEST_OVERLAP.total_seconds())


class PublicKeySerializer(serializers.ModelSerializer):
    domains = serializers.ListField(child=serializers.CharField())
    channels = serializers.ListField(child=serializers.CharField())
    allowed_fields = serializers.ListField(child=serializers.CharField())
    limits = LimitsAsWritten()
    kyc_rules = KycRulesAsWritten()
    captcha_secret_set = serializers.SerializerMethodField(help_text="The secret itself is never shown.")
    effective_limits = serializers.SerializerMethodField()
    successor_id = serializers.IntegerField(allow_null=True, help_text="The key that a rotated one was replaced by.")

    class Meta:
        model = PublicKey
        fields = (
            "id",
            *keys.EDITABLE,
            "captcha_secret_set",
            "effective_limits",
            "key",
            "kind",
            "status",
            "created_at",
            "last_used_at",
            "retires_at",
            "successor_id",
        )

    def get_captcha_secret_set(self, public_key: PublicKey) -> bool:
        return bool(public_key.captcha_secret)

    @extend_schema_field(EFFECTIVE_LIMITS)
    def get_effective_limits(self, public_key: PublicKey) -> dict[str, Any]:
        # A whole page is looked up at once.
        many = getattr(self.parent, "instance", None)
        if not isinstance(many, list):
            return gate_rules.of_the_gate().effective_limits([public_key])[public_key.pk]
        if not hasattr(self, "_effective"):
            self._effective = gate_rules.of_the_gate().effective_limits(many)
        return self._effective[public_key.pk]


@extend_schema_field(
    {
        "oneOf": [{"type": "boolean"}, {"type": "integer", "minimum": 0, "maximum": LONGEST_OVERLAP_SECONDS}],
        "description": "For how many seconds the old key still works; true, which is usual, for 7 days; "
        "false for not at all.",
    }
)
class Overlap(serializers.Field):
    default_error_messages = {
        "invalid": "overlap is true (7 days), false, or a whole number of seconds.",
        "out_of_range": f"The overlap is 0 to {LONGEST_OVERLAP_SECONDS} seconds, which are 90 days.",
    }

    def to_internal_value(self, data: Any) -> timedelta:
        if isinstance(data, bool):
            return keys.OVERLAP if data else keys.NO_OVERLAP
        if not isinstance(data, int):
            self.fail("invalid")
        if not 0 <= data <= LONGEST_OVERLAP_SECONDS:
            self.fail("out_of_range")
        return timedelta(seconds=data)


class EditPublicKey(Body):
    """Only what is sent is changed."""

    shown_only = READ_ONLY

    name = Text(max_length=80, required=False)
    domains = serializers.ListField(child=Text(), max_length=MOST_ENTRIES, required=False)
    channels = serializers.ListField(child=Text(), max_length=MOST_ENTRIES, required=False)
    phone_number = Text(max_length=40, required=False, allow_blank=True)
    agent = Text(max_length=80, required=False, allow_blank=True)
    allowed_fields = serializers.ListField(child=Text(), max_length=MOST_ENTRIES, required=False)
    agent_version = Text(max_length=40, required=False, allow_blank=True)
    fraud_protection = Flag(required=False)
    limits = LimitsAsWritten(required=False)
    captcha = serializers.ChoiceField(choices=PublicKey.Captcha.choices, required=False)
    captcha_site_key = Text(max_length=120, required=False, allow_blank=True)
    captcha_secret = Text(
        max_length=200,
        required=False,
        allow_blank=True,
        write_only=True,
        help_text="Kept encrypted, and never shown again. Blank leaves the one that is there.",
    )
    captcha_threshold = Number(min_value=0, max_value=1, required=False)
    kyc_level = WholeNumber(min_value=0, max_value=3, required=False)
    kyc_rules = KycRulesAsWritten(required=False)
    mode = serializers.ChoiceField(choices=PublicKey.Mode.choices, required=False)


class MintPublicKey(EditPublicKey):
    """With `kind` "uponai" and its `key`, one that exists at UponAI is noted instead of minted."""

    shown_only = tuple(name for name in READ_ONLY if name not in ("key", "kind"))

    name = Text(max_length=80)
    kind = serializers.ChoiceField(choices=PublicKey.Kind.choices, required=False)
    key = Text(max_length=120, required=False)

    def validate(self, given: dict[str, Any]) -> dict[str, Any]:
        noted = given.get("kind") == PublicKey.Kind.UPONAI
        if noted and "key" not in given:
            raise serializers.ValidationError({"key": "Say which key of UponAI's is to be noted."}, "required")
        if not noted and "key" in given:
            raise serializers.ValidationError({"key": "The console makes the key itself."}, "read_only")
        return given


class RotatePublicKey(Body):
    overlap = Overlap(required=False)
    reason = Text(required=False, allow_blank=True, max_length=500)


class RevokePublicKey(Body):
    exposed = Flag(required=False, help_text="It got into wrong hands: a successor is minted, without overlap.")
    reason = Text(required=False, allow_blank=True, max_length=500)


class RevokedPublicKeySerializer(PublicKeySerializer):
    successor = PublicKeySerializer(required=False, help_text="Only for an exposed key.")

    class Meta(PublicKeySerializer.Meta):
        fields = (*PublicKeySerializer.Meta.fields, "successor")


class PublicKeys(ListModelMixin, ApiViewSet):
    """The keys that web pages use."""

    scope_resource = "public-keys"
    has_etag = True
    queryset = PublicKey.objects.all()
    serializer_class = PublicKeySerializer
    filterset_class = filter_set(
        "PublicKeyFilters",
        status=one_of(PublicKey.Status.values),
        kind=one_of(PublicKey.Kind.values),
        mode=one_of(PublicKey.Mode.values),
        fraud_protection=YesOrNo(),
    )
    cursor_ordering = ("id",)

    def etag_of(self, row: PublicKey) -> str:
        facts = [row.status, row.captcha_secret, row.retires_at, *(getattr(row, name) for name in keys.EDITABLE)]
        return f'"{row.pk}-{hashlib.sha256(orjson.dumps(facts)).hexdigest()[:16]}"'

    @extend_schema(request=MintPublicKey, responses={201: PublicKeySerializer})
    def create(self, request: Request) -> Response:
        given = MintPublicKey.checked(request.data)
        kind = given.pop("kind", PublicKey.Kind.GATE_KEY)
        verb = keys.register_public_key if kind == PublicKey.Kind.UPONAI else keys.mint_public_key
        row = verb(workspace=self.token.workspace, acting_user=self.token, now=timezone.now(), **given)
        return self._created(row)

    @extend_schema(request=EditPublicKey, responses=PublicKeySerializer)
    def partial_update(self, request: Request, pk: str) -> Response:
        with transaction.atomic():
            row = self._matching()
            given = EditPublicKey.checked(request.data)
            row = keys.edit_public_key(public_key=row, acting_user=self.token, now=timezone.now(), **given)
        return self.answer(row)

    @extend_schema(request=RotatePublicKey, responses={201: PublicKeySerializer})
    @action(detail=True, methods=["post"])
    def rotate(self, request: Request, pk: str) -> Response:
        """Mints a successor with the same rights and answers it."""
        with transaction.atomic():
            row = self._matching()
            given = RotatePublicKey.checked(request.data)
            successor = keys.rotate_public_key(public_key=row, acting_user=self.token, now=timezone.now(), **given)
        return self._created(successor)

    @extend_schema(request=RevokePublicKey, responses=RevokedPublicKeySerializer)
    @action(detail=True, methods=["post"])
    def revoke(self, request: Request, pk: str) -> Response:
        """Ends the key at once. Doing it twice changes nothing."""
        with transaction.atomic():
            row = self._matching()
            given = RevokePublicKey.checked(request.data)
            if given.get("exposed") and row.kind == PublicKey.Kind.UPONAI:
                raise Unprocessable.one(
                    "exposed", "not_ours", "UponAI's own key gets its successor in UponAI's dashboard."
                )
            successor = keys.revoke_public_key(public_key=row, acting_user=self.token, now=timezone.now(), **given)
        row.refresh_from_db()
        extra = {"successor": self.get_serializer(successor).data} if successor else {}
        return self.answer(row, **extra)

    def _matching(self) -> PublicKey:
        """The named key, locked, in the version that If-Match names."""
        found: PublicKey = self.get_object()
        row: PublicKey = PublicKey.objects.select_for_update().get(pk=found.pk)
        self.require_match(self.etag_of(row))
        return row

    def _created(self, row: PublicKey) -> Response:
        response = self.answer(row, status=201)
        response["Location"] = self.reverse_action("detail", kwargs={"pk": row.pk})
        return response
