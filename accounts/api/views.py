"""The base of every REST view: enters the token's workspace, notes where a change comes from, compares versions."""

from __future__ import annotations

import re
import uuid
import zlib
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC
from typing import Any

import orjson
from django.db.models import IntegerField
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import Resolver404, resolve
from django.utils import timezone
from django.utils.http import parse_etags
from rest_framework.exceptions import ParseError
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import JSONParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet

from accounts import audit
from accounts.addresses import client_address
from accounts.api import repeats
from accounts.api.openapi import ProblemSchema
from accounts.api.problems import LengthRequired, Stale, TooLarge, Unprocessable
from accounts.models import ApiToken
from accounts.scoping import scoped

LARGEST_BODY = 1024 * 1024
_ID = re.compile(r"[1-9][0-9]{0,17}")  # what fits into 64 bits


class JsonBody(JSONParser):
    """UTF-8 JSON of limited size and depth, without half characters, NaN or Infinity."""

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        if int(parser_context["request"].META.get("CONTENT_LENGTH") or 0) > LARGEST_BODY:
            raise TooLarge
        try:
            body = orjson.loads(stream.read())
        except orjson.JSONDecodeError as problem:
            raise ParseError(f"The body is not JSON: {problem}.") from None
        if body is None:  # which DRF would take for no body at all
            raise Unprocessable.one("", "invalid", "The body must be a JSON object.")
        return body


class AlwaysJson(BaseContentNegotiation):
    """Whatever Accept says: there is one representation, and an error must be readable too."""

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        return renderers[0], renderers[0].media_type

    def select_parser(self, request: Request, parsers: Any) -> Any:
        wanted = (request.content_type or "").partition(";")[0].strip().lower()
        return next((parser for parser in parsers if parser.media_type == wanted), None)


class WorkspaceView:
    """Mixed into every view. `scope_resource` is compulsory: see permissions.HasScope."""

    scope_resource: str
    scope_verbs: dict[str, str] = {}
    has_etag = False
    parser_classes = [JsonBody]
    content_negotiation_class = AlwaysJson
    schema = ProblemSchema()
    request: Request
    _claim: repeats.Claim | None = None

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        self.request_id = uuid.uuid4().hex
        with ExitStack() as self._surroundings:
            self._surroundings.enter_context(timezone.override(UTC))
            response: HttpResponse = super().dispatch(request, *args, **kwargs)  # type: ignore[misc]
            if self._claim is not None:
                self._claim.settle(response)
        response["X-Request-Id"] = self.request_id
        return response

    def perform_authentication(self, request: Request) -> None:
        super().perform_authentication(request)  # type: ignore[misc]
        if isinstance(request.auth, ApiToken):
            self._surroundings.enter_context(scoped(request.auth.workspace_id))
            address = client_address(request)
            self._surroundings.enter_context(audit.origin(ip=address, request_id=self.request_id, via="api"))

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)  # type: ignore[misc]
        if "Transfer-Encoding" in request.headers and not request.META.get("CONTENT_LENGTH"):
            raise LengthRequired
        self._claim = repeats.claim(request, reads_json=JsonBody in self.parser_classes, now=timezone.now())

    def handle_exception(self, trouble: Exception) -> HttpResponse:
        if isinstance(trouble, repeats.Again):
            return trouble.answer
        response: HttpResponse = super().handle_exception(trouble)  # type: ignore[misc]
        return response

    def options(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Answers which methods there are, in the Allow header."""
        return Response(status=204)

    @property
    def token(self) -> ApiToken:
        token: ApiToken = self.request.auth
        return token

    def require_match(self, etag: str) -> bool:
        """Raises Stale unless If-Match fits `etag`. Answers whether the client named a version at all.

        Weak marks are overlooked: a proxy that compresses our answer adds one, and the version is the same.
        """
        header = self.request.headers.get("If-Match")
        if header is None:
            return False
        named = parse_etags(header) or [f'"{header.strip()}"']
        if named == ["*"]:
            return False
        if etag not in {tag.removeprefix("W/") for tag in named}:
            raise Stale(etag)
        return True


class ApiViewSet(WorkspaceView, GenericViewSet):
    """Lists and single objects of the workspace."""

    lookup_value_regex = "[^/]+"
    filterset_class: Any = None
    cursor_ordering: tuple[str, ...]
    etag_fields: tuple[str, ...] = ()
    """What makes another version of a row, where that is all there is to it."""

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return self.answer(self.get_object())

    def get_object(self) -> Any:
        """The named row. What is not there and what is another workspace's are the same 404."""
        name = self.kwargs[self.lookup_field]
        options = self.queryset.model._meta
        field = options.pk if self.lookup_field == "pk" else options.get_field(self.lookup_field)
        if "\0" in name or (isinstance(field, IntegerField) and not _ID.fullmatch(name)):
            raise Http404
        return super().get_object()

    def etag_of(self, row: Any) -> str:
        facts = repr([getattr(row, name) for name in self.etag_fields])
        return f'"{row.pk}-{zlib.crc32(facts.encode()):08x}"'

    def get_matching(self) -> Any:
        """The named row, in the version that If-Match names. Raises Stale."""
        row = self.get_object()
        self.require_match(self.etag_of(row))
        return row

    def answer(self, row: Any, *, status: int = 200, **extra: Any) -> Response:
        headers = {"ETag": self.etag_of(row)} if self.has_etag else {}
        return Response({**self.get_serializer(row).data, **extra}, status=status, headers=headers)


class ApiView(WorkspaceView, APIView):
    """An address that is neither a list nor one of its objects."""


class NoSuchAddress(APIView):
    """What lies under /api/v1/ and is nothing. A forgotten closing slash is put right."""

    authentication_classes: list[Any] = []
    permission_classes: list[Any] = []
    content_negotiation_class = AlwaysJson
    schema = None

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if self._is_missing_a_slash(request.path_info):
            # 308 repeats the request as it was, body and method included.
            return HttpResponse(status=308, headers={"Location": request.get_full_path(force_append_slash=True)})
        response: HttpResponse = super().dispatch(request, *args, **kwargs)
        return response

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        raise Http404

    def _is_missing_a_slash(self, path: str) -> bool:
        if path.endswith("/"):
            return False
        try:
            view: Callable[..., Any] = resolve(f"{path}/").func
        except Resolver404:
            return False
        return getattr(view, "cls", None) is not NoSuchAddress
