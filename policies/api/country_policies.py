"""REST for country policies: list, create, edit, their revisions, and going back to one."""

from __future__ import annotations

import zlib
from typing import Any

from django.db import transaction
from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.inputs import AsWritten, Body, Flag, Text, WholeNumber
from accounts.api.limits import KYC_RULES, LIMITS
from accounts.api.views import ApiViewSet
from policies import actions, cloning
from policies.actions import KEEP
from policies.api.edits import LONGEST_REASON, WAIT, Confirmed, refusals, wait_until_synced, wait_wanted
from policies.api.plans import PlanSerializer
from policies.api.progress import PolicySyncSerializer
from policies.engine.names import NumberClass, RuleAction, RulesMode
from policies.models import CountryPolicy, PolicyRevision, SyncTarget
from policies.sync import preview, progress

NAME_LENGTH = 80

_ACTION = {"type": "string", "enum": [action.value for action in RuleAction]}
_OBSERVING = {"type": "boolean", "description": "What it would have done is noted, and not done."}
RULES: dict[str, Any] = {
    "type": "object",
    "properties": {
        "mode": {"type": "string", "enum": [mode.value for mode in RulesMode]},
        "countries": {"type": "array", "items": {"type": "string", "pattern": "^[A-Z]{2}$"}},
        "class_rules": {
            "type": "object",
            "properties": {number_class.value: _ACTION for number_class in NumberClass},
            "additionalProperties": False,
        },
        "prefix_rules": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["prefix", "action"],
                "properties": {
                    "prefix": {"type": "string", "pattern": r"^\+[0-9]{1,15}$"},
                    "action": _ACTION,
                    "observing": _OBSERVING,
                },
            },
        },
        "observing": _OBSERVING,
        "observed_classes": {
            "type": "array",
            "items": {"type": "string", "enum": [number_class.value for number_class in NumberClass]},
            "description": "Classes whose rule is only observed.",
        },
        "captcha": {"type": "boolean", "description": "Outbound with a gate key: a captcha must be solved."},
        "kyc_rules": KYC_RULES,
        "limits": LIMITS,
        "withheld": {
            **_ACTION,
            "nullable": True,
            "description": "Inbound: what becomes of callers who show no number; null leaves it to the country list.",
        },
    },
    "description": "The parts after prefix_rules are there only where they say something.",
}


@extend_schema_field(RULES)
class Rules(AsWritten):
    """The rules of one direction, as the client wrote them."""


class CountryPolicySerializer(serializers.ModelSerializer):
    inbound = Rules(source="current_revision.inbound")
    outbound = Rules(source="current_revision.outbound")
    revision = serializers.IntegerField(source="current_revision.number")
    phone_numbers = serializers.SerializerMethodField(help_text="The numbers that follow it.")
    sync = serializers.SerializerMethodField(help_text="How many of them have it at UponAI.")

    class Meta:
        model = CountryPolicy
        fields = ("id", "name", "inbound", "outbound", "revision", "phone_numbers", "sync", "is_default", "created_at")

    def get_phone_numbers(self, policy: CountryPolicy) -> list[str]:
        return sorted(number.e164 for number in policy.phone_numbers.all())

    @extend_schema_field(PolicySyncSerializer)
    def get_sync(self, policy: CountryPolicy) -> Any:
        known = self.context.get("progress")
        counted = progress.counts_of([policy.pk]) if known is None else known
        return PolicySyncSerializer(counted.get(policy.pk) or progress.Progress()).data


class PolicyRevisionSerializer(serializers.ModelSerializer):
    revision = serializers.IntegerField(source="number")
    inbound = Rules()
    outbound = Rules()
    created_by = serializers.CharField(
        source="created_by.email", default=None, allow_null=True, help_text="Null for a token or the console."
    )

    class Meta:
        model = PolicyRevision
        fields = ("revision", "inbound", "outbound", "reason", "created_at", "created_by")


class CreateCountryPolicy(Confirmed):
    shown_only = ("id", "revision", "phone_numbers", "sync", "created_at")

    name = Text(max_length=NAME_LENGTH)
    inbound = Rules()
    outbound = Rules()
    is_default = Flag(required=False, help_text="What numbers follow that appear at UponAI later.")

    def validate_is_default(self, wanted: bool) -> bool:
        if not wanted and self.must_not_unset_default:
            detail = "Make another policy the default one instead; there is one in every workspace."
            raise serializers.ValidationError(detail, "conflict")
        return wanted

    must_not_unset_default = False


class EditCountryPolicy(CreateCountryPolicy):
    """Only what is sent is changed, within `inbound` and `outbound` too."""

    must_not_unset_default = True

    name = Text(max_length=NAME_LENGTH, required=False)
    inbound = Rules(required=False)
    outbound = Rules(required=False)


class PlanCountryPolicy(Confirmed):
    """An edit that is not made."""

    shown_only = ("id", "name", "revision", "phone_numbers", "sync", "is_default", "created_at")

    inbound = Rules(required=False)
    outbound = Rules(required=False)


class CloneCountryPolicy(Body):
    name = Text(required=False, max_length=NAME_LENGTH, help_text="One that is free is chosen when none is sent.")


class RevertCountryPolicy(Body):
    revision = WholeNumber(min_value=1, max_value=2_147_483_647)
    reason = Text(required=False, allow_blank=True, max_length=LONGEST_REASON)


