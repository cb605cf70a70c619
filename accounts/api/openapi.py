"""What OpenAPI says about every address alike: the token, its scope, ETags and problem answers."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse

from accounts.api.permissions import scope_of
from accounts.api.problems import KINDS, MEDIA_TYPE, ProblemSerializer

BODY_METHODS = ("POST", "PATCH")
CHANGING_METHODS = (*BODY_METHODS, "DELETE")


class TokenScheme(OpenApiAuthenticationExtension):
    target_class = "accounts.api.authentication.ApiTokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "fc_…",
            "description": "A token from `manage.py create_token`. Its scopes say what it may do.",
        }


class ProblemSchema(AutoSchema):
    """Adds to every operation what the base view does for it."""

    def get_description(self) -> str:
        needed = f"Needs the scope `{scope_of(self.view, self.method)}`."
        return f"{super().get_description()}\n\n{needed}".strip()

    def get_override_parameters(self) -> list[Any]:
        parameters = list(super().get_override_parameters())
        if self.method == "POST":
            parameters.append(
                OpenApiParameter(
                    "Idempotency-Key",
                    str,
                    OpenApiParameter.HEADER,
                    description="The same key and request within 24 hours get the first answer again; another request "
                    "with it is refused.",
                )
            )
        if not self._has_etag():
            return parameters
        if self.method != "DELETE":
            parameters.append(
                OpenApiParameter("ETag", str, OpenApiParameter.HEADER, response=[200, 201], description="Its version.")
            )
        if self.method in CHANGING_METHODS and not self._is_list_address():
            parameters.append(
                OpenApiParameter(
                    "If-Match",
                    str,
                    OpenApiParameter.HEADER,
                    description="The ETag you read; 412 when it is no longer the current one.",
                )
            )
        return parameters

    def _get_response_bodies(self, direction: Any = "response") -> dict[str, Any]:
        bodies = super()._get_response_bodies(direction)
        for status in self._problem_statuses():
            answer = OpenApiResponse(ProblemSerializer, description=f"{KINDS[status][1]}.")
            bodies.setdefault(str(status), self._get_response_for_code(answer, str(status), [MEDIA_TYPE], direction))
        return bodies

    def _problem_statuses(self) -> list[int]:
        statuses = [401, 403]
        if not self._is_list_address():
            statuses.append(404)
        if self.method in BODY_METHODS:
            statuses += [400, 413, 415, 422]
        if self.method == "POST":
            statuses.append(409)
        if self.method in CHANGING_METHODS and self._has_etag() and not self._is_list_address():
            statuses.append(412)
        if self.method not in BODY_METHODS and self._is_list_address():
            statuses.append(422)
        return sorted(statuses)

    def _has_etag(self) -> bool:
        return bool(getattr(self.view, "has_etag", False)) and (
            self.method in CHANGING_METHODS or not self._is_list_view()
        )

    def _is_list_address(self) -> bool:
        return "{" not in self.path and not getattr(self.view, "is_one_object", False)
