"""What one end user has tried to call in the last thirty days: where to, what became of it, and the newest attempts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Count, Sum
from django.urls import reverse

from accounts.countries import flag, name_of
from accounts.models import KycRecord, Subject
from policies import words
from policies.models import Decision

DAYS: Final = 30
NEWEST: Final = 8
MOST_PLACES: Final = 12
_PASSED: Final = ("allow", "guard")


@dataclass(frozen=True, slots=True)
class Place:
    """One country, and whether the subject declared it."""

    name: str
    flag: str
    passed: int
    stopped: int
    declared: bool


@dataclass(frozen=True, slots=True)
class Tried:
    at: datetime
    what: str
    to: words.WrittenNumber
    verdict: str
    reason: str
    href: str


@dataclass(frozen=True, slots=True)
class SubjectTraffic:
    sentence: str
    places: tuple[Place, ...]
    newest: tuple[Tried, ...]


def traffic(subject: Subject, *, now: datetime) -> SubjectTraffic:
    # Said twice: so the index of decisions with an end user is the one that is read.
    mine = Decision.objects.filter(subject=subject.reference, at__gte=now - timedelta(days=DAYS)).exclude(subject="")
    places = _places(mine.values_list("country", "verdict").annotate(count=Count("pk")).order_by(), _declared(subject))
    newest = mine.order_by("-at", "-id")[:NEWEST]
    reserved = mine.filter(verdict__in=_PASSED).aggregate(sum=Sum("reserved_micro"))["sum"] or 0
    return SubjectTraffic(_sentence(places, reserved), places[:MOST_PLACES], tuple(_tried(row) for row in newest))


def _declared(subject: Subject) -> set[str]:
    rows = KycRecord.objects.filter(subject=subject)
    return {country.code for row in rows.only("declared_countries") for country in row.declared_countries}


def _places(counted: Iterable[tuple[str, str, int]], declared: set[str]) -> tuple[Place, ...]:
    by_country: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for code, verdict, count in counted:
        by_country[code][0 if verdict in _PASSED else 1] += count
    found = [
        Place(
            name=name_of(code) if code else "No country",
            flag=flag(code) if code else "",
            passed=passed,
            stopped=stopped,
            declared=code in declared,
        )
        for code, (passed, stopped) in by_country.items()
    ]
    return tuple(sorted(found, key=lambda place: (-place.passed - place.stopped, place.name)))


def _sentence(places: tuple[Place, ...], reserved: int) -> str:
    passed, stopped = sum(place.passed for place in places), sum(place.stopped for place in places)
    if not passed + stopped:
        return f"Nothing in {DAYS} days."
    total = passed + stopped
    said = f"{total:,} attempt{'s' if total != 1 else ''} in {DAYS} days: {passed:,} let through, {stopped:,} stopped"
    outside = sum(place.passed + place.stopped for place in places if not place.declared and place.flag)
    money = f", for at most ${reserved / 1_000_000:,.2f}" if reserved else ""
    beyond = f" {outside:,} went to countries that were not declared." if outside else ""
    return f"{said}{money}.{beyond}"


def _tried(decision: Decision) -> Tried:
    sides = words.sides(decision)
    return Tried(
        at=decision.at,
        what=words.attempt(decision.direction, decision.channel),
        to=sides["receiver"] if decision.direction == "outbound" else sides["sender"],
        verdict=decision.verdict,
        reason=words.reason(decision.reason) if decision.reason else "",
        href=reverse("admin:policies_decision_change", args=[decision.pk]),
    )