class CountryPolicies(ListModelMixin, ApiViewSet):
    """Named sets of rules that phone numbers follow."""

    scope_resource = "country-policies"
    has_etag = True
    queryset = CountryPolicy.objects.select_related("current_revision").prefetch_related("phone_numbers")
    serializer_class = CountryPolicySerializer
    cursor_ordering = ("id",)

    def etag_of(self, row: CountryPolicy) -> str:
        # The revision does not tell of another name.
        name = zlib.crc32(f"{row.name}{row.is_default}".encode())
        return f'"{row.pk}-{row.current_revision.number}-{name:08x}"'

    @extend_schema(request=CreateCountryPolicy, responses={201: CountryPolicySerializer})
    def create(self, request: Request) -> Response:
        given = CreateCountryPolicy.checked(request.data)
        is_default = given.pop("is_default", False)
        now = timezone.now()
        with refusals(), transaction.atomic():
            policy = actions.create_country_policy(
                workspace_id=self.token.workspace_id, acting_user=self.token, now=now, **given
            )
            if is_default:
                actions.make_default(policy=policy, acting_user=self.token, now=now)
        response = self.answer(self.queryset.get(pk=policy.pk), status=201)
        response["Location"] = self.reverse_action("detail", kwargs={"pk": policy.pk})
        return response

    @extend_schema(request=EditCountryPolicy, responses=CountryPolicySerializer, parameters=[WAIT])
    def partial_update(self, request: Request, pk: str) -> Response:
        """Changes the rules for all numbers that follow the policy."""
        must_wait = wait_wanted(request)
        now = timezone.now()
        with refusals(), transaction.atomic():
            policy = self._matching()
            given = EditCountryPolicy.checked(request.data)
            actions.edit_country_policy(
                policy=policy,
                acting_user=self.token,
                now=now,
                name=given.get("name", KEEP),
                inbound=given.get("inbound", KEEP),
                outbound=given.get("outbound", KEEP),
                confirm_unrestricted=given.get("confirm_unrestricted", False),
                reason=given.get("reason", ""),
            )
            if given.get("is_default") and not policy.is_default:
                actions.make_default(policy=policy, acting_user=self.token, now=now)
        if must_wait:
            wait_until_synced(SyncTarget.objects.filter(phone_number__policy=policy))
        return self.answer(self.get_object())

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        context = self.get_serializer_context() | {"progress": progress.counts_of(policy.pk for policy in page)}
        return self.get_paginated_response(CountryPolicySerializer(page, many=True, context=context).data)

    @extend_schema(request=PlanCountryPolicy, responses=PlanSerializer)
    @action(detail=True, methods=["post"])
    def plan(self, request: Request, pk: str) -> Response:
        """What such an edit would change at UponAI, number by number; equal changes are one group. Changes nothing."""
        policy = self.get_object()
        self.require_match(self.etag_of(policy))
        given = PlanCountryPolicy.checked(request.data)
        with refusals():
            rules = actions.edited_rules(
                policy.current_revision,
                given.get("inbound", KEEP),
                given.get("outbound", KEEP),
                confirm_unrestricted=given.get("confirm_unrestricted", False),
                reason=given.get("reason", ""),
            )
        found = preview.of_policy(policy=policy, now=timezone.now(), **rules)
        return Response(PlanSerializer(found).data, headers={"ETag": self.etag_of(policy)})

    @extend_schema(request=CloneCountryPolicy, responses={201: CountryPolicySerializer})
    @action(detail=True, methods=["post"])
    def clone(self, request: Request, pk: str) -> Response:
        """Makes a policy with the same rules, which no number follows yet."""
        given = CloneCountryPolicy.checked(request.data)
        with refusals():
            policy = cloning.clone_country_policy(
                policy=self.get_object(), name=given.get("name"), acting_user=self.token, now=timezone.now()
            )
        response = self.answer(self.queryset.get(pk=policy.pk), status=201)
        response["Location"] = self.reverse_action("detail", kwargs={"pk": policy.pk})
        return response

    @extend_schema(responses=PolicyRevisionSerializer(many=True), filters=False)
    @action(detail=True, methods=["get"])
    def revisions(self, request: Request, pk: str) -> Response:
        """Every version the policy has had, newest first."""
        rows = PolicyRevision.objects.filter(policy=self.get_object()).select_related("created_by")
        self.cursor_ordering = ("-number",)
        page = self.paginate_queryset(rows)
        return self.get_paginated_response(PolicyRevisionSerializer(page, many=True).data)

    @extend_schema(request=RevertCountryPolicy, responses=CountryPolicySerializer)
    @action(detail=True, methods=["post"])
    def revert(self, request: Request, pk: str) -> Response:
        """Makes the rules of an earlier revision the newest one."""
        with refusals(), transaction.atomic():
            policy = self._matching()
            given = RevertCountryPolicy.checked(request.data)
            actions.revert_country_policy(
                policy=policy,
                revision_number=given["revision"],
                acting_user=self.token,
                now=timezone.now(),
                reason=given.get("reason", ""),
            )
        return self.answer(self.get_object())

    def _matching(self) -> CountryPolicy:
        """The named policy in the version that If-Match names, locked so that it stays at that version."""
        found: CountryPolicy = self.get_object()
        # Its revision is read after the lock is had: PostgreSQL would join the one of before.
        policy: CountryPolicy = CountryPolicy.objects.select_for_update().get(pk=found.pk)
        self.require_match(self.etag_of(policy))
        return policy
