"""The last seven days of one phone number, from raw rows: for one number their index is faster than a rollup."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo

from django.db.models import Count
from django.db.models.functions import TruncDate

from monitoring.dashboards import drawing, links
from monitoring.dashboards.period import midnight
from monitoring.models import Call
from policies.models import Decision, PhoneNumber

DAYS = 7
# Neither is a reason, so neither borrows a reason's colour.
_CALLS_SLOT, _BLOCKED_SLOT = 4, 1


@dataclass(frozen=True, slots=True)
class NumberTraffic:
    calls: int
    blocked: int
    calls_href: str
    blocked_href: str
    chart: drawing.StackedBars


def traffic(number: PhoneNumber, *, now: datetime, zone: tzinfo) -> NumberTraffic:
    start = midnight(now, zone, days_ago=DAYS - 1)
    first = start.astimezone(zone).date()
    days = [first + timedelta(days=i) for i in range(DAYS)]
    calls = _by_day(Call.objects.filter(phone_number=number.e164, started_at__gte=start), "started_at", zone)
    attempts = Decision.objects.filter(phone_number=number.e164, verdict="block", at__gte=start)
    blocked = _by_day(attempts, "at", zone)
    calls_by_day, blocked_by_day = ([found.get(day, 0) for day in days] for found in (calls, blocked))
    totals = sum(calls_by_day), sum(blocked_by_day)
    calls_href = _with_number(links.calls(start=start, end=None, zone=zone), number)
    blocked_href = _with_number(links.blocked(start=start, end=None, zone=zone), number)
    chart = drawing.stacked_bars(
        chart_id="number-traffic",
        name="Calls and blocked attempts of this number by day",
        description=f"{totals[0]} calls and {totals[1]} blocked attempts in {DAYS} days.",
        steps=[_step(day, number, zone) for day in days],
        series=[
            drawing.Series("calls", "Calls", calls_by_day, _CALLS_SLOT, calls_href),
            drawing.Series("blocked", "Blocked", blocked_by_day, _BLOCKED_SLOT, blocked_href),
        ],
    )
    return NumberTraffic(*totals, calls_href, blocked_href, chart)


def _by_day(rows, moment: str, zone: tzinfo) -> dict[date, int]:  # type: ignore[no-untyped-def]
    counted = rows.annotate(day=TruncDate(moment, tzinfo=zone)).order_by().values_list("day")
    return dict(counted.annotate(count=Count("pk")))


def _step(day: date, number: PhoneNumber, zone: tzinfo) -> drawing.Step:
    start = datetime(day.year, day.month, day.day, tzinfo=zone)
    following = day + timedelta(days=1)
    end = datetime(following.year, following.month, following.day, tzinfo=zone)
    href = _with_number(links.decisions(start=start, end=end, zone=zone), number)
    return drawing.Step(f"{day:%a}", f"{day:%a} {day.day} {day:%b}", href)


def _with_number(href: str, number: PhoneNumber) -> str:
    return f"{href}&phone_number=%2B{number.e164.removeprefix('+')}"
