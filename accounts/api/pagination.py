"""Pages of a list, by the place where the last one ended: rows that come in meanwhile shift nothing."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from django.core.exceptions import ValidationError
from django.db.models import DateTimeField, Model, Q, QuerySet
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.utils.urls import remove_query_param, replace_query_param

from accounts.api.problems import Unprocessable

LARGEST_PAGE = 1000
BAD_CURSOR = "This cursor is not one that a list has answered. Begin without it, and follow next and previous."


@dataclass(frozen=True, slots=True)
class Place:
    """Between two rows: just after (or, `backwards`, just before) the row with these values."""

    values: tuple[Any, ...]
    backwards: bool = False

    def as_text(self) -> str:
        body = orjson.dumps([int(self.backwards), *self.values])
        return base64.urlsafe_b64encode(body).decode().rstrip("=")


class CursorPagination(BasePagination):
    """The view's `cursor_ordering` names the fields that order the list; the last of them is unique."""

    cursor_param = "cursor"
    size_param = "page_size"

    def paginate_queryset(self, queryset: QuerySet[Any], request: Request, view: Any = None) -> list[Any]:
        self.address = request.build_absolute_uri()
        self.ordering: tuple[str, ...] = view.cursor_ordering
        size = self._size(request)
        place = self._place(request, queryset.model)
        backwards = bool(place and place.backwards)
        ordering = _turned(self.ordering) if backwards else self.ordering
        rows = queryset.order_by(*ordering)
        if place:
            rows = rows.filter(_beyond(ordering, place.values))
        page = list(rows[: size + 1])
        has_more, page = len(page) > size, page[:size]
        if backwards:
            page.reverse()
        has_next, has_previous = (True, has_more) if backwards else (has_more, place is not None)
        self.next = self._link(page[-1], backwards=False) if page and has_next else None
        self.previous = self._link(page[0], backwards=True) if page and has_previous else None
        if backwards and not page:
            self.next = remove_query_param(self.address, self.cursor_param)
        return page

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"results": data, "next": self.next, "previous": self.previous})

    def get_results(self, data: Any) -> Any:
        return data["results"]

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        link = {"type": "string", "format": "uri", "nullable": True}
        return {
            "type": "object",
            "required": ["results", "next", "previous"],
            "properties": {"results": schema, "next": link, "previous": link},
        }

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        return [
            {
                "name": self.cursor_param,
                "in": "query",
                "required": False,
                "description": "Where to go on, as `next` and `previous` of a page hold it.",
                "schema": {"type": "string"},
            },
            {
                "name": self.size_param,
                "in": "query",
                "required": False,
                "description": f"How many at most; more than {LARGEST_PAGE} is read as {LARGEST_PAGE}.",
                "schema": {"type": "integer", "minimum": 1, "default": api_settings.PAGE_SIZE},
            },
        ]

    def _size(self, request: Request) -> int:
        text = request.query_params.get(self.size_param)
        if text is None:
            return int(api_settings.PAGE_SIZE)
        if not (text.isascii() and text.isdecimal() and text.strip("0")):
            raise Unprocessable.one(self.size_param, "invalid", f"{self.size_param} must be a whole number from 1.")
        return LARGEST_PAGE if len(text.lstrip("0")) > 4 else min(int(text), LARGEST_PAGE)

    def _place(self, request: Request, model: type[Model]) -> Place | None:
        text = request.query_params.get(self.cursor_param)
        if text is None:
            return None
        try:
            body = orjson.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
            backwards, *values = body
            if backwards not in (0, 1) or len(values) != len(self.ordering):
                raise ValueError
            pairs = zip(self.ordering, values, strict=True)
            return Place(tuple(_value(model, name, value) for name, value in pairs), bool(backwards))
        except (ValueError, TypeError, OverflowError, ValidationError, binascii.Error):
            raise Unprocessable.one(self.cursor_param, "invalid", BAD_CURSOR) from None

    def _link(self, row: Any, *, backwards: bool) -> str:
        place = Place(tuple(getattr(row, name.lstrip("-")) for name in self.ordering), backwards)
        return str(replace_query_param(self.address, self.cursor_param, place.as_text()))


def _turned(ordering: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name[1:] if name.startswith("-") else f"-{name}" for name in ordering)


def _beyond(ordering: tuple[str, ...], values: tuple[Any, ...]) -> Q:
    """The rows that come after `values` in `ordering`. The first field's bound alone is what an index can use."""
    first = ordering[0]
    bound = Q(**{f"{first.lstrip('-')}__{'lte' if first.startswith('-') else 'gte'}": values[0]})
    after, same = Q(pk__in=()), Q()
    for name, value in zip(ordering, values, strict=True):
        field = name.lstrip("-")
        after |= same & Q(**{f"{field}__{'lt' if name.startswith('-') else 'gt'}": value})
        same &= Q(**{field: value})
    return bound & after


def _value(model: type[Model], name: str, value: Any) -> Any:
    field = model._meta.get_field(name.lstrip("-"))
    expected = int if field.get_internal_type().endswith(("IntegerField", "AutoField")) else str
    if type(value) is not expected or "\0" in str(value):
        raise ValueError
    if not isinstance(field, DateTimeField):
        return value
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError
    return moment.astimezone(UTC)
