"""Usage as points: summed by one thing, and where asked for cut into steps of time. Reads buckets, no raw rows."""

from __future__ import annotations

import zoneinfo
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from django.db.models import F, Q, QuerySet, Sum
from django.db.models.functions import TruncDate
from rest_framework import serializers

from monitoring.ingest import parties
from monitoring.models import MinuteBucket, PartyBucket, UsageBucket

TIMES: Final = ("minute", "hour", "day")
PARTIES: Final = {
    "phone_number": PartyBucket.Kind.PHONE_NUMBER,
    "public_key": PartyBucket.Kind.PUBLIC_KEY,
}
BY_MINUTE: Final = ("direction", "channel", "outcome", "reason")
GROUPS: Final = (*TIMES, "country", "number_class", *BY_MINUTE, *PARTIES)
MOST_POINTS: Final = 50_000

_SUMMED: Final = {"calls": "calls", "minutes": "seconds", "cost": "cost_cents"}
_DIVISORS: Final = {"calls": 1, "minutes": 60, "cost": 100}
_BLOCKED: Final = Q(outcome=UsageBucket.Outcome.BLOCKED)


class TooManyPoints(Exception):
    """More than anybody would read, and than one answer should hold."""


def points(query: dict[str, Any], zone: zoneinfo.ZoneInfo) -> list[dict[str, Any]]:
    """`query`: metric, by, step, from and to, which belong together. Raises TooManyPoints."""
    metric, by = query["metric"], query["by"]
    step = by if by in TIMES else query["step"]
    rows, moment = _rows(by, step, query["from"], query["to"])
    keys: dict[str, Any] = {}
    if step:
        keys["moment"] = TruncDate(moment, tzinfo=zone) if step == "day" else F(moment)
    if by not in TIMES:
        keys["key"] = F("value" if by in PARTIES else by)
    sums = {
        "sum": Sum(_SUMMED[metric], filter=~_BLOCKED, default=0),
        "stopped": Sum("calls", filter=_BLOCKED, default=0),
    }
    if by == "reason":
        rows = rows.filter(_BLOCKED)
    if by in ("reason", "outcome"):
        sums = {"sum": Sum(_SUMMED[metric], default=0)}
    found = list(rows.order_by().values(**keys).annotate(**sums).order_by(*keys)[: MOST_POINTS + 1])
    if len(found) > MOST_POINTS:
        raise TooManyPoints
    return [_of_row(row, metric, by) for row in found]


def point(key: Any, value: float) -> dict[str, Any]:
    return {"key": _shown(key), "value": value}


def _rows(by: str, step: str, start: datetime, end: datetime) -> tuple[QuerySet[Any], str]:
    if step == "minute":
        return MinuteBucket.objects.filter(minute__gte=start, minute__lt=end), "minute"
    span = {"hour__gte": start, "hour__lt": end}
    if by in PARTIES:
        inside = Q(step=PartyBucket.Step.HOUR, **span) if step else parties.within(start, end)
        return PartyBucket.objects.filter(inside, kind=PARTIES[by]), "hour"
    return UsageBucket.objects.filter(**span), "hour"


def _of_row(row: dict[str, Any], metric: str, by: str) -> dict[str, Any]:
    shown = point(row["moment"] if by in TIMES else row["key"], _in_unit(metric, row["sum"]))
    if by not in TIMES and "moment" in row:
        shown["at"] = _shown(row["moment"])
    if metric == "calls" and "stopped" in row:
        shown["blocked"] = row["stopped"]
    return shown


def _shown(key: Any) -> str:
    return str(serializers.DateTimeField().to_representation(key) if isinstance(key, datetime) else key)


def _in_unit(metric: str, value: int | Decimal) -> float:
    return round(float(value) / _DIVISORS[metric], 4)
