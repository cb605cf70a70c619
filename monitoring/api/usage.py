"""REST for usage: calls, minutes and cost by one thing and by steps of time; and how many ran at once."""

from __future__ import annotations

import zoneinfo
from datetime import UTC, datetime, timedelta
from typing import Any

from django import forms
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.inputs import InstantField, refuse_unknown
from accounts.api.problems import Unprocessable
from accounts.api.views import ApiView
from monitoring.api.usage_points import BY_MINUTE, GROUPS, MOST_POINTS, TIMES, TooManyPoints, point, points
from monitoring.ingest import concurrency
from monitoring.ingest.rollups import MINUTES_KEPT

CONCURRENCY = "concurrency"
BLOCKED_WORDS = (
    "Attempts that were blocked, as blocked-calls/ lists them. What UponAI started and was blocked later is a call as "
    "well, and in the value. Only for calls."
)
TOTAL_WORDS = (
    "The sum of the values. By outcome and by reason, blocked attempts are values like others; by phone_number and by "
    "public_key, only what had one is counted."
)
UNITS = {"calls": "calls", "minutes": "minutes", "cost": "usd", CONCURRENCY: "calls at once"}
STEPS_OF_CONCURRENCY = ("hour", "day")
DEFAULT_SPAN = timedelta(days=30)
LONGEST_SPANS = {"minute": timedelta(days=1), "hour": timedelta(days=93), "day": timedelta(days=3 * 366)}

UsageQuery: Any = type(
    "UsageQuery",
    (forms.Form,),
    {
        "metric": forms.ChoiceField(choices=[(name, name) for name in UNITS]),
        "by": forms.ChoiceField(choices=[(name, name) for name in GROUPS], required=False),
        "step": forms.ChoiceField(choices=[(name, name) for name in TIMES], required=False),
        "from": InstantField(required=False),
        "to": InstantField(required=False),
    },
)


class UsagePointSerializer(serializers.Serializer):
    key = serializers.CharField(help_text="The hour's beginning, the day, the country, the reason … or empty.")
    at = serializers.CharField(required=False, help_text="When the step began. Only where a step was asked for.")
    value = serializers.FloatField()
    blocked = serializers.IntegerField(required=False, help_text=BLOCKED_WORDS)


class UsageSerializer(serializers.Serializer):
    """Hours and days in which nothing happened are left out. Of concurrency, values and total are the most at once."""

    metric = serializers.CharField()
    by = serializers.CharField()
    step = serializers.CharField(required=False)
    unit = serializers.CharField()
    period_from = serializers.DateTimeField()
    to = serializers.DateTimeField()
    total = serializers.FloatField(help_text=TOTAL_WORDS)
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
            OpenApiParameter(
                "step",
                str,
                enum=TIMES,
                description="Cuts each value into steps of time. Minutes: of the last day, and only by direction, "
                "channel, outcome and reason.",
            ),
            OpenApiParameter(
                "from", OpenApiTypes.DATETIME, description="30 days before `to` by default; by minutes, one hour."
            ),
            OpenApiParameter("to", OpenApiTypes.DATETIME, description="Now by default."),
        ],
    )
    def get(self, request: Request) -> Response:
        """What was used, counted by whole hours, or minutes."""
        query = self._query(request)
        zone = zoneinfo.ZoneInfo(self.token.workspace.time_zone)
        if query["metric"] == CONCURRENCY:
            series = _concurrency(query, zone)
            total = max((point["value"] for point in series), default=0)
        else:
            series = _points(query, zone)
            total = round(sum(point["value"] for point in series), 4)
        if not query["step"]:
            del query["step"]
        summary = {**query, "unit": UNITS[query["metric"]], "total": total, "series": series}
        return Response(UsageSerializer(summary).data)

    def _query(self, request: Request) -> dict[str, Any]:
        refuse_unknown(request, UsageQuery.base_fields)
        form = UsageQuery(request.query_params)
        if not form.is_valid():
            raise forms.ValidationError(form.errors.as_data())
        given = form.cleaned_data
        metric, by, step = given["metric"], given["by"] or given["step"] or "day", given["step"]
        step = "" if by in TIMES and step == by else step
        if by in TIMES and step:
            raise Unprocessable.one("step", "conflict", f"By {by}, the series is cut by {by} already.")
        time = step or by
        if time == "minute" and by not in ("minute", *BY_MINUTE):
            detail = f"By minutes, only {', '.join(BY_MINUTE)} are counted. Ask with step=hour."
            raise Unprocessable.one("step", "conflict", detail)
        if metric == CONCURRENCY and by not in STEPS_OF_CONCURRENCY:
            detail = "UponAI tells only how many calls run in all. Ask by hour or by day."
            raise Unprocessable.one("by", "conflict", detail)
        if by == "reason" and metric != "calls":
            detail = f"Only blocked attempts have a reason, and they have no {metric}. Ask for metric=calls."
            raise Unprocessable.one("by", "conflict", detail)
        end = given["to"] or timezone.now()
        start = given["from"] or _before(end, timedelta(hours=1) if time == "minute" else DEFAULT_SPAN)
        if start >= end:
            raise Unprocessable.one("from", "invalid", "from must be before to.")
        longest = LONGEST_SPANS.get(time)
        if longest and end - start > longest:
            raise Unprocessable.one("from", "too_long", f"By {time}, at most {_days(longest)} can be asked for.")
        if time == "minute" and start < timezone.now() - MINUTES_KEPT:
            raise Unprocessable.one("from", "too_long", "Minutes are kept for a day. Ask by hour.")
        return {"metric": metric, "by": by, "step": step, "from": start, "to": end}


def _days(span: timedelta) -> str:
    return "1 day" if span.days == 1 else f"{span.days:,} days"


def _before(end: datetime, span: timedelta) -> datetime:
    first = datetime.min.replace(tzinfo=UTC)
    return end - span if end - first > span else first


def _concurrency(query: dict[str, Any], zone: zoneinfo.ZoneInfo) -> list[dict[str, Any]]:
    found = concurrency.series(query["from"], query["to"], step=query["by"], zone=zone)
    return [point(one.at.date() if query["by"] == "day" else one.at, float(one.running)) for one in found]


def _points(query: dict[str, Any], zone: zoneinfo.ZoneInfo) -> list[dict[str, Any]]:
    try:
        return points(query, zone)
    except TooManyPoints:
        detail = f"These would be more than {MOST_POINTS:,} values. Ask for a shorter time or longer steps."
        raise Unprocessable.one("from", "too_long", detail) from None
