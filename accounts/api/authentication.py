"""Who a REST request comes from: the API token in its Authorization header. What it may do is for permissions.py."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils import timezone
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from accounts.models import ApiToken
from accounts.tokens import find_token

SCHEME = b"bearer"


@dataclass(frozen=True, slots=True)
class RestClient:
    """The `request.user` of a request that showed a token. It is no person: verbs are given the token."""

    token: ApiToken
    is_authenticated: bool = True
    is_anonymous: bool = False
    is_active: bool = True
    is_staff: bool = False

    @property
    def pk(self) -> int:
        return self.token.pk

    def __str__(self) -> str:
        return str(self.token)


class ApiTokenAuthentication(BaseAuthentication):
    """`Authorization: Bearer fc_…`. Cookies are not looked at, so there is nothing a foreign page could misuse."""

    def authenticate(self, request: Request) -> tuple[RestClient, ApiToken] | None:
        parts = get_authorization_header(request).split()
        if not parts or parts[0].lower() != SCHEME:
            return None
        if len(parts) != 2:
            raise AuthenticationFailed("The Authorization header must be: Bearer, a space, and the token.")
        token = find_token(parts[1].decode("latin-1"), now=timezone.now())
        if token is None:
            raise AuthenticationFailed("This token is unknown, expired or revoked.")
        return RestClient(token), token

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="fraudconsole"'
