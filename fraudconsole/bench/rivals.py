"""What the hot door is measured against, in the same server: an empty view, the naive way, and the way through DRF.

Both rivals give the same answers. They are written as people write them, not badly on purpose.
"""

from __future__ import annotations

import time
import uuid

import orjson
import phonenumbers
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils import timezone
from rest_framework import serializers
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.parsers import JSONParser
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.countries import SANCTIONED_SET
from accounts.models import Workspace
from accounts.scoping import scoped, unscoped
from fraudconsole.bench.scratch import SECRET
from monitoring.models import WebhookEvent
from policies.engine.types import Attempt, Channel, Direction
from policies.gate import inbound_judge
from policies.models import Decision, PhoneNumber
from policies.uponai import signature

MOST_CALLS = 10_000_000  # never reached: both sides let everybody in that the policy lets in
WINDOW_SECONDS = 60


def empty(request: HttpRequest, endpoint: str) -> HttpResponse:
    return HttpResponse(b"{}", content_type="application/json")


def bare(request: HttpRequest, endpoint: str) -> HttpResponse:
    """An event kept by one INSERT, as it came: no signature, no seal, no look whether it is there already."""
    with unscoped(reason="a bare view knows no workspace"):
        WebhookEvent.objects.create(
            workspace_id=1,
            event_key=uuid.uuid4().hex,
            sealed_body=request.body.decode(),
            received_at=timezone.now(),
        )
    return HttpResponse(status=204)


def naive(request: HttpRequest, endpoint: str) -> HttpResponse:
    """Two selects, a throttle in the cache, the library's full lookup, one insert."""
    body = request.body
    if not _is_signed(body, request):
        return HttpResponse(status=401)
    details = orjson.loads(body)["call_inbound"]
    workspace = Workspace.objects.get(endpoint=endpoint)
    with scoped(workspace.pk):
        own = PhoneNumber.objects.select_related("policy__current_revision").get(e164=details["to_number"])
        throttle = f"calls:{own.pk}"
        cache.add(throttle, 0, WINDOW_SECONDS)
        is_throttled = cache.incr(throttle) > MOST_CALLS
        number = phonenumbers.parse(details["from_number"], None)
        country = phonenumbers.region_code_for_number(number)
        is_valid = phonenumbers.is_valid_number(number)
        number_type = phonenumbers.number_type(number)
        rules = own.policy.current_revision.inbound
        is_allowed = is_valid and country in rules["countries"] and country not in SANCTIONED_SET and not is_throttled
        Decision.objects.create(
            workspace=workspace,
            at=timezone.now(),
            direction="inbound",
            channel="phone_call",
            verdict="allow" if is_allowed else "block",
            reason="" if is_allowed else "country_not_allowed",
            phone_number=own.e164,
            peer=details["from_number"],
            peer_text=details["from_number"],
            country=country or "",
            number_class=str(number_type),
            call_reference=details["call_id"],
            policy_id=own.policy_id,
            policy_revision=own.policy.current_revision.number,
        )
    answer = {"call_inbound": {} if is_allowed else {"reject": True}}
    return HttpResponse(orjson.dumps(answer), content_type="application/json")


class DetailsSerializer(serializers.Serializer):
    from_number = serializers.CharField(max_length=64)
    to_number = serializers.CharField(max_length=64)
    call_id = serializers.CharField(max_length=200)


class WebhookSerializer(serializers.Serializer):
    event = serializers.ChoiceField(["call_inbound"])
    call_inbound = DetailsSerializer()


class ThroughRest(APIView):
    """The same judgement and record as the hot door's; DRF reads the request and writes the answer."""

    authentication_classes = ()
    permission_classes = ()
    parser_classes = (JSONParser,)
    renderer_classes = (JSONRenderer,)

    def post(self, request: Request, endpoint: str) -> Response:
        started = time.perf_counter()
        if not _is_signed(request.body, request):
            raise AuthenticationFailed
        webhook = WebhookSerializer(data=request.data)
        webhook.is_valid(raise_exception=True)
        details = webhook.validated_data["call_inbound"]
        attempt = Attempt(
            direction=Direction.INBOUND,
            channel=Channel.PHONE_CALL,
            from_number=details["from_number"],
            to_number=details["to_number"],
            call_reference=details["call_id"],
        )
        answered = inbound_judge.judge_inbound(endpoint, attempt, now=timezone.now(), started=started)
        return Response(orjson.loads(answered.answer))


def _is_signed(body: bytes, request: HttpRequest | Request) -> bool:
    headers = {name: request.headers[name] for name in signature.HEADER_NAMES if name in request.headers}
    now_ms = time.time_ns() // 1_000_000
    return signature.verify(body=body, headers=headers, secrets=[SECRET], now_ms=now_ms) is None


urlpatterns = [
    path("bench/<str:endpoint>/empty", empty),
    path("bench/<str:endpoint>/bare", bare),
    path("bench/<str:endpoint>/naive", naive),
    path("bench/<str:endpoint>/rest", ThroughRest.as_view()),
]
