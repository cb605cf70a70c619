"""What clients may send: strict JSON fields, and the filters of lists. Nothing is guessed into another type."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, time
from typing import Any

from django import forms
from django.utils.dateparse import parse_date, parse_datetime
from django_filters import rest_framework as filters
from django_filters.filterset import FilterSetMetaclass
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request

from accounts.api.problems import FieldError, Unprocessable, flattened

MOST_UNKNOWN_NAMES = 10
# In an address, the plus of "+00:00" means a blank unless it is escaped; so does that of a phone number.
_LOST_PLUS = re.compile(r"(?<=\d) (?=\d\d:?\d\d$)")


class Text(serializers.CharField):
    """A string; a number is not taken for one."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        text: str = super().to_internal_value(data)
        return text


class Flag(serializers.BooleanField):
    """true or false; "yes" and 1 are not taken for it."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class WholeNumber(serializers.IntegerField):
    """An integer; a string of digits and true are not taken for one."""

    def to_internal_value(self, data: Any) -> int:
        if not isinstance(data, int) or isinstance(data, bool):
            self.fail("invalid")
        number: int = super().to_internal_value(data)
        return number


class Number(serializers.FloatField):
    """A number; a string of digits and true are not taken for one."""

    def to_internal_value(self, data: Any) -> float:
        if not isinstance(data, int | float) or isinstance(data, bool):
            self.fail("invalid")
        number: float = super().to_internal_value(data)
        return number


class AsWritten(serializers.Field):
    """A part whose shape the verb reads, and refuses in its own words."""

    def to_internal_value(self, data: Any) -> Any:
        return data

    def to_representation(self, value: Any) -> Any:
        return value


class Body(serializers.Serializer):
    """A request body. A field it does not have is refused, so that no misspelling goes unnoticed.

    `shown_only` are the names that an answer has and a body may not change.
    """

    shown_only: Iterable[str] = ()

    @classmethod
    def checked(cls, data: Any) -> dict[str, Any]:
        """What the client sent, and nothing it did not send. Raises Unprocessable naming each field."""
        if not isinstance(data, dict):
            raise Unprocessable.one("", "invalid", "The body must be a JSON object.")
        serializer = cls(data=data, partial=False)
        errors = list(cls._unknown(data.keys() - serializer.fields.keys()))
        if not serializer.is_valid():
            errors += flattened(serializer.errors)
        if errors:
            raise Unprocessable(errors)
        return dict(serializer.validated_data)

    @classmethod
    def _unknown(cls, names: Iterable[str]) -> Iterable[FieldError]:
        for name in sorted(names)[:MOST_UNKNOWN_NAMES]:
            shown = name if len(name) <= 60 else f"{name[:60]}…"
            if name in cls.shown_only:
                yield FieldError(shown, "read_only", f"{shown} cannot be changed here.")
            else:
                yield FieldError(shown, "unknown_field", f"There is no field {shown!r} here.")


class Nothing(Body):
    """No fields."""


class InstantField(forms.CharField):
    """A time in ISO 8601; without an offset it is UTC, and a date alone is its first moment."""

    def to_python(self, value: Any) -> datetime | None:
        text = super().to_python(value)
        if not text:
            return None
        try:
            return _instant(_LOST_PLUS.sub("+", text))
        except (ValueError, OverflowError):
            raise forms.ValidationError("This must be a time such as 2026-11-02T15:30:00Z.", "invalid") from None


@extend_schema_field(OpenApiTypes.DATETIME)
class Instant(filters.Filter):
    field_class = InstantField


@extend_schema_field(OpenApiTypes.STR)
class PhoneNumberText(filters.Filter):
    """An exact number, whose plus may have got lost on the way."""

    field_class = forms.CharField

    def filter(self, qs: Any, value: str) -> Any:
        digits_only = value and value.isascii() and value.isdecimal()
        return super().filter(qs, f"+{value}" if digits_only else value)


@extend_schema_field(OpenApiTypes.STR)
class CountryCode(filters.Filter):
    """A two-letter code in either case."""

    field_class = forms.RegexField

    def __init__(self, **kwargs: Any) -> None:
        message = "A country is two letters, such as US."
        super().__init__(regex=r"^[A-Za-z]{2}\Z", error_messages={"invalid": message}, **kwargs)

    def filter(self, qs: Any, value: str) -> Any:
        return super().filter(qs, value.upper() if value else value)


@extend_schema_field(OpenApiTypes.INT64)
class RowId(filters.Filter):
    """The id of a row; larger ones than a database can keep are refused, not looked for."""

    field_class = forms.IntegerField

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(min_value=0, max_value=2**63 - 1, **kwargs)


@extend_schema_field(OpenApiTypes.BOOL)
class YesOrNo(filters.ChoiceFilter):
    """true or false, and nothing else."""

    def __init__(self, **kwargs: Any) -> None:
        message = "This must be true or false."
        choices = [("true", "true"), ("false", "false")]
        super().__init__(choices=choices, error_messages={"invalid_choice": message}, **kwargs)

    def filter(self, qs: Any, value: str) -> Any:
        return super().filter(qs, {"true": True, "false": False}[value]) if value else qs


class KnownParameters(filters.DjangoFilterBackend):
    """Filters, and refuses a parameter of a list that does not exist: misspelt, it would let everything through."""

    def filter_queryset(self, request: Request, queryset: Any, view: Any) -> Any:
        if getattr(view, "action", "") == "list":
            self._refuse_unknown(request, queryset, view)
        return super().filter_queryset(request, queryset, view)

    def _refuse_unknown(self, request: Request, queryset: Any, view: Any) -> None:
        filters_of = getattr(self.get_filterset_class(view, queryset), "base_filters", {})
        declared = {*filters_of, *getattr(view, "own_parameters", ())}
        paging = {getattr(view.paginator, name, None) for name in ("cursor_param", "size_param")}
        refuse_unknown(request, {*declared, *paging} - {None})


def refuse_unknown(request: Request, known: Iterable[str]) -> None:
    """Raises Unprocessable for a parameter that is not among those known."""
    unknown = sorted(set(request.query_params) - set(known))
    if unknown:
        shown = unknown[0][:60]
        sentence = f"There is no parameter {shown!r} here. There are: {', '.join(sorted(known))}."
        raise Unprocessable.one(shown, "unknown_parameter", sentence)


def one_of(names: Iterable[str], **kwargs: Any) -> filters.ChoiceFilter:
    return filters.ChoiceFilter(choices=[(str(name), str(name)) for name in names], **kwargs)


def period(field: str) -> dict[str, filters.Filter]:
    """`from` (included) and `to` (not included)."""
    return {
        "from": Instant(field_name=field, lookup_expr="gte", label="Not before this time."),
        "to": Instant(field_name=field, lookup_expr="lt", label="Before this time."),
    }


class PeriodForm(forms.Form):
    """What is given together must fit: a time that ends before it begins has nothing in it, and nobody means that."""

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = self.cleaned_data
        start, end = given.get("from"), given.get("to")
        if start and end and start >= end:
            self.add_error("from", forms.ValidationError("from must be before to.", "invalid"))
        return given


class Filters(filters.FilterSet):
    class Meta:
        form = PeriodForm


def filter_set(name: str, **declared: filters.Filter) -> Any:
    """A set of filters by name; made so because `from` is no name that a class body could have."""
    return FilterSetMetaclass(name, (Filters,), declared)


def _instant(text: str) -> datetime:
    moment = parse_datetime(text)
    if moment is None:
        day = parse_date(text)
        if day is None:
            raise ValueError
        moment = datetime.combine(day, time.min, tzinfo=UTC)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
