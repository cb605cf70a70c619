"""Per agent: when UponAI last told of it by webhook, and which of its calls only UponAI's list told of.

A webhook of an agent's own replaces the account's, so a console on the account's hears nothing of such an agent.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import models
from django.utils import timezone
from django.utils.timesince import timesince

from monitoring.models import AgentSeen, Call

WRITTEN_EVERY: Final = timedelta(seconds=15)
MISSED_WITHIN: Final = timedelta(days=1)
EVENT_MAY_COME: Final = timedelta(minutes=2)
"""Within so long UponAI tries a webhook again and again: a younger call is not missed yet."""


@dataclass(frozen=True, slots=True)
class Silent:
    """An agent whose events do not arrive."""

    agent: str
    last_event_at: datetime | None
    missed: int
    sentence: str


def note_events(changes: Iterable[Any]) -> None:
    """Notes that events of these calls' agents came. In the transaction and scope of the caller."""
    newest: dict[str, datetime] = {}
    calls: dict[str, datetime] = {}
    references = []
    for change in changes:
        agent = change.after["agent"]
        if agent and change.events:
            at = max(event.received_at for event in change.events)
            newest[agent] = max(at, newest.get(agent, at))
            calls[agent] = max(change.after["started_at"], calls.get(agent, change.after["started_at"]))
        if change.before and change.before["told_by"] == Call.ToldBy.LIST:
            references.append(change.reference)
    if references:  # its webhook was late, not missing
        Call.objects.filter(call_reference__in=references).update(told_by=Call.ToldBy.WEBHOOK)
    _write(newest, calls)


def note_heard(newest: dict[str, datetime]) -> None:
    """Notes when these agents last had a call whose events came."""
    _write(newest, newest)


def note_calls(started: dict[str, datetime]) -> None:
    """Notes when these agents last had a call, as UponAI's list tells."""
    _write({}, started)


def _write(events: dict[str, datetime], calls: dict[str, datetime]) -> None:
    names = {*events, *calls}
    if not names:
        return
    rows = {row.agent: row for row in AgentSeen.objects.filter(agent__in=names)}
    AgentSeen.objects.bulk_create(
        [AgentSeen(agent=agent) for agent in sorted(names - rows.keys())], ignore_conflicts=True
    )
    for agent in sorted(names):
        row, later = rows.get(agent), {}
        for column, told in (("last_event_at", events), ("last_call_at", calls)):
            known = getattr(row, column) if row else None
            if agent in told and (known is None or told[agent] > known + WRITTEN_EVERY):
                later[column] = told[agent]
        if later:
            AgentSeen.objects.filter(agent=agent).update(**later)


def count_missed(*, since: datetime, now: datetime) -> None:
    """Counts anew, for every agent, the calls of the last day that no webhook told of."""
    window = (max(since, now - MISSED_WITHIN), now - EVENT_MAY_COME)
    listed = Call.objects.filter(told_by=Call.ToldBy.LIST, started_at__range=window).exclude(agent="")
    counted = listed.order_by().values("agent").annotate(missed=models.Count("id"), newest=models.Max("changed_at"))
    missed = {row["agent"]: row for row in counted}
    for seen in AgentSeen.objects.filter(models.Q(missed__gt=0) | models.Q(agent__in=missed)):
        found = missed.get(seen.agent, {"missed": 0, "newest": seen.missed_at})
        if seen.missed != found["missed"]:
            rows = AgentSeen.objects.filter(pk=seen.pk)
            rows.update(missed=found["missed"], missed_at=found["newest"])


def silent(now: datetime) -> list[Silent]:
    """The agents with calls of the last day that no webhook told of, those with the most first."""
    rows = AgentSeen.objects.filter(missed__gt=0).order_by("-missed", "agent")
    return [Silent(row.agent, row.last_event_at, row.missed, sentence(row, now)) for row in rows]


def sentence(row: AgentSeen, now: datetime) -> str:
    """What is to be said of an agent."""
    if not row.missed:
        if row.last_event_at is None:
            return f"{row.agent}: no event yet, and no call that one is missing of."
        return f"{row.agent}: its events arrive, the last {_ago(row.last_event_at, now)}."
    calls = "1 call" if row.missed == 1 else f"{row.missed} calls"
    if row.last_event_at and row.last_call_at and row.last_event_at > row.last_call_at - EVENT_MAY_COME:
        return f"{row.agent}: {calls} of the last 24 hours were seen only in UponAI's list, though other events arrive."
    since = f"no event since {_at(row.last_event_at)}" if row.last_event_at else "no event ever"
    return (
        f"{row.agent}: {since}, {calls} of the last 24 hours seen only in UponAI's list: "
        "its own webhook URL probably replaces the account's."
    )


def _at(moment: datetime) -> str:
    return f"{timezone.localtime(moment):%-d %b %H:%M}"


def _ago(moment: datetime, now: datetime) -> str:
    return f"{timesince(moment, now, depth=1)} ago" if (now - moment).total_seconds() >= 60 else "just now"
