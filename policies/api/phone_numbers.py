"""REST for phone numbers: what each may call and be called by, and whether UponAI has it."""

from __future__ import annotations

import re
from typing import Any

from django.db import transaction
from django.http import Http404
from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.inputs import Nothing, RowId, Text, WholeNumber, YesOrNo, filter_set, one_of
from accounts.api.problems import Unprocessable
from policies import actions, answering, closing, flagged
from policies.actions import KEEP
from policies.api.approvals import AwaitingApproval, waits
from policies.api.bulk import EditedPhoneNumbers, EditPhoneNumbers, chosen
from policies.api.drift import DriftActions
from policies.api.edits import WAIT, Confirmed, CountryList, refusals, wait_until_synced, wait_wanted
from policies.api.parts import LISTS, Parts, list_arguments, narrowed
from policies.bulk import edit_phone_numbers
from policies.models import CountryPolicy, PhoneNumber, SyncTarget
from policies.sync import push
from policies.widening import NeedsApproval

_E164 = re.compile(r"\+[1-9][0-9]{1,14}")


class SyncSerializer(serializers.Serializer):
    """How far the number's lists are on their way to UponAI."""

    state = serializers.ChoiceField(choices=SyncTarget.State.choices)
    desired_at = serializers.DateTimeField(allow_null=True)
    applied_at = serializers.DateTimeField(allow_null=True)
    verified_at = serializers.DateTimeField(allow_null=True)
    attempts = serializers.IntegerField(help_text="Failed ones since the last success.")
    next_attempt_at = serializers.DateTimeField(source="due_at", allow_null=True)
    error = serializers.CharField(allow_null=True)

    def to_representation(self, target: SyncTarget) -> dict[str, Any]:
        shown: dict[str, Any] = super().to_representation(target)
        return {**shown, "error": shown["error"] or None}


class FollowedPolicySerializer(serializers.Serializer):
    id = serializers.IntegerField()
    name = serializers.CharField()
    revision = serializers.IntegerField(source="current_revision.number")


class PhoneNumberSerializer(serializers.Serializer):
    phone_number = serializers.CharField(source="e164", help_text="Canonical E.164.")
    nickname = serializers.CharField(allow_blank=True)
    policy = FollowedPolicySerializer()
    allowed_inbound_country_list = serializers.SerializerMethodField()
    allowed_outbound_country_list = serializers.SerializerMethodField()
    inbound_when_console_down = serializers.ChoiceField(
        choices=[("answered", "answered"), ("dropped", "dropped")],
        help_text="What UponAI does with a call when the console does not answer.",
    )
    mode = serializers.ChoiceField(choices=PhoneNumber.Mode.choices)
    guarded_agent = serializers.CharField(allow_blank=True, help_text="Answers calls that are only guarded.")
    chained_webhook_url = serializers.CharField(
        allow_blank=True, help_text="Your own inbound webhook, asked behind the console's with the same bytes."
    )
    chained_sms_webhook_url = serializers.CharField(allow_blank=True, help_text="The same for SMS.")
    asks_console = serializers.BooleanField(help_text="UponAI is to ask this console about its calls and messages.")
    flagged_since = serializers.DateTimeField(
        allow_null=True, help_text="It appeared at UponAI, and nobody has said yet what it may do; see confirm."
    )
    sync = serializers.SerializerMethodField()
    notice = serializers.CharField(
        required=False,
        help_text="Only after an edit: that the number got a policy of its own, or that waiting would be in vain.",
    )

    def get_allowed_inbound_country_list(self, number: PhoneNumber) -> list[str] | None:
        return _country_list(number.policy.current_revision.inbound)

    def get_allowed_outbound_country_list(self, number: PhoneNumber) -> list[str] | None:
        return _country_list(number.policy.current_revision.outbound)

    @extend_schema_field(SyncSerializer)
    def get_sync(self, number: PhoneNumber) -> Any:
        target = getattr(number, "sync_target", None) or SyncTarget(state="unknown", desired_at=None)
        return SyncSerializer(target).data


