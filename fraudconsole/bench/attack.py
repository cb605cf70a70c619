"""The ten-dollar attack: what somebody who dials minor UK mobiles through a web form costs, and whom it hurts.

Nothing is played but UponAI and the captcha's verifier: gunicorn, worker, live store and database are the console's.
"""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import httpx
from django.db import connection

from accounts.countries import price_per_minute
from accounts.scoping import scoped
from fraudconsole.bench import console, visitors
from fraudconsole.bench.console import Console, Customer
from fraudconsole.bench.measuring import QUICK, Size, Table
from fraudconsole.bench.scratch import Place
from fraudconsole.bench.verifier import ORIGIN
from fraudconsole.bench.visitors import HOUR_SECONDS, Submission
from policies.engine import limits
from policies.models import Decision

FROM_HOUR: Final = 9  # the six busiest hours of the customer's day
COUNTRIES: Final = ["US", "CA", "GB", "MX"]
LINES: Final = 40  # of both workspaces together, since the sandbox has one account: 20 each
ATTACK, USUAL, CONTROL = "attack", "usual, meanwhile", "the same, without attack"
GROUPS: Final = (ATTACK, USUAL, CONTROL)
ATTACKED_PRICE: Final = 0.25
"""US dollars a minute for a minor UK mobile operator's range; the country's usual price hides it."""
AGENT_PRICE: Final = 0.10
AIM_DOLLARS: Final = 5.0
SETTLING_SECONDS: Final = 30.0
RECORDING_SECONDS: Final = 20.0
PAGE: Final = 1000


@dataclass(frozen=True, slots=True)
class Scale:
    """How long it lasts by the sandbox's clock, and how much faster than ours that runs. Every window of the factory
    limits must be whole seconds when divided by the speed."""

    hours: float
    speed: int

    @property
    def seconds(self) -> float:
        return self.hours * HOUR_SECONDS


FULL_SCALE: Final = Scale(hours=6, speed=75)
QUICK_SCALE: Final = Scale(hours=1, speed=30)


@dataclass(slots=True)
class Attempt:
    """One submission and what became of it."""

    submission: Submission
    status: int = 0
    decision_id: str = ""
    call_id: str = ""
    call: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""

    @property
    def is_connected(self) -> bool:
        return "start_timestamp" in self.call


Found = Mapping[str, list[Attempt]]


def measure(place: Place, size: Size, chance: random.Random) -> list[Table]:
    scale = QUICK_SCALE if size == QUICK else FULL_SCALE
    a_day = chance.uniform(*visitors.A_DAY)
    usual = visitors.usual(chance, seconds=scale.seconds, from_hour=FROM_HOUR, a_day=a_day)
    plan = {ATTACK: visitors.attack(chance, seconds=scale.seconds), USUAL: usual, CONTROL: usual}
    with console.running(place) as running:
        attacked, quiet = _make_customers(scale)
        _prepare_sandbox(running, [attacked, quiet], scale, chance)
        customers = {ATTACK: attacked, USUAL: attacked, CONTROL: quiet}
        found = asyncio.run(_submit_all(running, customers, plan, scale))
        _wait_for_calls(running)
        calls = _calls(running)
        for attempts in found.values():
            for attempt in attempts:
                attempt.call = calls.get(attempt.call_id, {})
        _add_reasons([attacked, quiet], found)
    # Also those whose caller was told something else: what UponAI has is what is paid for.
    attackers = [call for call in calls.values() if call["to_number"].startswith(visitors.ATTACKED_PREFIX)]
    return [_outcome_table(found, attackers, scale, a_day), _reasons_table(found)]


def factory_limits(scale: Scale) -> dict[str, dict[str, float]]:
    """What holds for a key that nobody has edited, on the clock of the sandbox: the gate counts in real time."""
    found = {}
    for name, limit in limits.KEY_DEFAULTS.items():
        if limit is None:
            continue
        window = limit.window_seconds / scale.speed
        if window != int(window):
            raise ValueError(f"{name}: {limit.window_seconds} s at speed {scale.speed} are no whole seconds")
        found[name.value] = limits.Limit(limit.limit, int(window)).as_dict()
    return found


def _make_customers(scale: Scale) -> list[Customer]:
    return [
        console.make_customer(
            slug=slug,
            phone_number=number,
            countries=COUNTRIES,
            limits=factory_limits(scale),
            now=datetime.now(UTC),
        )
        for slug, number in (("attacked", "+14155550190"), ("quiet", "+14155550191"))
    ]


def _prepare_sandbox(running: Console, customers: Sequence[Customer], scale: Scale, chance: random.Random) -> None:
    numbers = [
        {"phone_number": one.phone_number, "outbound_agents": [{"agent_id": one.agent, "weight": 1}]}
        for one in customers
    ]
    running.control("numbers", numbers=numbers)
    durations = {
        "+": visitors.lengths(chance, median=120, sigma=0.8),
        visitors.ATTACKED_PREFIX: visitors.lengths(chance, median=300, sigma=0.6),
    }
    events = {one.agent: f"{running.url}/hooks/{one.workspace.endpoint}/events" for one in customers}
    running.control(
        "settings",
        "PUT",
        clock_speed=scale.speed,
        clock_offset_ms=-round((scale.seconds - scale.seconds / scale.speed) * 1000),  # at the end it is now
        call_seconds_by_prefix=durations,
        agent_webhook_urls=events,
        base_concurrency=LINES,
    )


