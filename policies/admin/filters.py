"""The filters that lists of decisions and of calls share: codes in words, our number, a span of time."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_time
from unfold.contrib.filters.admin import DropdownFilter, RangeDateTimeFilter, TextFilter

from accounts.countries import NAMES, flag
from accounts.models import PublicKey
from policies import words
from policies.engine.names import VerdictKind

MOST_KEYS = 200
_WHOLE_NUMBER = re.compile(r"\+[0-9]{7,15}")
_SEPARATORS = re.compile(r"[ ().\-]+")


class CodeFilter(DropdownFilter):
    """Chooses among a closed list of codes; the parameter is Django's own, `<field>__exact`."""

    field = ""

    @staticmethod
    def codes() -> Iterable[tuple[str, str]]:
        raise NotImplementedError

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return list(self.codes())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(**{self.field: self.value()}) if self.value() else queryset


class FlaggedFilter(DropdownFilter):
    """Numbers that appeared at UponAI and wait for somebody to say what they may do."""

    title, parameter_name = "waiting to be confirmed", "flagged"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Waiting"), ("no", "Not waiting")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() not in ("yes", "no"):
            return queryset
        return queryset.filter(flagged_since__isnull=self.value() == "no")


class VerdictFilter(CodeFilter):
    title, field, parameter_name = "verdict", "verdict", "verdict__exact"

    @staticmethod
    def codes() -> Iterable[tuple[str, str]]:
        return words.VERDICTS.items()


class WouldBeFilter(CodeFilter):
    """What it would have been, where what failed was only observed."""

    title, field, parameter_name = "would have been", "would_be", "would_be__exact"

    @staticmethod
    def codes() -> Iterable[tuple[str, str]]:
        return ((code, name) for code, name in words.VERDICTS.items() if code != VerdictKind.ALLOW)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        # Said twice: so the index of what was observed is the one that is read.
        return super().queryset(request, queryset.exclude(would_be="") if self.value() else queryset)


class ReasonFilter(CodeFilter):
    title, field, parameter_name = "reason", "reason", "reason__exact"

    @staticmethod
    def codes() -> Iterable[tuple[str, str]]:
        return words.REASONS.items()


class DirectionFilter(CodeFilter):
    title, field, parameter_name = "direction", "direction", "direction__exact"

    @staticmethod
    def codes() -> Iterable[tuple[str, str]]:
        return words.DIRECTIONS.items()


class ChannelFilter(CodeFilter):
    title, field, parameter_name = "channel", "channel", "channel__exact"

    @staticmethod
    def codes() -> Iterable[tuple[str, str]]:
        return words.CHANNELS.items()


class CountryFilter(CodeFilter):
    title, field, parameter_name = "country of the other side", "country", "country__exact"

    @staticmethod
    def codes() -> Iterable[tuple[str, str]]:
        by_name = sorted(NAMES.items(), key=lambda entry: entry[1])
        return ((code, f"{flag(code)} {name}") for code, name in by_name)


class PhoneNumberFilter(TextFilter):
    """Our side: a whole number in any spelling, or some of its digits."""

    title, parameter_name = "our number", "phone_number"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        wanted = _SEPARATORS.sub("", self.value() or "")
        if not wanted:
            return queryset
        if _WHOLE_NUMBER.fullmatch(wanted):
            return queryset.filter(phone_number=wanted)
        return self.with_part(queryset, wanted)

    def with_part(self, queryset: QuerySet[Any], part: str) -> QuerySet[Any]:
        return queryset.filter(phone_number__contains=part)


class PublicKeyFilter(DropdownFilter):
    """One of the workspace's public keys, by its name."""

    title, parameter_name = "public key", "public_key__exact"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        keys = dict(PublicKey.objects.order_by("name", "pk").values_list("key", "name")[:MOST_KEYS])
        asked = request.GET.get(self.parameter_name, "")
        return list((keys if asked in keys else {asked: asked} | keys).items()) if asked else list(keys.items())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        # Said twice: so the index of what was started with a key is the one that is read.
        return queryset.filter(public_key=self.value()).exclude(public_key="") if self.value() else queryset


class TimeRangeFilter(RangeDateTimeFilter):
    """A span in the workspace's time zone; its end is not part of it, so that neighbouring hours share no row."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.title = "time"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        start, end = self._moment("from"), self._moment("to")
        if start is not None:
            queryset = queryset.filter(**{f"{self.parameter_name}__gte": start})
        if end is not None:
            queryset = queryset.filter(**{f"{self.parameter_name}__lt": end})
        return queryset

    def _moment(self, which: str) -> datetime | None:
        """A date without a time begins at midnight; what is no date does not restrict."""
        try:
            day = parse_date(self.used_parameters.get(f"{self.parameter_name}_{which}_0") or "")
            time = parse_time(self.used_parameters.get(f"{self.parameter_name}_{which}_1") or "00:00")
        except ValueError:
            return None
        return timezone.make_aware(datetime.combine(day, time)) if day and time else None