class EditPhoneNumber(Confirmed):
    """Only what is sent is changed."""

    shown_only = ("phone_number", "asks_console", "flagged_since", "sync", "notice")

    nickname = Text(required=False, allow_blank=True, max_length=120)
    policy = WholeNumber(required=False, min_value=1, help_text="The id of the country policy to follow from now on.")
    allowed_inbound_country_list = CountryList(required=False)
    allowed_outbound_country_list = CountryList(required=False)
    inbound_when_console_down = serializers.ChoiceField(
        required=False,
        choices=[closing.ANSWERED, closing.DROPPED],
        help_text="Dropped: the agents are unbound at UponAI, and the console names one with every answer.",
    )
    mode = serializers.ChoiceField(required=False, choices=PhoneNumber.Mode.choices)
    guarded_agent = Text(required=False, allow_blank=True, max_length=answering.LONGEST_AGENT)
    chained_webhook_url = Text(required=False, allow_blank=True, max_length=answering.LONGEST_URL)
    chained_sms_webhook_url = Text(required=False, allow_blank=True, max_length=answering.LONGEST_URL)

    def validate(self, given: dict[str, Any]) -> dict[str, Any]:
        lists = given.keys() & {"allowed_inbound_country_list", "allowed_outbound_country_list"}
        if "policy" in given and lists:
            detail = "Either follow another policy or change the lists of this one, not both at once."
            raise serializers.ValidationError({"policy": detail}, "conflict")
        return given


