"""REST for what somebody changed at UponAI: the three sides of a number, ours again, theirs from now on."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.inputs import Nothing
from accounts.api.problems import Unprocessable
from accounts.api.views import ApiView, ApiViewSet
from accounts.scoping import current_workspace_id
from accounts.workspaces import NoUponaiKey
from policies.api.edits import WAIT, Confirmed, refusals, wait_until_synced, wait_wanted
from policies.models import PhoneNumber, SyncTarget, UponaiConnection
from policies.sync import drift, drifted
from policies.sync.differences import Difference


class BothListsSerializer(serializers.Serializer):
    """ISO 3166-1 alpha-2 codes; null for no restriction."""

    inbound = serializers.ListField(child=serializers.CharField(), allow_null=True)
    outbound = serializers.ListField(child=serializers.CharField(), allow_null=True)


class DifferenceSerializer(serializers.Serializer):
    """What UponAI allows in one direction and we do not, and the other way round."""

    direction = serializers.ChoiceField(choices=[("inbound", "inbound"), ("outbound", "outbound")])
    unrestricted_at_uponai = serializers.BooleanField()
    also_allowed = serializers.ListField(child=serializers.CharField(), source="more")
    not_allowed = serializers.ListField(child=serializers.CharField(), source="less")
    widens = serializers.BooleanField(help_text="UponAI allows something that is not wanted.")
    detail = serializers.CharField(source="*")

    def to_representation(self, difference: Difference) -> dict[str, Any]:
        return {
            "direction": difference.direction,
            "unrestricted_at_uponai": difference.theirs is None,
            "also_allowed": list(difference.more),
            "not_allowed": list(difference.less),
            "widens": difference.widens,
            "detail": f"{difference}.",
        }


class ThreeSidesSerializer(serializers.Serializer):
    """What is wanted, what was last sent, and what UponAI was seen to have, each with when that was known."""

    state = serializers.ChoiceField(choices=SyncTarget.State.choices)
    wanted = BothListsSerializer()
    wanted_at = serializers.DateTimeField(allow_null=True)
    applied = BothListsSerializer(allow_null=True)
    applied_at = serializers.DateTimeField(allow_null=True)
    observed = BothListsSerializer(allow_null=True)
    observed_at = serializers.DateTimeField(allow_null=True)
    drift_since = serializers.DateTimeField(allow_null=True, help_text="When it was first seen; it may be older.")
    given_up = serializers.BooleanField(help_text="It was put right three times within an hour, and is not any more.")
    differences = DifferenceSerializer(many=True, help_text="Between wanted and observed.")


class CheckSerializer(serializers.Serializer):
    """When all numbers were last compared with UponAI, and when they will be."""

    is_running = serializers.BooleanField(help_text="Under way, or due and about to begin.")
    due_at = serializers.DateTimeField(allow_null=True)
    checked_at = serializers.DateTimeField(allow_null=True)
    error = serializers.CharField(allow_null=True)


class DriftActions(ApiViewSet):
    """What the address of a phone number can do about drift."""

    @extend_schema(responses=ThreeSidesSerializer)
    @action(detail=True, methods=["get"])
    def drift(self, request: Request, e164: str) -> Response:
        """What is wanted, what was sent, and what UponAI was last seen to have."""
        sides = drifted.three_sides(self.get_object(), now=timezone.now())
        return Response(ThreeSidesSerializer(sides).data)

    @extend_schema(request=Nothing, parameters=[WAIT])
    @action(detail=True, methods=["post"], url_path="re-assert")
    def re_assert(self, request: Request, e164: str) -> Response:
        """Sends what is wanted to UponAI again, over whatever somebody made of it there."""
        must_wait = wait_wanted(request)
        number: PhoneNumber = self.get_object()
        self.require_match(self.etag_of(number))
        Nothing.checked(request.data)
        with refusals():
            drifted.re_assert(phone_number=number, acting_user=self.token, now=timezone.now())
        return self._answered(number, must_wait)

    @extend_schema(request=Confirmed, parameters=[WAIT])
    @action(detail=True, methods=["post"])
    def adopt(self, request: Request, e164: str) -> Response:
        """Makes what UponAI was last seen to have a revision of the number's policy, less the sanctioned countries."""
        must_wait = wait_wanted(request)
        number: PhoneNumber = self.get_object()
        etag = self.etag_of(number)
        expected = etag.strip('"') if self.require_match(etag) else None
        given = Confirmed.checked(request.data)
        with refusals():
            edit = drifted.adopt(
                phone_number=number,
                acting_user=self.token,
                now=timezone.now(),
                expected_version=expected,
                **given,
            )
        return self._answered(number, must_wait, **({"notice": edit.notice} if edit.notice else {}))

    def _answered(self, number: PhoneNumber, must_wait: bool, **extra: str) -> Response:
        stopped = wait_until_synced(SyncTarget.objects.filter(phone_number=number)) if must_wait else ""
        notice = " ".join(said for said in (extra.get("notice", ""), stopped) if said)
        return self.answer(self.get_object(), **({"notice": notice} if notice else {}))


class SyncCheck(ApiView):
    """The comparison of all numbers with UponAI."""

    scope_resource = "sync"

    @extend_schema(responses=CheckSerializer, operation_id="sync_check_retrieve")
    def get(self, request: Request) -> Response:
        """When all numbers were last compared with UponAI."""
        return _shown(UponaiConnection.objects.first())

    @extend_schema(request=Nothing, responses={202: CheckSerializer}, operation_id="sync_check_create")
    def post(self, request: Request) -> Response:
        """Compares all numbers with UponAI now, in the background; `checked_at` tells when that is done."""
        Nothing.checked(request.data)
        try:
            connection = drift.ask(workspace_id=current_workspace_id(), acting_user=self.token, now=timezone.now())
        except NoUponaiKey as missing:
            raise Unprocessable.one("", "no_uponai_key", str(missing)) from None
        return _shown(connection, status=202)


def _shown(connection: UponaiConnection | None, *, status: int = 200) -> Response:
    row = connection or UponaiConnection()
    now = timezone.now()
    leased = row.drift_lease_until is not None and row.drift_lease_until >= now
    is_due = row.drift_due_at is not None and row.drift_due_at <= now
    facts = {
        "is_running": leased or is_due,
        "due_at": row.drift_due_at,
        "checked_at": row.drift_checked_at,
        "error": row.drift_error or None,
    }
    return Response(CheckSerializer(facts).data, status=status)
