"""REST for end-user tokens: a backend has one minted for a person it has signed in."""

from __future__ import annotations

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import end_user_tokens
from accounts.api.inputs import Body, Text, WholeNumber
from accounts.api.views import ApiView


class MintEndUserToken(Body):
    shown_only = ("token", "expires_at")

    subject = Text(
        max_length=end_user_tokens.LONGEST_SUBJECT,
        help_text="What your systems call the person: the reference of KYC records, holds and limits.",
    )
    expires_in = WholeNumber(
        required=False,
        min_value=end_user_tokens.SHORTEST_SECONDS,
        max_value=end_user_tokens.LONGEST_SECONDS,
        help_text=f"Seconds; {end_user_tokens.USUAL_SECONDS} when nothing is said.",
    )
    destination = Text(
        required=False,
        allow_null=True,
        max_length=40,
        help_text="The only number that may be reached with it, such as +14155550100; any when nothing is said.",
    )


class EndUserTokenSerializer(serializers.Serializer):
    """For the header `X-End-User-Token` beside a gate key. It cannot be had again, nor taken back."""

    token = serializers.CharField()
    expires_at = serializers.DateTimeField()
    subject = serializers.CharField()
    destination = serializers.CharField(allow_null=True, help_text="In E.164.")


class EndUserTokens(ApiView):
    scope_resource = "gate"

    @extend_schema(
        request=MintEndUserToken, responses={201: EndUserTokenSerializer}, operation_id="end_user_tokens_create"
    )
    def post(self, request: Request) -> Response:
        """Mints a token that proves to the gate for whom a web page speaks."""
        token, end_user = end_user_tokens.mint(
            workspace_id=self.token.workspace_id, now=timezone.now(), **MintEndUserToken.checked(request.data)
        )
        facts = {
            "token": token,
            "expires_at": end_user.expires_at,
            "subject": end_user.subject,
            "destination": end_user.destination,
        }
        return Response(EndUserTokenSerializer(facts).data, status=201)
