"""REST for usage: calls, minutes and cost from the hourly rollups, summed by one thing; and how many ran at once."""

from __future__ import annotations

import zoneinfo
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from django import forms
from django.db.models import F, Q, Sum
from django.db.models.functions import TruncDate
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.inputs import InstantField
from accounts.api.problems import Unprocessable
from accounts.api.views import ApiView
from monitoring.ingest import concurrency
from monitoring.models import UsageBucket

CONCURRENCY = "concurrency"
UNITS = {"calls": "calls", "minutes": "minutes", "cost": "usd", CONCURRENCY: "calls at once"}
STEPS_OF_CONCURRENCY = ("hour", "day")
GROUPS = ("hour", "day", "country", "reason", "direction", "channel")
DEFAULT_SPAN = timedelta(days=30)
LONGEST_SPANS = {"hour": timedelta(days=93), "day": timedelta(days=3 * 366)}

_BLOCKED = Q(outcome=UsageBucket.Outcome.BLOCKED)

UsageQuery: Any = type(
    "UsageQuery",
    (forms.Form,),
    {
        "metric": forms.ChoiceField(choices=[(name, name) for name in UNITS]),
        "by": forms.ChoiceField(choices=[(name, name) for name in GROUPS], required=False),
        "from": InstantField(required=False),
        "to": InstantField(required=False),
    },
)


class UsagePointSerializer(serializers.Serializer):
    key = serializers.CharField(help_text="The hour's beginning, the day, the country, the reason … or empty.")
    value = serializers.FloatField()
    blocked = serializers.IntegerField(
        required=False, help_text="Attempts that were blocked; they are in no value. Only for calls."
    )


class UsageSerializer(serializers.Serializer):
    """Hours and days in which nothing happened are left out. Of concurrency, values and total are the most at once."""

    metric = serializers.CharField()
    by = serializers.CharField()
    unit = serializers.CharField()
    period_from = serializers.DateTimeField()
    to = serializers.DateTimeField()
    total = serializers.FloatField()
    series = UsagePointSerializer(many=True)

    def get_fields(self) -> dict[str, Any]:
        # `from` is no name that a class body could have.
        return {name.removeprefix("period_"): field for name, field in super().get_fields().items()}


class Usage(ApiView):
    scope_resource = "usage"

    @extend_schema(
        operation_id="usage_retrieve",
        responses=UsageSerializer,
        parameters=[
            OpenApiParameter("metric", str, required=True, enum=list(UNITS)),
            OpenApiParameter("by", str, enum=GROUPS, default="day", description="Days are the workspace's own."),
            OpenApiParameter("from", OpenApiTypes.DATETIME, description="30 days before `to` by default."),
            OpenApiParameter("to", OpenApiTypes.DATETIME, description="Now by default."),
        ],
    )
    def get(self, request: Request) -> Response:
        """What was used, counted by whole hours."""
        query = self._query(request)
        zone = zoneinfo.ZoneInfo(self.token.workspace.time_zone)
        if query["metric"] == CONCURRENCY:
            series = _concurrency(query, zone)
            total = max((point["value"] for point in series), default=0)
        else:
            series = _series(query, zone)
            total = round(sum(point["value"] for point in series), 4)
        summary = {**query, "unit": UNITS[query["metric"]], "total": total, "series": series}
        return Response(UsageSerializer(summary).data)

    def _query(self, request: Request) -> dict[str, Any]:
        form = UsageQuery(request.query_params)
        if not form.is_valid():
            raise forms.ValidationError(form.errors.as_data())
        given = form.cleaned_data
        metric, by = given["metric"], given["by"] or "day"
        if metric == CONCURRENCY and by not in STEPS_OF_CONCURRENCY:
            detail = "UponAI tells only how many calls run in all. Ask by hour or by day."
            raise Unprocessable.one("by", "conflict", detail)
        if by == "reason" and metric != "calls":
            detail = f"Only blocked attempts have a reason, and they have no {metric}. Ask for metric=calls."
            raise Unprocessable.one("by", "conflict", detail)
        end = given["to"] or timezone.now()
        start = given["from"] or _before(end, DEFAULT_SPAN)
        if start >= end:
            raise Unprocessable.one("from", "invalid", "from must be before to.")
        longest = LONGEST_SPANS.get(by)
        if longest and end - start > longest:
            raise Unprocessable.one("from", "too_long", f"By {by}, at most {longest.days} days can be asked for.")
        return {"metric": metric, "by": by, "from": start, "to": end}


def _before(end: datetime, span: timedelta) -> datetime:
    first = datetime.min.replace(tzinfo=UTC)
    return end - span if end - first > span else first


def _concurrency(query: dict[str, Any], zone: zoneinfo.ZoneInfo) -> list[dict[str, Any]]:
    points = concurrency.series(query["from"], query["to"], step=query["by"], zone=zone)
    return [_point(point.at.date() if query["by"] == "day" else point.at, float(point.running)) for point in points]


def _series(query: dict[str, Any], zone: zoneinfo.ZoneInfo) -> list[dict[str, Any]]:
    metric, by = query["metric"], query["by"]
    rows = UsageBucket.objects.filter(hour__gte=query["from"], hour__lt=query["to"])
    if by == "reason":
        blocked = rows.filter(_BLOCKED).values(key=F("reason")).annotate(value=Sum("calls"))
        return [_point(row["key"], row["value"]) for row in blocked.order_by("key")]
    key = TruncDate("hour", tzinfo=zone) if by == "day" else F(by)
    summed = {"calls": "calls", "minutes": "seconds", "cost": "cost_cents"}[metric]
    sums = rows.values(key=key).annotate(
        value=Sum(summed, filter=~_BLOCKED, default=0), blocked=Sum("calls", filter=_BLOCKED, default=0)
    )
    points = []
    for row in sums.order_by("key"):
        point = _point(row["key"], _in_unit(metric, row["value"]))
        points.append({**point, "blocked": row["blocked"]} if metric == "calls" else point)
    return points


def _point(key: Any, value: float) -> dict[str, Any]:
    shown = serializers.DateTimeField().to_representation(key) if isinstance(key, datetime) else str(key)
    return {"key": shown, "value": value}


def _in_unit(metric: str, value: int | Decimal) -> float:
    divisor = {"calls": 1, "minutes": 60, "cost": 100}[metric]
    return round(float(value) / divisor, 4)
