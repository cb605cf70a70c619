"""The last seven days of one number or public key, from raw rows: for one of them their index beats a rollup."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Any, Final

from django.db.models import Count, Q, QuerySet, Sum
from django.db.models.functions import TruncDate

from accounts.countries import flag, name_of
from monitoring.dashboards import drawing, links
from monitoring.dashboards.period import midnight
from monitoring.models import BlockedCall, Call
from policies import words

DAYS: Final = 7
MOST_SHARES: Final = 5
# Neither is a reason, so neither borrows a reason's colour.
_CALLS_SLOT, _BLOCKED_SLOT = 4, 1


@dataclass(frozen=True, slots=True)
class Share:
    """One reason or one country, and how many of the rows it has."""

    name: str
    count: int
    href: str
    flag: str = ""


@dataclass(frozen=True, slots=True)
class Traffic:
    calls: int
    blocked: int
    minutes: str
    cost: str
    calls_href: str
    blocked_href: str
    reasons: tuple[Share, ...]
    places: tuple[Share, ...]
    chart: drawing.StackedBars


def traffic(about: Mapping[str, str], *, whose: str, now: datetime, zone: tzinfo) -> Traffic:
    """`about`: the column that names it, with its value; `whose`: what it is called in words."""
    start = midnight(now, zone, days_ago=DAYS - 1)
    # Said twice: so the index of what was started with a key is the one that is read.
    mine = Q(**about) & ~Q(**dict.fromkeys(about, ""))
    calls = _counted(Call.objects.filter(mine, started_at__gte=start), "started_at", "country", zone)
    blocked = _counted(BlockedCall.objects.filter(mine, at__gte=start), "at", "reason", zone)
    money = Call.objects.filter(mine, started_at__gte=start).aggregate(Sum("duration_ms"), Sum("cost_cents"))
    span = {"start": start, "end": None, "zone": zone, **about}
    return Traffic(
        calls=calls.total(),
        blocked=blocked.total(),
        minutes=drawing.count(round((money["duration_ms__sum"] or 0) / 60_000)),
        cost=f"${(money['cost_cents__sum'] or Decimal(0)) / 100:,.2f}",
        calls_href=links.calls(**span),
        blocked_href=links.blocked(**span),
        reasons=shares(blocked, lambda code: Share(words.reason(code), 0, links.blocked(**span, reason=code))),
        places=shares(calls, lambda code: _place(code, links.calls(**span, country=code) if code else "")),
        chart=_chart(calls, blocked, about, whose, start, zone),
    )


def shares(counted: Mapping[tuple[date, str], int], named: Any) -> tuple[Share, ...]:
    """The largest of them, as `named` calls them by their code."""
    sums: Counter[str] = Counter()
    for (_day, code), number in counted.items():
        sums[code] += number
    largest = sorted(sums.items(), key=lambda entry: (-entry[1], entry[0]))[:MOST_SHARES]
    found = ((named(code), number) for code, number in largest)
    return tuple(Share(share.name, number, share.href, share.flag) for share, number in found)


def by_day(counted: Mapping[tuple[date, str], int], days: list[date]) -> list[int]:
    sums: Counter[date] = Counter()
    for (day, _code), number in counted.items():
        sums[day] += number
    return [sums[day] for day in days]


def step(day: date, about: Mapping[str, str], zone: tzinfo) -> drawing.Step:
    """One day of a chart, with the list of what was blocked on it."""
    start = datetime(day.year, day.month, day.day, tzinfo=zone)
    following = day + timedelta(days=1)
    end = datetime(following.year, following.month, following.day, tzinfo=zone)
    href = links.blocked(start=start, end=end, zone=zone, **about)
    return drawing.Step(f"{day:%a}", f"{day:%a} {day.day} {day:%b}", href)


def _place(code: str, href: str) -> Share:
    return Share(name_of(code) if code else "No country", 0, href, flag(code) if code else "")


def _counted(rows: QuerySet[Any], moment: str, what: str, zone: tzinfo) -> Counter[tuple[date, str]]:
    keyed = rows.annotate(day=TruncDate(moment, tzinfo=zone)).order_by().values_list("day", what)
    return Counter({(day, code): number for day, code, number in keyed.annotate(count=Count("pk"))})


def _chart(
    calls: Counter[tuple[date, str]],
    blocked: Counter[tuple[date, str]],
    about: Mapping[str, str],
    whose: str,
    start: datetime,
    zone: tzinfo,
) -> drawing.StackedBars:
    first = start.astimezone(zone).date()
    days = [first + timedelta(days=i) for i in range(DAYS)]
    span = {"start": start, "end": None, "zone": zone, **about}
    return drawing.stacked_bars(
        chart_id="traffic",
        name=f"Calls and blocked attempts of this {whose} by day",
        description=(
            f"{drawing.counted(calls.total(), 'call')} and "
            f"{drawing.counted(blocked.total(), 'blocked attempt')} in {DAYS} days."
        ),
        steps=[step(day, about, zone) for day in days],
        series=[
            drawing.Series("calls", "Calls", by_day(calls, days), _CALLS_SLOT, links.calls(**span)),
            drawing.Series("blocked", "Blocked", by_day(blocked, days), _BLOCKED_SLOT, links.blocked(**span)),
        ],
    )