async def _submit_all(
    running: Console, customers: Mapping[str, Customer], plan: Mapping[str, Sequence[Submission]], scale: Scale
) -> dict[str, list[Attempt]]:
    """Everybody at their time, whatever became of the others."""
    found = {group: [Attempt(submission) for submission in plan[group]] for group in GROUPS}
    due = sorted(
        ((attempt.submission.at, group, attempt) for group, attempts in found.items() for attempt in attempts),
        key=lambda entry: entry[0],
    )
    # A connection each, as from different browsers: one kept open may be closed by the server when it is used again.
    connections = httpx.Limits(max_connections=60, max_keepalive_connections=0)
    async with httpx.AsyncClient(base_url=running.url, timeout=30, limits=connections) as client:
        started = time.monotonic()
        under_way = []
        for at, group, attempt in due:
            await asyncio.sleep(max(0.0, started + at / scale.speed - time.monotonic()))
            under_way.append(asyncio.create_task(_submit(client, customers[group], attempt)))
        await asyncio.gather(*under_way)
        await asyncio.sleep(max(0.0, started + scale.seconds / scale.speed - time.monotonic()))
    return found


async def _submit(client: httpx.AsyncClient, customer: Customer, attempt: Attempt) -> None:
    headers = {
        "Authorization": f"Bearer {customer.key.key}",
        "Origin": ORIGIN,
        "X-Captcha-Token": f"solved-{uuid.uuid4().hex}",
        "X-Forwarded-For": attempt.submission.ip,
    }
    body = {"to_number": attempt.submission.number}
    try:
        answer = await client.post("/gate/v2/create-phone-call", headers=headers, json=body)
        said = answer.json()
    except (httpx.HTTPError, ValueError) as trouble:
        attempt.reason = type(trouble).__name__
        return
    attempt.status = answer.status_code
    attempt.decision_id = answer.headers.get("X-Decision-Id") or said.get("decision_id") or ""
    attempt.call_id = said.get("call_id", "")
    attempt.reason = "" if answer.is_success else str(said.get("code"))


def _wait_for_calls(running: Console) -> None:
    """What still runs when the time is up is paid for as well."""
    deadline = time.monotonic() + SETTLING_SECONDS
    while time.monotonic() < deadline:
        answer = running.sandbox.get("get-concurrency")
        if answer.json()["current_concurrency"] == 0:
            return
        time.sleep(0.2)


