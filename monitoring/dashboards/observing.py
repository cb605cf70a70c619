"""What was merely observed in the last seven days, of a number, a key or a policy: how much would have been stopped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from types import MappingProxyType
from typing import Any, Final

from django.db.models import Count
from django.db.models.functions import TruncDate

from accounts.models import PublicKey
from monitoring.dashboards import drawing, links
from monitoring.dashboards.period import midnight
from policies.engine.rules import DirectionRules
from policies.models import CountryPolicy, Decision, PhoneNumber

DAYS: Final = 7
# The colour of blocked, and two that no reason's neighbour borrows.
_SERIES: Final = (
    ("block", "Would have been blocked", 1),
    ("challenge", "Would have been challenged", 6),
    ("guard", "Would have been guarded", 2),
)

_OTHERS: Final = (("challenge", "challenged"), ("guard", "guarded"))


@dataclass(frozen=True, slots=True)
class Thing:
    """What can be observing: how its row is found, which decisions are its, and whether it is."""

    permission: str
    model: Any
    decisions: Callable[[Any], Mapping[str, Any]]
    is_observing: Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class Observed:
    is_observing: bool
    title: str
    sentence: str
    week: int
    href: str
    chart: drawing.StackedBars


def _policy_observes(policy: CountryPolicy) -> bool:
    revision = policy.current_revision
    if revision is None:
        return False
    both = (DirectionRules.from_dict(rules) for rules in (revision.inbound, revision.outbound))
    return any(
        rules.observing or rules.observed_classes or any(rule.observing for rule in rules.prefix_rules)
        for rules in both
    )


THINGS: Final = MappingProxyType(
    {
        "phone-number": Thing(
            "policies.view_phonenumber",
            PhoneNumber,
            lambda number: {"phone_number": number.e164},
            lambda number: number.mode == PhoneNumber.Mode.OBSERVING,
        ),
        "public-key": Thing(
            "accounts.view_publickey",
            PublicKey,
            lambda key: {"public_key": key.key},
            lambda key: key.mode == PublicKey.Mode.OBSERVING,
        ),
        "country-policy": Thing(
            "policies.view_countrypolicy", CountryPolicy, lambda policy: {"policy_id": policy.pk}, _policy_observes
        ),
    }
)


def observed(what: str, pk: int, *, now: datetime, zone: tzinfo) -> Observed | None:
    """None where there is no such thing in this workspace."""
    thing = THINGS[what]
    row = thing.model.objects.filter(pk=pk).first()
    if row is None:
        return None
    mine, start = thing.decisions(row), midnight(now, zone, days_ago=DAYS - 1)
    days = [start.astimezone(zone).date() + timedelta(days=i) for i in range(DAYS)]
    counted = _counted(mine, start, zone)
    totals = {code: sum(counted[day, code] for day in days) for code, _name, _slot in _SERIES}
    codes = {name: str(value) for name, value in mine.items()}
    hrefs = {code: links.decisions(start=start, end=None, zone=zone, would_be=code, **codes) for code in totals}
    return Observed(
        is_observing=thing.is_observing(row),
        title="Observing" if thing.is_observing(row) else "Observed only",
        sentence=_sentence(counted[days[-1], "block"], totals),
        week=sum(totals.values()),
        href=hrefs["block"] if totals["block"] else "",
        chart=drawing.stacked_bars(
            chart_id="observed-chart",
            name="What would have been stopped, by day",
            description=_sentence(counted[days[-1], "block"], totals),
            steps=[_step(day, zone, codes if counted[day, "block"] else None) for day in days],
            series=[
                drawing.Series(code, name, [counted[day, code] for day in days], slot, hrefs[code])
                for code, name, slot in _SERIES
            ],
        ),
    )


def _counted(mine: Mapping[str, Any], start: datetime, zone: tzinfo) -> Counter[tuple[date, str]]:
    # "Not empty" is what the index of observed decisions is about.
    rows = Decision.objects.filter(**mine, at__gte=start).exclude(would_be="")
    by_day = rows.annotate(day=TruncDate("at", tzinfo=zone)).order_by().values_list("day", "would_be")
    return Counter({(day, code): count for day, code, count in by_day.annotate(count=Count("pk"))})


def _sentence(today: int, totals: Mapping[str, int]) -> str:
    others = [f"{done} {totals[code]:,}" for code, done in _OTHERS if totals[code]]
    if not any(totals.values()):
        return f"It would have blocked nothing in {DAYS} days."
    said = f"It would have blocked {today:,} today, {totals['block']:,} in {DAYS} days"
    return f"{said}, and {' and '.join(others)}." if others else f"{said}."


def _step(day: date, zone: tzinfo, codes: Mapping[str, str] | None) -> drawing.Step:
    start = datetime(day.year, day.month, day.day, tzinfo=zone)
    following = day + timedelta(days=1)
    end = datetime(following.year, following.month, following.day, tzinfo=zone)
    blocked = links.decisions(start=start, end=end, zone=zone, would_be="block", **(codes or {}))
    return drawing.Step(f"{day:%a}", f"{day:%a} {day.day} {day:%b}", blocked if codes else "")
