"""The page of one country: what went there and came from there, why it was blocked, by which numbers, and who may."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Any, Final

from django.db.models import Count, Sum
from django.db.models.functions import TruncDate
from django.urls import reverse

from accounts.components import Sentence
from accounts.countries import exposure_tier, flag, is_sanctioned, name_of, price_per_minute
from monitoring.dashboards import drawing, links
from monitoring.dashboards.period import midnight
from monitoring.dashboards.traffic import DAYS, Share, by_day, shares, step
from monitoring.models import BlockedCall, Call, UsageBucket
from policies import words
from policies.models import CountryPolicy, PhoneNumber

NUMBERS: Final = 10
NUMBERS_SINCE: Final = timedelta(days=1)
"""Counted from raw rows, of which a busy country has too many in a week."""
_CALLS_SLOT, _BLOCKED_SLOT = 4, 1


@dataclass(frozen=True, slots=True)
class Allowing:
    """A country policy, and whether the country may call its numbers and be called from them."""

    name: str
    href: str
    phone_numbers: int
    inbound: bool
    outbound: bool


@dataclass(frozen=True, slots=True)
class NumberShare:
    number: words.WrittenNumber
    calls: int
    blocked: int
    calls_href: str
    blocked_href: str


@dataclass(frozen=True, slots=True)
class CountryPage:
    code: str
    name: str
    flag: str
    sentence: Sentence
    minutes: str
    cost: str
    price: str
    tier: str
    calls_href: str
    blocked_href: str
    reasons: tuple[Share, ...]
    chart: drawing.StackedBars
    numbers: tuple[NumberShare, ...]
    policies: tuple[Allowing, ...]
    open_href: str
    hold_href: str


def country_page(code: str, *, now: datetime, zone: tzinfo) -> CountryPage:
    start = midnight(now, zone, days_ago=DAYS - 1)
    calls, blocked, seconds, cents = _week(code, start, zone)
    policies = _policies(code)
    span = {"start": start, "end": None, "zone": zone, "country": code}
    value = f"?scope=country&value={code}"
    return CountryPage(
        code=code,
        name=name_of(code),
        flag=flag(code),
        sentence=_sentence(code, calls.total(), blocked.total(), policies),
        minutes=drawing.count(round(seconds / 60)),
        cost=f"${cents / 100:,.2f}",
        price=f"${price_per_minute(code):,.2f} a minute",
        tier=exposure_tier(code).name.replace("_", " ").capitalize(),
        calls_href=links.calls(**span),
        blocked_href=links.blocked(**span),
        reasons=shares(blocked, lambda one: Share(words.reason(one), 0, links.blocked(**span, reason=one))),
        chart=_chart(code, calls, blocked, start, zone),
        numbers=_numbers(code, now - NUMBERS_SINCE, zone),
        policies=policies,
        open_href="" if is_sanctioned(code) else f"{reverse('admin:policies_open_add')}{value}",
        hold_href="" if is_sanctioned(code) else f"{reverse('admin:policies_hold_add')}{value}",
    )


_Counted = Counter[tuple[date, str]]


def _week(code: str, start: datetime, zone: tzinfo) -> tuple[_Counted, _Counted, int, Decimal]:
    """Calls and blocked attempts by day and reason, seconds and cents."""
    rows = UsageBucket.objects.filter(country=code, hour__gte=start).order_by()
    keyed = rows.annotate(day=TruncDate("hour", tzinfo=zone)).values_list("day", "outcome", "reason")
    calls: _Counted = Counter()
    blocked: _Counted = Counter()
    seconds, cents = 0, Decimal(0)
    for day, outcome, reason, number, length, cost in keyed.annotate(Sum("calls"), Sum("seconds"), Sum("cost_cents")):
        (blocked if outcome == UsageBucket.Outcome.BLOCKED else calls)[day, reason] += number
        seconds, cents = seconds + length, cents + cost
    return calls, blocked, seconds, cents


def _sentence(code: str, calls: int, blocked: int, policies: Iterable[Allowing]) -> Sentence:
    counted = f"{drawing.count(calls)} call{'s' * (calls != 1)} and {drawing.count(blocked)} blocked in {DAYS} days"
    text = f"{name_of(code)}: {counted}."
    if is_sanctioned(code):
        detail = "It is on the platform sanctions list: blocked in both directions, whatever a policy says."
        return Sentence("danger" if calls else "quiet", text, detail)
    inbound = sum(policy.phone_numbers for policy in policies if policy.inbound)
    outbound = sum(policy.phone_numbers for policy in policies if policy.outbound)
    may_call = f"{_numbers_in_words(inbound)} may be called from there"
    return Sentence(
        "quiet" if not blocked else "notice", text, f"{may_call}, {_numbers_in_words(outbound)} may call it."
    )


def _numbers_in_words(count: int) -> str:
    return "no number" if not count else f"{count:,} number{'s' * (count != 1)}"


def _chart(code: str, calls: _Counted, blocked: _Counted, start: datetime, zone: tzinfo) -> drawing.StackedBars:
    first = start.astimezone(zone).date()
    days = [first + timedelta(days=i) for i in range(DAYS)]
    about = {"country": code}
    span: Mapping[str, Any] = {"start": start, "end": None, "zone": zone, **about}
    return drawing.stacked_bars(
        chart_id="country-traffic",
        name=f"Calls and blocked attempts with {name_of(code)} by day",
        description=f"{calls.total()} calls and {blocked.total()} blocked attempts in {DAYS} days.",
        steps=[step(day, about, zone) for day in days],
        series=[
            drawing.Series("calls", "Calls", by_day(calls, days), _CALLS_SLOT, links.calls(**span)),
            drawing.Series("blocked", "Blocked", by_day(blocked, days), _BLOCKED_SLOT, links.blocked(**span)),
        ],
    )


def _numbers(code: str, since: datetime, zone: tzinfo) -> tuple[NumberShare, ...]:
    counts: dict[str, list[int]] = {}
    calls = Call.objects.filter(country=code, started_at__gte=since)
    blocked = BlockedCall.objects.filter(country=code, at__gte=since)
    for place, rows in enumerate((calls, blocked)):
        counted = rows.exclude(phone_number="").order_by().values_list("phone_number").annotate(count=Count("pk"))
        for number, count in counted.order_by("-count", "phone_number")[:NUMBERS]:
            counts.setdefault(number, [0, 0])[place] = count
    busiest = sorted(counts.items(), key=lambda entry: (-sum(entry[1]), entry[0]))[:NUMBERS]
    pages = dict(PhoneNumber.objects.filter(e164__in=[number for number, _ in busiest]).values_list("e164", "pk"))
    span: Mapping[str, Any] = {"start": since, "end": None, "zone": zone, "country": code}
    return tuple(
        NumberShare(
            words.own_number(number, href=_page_of(pages.get(number))),
            *both,
            links.calls(**span, phone_number=number),
            links.blocked(**span, phone_number=number),
        )
        for number, both in busiest
    )


def _page_of(pk: int | None) -> str:
    return reverse("admin:policies_phonenumber_change", args=[pk]) if pk else ""


def _policies(code: str) -> tuple[Allowing, ...]:
    """Those that let it in or out, the ones with the most numbers first."""
    rows = CountryPolicy.objects.select_related("current_revision").annotate(numbers=Count("phone_numbers"))
    found = [
        Allowing(
            name=row.name,
            href=reverse("admin:policies_countrypolicy_change", args=[row.pk]),
            phone_numbers=row.numbers,
            inbound=_allows(row.current_revision.inbound, code),
            outbound=_allows(row.current_revision.outbound, code),
        )
        for row in rows
        if row.current_revision
    ]
    return tuple(
        sorted((one for one in found if one.inbound or one.outbound), key=lambda one: (-one.phone_numbers, one.name))
    )


def _allows(rules: Mapping[str, Any], code: str) -> bool:
    if is_sanctioned(code):
        return False
    return rules.get("mode") == "unrestricted" or code in rules.get("countries", ())
