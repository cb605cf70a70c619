"""Every error of the REST API as problem details (RFC 9457). No view makes error answers of its own."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.core.exceptions import RequestDataTooBig
from django.core.exceptions import ValidationError as DjangoValidationError
from django.core.signals import got_request_exception
from django.db import IntegrityError, OperationalError
from django.http import Http404
from rest_framework import exceptions, serializers, status
from rest_framework.response import Response
from rest_framework.serializers import as_serializer_error

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
PROBLEMS_PAGE = "/api/docs/problems"
MOST_ERRORS = 50
NOT_FOUND = "There is nothing with this name in this workspace."

# The name in `type`, by status: stable, since clients tell problems apart by it.
KINDS = {
    400: ("malformed", "The request cannot be read"),
    401: ("unauthenticated", "A valid API token is needed"),
    403: ("scope-missing", "The token may not do this"),
    404: ("not-found", "Not found"),
    405: ("method-not-allowed", "This method is not possible here"),
    409: ("conflict", "It does not go with what is there now"),
    411: ("length-required", "The body's length must be given"),
    412: ("stale", "It was changed since you read it"),
    413: ("too-large", "The request is too large"),
    415: ("unsupported-media-type", "The body is in a form that is not taken here"),
    422: ("invalid", "Something in the request is not acceptable"),
    429: ("rate-limited", "Too many requests"),
    500: ("internal", "The console failed"),
    503: ("unavailable", "Not available at the moment"),
}

# What has a name of its own beside the usual one of its status.
OTHER_KINDS = {
    "role-missing": (403, "Whose token this is may not do this"),
    "four-eyes": (403, "Somebody else must do this"),
    "evidence-changed": (409, "It is not what you looked at"),
    "wrong-state": (409, "It cannot be done in this state"),
}

# What a client can do about each kind, for the page that `type` points to.
REMEDIES = {
    "malformed": "Send one JSON value as the body. `detail` tells where reading stopped.",
    "unauthenticated": "Send `Authorization: Bearer fc_…`. Tokens expire, and can be revoked.",
    "scope-missing": "Ask for a token with the scope that `detail` names.",
    "role-missing": "A token may at most what its person may. `detail` names the role.",
    "four-eyes": "It takes two people who are not the same, nor who asked for it. `detail` tells whom it takes.",
    "not-found": "Check the address. What belongs to another workspace looks the same as what does not exist.",
    "method-not-allowed": "See the Allow header.",
    "conflict": "Somebody else was faster, or it is not (any more) where this can be done to it. Read it again.",
    "wrong-state": "`detail` says what state it is in, and who brought it there. Do what that state takes.",
    "evidence-changed": "Read it again, look at what is new, and name the `evidence` that you find then.",
    "length-required": "Send a Content-Length.",
    "stale": "Read it again: its ETag is the version to name in If-Match.",
    "too-large": "Send less at once.",
    "unsupported-media-type": "Send `Content-Type: application/json`.",
    "invalid": "`errors` names each field, with a stable code for programs and a sentence for people.",
    "rate-limited": "Wait as long as Retry-After says.",
    "internal": "It was noted. The X-Request-Id header of the answer finds it in the log.",
    "unavailable": "Repeat in some seconds. Nothing was changed.",
}


@dataclass(frozen=True, slots=True)
class FieldError:
    """`field` is empty where the trouble is with the whole request."""

    field: str
    code: str
    detail: str

    def as_dict(self) -> dict[str, str]:
        return {"field": _plain(self.field), "code": self.code, "detail": _plain(self.detail)}


class Unprocessable(exceptions.APIException):
    """422: understood, and not acceptable. Names each field."""

    status_code = status.HTTP_422_UNPROCESSABLE_ENTITY

    def __init__(self, errors: list[FieldError]) -> None:
        super().__init__(detail=" ".join(dict.fromkeys(error.detail for error in errors[:3])))
        self.errors = errors

    @classmethod
    def one(cls, field: str, code: str, detail: str) -> Unprocessable:
        return cls([FieldError(field, code, detail)])


class Refused(exceptions.APIException):
    """A refusal of a kind that its status alone does not tell."""

    def __init__(self, kind: str, words: str) -> None:
        super().__init__(words)
        self.kind = kind
        self.status_code = OTHER_KINDS[kind][0]


class Stale(exceptions.APIException):
    """412: If-Match names a version that is no longer the current one. Nothing was changed."""

    status_code = status.HTTP_412_PRECONDITION_FAILED
    default_detail = "It was changed since you read it; nothing was changed now. Read it again and repeat."

    def __init__(self, etag: str | None = None) -> None:
        super().__init__()
        self.etag = etag
        self.errors = [FieldError("If-Match", "stale", "This is not the version that is current now.")]


class TooLarge(exceptions.APIException):
    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_detail = "The body is larger than 1 MiB."

    def __init__(self, words: str | None = None, *, field: str = "") -> None:
        """`field` is what is too large, where that is known."""
        super().__init__(words)
        self.errors = [FieldError(field, "too_large", str(self.detail))] if field else []


class LengthRequired(exceptions.APIException):
    """411: a body sent in chunks would be read as an empty one, and an edit as no edit."""

    status_code = status.HTTP_411_LENGTH_REQUIRED
    default_detail = "Send the body with a Content-Length, not in chunks."


class FieldErrorSerializer(serializers.Serializer):
    field = serializers.CharField(help_text="Empty where the trouble is with the whole request.", allow_blank=True)
    code = serializers.CharField(help_text="Stable, for programs.")
    detail = serializers.CharField(help_text="A sentence, for people.")


class ProblemSerializer(serializers.Serializer):
    """What every error answer looks like."""

    type = serializers.CharField(help_text=f"Stable, such as {PROBLEMS_PAGE}#stale.")
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    errors = FieldErrorSerializer(many=True)


def as_problem(trouble: Exception, context: Mapping[str, Any]) -> Response:
    """The answer for anything that a view raised; set as DRF's EXCEPTION_HANDLER."""
    code, detail, errors, headers = _understood(trouble)
    if code >= status.HTTP_500_INTERNAL_SERVER_ERROR:
        request = context.get("request")
        logger.error("%s %s", getattr(request, "method", ""), getattr(request, "path", ""), exc_info=trouble)
        if code == status.HTTP_500_INTERNAL_SERVER_ERROR:
            # What Django itself does with an exception nobody caught, so that whoever listens still hears it.
            got_request_exception.send(sender=None, request=getattr(request, "_request", None))
    return problem(code, detail, errors, headers, kind=getattr(trouble, "kind", ""))


