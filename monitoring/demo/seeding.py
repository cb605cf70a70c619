"""The order in which the demo comes to be. What it does is in founding, phone_numbers and history.

Every run brings the demo to the same state: what is there is left alone, what is missing is added.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.conf import settings
from redis.exceptions import RedisError

from accounts.models import User, Workspace
from monitoring.demo import cast, end_users, founding, history, phone_numbers, today
from monitoring.demo.history import Written
from policies.gate.rebuild import rebuild

Tell = Callable[[str, int, int], None]
"""Hears which step is being worked at, how much of it is done, and how much there is."""


class CannotSeed(Exception):
    """Something the demo needs is missing; the message says what."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much history: days, and a factor for the traffic of a day."""

    days: int = cast.DAYS
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class SeedReport:
    """What this run added."""

    phone_numbers: int
    calls: int
    decisions: int


def seed(*, now: datetime, size: Size | None = None, tell: Tell = lambda step, done, total: None) -> SeedReport:
    """Brings the demo's workspaces up to date. Raises CannotSeed, NoSandbox, UponaiTrouble."""
    size = size or Size()
    if not settings.DEMO_PASSWORD:
        raise CannotSeed("DEMO_PASSWORD is not set: choose the password of the demo's accounts.")
    tell("Sandbox", 0, 1)
    phone_numbers.require_sandbox()
    tell("Workspaces", 0, 1)
    opened_at = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=size.days)
    people = founding.people()
    first = _found_first(people, opened_at=opened_at, size=size, now=now)
    provided = phone_numbers.provide(first)
    phone_numbers.listen(first)
    is_new = not founding.is_founded(first)
    if is_new:
        _complete_first(first, people, now=now)
    phone_numbers.ask_console(first, acting_user=people[cast.OWNER], now=now)
    second = _found_second(people, opened_at=opened_at, now=now)
    for workspace in (first, second):
        _begin_counting(workspace, now=now)
    written = _write_histories(first, second, size=size, now=now, tell=tell)
    for workspace in (first, second):
        founding.note_use(workspace)
        founding.begin_digests(workspace, acting_user=people[cast.OWNER], now=now)
    tell("What happens now", 0, 1)
    today.show(first, acting_user=people[cast.EDITOR], days=size.days, now=now)
    if is_new:  # last: whatever makes numbers due would put it right
        phone_numbers.change_behind(first, now=now)
    return SeedReport(provided, written.calls, written.decisions)


def _found_first(people: dict[str, User], *, opened_at: datetime, size: Size, now: datetime) -> Workspace:
    owner, editor = people[cast.OWNER], people[cast.EDITOR]
    workspace = founding.workspace(
        slug=cast.SLUG,
        name=cast.NAME,
        home_country="US",
        time_zone=cast.TIME_ZONE,
        opened_at=opened_at,
        acting_user=owner,
    )
    opened_at = workspace.created_at
    founding.uponai_key(workspace, acting_user=owner, now=opened_at)
    if founding.is_founded(workspace):
        return workspace
    founding.members(workspace, [(people[row[0]], row[2]) for row in cast.PEOPLE], now=opened_at)
    policies = founding.policies(workspace, cast.POLICIES, acting_user=editor, now=opened_at)
    attack = cast.attack_before(opened_at + timedelta(days=size.days), {})
    founding.narrow(policies[cast.WIDGET], acting_user=editor, now=attack.noticed_at)
    return workspace


def _complete_first(workspace: Workspace, people: dict[str, User], *, now: datetime) -> None:
    owner, editor = people[cast.OWNER], people[cast.EDITOR]
    phone_numbers.bring_in(workspace, acting_user=owner, now=now)
    policies = founding.policies(workspace, (), acting_user=editor, now=now)
    phone_numbers.assign(workspace, policies, acting_user=editor, now=now)
    # After the numbers: a key may only call from one of them.
    founding.public_keys(
        workspace,
        gate_keys=cast.GATE_KEYS,
        registered=cast.REGISTERED,
        acting_user=editor,
        now=workspace.created_at,
    )
    end_users.end_users(workspace, people=people, now=now)
    founding.mark_founded(workspace, acting_user=owner, now=now)


def _found_second(people: dict[str, User], *, opened_at: datetime, now: datetime) -> Workspace:
    """A workspace of chats and web calls alone: it has no numbers, so it needs no key of UponAI's."""
    owner, editor = people[cast.OWNER], people[cast.EDITOR]
    workspace = founding.workspace(
        slug=cast.SECOND_SLUG,
        name=cast.SECOND_NAME,
        home_country="DE",
        time_zone=cast.SECOND_TIME_ZONE,
        opened_at=opened_at,
        acting_user=owner,
    )
    if founding.is_founded(workspace):
        return workspace
    opened_at = workspace.created_at
    founding.members(workspace, [(people[row[0]], row[3]) for row in cast.PEOPLE], now=opened_at)
    founding.public_keys(workspace, gate_keys=cast.SECOND_GATE_KEYS, registered={}, acting_user=editor, now=opened_at)
    founding.policies(workspace, cast.SECOND_POLICIES, acting_user=editor, now=opened_at)
    founding.mark_founded(workspace, acting_user=owner, now=now)
    return workspace


def _begin_counting(workspace: Workspace, *, now: datetime) -> None:
    """Before the made-up history is there: after it, counters that never were look like lost ones, and are full."""
    with contextlib.suppress(RedisError):
        rebuild(workspace.pk, now=now)


def _write_histories(first: Workspace, second: Workspace, *, size: Size, now: datetime, tell: Tell) -> Written:
    until = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    anchor = first.created_at + timedelta(days=size.days)
    businesses = [
        (
            first,
            cast.first_business(
                anchor=anchor,
                opened_on=first.created_at.date(),
                keys=founding.public_key_texts(first),
                scale=size.scale,
            ),
        ),
        (
            second,
            cast.second_business(
                opened_on=second.created_at.date(),
                keys=founding.public_key_texts(second),
                scale=size.scale,
            ),
        ),
    ]
    periods = [max(workspace.created_at, until - timedelta(days=size.days)) for workspace, _ in businesses]
    total = sum(
        len(history.days_of(business, start, until)) for (_, business), start in zip(businesses, periods, strict=True)
    )
    written, done = Written(), 0

    def advance(days: int) -> None:
        nonlocal done
        done += days
        tell("Days of traffic", done, total)

    for (workspace, business), start in zip(businesses, periods, strict=True):
        written += history.write_history(
            workspace=workspace, business=business, start=start, until=until, now=now, advance=advance
        )
    return written