def _calls(running: Console) -> dict[str, Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = {}
    cursor = None
    while True:
        body = {"limit": PAGE} | ({"pagination_key": cursor} if cursor else {})
        page = running.sandbox.post("v3/list-calls", json=body).json()
        found |= {call["call_id"]: call for call in page["items"]}
        cursor = page.get("pagination_key")
        if not cursor:
            return found


def _add_reasons(customers: Iterable[Customer], found: Found) -> None:
    """From the console's own rows: a key is told less than what it was refused for."""
    refused = [one for attempts in found.values() for one in attempts if not one.call_id and one.decision_id]
    reasons: dict[str, str] = {}
    deadline = time.monotonic() + RECORDING_SECONDS
    while len(reasons) < len(refused) and time.monotonic() < deadline:
        for customer in customers:
            with scoped(customer.workspace.pk):
                rows = Decision.objects.exclude(reason="").values_list("decision_id", "reason")
                reasons |= {str(decision_id): reason for decision_id, reason in rows}
        connection.close()
        time.sleep(0.5)
    for attempt in refused:
        attempt.reason = reasons.get(attempt.decision_id, attempt.reason)


# --- Tables ---------------------------------------------------------------------------------------


def _outcome_table(found: Found, attackers: Sequence[Mapping[str, Any]], scale: Scale, a_day: float) -> Table:
    table = Table(f"The ten-dollar attack: {scale.hours:g} h of a workspace's first day", ("", *GROUPS))
    allowed = {group: [one for one in found[group] if one.submission.country in COUNTRIES] for group in GROUPS}
    rows = {
        "attempts": {group: f"{len(found[group]):,}" for group in GROUPS},
        "connected": {group: _share(found[group]) for group in GROUPS},
        "connected, of those to countries that the policy allows": {group: _share(allowed[group]) for group in GROUPS},
        "minutes connected": {group: f"{_seconds(found[group]) / 60:.1f}" for group in GROUPS},
        "US dollars, as the sandbox bills": {group: f"{_billed(_own(found[group])):.2f}" for group in GROUPS},
        "US dollars, at the price of what was dialled": {group: f"{_priced(found[group]):.2f}" for group in GROUPS},
        "most running at once": {group: str(_most_running(_own(found[group]))) for group in GROUPS},
    }
    table.rows += [(name, *(by_group[group] for group in GROUPS)) for name, by_group in rows.items()]
    spent = max(_billed(attackers), _priced_calls(attackers))
    kept = [one.is_connected for one in allowed[USUAL]]
    table.notes += [
        f"Spent on the attack in all: ${spent:.2f} (aim: at most ${AIM_DOLLARS:.0f}), the dearer of the two ways to "
        f"count, with the calls that were running at the end. Usual attempts connected: {sum(kept)} of {len(kept)} "
        "(aim: 99 %).",
        _first_words(found[ATTACK]),
        f"{scale.hours:g} hours in {scale.seconds / scale.speed:.0f} s: the sandbox's clock runs {scale.speed} × as "
        "fast. The gate counts in real time, so the windows of the factory limits, set on the workspace, are divided "
        f"by {scale.speed}; the lengths of calls are the sandbox's. An event that takes 0.1 s counts as "
        f"{0.1 * scale.speed:g} s here, for which a line stays taken: this is harder on usual traffic than life.",
        f"The attack: valid numbers {visitors.ATTACKED_PREFIX}…, each once, from {visitors.ATTACKERS_ADDRESSES} "
        f"addresses, captchas solved, calls of 300 s (median); ${ATTACKED_PRICE} a minute and ${AGENT_PRICE:.2f} for "
        f"the agent. Usual traffic: {a_day:.0f} submissions a day, from {FROM_HOUR} o'clock on, calls of 120 s "
        f"(median), everybody picks up. One key serves both; {' '.join(COUNTRIES)} are open; nobody watches.",
    ]
    return table


def _reasons_table(found: Found) -> Table:
    table = Table("What was refused, and for what first", ("", *GROUPS))
    lost = {group: [one for one in found[group] if not one.is_connected] for group in GROUPS}
    counts = {group: Counter(map(_what, lost[group])) for group in GROUPS}
    for reason in sorted(set().union(*counts.values())):
        table.rows.append((reason, *(f"{counts[group][reason]:,}" for group in GROUPS)))
    where = Counter(f"{one.submission.country}, {_what(one)}" for one in lost[USUAL])
    told = "; ".join(f"{what}: {count}" for what, count in sorted(where.items())) or "none"
    table.notes.append(f"Usual attempts that were not connected during the attack: {told}.")
    return table


def _what(attempt: Attempt) -> str:
    if attempt.call_id:
        return f"dialled, {attempt.call.get('disconnection_reason', 'and not seen')}"
    return f"{attempt.reason or 'no answer'} ({attempt.status})"


def _first_words(attempts: Sequence[Attempt]) -> str:
    connected = [one.submission.at / 60 for one in attempts if one.is_connected]
    refused = next((one for one in attempts if not one.is_connected), None)
    at = ", ".join(f"{minute:.0f}" for minute in connected[:12])
    more = f" … {connected[-1]:.0f}" if len(connected) > 12 else ""
    first = f"{_what(refused)} in minute {refused.submission.at / 60:.0f}" if refused else "none"
    return f"Attack calls connected in minutes {at or 'none'}{more}; the first refusal: {first}."


def _share(attempts: Sequence[Attempt]) -> str:
    connected = sum(one.is_connected for one in attempts)
    return f"{connected:,} of {len(attempts):,} ({connected / max(1, len(attempts)):.1%})"


def _own(attempts: Iterable[Attempt]) -> list[Mapping[str, Any]]:
    return [one.call for one in attempts if one.is_connected]


def _seconds(attempts: Iterable[Attempt]) -> float:
    return sum(one.call.get("duration_ms", 0) / 1000 for one in attempts)


def _billed(calls: Iterable[Mapping[str, Any]]) -> float:
    return sum((call.get("call_cost") or {}).get("combined_cost", 0) for call in calls) / 100


def _priced(attempts: Iterable[Attempt]) -> float:
    return _priced_calls(_own(attempts), {one.call_id: one.submission.country for one in attempts})


def _priced_calls(calls: Iterable[Mapping[str, Any]], countries: Mapping[str, str] | None = None) -> float:
    return sum(
        _carrier_price(call, (countries or {}).get(call["call_id"], "GB")) * call.get("duration_ms", 0) / 60_000
        for call in calls
    )


def _carrier_price(call: Mapping[str, Any], country: str) -> float:
    is_attacked = call["to_number"].startswith(visitors.ATTACKED_PREFIX)
    return AGENT_PRICE + (ATTACKED_PRICE if is_attacked else float(price_per_minute(country)))


def _most_running(calls: Iterable[Mapping[str, Any]]) -> int:
    """At once, by when they began and ended."""
    changes = sorted(
        change
        for call in calls
        for change in ((call["start_timestamp"], 1), (call["start_timestamp"] + call.get("duration_ms", 0), -1))
    )
    most = now = 0
    for _, change in changes:
        now += change
        most = max(most, now)
    return most