def problem(
    code: int,
    detail: str,
    errors: Iterable[FieldError] = (),
    headers: Mapping[str, str] | None = None,
    *,
    kind: str = "",
) -> Response:
    kind, title = (kind, OTHER_KINDS[kind][1]) if kind else KINDS.get(code, (f"status-{code}", "The request failed"))
    body = {
        "type": f"{PROBLEMS_PAGE}#{kind}",
        "title": title,
        "status": code,
        "detail": _plain(detail),
        "errors": [error.as_dict() for error in list(errors)[:MOST_ERRORS]],
    }
    return Response(body, status=code, headers=dict(headers or {}), content_type=MEDIA_TYPE)


def _understood(trouble: Exception) -> tuple[int, str, list[FieldError], dict[str, str]]:
    if isinstance(trouble, DjangoValidationError):
        trouble = exceptions.ValidationError(as_serializer_error(trouble))
    if isinstance(trouble, exceptions.ValidationError):
        trouble = Unprocessable(list(flattened(trouble.detail)))
    if isinstance(trouble, Unprocessable):
        return trouble.status_code, str(trouble.detail), trouble.errors, {}
    if isinstance(trouble, Http404):
        return 404, NOT_FOUND, [], {}
    if isinstance(trouble, RequestDataTooBig):
        trouble = TooLarge()
    if isinstance(trouble, DjangoPermissionDenied):
        return 403, "This is not open to you.", [], {}
    if isinstance(trouble, exceptions.APIException):
        return trouble.status_code, str(trouble.detail), getattr(trouble, "errors", []), _headers(trouble)
    if isinstance(trouble, IntegrityError):
        return 409, "Somebody else changed the same at the same moment; nothing was changed now.", [], {}
    if isinstance(trouble, OperationalError):
        return 503, "The database did not answer in time. Try again.", [], {"Retry-After": "1"}
    return 500, "The console failed at this; its operators find the cause in the log.", [], {}


def _headers(trouble: exceptions.APIException) -> dict[str, str]:
    headers = {}
    if getattr(trouble, "auth_header", None):
        headers["WWW-Authenticate"] = trouble.auth_header
    if getattr(trouble, "wait", None):
        headers["Retry-After"] = str(int(trouble.wait))
    if getattr(trouble, "etag", None):
        headers["ETag"] = trouble.etag
    return headers


def flattened(detail: Any, field: str = "") -> Iterator[FieldError]:
    """DRF's nested errors as a flat list, the place as a dotted path."""
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            whole = name in ("non_field_errors", "__all__")
            yield from flattened(inner, field if whole else f"{field}.{name}".lstrip("."))
    elif isinstance(detail, list):
        for position, inner in enumerate(detail):
            nested = isinstance(inner, Mapping | list)
            yield from flattened(inner, f"{field}.{position}".lstrip(".") if nested and inner else field)
    else:
        yield FieldError(field, getattr(detail, "code", None) or "invalid", str(detail))


def _plain(text: str) -> str:
    """Half characters, which a client can smuggle into its texts, cannot be sent back as UTF-8."""
    return text.encode("utf-8", "replace").decode()
