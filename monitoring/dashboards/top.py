"""Who stands out in the period: our numbers, public keys, countries, and the numbers of the other side."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.db.models import Case, F, OuterRef, Q, Subquery, Sum, Value, When, Window
from django.db.models.functions import RowNumber

from accounts.countries import flag, name_of
from accounts.models import PublicKey
from monitoring.dashboards import drawing, links
from monitoring.dashboards.counts import CountryTotal
from monitoring.dashboards.period import Period
from monitoring.ingest import parties
from monitoring.models import PartyBucket, UsageBucket
from policies import words

SHOWN = 5
_Kind = PartyBucket.Kind


class Rank(StrEnum):
    BLOCKED = "blocked"
    CALLS = "calls"
    MONEY = "money"


RANKS: Mapping[Rank, str] = {Rank.BLOCKED: "Most blocked", Rank.CALLS: "Most calls", Rank.MONEY: "Most money"}


@dataclass(frozen=True, slots=True)
class Party:
    """One line of one list. `number` where it is a phone number, to be written as people do."""

    name: str
    number: words.WrittenNumber | None
    flag: str
    amount: float
    href: str


@dataclass(frozen=True, slots=True)
class Line:
    party: Party
    value: str
    share: int


@dataclass(frozen=True, slots=True)
class TopList:
    title: str
    lines: tuple[Line, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Tab:
    label: str
    href: str
    current: bool


@dataclass(frozen=True, slots=True)
class Top:
    tabs: tuple[Tab, ...]
    lists: tuple[TopList, ...]


def rank_of(name: str | None) -> Rank:
    return next((rank for rank in Rank if rank.value == name), Rank.BLOCKED)


def top(period: Period, countries: Iterable[CountryTotal], rank: Rank, **asked: str) -> Top:
    """Over the whole hours that the period touches. One query; `countries` were read for the map."""
    found = _parties(period, rank)
    places = [_country(row, period, rank) for row in countries if row.code]
    lists = (
        _list("Our numbers", found[_Kind.PHONE_NUMBER], rank),
        _list("Countries", places, rank),
        _list("Callers and called", found[_Kind.PEER], rank, "At least: only the busiest of each hour are counted."),
        _list("Public keys", found[_Kind.PUBLIC_KEY], rank),
    )
    tabs = tuple(Tab(label, links.home(period, **asked | {"top": one}), one == rank) for one, label in RANKS.items())
    return Top(tabs, lists)


def _parties(period: Period, rank: Rank) -> Mapping[str, Sequence[Party]]:
    start, end = period.whole_hours
    blocked = Q(outcome=UsageBucket.Outcome.BLOCKED)
    rows = PartyBucket.objects.filter(parties.within(start, end), blocked if rank == Rank.BLOCKED else ~blocked)
    names = PublicKey.objects.filter(workspace=OuterRef("workspace"), key=OuterRef("value")).values("name")[:1]
    named = Case(When(kind=_Kind.PUBLIC_KEY, then=Subquery(names)), default=Value(""))
    rows = rows.order_by().annotate(name=named).values("kind", "value", "name")
    rows = rows.annotate(amount=Sum("cost_cents" if rank == Rank.MONEY else "calls"))
    place = Window(RowNumber(), partition_by=F("kind"), order_by=[F("amount").desc(), F("value")])
    found: dict[str, list[Party]] = defaultdict(list)
    for row in rows.annotate(place=place).filter(place__lte=SHOWN).order_by("kind", "place"):
        found[row["kind"]].append(_party(row, period, rank))
    return found


def _party(row: Mapping[str, Any], period: Period, rank: Rank) -> Party:
    kind, value = row["kind"], row["value"]
    return Party(
        name=row["name"] or value,
        number=_NUMBERS[kind](value) if kind in _NUMBERS else None,
        flag="",
        amount=float(row["amount"]) / 100 if rank == Rank.MONEY else row["amount"],
        href=_behind(period, rank)(**{_COLUMNS[kind]: value}),
    )


_COLUMNS: Mapping[str, str] = {
    _Kind.PHONE_NUMBER: "phone_number",
    _Kind.PUBLIC_KEY: "public_key",
    _Kind.PEER: "peer",
}
_NUMBERS: Mapping[str, Callable[[str], words.WrittenNumber]] = {
    _Kind.PHONE_NUMBER: words.own_number,
    _Kind.PEER: lambda value: words.peer(value, value, ""),
}


def _country(row: CountryTotal, period: Period, rank: Rank) -> Party:
    href = _behind(period, rank)(country=row.code)
    amount = {Rank.BLOCKED: row.blocked, Rank.CALLS: row.calls, Rank.MONEY: row.dollars}[rank]
    return Party(name_of(row.code), None, flag(row.code), amount, href)


def _behind(period: Period, rank: Rank) -> Callable[..., str]:
    """The list that the amounts come from."""
    start, end = period.whole_hours
    which = links.blocked if rank == Rank.BLOCKED else links.calls
    return lambda **codes: which(start=start, end=end, zone=period.zone, **codes)


def _list(title: str, found: Iterable[Party], rank: Rank, note: str = "") -> TopList:
    ranked = sorted((one for one in found if one.amount), key=lambda one: (-one.amount, one.name))[:SHOWN]
    most = ranked[0].amount if ranked else 1
    lines = tuple(Line(one, _write(one.amount, rank), round(100 * one.amount / most)) for one in ranked)
    return TopList(title, lines, note)


def _write(amount: float, rank: Rank) -> str:
    return f"${amount:,.2f}" if rank == Rank.MONEY else drawing.count(amount)