class PhoneNumbers(ListModelMixin, DriftActions):
    """The numbers the workspace owns at UponAI."""

    scope_resource = "phone-numbers"
    has_etag = True
    queryset = PhoneNumber.objects.select_related("policy__current_revision", "sync_target")
    serializer_class = PhoneNumberSerializer
    lookup_field = "e164"
    filterset_class = filter_set(
        "PhoneNumberFilters",
        state=one_of(SyncTarget.State.values, field_name="sync_target__state"),
        flagged=YesOrNo(
            field_name="flagged_since", lookup_expr="isnull", exclude=True, label="Whether it waits to be confirmed."
        ),
        policy=RowId(field_name="policy_id", label="The id of the policy it follows."),
    )
    cursor_ordering = ("e164",)

    def get_object(self) -> PhoneNumber:
        if not _E164.fullmatch(self.kwargs["e164"]):
            raise Http404
        number: PhoneNumber = super().get_object()
        return number

    def etag_of(self, row: PhoneNumber) -> str:
        return f'"{actions.version_of(row)}"'

    @extend_schema(
        request=EditPhoneNumber,
        responses={200: PhoneNumberSerializer, 202: AwaitingApproval},
        parameters=[WAIT],
        examples=[
            OpenApiExample(
                "Only the United States and Canada may call",
                {"allowed_inbound_country_list": ["US", "CA"]},
                request_only=True,
            )
        ],
    )
    def partial_update(self, request: Request, e164: str) -> Response:
        """Changes what the number may do. UponAI gets it in the background; `sync` tells how far that is.

        Where a part of it needs a second person, what only closes is done at once; 202 tells what is `done`.
        """
        must_wait = wait_wanted(request)
        number = self.get_object()
        version = actions.version_of(number)
        expected = version if self.require_match(f'"{version}"') else None
        given = EditPhoneNumber.checked(request.data)
        try:
            edit = self._edit(number, given, expected)
        except NeedsApproval:
            return self._edit_in_parts(number, given, expected)
        stopped = wait_until_synced(SyncTarget.objects.filter(phone_number=number)) if must_wait else ""
        notice = " ".join(said for said in (edit.notice, stopped) if said)
        return self.answer(self.get_object(), **({"notice": notice} if notice else {}))

    def _edit(self, number: PhoneNumber, given: dict[str, Any], expected: str | None) -> actions.Edit:
        with refusals(), transaction.atomic():
            if "policy" in given:
                expected = self._follow(number, given["policy"], expected)
            edit = actions.edit_phone_number(
                phone_number=number,
                acting_user=self.token,
                now=timezone.now(),
                nickname=given.get("nickname", KEEP),
                inbound_countries=given.get("allowed_inbound_country_list", KEEP),
                outbound_countries=given.get("allowed_outbound_country_list", KEEP),
                confirm_unrestricted=given.get("confirm_unrestricted", False),
                reason=given.get("reason", ""),
                expected_version=expected,
            )
            self._answer_as(number, given)
        return edit

    def _edit_in_parts(self, number: PhoneNumber, given: dict[str, Any], expected: str | None) -> Response:
        """What needs a second person is kept for one, and the rest is done: nobody waits for leave to close."""
        parts = Parts()
        confirmed = {name: given[name] for name in ("confirm_unrestricted", "reason") if name in given}

        def edit(**wanted: Any) -> None:
            who = {"phone_number": number, "acting_user": self.token, "now": timezone.now()}
            actions.edit_phone_number(**who, **confirmed, **wanted)

        with refusals(), transaction.atomic():
            self._require_version(number, expected)
            if "policy" in given:
                parts.do({"policy": given["policy"]}, lambda: self._follow(number, given["policy"], None))
            if "nickname" in given:
                parts.do({"nickname": given["nickname"]}, lambda: edit(nickname=given["nickname"]))
            closed = narrowed(number, given)
            if closed:
                parts.do(closed, lambda: edit(**list_arguments(closed)))
            wanted = {name: given[name] for name in LISTS if name in given}
            if wanted:
                parts.do(wanted, lambda: edit(**list_arguments(wanted)))
            for name in (*answering.FIELDS, "inbound_when_console_down"):
                if name in given:
                    parts.do({name: given[name]}, lambda name=name: self._answer_as(number, {name: given[name]}))
        return waits(parts.waiting, self.request, done=parts.done)

    @extend_schema(
        request=EditPhoneNumbers,
        responses=EditedPhoneNumbers,
        filters=False,
        operation_id="phone_numbers_bulk_edit",
        examples=[
            OpenApiExample(
                "No number calls Jamaica any more",
                {"matching": {}, "remove_outbound_countries": ["JM"]},
                request_only=True,
            )
        ],
    )
    @action(detail=False, methods=["post"], pagination_class=None)
    def bulk(self, request: Request) -> Response:
        """Changes up to 10,000 numbers at once, all of them or none. Errors name each number that stands in the way.

        Of a policy that numbers outside the selection follow too, the selection gets one copy with the change.
        """
        given = EditPhoneNumbers.checked(request.data)
        now = timezone.now()
        with refusals():
            plan = edit_phone_numbers(
                workspace_id=self.token.workspace_id,
                phone_number_ids=chosen(given),
                wanted=given,
                acting_user=self.token,
                now=now,
            )
        facts = {
            "phone_numbers": len(plan.numbers),
            "changed": plan.changed,
            "new_policies": sorted(revision.policy_id for revision in plan.forked.values()),
            "lists": plan.preview(now=now),
        }
        return Response(EditedPhoneNumbers(facts).data)

    @extend_schema(request=Nothing, responses=PhoneNumberSerializer)
    @action(detail=True, methods=["post"])
    def confirm(self, request: Request, e164: str) -> Response:
        """Says that a number that appeared at UponAI may stay as it was found."""
        number = self.get_object()
        self.require_match(self.etag_of(number))
        Nothing.checked(request.data)
        flagged.confirm(phone_number=number, acting_user=self.token, now=timezone.now())
        return self.answer(self.get_object())

    @extend_schema(request=Nothing, responses=PhoneNumberSerializer)
    @action(detail=True, methods=["post"])
    def retry(self, request: Request, e164: str) -> Response:
        """Sends the number's lists to UponAI again, at once."""
        number = self.get_object()
        self.require_match(self.etag_of(number))
        Nothing.checked(request.data)
        push.retry(sync_target=number.sync_target, acting_user=self.token, now=timezone.now())
        return self.answer(self.get_object())

    def _answer_as(self, number: PhoneNumber, given: dict[str, Any]) -> None:
        """What is said about how the number is answered."""
        who = {"phone_number": number, "acting_user": self.token, "now": timezone.now()}
        wanted = {name: given[name] for name in answering.FIELDS if name in given}
        if wanted:
            answering.edit_answering(**who, **wanted)
        if given.get("inbound_when_console_down") == closing.DROPPED:
            closing.close_when_down(**who)
        elif "inbound_when_console_down" in given:
            closing.reopen(**who)

    @staticmethod
    def _require_version(number: PhoneNumber, expected: str | None) -> None:
        """Within the transaction of the edit. Raises StaleEdit."""
        if expected is not None:
            # Its policy is read after the lock is had: PostgreSQL would join the one of before.
            locked = PhoneNumber.objects.select_for_update().get(pk=number.pk)
            if actions.version_of(locked) != expected:
                raise actions.StaleEdit

    def _follow(self, number: PhoneNumber, policy_id: int, expected: str | None) -> str:
        """Assigns another policy; answers the version that the number has then."""
        policy = CountryPolicy.objects.filter(pk=policy_id).first()
        if policy is None:
            raise Unprocessable.one("policy", "not_found", "There is no such country policy in this workspace.")
        self._require_version(number, expected)
        actions.assign_country_policy(phone_number=number, policy=policy, acting_user=self.token, now=timezone.now())
        return actions.version_of(self.get_object())


def _country_list(rules: dict[str, Any]) -> list[str] | None:
    return None if rules["mode"] == "unrestricted" else rules["countries"]
