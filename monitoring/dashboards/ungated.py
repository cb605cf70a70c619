"""What did not pass the gate: how much, since when, where to, and which way around it probably took."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from django.db import models
from django.utils import timezone

from accounts.countries import CODES, name_of
from monitoring.ingest import pull
from monitoring.models import Call, PullProgress

Way = Call.WayAround
PERIODS: Final = {"24h": timedelta(days=1), "7d": timedelta(days=7), "30d": timedelta(days=30)}
WORDS: Final = {"24h": "the last 24 hours", "7d": "the last 7 days", "30d": "the last 30 days"}
NEWEST: Final = 50
NAMED: Final = 3
MOST_GROUPS: Final = 10
BEHIND: Final = 6 * pull.EVERY

WHAT_TO_DO: Final = {
    Way.PRIVATE_KEY: (
        "It is in other hands, or a system of yours uses it. Make a new key in UponAI's dashboard, enter it in this "
        "workspace's settings, then delete the old one there."
    ),
    Way.BATCH: (
        "UponAI dials them without asking the gate. Have batches judged before (POST /gate/v1/judge), or declare them."
    ),
    Way.PUBLIC_KEY: (
        "A web page still uses one of UponAI's own public keys. Give it a gate key of this console, then delete "
        "UponAI's key in its dashboard."
    ),
    Way.REGISTERED: "Have the trunk's calls judged before (POST /gate/v1/judge), or declare the trunk.",
}
LIKELY: Final = {
    Way.PRIVATE_KEY: "probably started with UponAI's private key",
    Way.BATCH: "dialled by a batch",
    Way.PUBLIC_KEY: "probably started with one of UponAI's own public keys",
    Way.REGISTERED: "probably registered for an own SIP trunk",
}


@dataclass(frozen=True, slots=True)
class Group:
    """Those that went one way, came from one number, or were led by one agent."""

    value: str
    calls: int
    cents: Decimal
    newest: datetime


@dataclass(frozen=True, slots=True)
class Ungated:
    """What did not pass the gate since a moment, without what declared senders started."""

    since: datetime
    calls: int
    cents: Decimal
    first_at: datetime | None
    countries: list[str]
    ways: list[Group]
    agents: list[Group]
    phone_numbers: list[Group]
    known: int


def ungated(since: datetime) -> Ungated:
    """Needs the scope of the workspace."""
    rows = Call.objects.filter(started_at__gte=since, gating=Call.Gating.UNGATED)
    total = rows.aggregate(calls=models.Count("id"), cents=models.Sum("cost_cents"), first=models.Min("started_at"))
    places = rows.exclude(country="").values("country").annotate(calls=models.Count("id")).order_by("-calls", "country")
    return Ungated(
        since=since,
        calls=total["calls"],
        cents=total["cents"] or Decimal(0),
        first_at=total["first"],
        countries=[row["country"] for row in places[:MOST_GROUPS]],
        ways=_groups(rows, "way_around"),
        agents=_groups(rows, "agent"),
        phone_numbers=_groups(rows, "phone_number"),
        known=Call.objects.filter(started_at__gte=since, gating=Call.Gating.KNOWN).count(),
    )


def newest(since: datetime) -> list[Call]:
    rows = Call.objects.filter(started_at__gte=since, gating=Call.Gating.UNGATED)
    return list(rows.order_by("-started_at", "-id")[:NEWEST])


def _groups(rows: models.QuerySet[Call], column: str) -> list[Group]:
    counted = rows.exclude(**{column: ""}).values(value=models.F(column))
    counted = counted.annotate(
        calls=models.Count("id"), cents=models.Sum("cost_cents"), newest=models.Max("started_at")
    )
    return [Group(**row) for row in counted.order_by("-calls", "value")[:MOST_GROUPS]]


# --- In words -------------------------------------------------------------------------------------


def headline(found: Ungated, period: str) -> str:
    """ "14 calls since 09:12 did not pass the gate, $3.20, to Latvia and Gambia." """
    if not found.calls or found.first_at is None:
        return f"Everything that was started in {WORDS[period]} passed the gate."
    calls = "1 call" if found.calls == 1 else f"{found.calls:,} calls"
    return f"{calls} since {_moment(found.first_at)} did not pass the gate, {dollars(found.cents)}{_places(found)}."


def advice(found: Ungated) -> str:
    """What the worst of them probably were, and what to do about it."""
    if not found.ways:
        known = f" {found.known:,} were started by senders that were declared." if found.known else ""
        return f"UponAI's lists are read every {int(pull.EVERY.total_seconds())} seconds.{known}"
    worst = next((group for group in found.ways if group.value == Way.PRIVATE_KEY), found.ways[0])
    way = Way(worst.value)
    who = "All" if worst.calls == found.calls else f"{worst.calls:,} of them"
    who = "It" if found.calls == 1 else who
    verb = "was" if worst.calls == 1 else "were"
    return f"{who} {verb} {LIKELY[way]}. {WHAT_TO_DO[way]}"


def trouble(now: datetime) -> str:
    """Why it is not known just now what passed the gate by; empty where it is."""
    rows = list(PullProgress.objects.order_by("kind"))
    if not rows or any(row.read_until is None for row in rows):
        first = next((row.error for row in rows if row.error), "")
        return f"UponAI's lists of calls and chats were not read yet. {first}".strip()
    oldest = min((row for row in rows if row.read_until), key=lambda row: row.read_until or now)
    if oldest.read_until and oldest.read_until < now - BEHIND:
        return (
            f"UponAI's list of {oldest.get_kind_display().lower()} was last read {_moment(oldest.read_until)}, "
            f"so later ones are known only where events told of them. {oldest.error}"
        ).strip()
    return ""


def dollars(cents: Decimal) -> str:
    return f"${cents / 100:,.2f}"


def _places(found: Ungated) -> str:
    names = [name_of(code) if code in CODES else "no country" for code in found.countries]
    if not names:
        return ""
    if len(names) > NAMED:
        return f", to {', '.join(names[:NAMED])} and {len(names) - NAMED} more"
    return f", to {' and '.join([', '.join(names[:-1]), names[-1]] if len(names) > 1 else names)}"


def _moment(at: datetime) -> str:
    local = timezone.localtime(at)
    is_today = local.date() == timezone.localdate()
    return f"{local:%H:%M}" if is_today else f"{local:%-d %b %H:%M}"
